"""What this machine has: main memory, what a container may take of it, GPUs, processors.

Linux says it in /proc and /sys, macOS by `sysctl`, NVIDIA by `nvidia-smi`; each program is given two seconds.
What can't be learned is 0, and nothing fits into it. Blocks: for commands and worker threads.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

PATIENCE_S: Final = 2.0
RESERVE: Final = 0.05
"""The share of memory that is left to everything else, at least `LEAST_RESERVE_BYTES`."""
LEAST_RESERVE_BYTES: Final = 256 << 20
APPLE_SHARE: Final = 0.75
"""Of the memory of an Apple machine, what its GPU may have without being told (Metal's working set)."""
_UNLIMITED: Final = 1 << 60
"""cgroup v1 says "no limit" by a number near 2^63."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}

Run = Callable[[Sequence[str]], str]


class Gpu(NamedTuple):
    """One GPU."""

    name: str
    total: int
    """Bytes."""
    free: int


class Hardware(Struct, frozen=True, kw_only=True):
    """Bytes; 0 is not known."""

    ram_total: int = 0
    ram_free: int = 0
    """What can be had now without anything being swapped, within what a container may take."""
    gpus: tuple[Gpu, ...] = ()
    unified: bool = False
    """Whether the GPU uses the main memory."""
    processors: int = 0
    limited: bool = False
    """Whether a container's limit is what counts."""
    bandwidth: float | None = None
    """Bytes a second that can be read from main memory; None where it was not measured."""
    gpu_bandwidth: float | None = None
    said: bool = False
    """Whether a person said it, so that nothing is held back for others."""

    @property
    def usable_ram(self) -> int:
        """Bytes of main memory that a model may take."""
        return self.ram_free if self.said else _without_reserve(self.ram_free, self.ram_total)

    @property
    def usable_vram(self) -> int:
        """Bytes of all GPUs that a model may take."""
        if self.said:
            return sum(one.free for one in self.gpus)
        return sum(_without_reserve(one.free, one.total) for one in self.gpus)


def probe(root: Path = Path("/"), run: Run | None = None, platform: str = sys.platform) -> Hardware:
    """Look at this machine. Never fails: what can't be learned stays 0."""
    ask = run or _run
    processors = _processors()
    if platform == "darwin":
        return _mac(ask, processors)
    total, free = _meminfo(root)
    limit, used = _container(root)
    limited = limit is not None and (not total or limit < total)
    if limit is not None and limited:
        total, free = limit, min(free or limit, max(0, limit - used))
    return Hardware(ram_total=total, ram_free=free, gpus=_nvidia(ask), processors=processors, limited=limited)


def parse_hardware(text: str, probed: Callable[[], Hardware] = probe) -> Hardware:
    """Read what `--hardware` says: `auto`, `none`, or like `ram=16GB,vram=24GB,bandwidth=50GB`.

    GB are 10^9 bytes and GiB 2^30. Raises: ValueError with a sentence.
    """
    if text == "auto":
        return probed()
    if text == "none":
        return Hardware()
    parts: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in {"ram", "vram", "bandwidth"} or name in parts:
            raise ValueError(f"hardware is 'auto', 'none', or like 'ram=16GB,vram=24GB'; '{part}' is not")
        parts[name] = parse_size(value)
    vram, speed = parts.get("vram", 0), parts.get("bandwidth")
    return Hardware(
        ram_total=parts.get("ram", 0),
        ram_free=parts.get("ram", 0),
        gpus=(Gpu("GPU", vram, vram),) if vram else (),
        bandwidth=None if vram or not speed else float(speed),
        gpu_bandwidth=float(speed) if vram and speed else None,
        said=True,
    )


def parse_size(text: str) -> int:
    """Bytes of `16GB`, `1.5 GiB`, `800MB`, `1024`. Raises: ValueError with a sentence."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text}' is no size: say it like 16GB or 12GiB")
    number, unit, binary = found.groups()
    size = float(number) * (1024 if binary else 1000) ** _POWERS[unit.upper()]
    if size > 1 << 60:
        raise ValueError(f"'{text}' is more than any machine has")
    return int(size)


def _without_reserve(free: int, total: int) -> int:
    return max(0, free - max(LEAST_RESERVE_BYTES, int(total * RESERVE)))


def _meminfo(root: Path) -> tuple[int, int]:
    """Total and available bytes."""
    found = {}
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()
        if name in {"MemTotal", "MemAvailable"} and number and number[0].isdigit():
            found[name] = int(number[0]) * 1024
    return found.get("MemTotal", 0), found.get("MemAvailable", 0)


def _container(root: Path) -> tuple[int | None, int]:
    """The tightest limit of the control groups this process is in, and what that group uses of it."""
    places: list[tuple[Path, str, str]] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            places += [
                (one, "memory.max", "memory.current") for one in _upwards(root / "sys/fs/cgroup", path)
            ]
        elif "memory" in controllers.split(","):
            v1 = _upwards(root / "sys/fs/cgroup/memory", path)
            places += [(one, "memory.limit_in_bytes", "memory.usage_in_bytes") for one in v1]
    tightest: tuple[int, int] | None = None
    for folder, limit_name, usage_name in places:
        limit = _read(folder / limit_name).strip()
        if limit.isdigit() and int(limit) < _UNLIMITED:
            used = _read(folder / usage_name).strip()
            found = int(limit), _held(folder, int(used) if used.isdigit() else 0)
            if tightest is None or found[0] - found[1] < tightest[0] - tightest[1]:
                tightest = found
    return (None, 0) if tightest is None else tightest


def _held(folder: Path, used: int) -> int:
    """What a group uses, without the pages of files that the kernel gives up for the asking."""
    for line in _read(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"} and value.strip().isdigit():
            return max(0, used - int(value))
    return used


def _upwards(base: Path, path: str) -> list[Path]:
    """The folders of a control group and of those it is in; of a path that leads out, the top alone."""
    parts = [one for one in path.split("/") if one]
    if ".." in parts:
        parts = []
    return [base.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _nvidia(ask: Run) -> tuple[Gpu, ...]:
    text = ask(["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"])
    found = []
    for line in text.splitlines():
        parts = [one.strip() for one in line.rsplit(",", 2)]
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
            found.append(Gpu(parts[0], int(parts[1]) << 20, int(parts[2]) << 20))
    return tuple(found)


def _mac(ask: Run, processors: int) -> Hardware:
    size = ask(["sysctl", "-n", "hw.memsize"]).strip()
    total = int(size) if size.isdigit() else 0
    page, pages = 4096, 0
    for line in ask(["vm_stat"]).splitlines():
        name, _, rest = line.partition(":")
        number = rest.strip().rstrip(".")
        if "page size of" in line:
            found = re.search(r"page size of (\d+)", line)
            page = int(found[1]) if found is not None else page
        elif name in {"Pages free", "Pages inactive", "Pages purgeable", "Pages speculative"}:
            pages += int(number) if number.isdigit() else 0
    free = min(total, page * pages) if pages else total
    is_apple = ask(["sysctl", "-n", "hw.optional.arm64"]).strip() == "1"
    share = int(total * APPLE_SHARE)
    gpus = (Gpu("Apple GPU", share, min(share, free)),) if is_apple and total else ()
    return Hardware(ram_total=total, ram_free=free, gpus=gpus, unified=is_apple, processors=processors)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""


def _run(command: Sequence[str]) -> str:
    """What a program prints; nothing where it is not there, fails, or takes too long."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  # a fixed command
            [program, *command[1:]], capture_output=True, timeout=PATIENCE_S, check=False, text=True,
            stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[: 1 << 16] if done.returncode == 0 else ""
