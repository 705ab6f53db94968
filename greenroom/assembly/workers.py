"""What the processes of one server share: who each is, where their common things lie, and their numbers.

The folder `workers` in the data folder lives as long as the server: limits of keys, masks and sign-ins
(sealed under a key that only the processes know), and the metrics of each worker, which whoever is asked adds
up.
"""

import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from greenroom.config import Config
from greenroom.errors import ConfigError
from greenroom.gateway.meters import SharedMeters

FOLDER = "workers"
_ADDED_UP = (" counter", " histogram")
"""Kinds of metrics that go on where a worker that died left them."""


class Worker(Struct, kw_only=True, frozen=True):
    """One of several processes of a server, as the parent tells it."""

    number: int
    """From 1. The first does what one alone must: embed and read documents, keep to retention."""
    count: int
    data: str
    """The data folder."""
    config: str | None
    listener: int
    """File descriptor of the socket it accepts from."""
    lock: int
    """File descriptor of the data folder's lock: held until the last process has ended."""
    ready: int
    """File descriptor to write to once requests are answered."""
    host: str
    local_key: str
    canary: str
    secret: bytes
    """Seals what the processes share; known to nobody else, and gone with them."""

    @property
    def is_first(self) -> bool:
        """Whether it does what one alone must."""
        return self.number == 1

    @property
    def folder(self) -> Path:
        """What the processes share."""
        return Path(self.data) / FOLDER

    def share(self, whole: int | None) -> int | None:
        """Its part of a number of places; the parts of all workers add up to it."""
        if whole is None:
            return None
        return whole * self.number // self.count - whole * (self.number - 1) // self.count

    def meters(self) -> SharedMeters:
        """What keys have used. Raises: StoreError."""
        return SharedMeters(limits_path(self.folder), self.number - 1)


def limits_path(folder: Path) -> Path:
    """Where the limits of keys are counted."""
    return folder / "limits"


def fresh_folder(data: Path) -> Path:
    """The folder of the processes of a server that starts now: what an earlier one left is removed."""
    remove_folder(data)
    folder = data / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The folder '{folder}' can't be made: {error.strerror}.") from None
    return folder


def remove_folder(data: Path) -> None:
    """Remove what the processes shared, once all have ended."""
    shutil.rmtree(data / FOLDER, ignore_errors=True)


def check_workers(config: Config, workers: int, source: str) -> None:
    """Refuse what so many processes can't keep to. Raises: ConfigError naming the key."""
    for name, provider in config.providers.items():
        if provider.parallel is not None and provider.parallel < workers:
            raise ConfigError(
                f"{source}: providers.{name}.parallel is {provider.parallel}, and server.workers {workers}: "
                "each worker needs a place. Set fewer workers, or more places."
            )


class Board:
    """The metrics of all processes. Each posts its own; whoever is asked adds them up.

    What another process did in the last seconds may be missing, but nothing that was told before: counters
    never fall, whoever is asked. They go on where a worker that died left them, at its last post.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = folder / f"metrics-{number}"
        self._before = _counters_only(_read(self._path))
        self._posted = ""

    def post(self, text: str) -> None:
        """Let the others see this process's metrics, in Prometheus' text format. Raises: OSError."""
        if text == self._posted:
            return
        half = self._path.with_suffix(".part")
        half.write_text(added([self._before, text]))
        half.replace(self._path)
        self._posted = text

    def sum(self, text: str) -> str:
        """The metrics of all, with this process's as they are now."""
        with suppress(OSError):
            self.post(text)  # whoever is asked next tells no less
        others = [
            _read(path)
            for path in sorted(self._path.parent.glob("metrics-*"))
            if path != self._path and path.suffix != ".part"
        ]
        return added([self._before, text, *others])


def added(texts: list[str]) -> str:
    """Metrics in Prometheus' text format, summed sample by sample."""
    heads: dict[str, list[str]] = {}
    sums: dict[str, dict[str, float]] = {}
    for text in texts:
        for line in text.splitlines():
            if line.startswith("# "):
                name = line.split(" ", 3)[2]
                lines = heads.setdefault(name, [])
                if line not in lines:
                    lines.append(line)
                sums.setdefault(name, {})
            elif line:
                sample, _, value = line.rpartition(" ")
                of = sums.setdefault(sample.partition("{")[0], {})
                of[sample] = of.get(sample, 0) + (
                    float(value) if "." in value or "e" in value else int(value)
                )
    lines = []
    for name, samples in sums.items():
        lines += heads.get(name, ())
        lines += [f"{sample} {_number(value)}" for sample, value in sorted(samples.items(), key=_order)]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Six digits, which is enough for times; more for money, which is counted by the billionth."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.6f}" if abs(value - round(value, 6)) < 1e-10 else f"{value:.9f}"


def _order(sample: tuple[str, float]) -> tuple[str, float]:
    """By labels; the buckets of a histogram by their bounds."""
    head, is_bucket, bound = sample[0].rpartition('le="')
    return (head, float(bound.rstrip('"}'))) if is_bucket else (sample[0], 0.0)


def _counters_only(text: str) -> str:
    kept, keeps = [], False
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            keeps = line.endswith(_ADDED_UP)
        if keeps:
            kept.append(line)
    return "\n".join(kept)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def told(line: bytes) -> Worker:
    """What the parent said. Raises: msgspec.ValidationError, DecodeError."""
    return msgspec.json.decode(line, type=Worker)
