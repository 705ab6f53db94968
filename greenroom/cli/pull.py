"""`greenroom models pull` and `remove`: the GGUF files in the data folder."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from greenroom.assembly.environment import proxies_of
from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, INCONCLUSIVE, USAGE, Here
from greenroom.errors import RequestError
from greenroom.models.download import Download, Fetched, check_address
from greenroom.models.engine import INSTALL, is_installed
from greenroom.models.pullable import Pullable, catalogue
from greenroom.models.pulled import Source, all_pulled, is_name, keep_source, path_of
from greenroom.models.pulled import remove as remove_file

_LINE_S = 10.0
"""How often a line tells how far it is, where there is no terminal."""


def pull(
    model: str | None = None, /, *, sha256: str | None = None, name: str | None = None, json: bool = False,
    place: Here,
) -> int:  # fmt: skip
    """Bring a GGUF file into the data folder: resumed where it was left, checked, then put in its place.

    Without a name, lists what can be pulled by name. Only this command uses the network.

    Parameters
    ----------
    model
        A name of the list, or any https:// address of a GGUF file.
    sha256
        What the file's checksum must be.
    name
        What the model is called here; otherwise the name of the list, or of the file.
    json
        Print the answer as JSON.
    """
    known = catalogue()
    if model is None:
        return _print_known(known, as_json=json)
    data = place.data_folder(place.load())
    wanted = known.get(model)
    if wanted is None and "/" not in model:
        return fail(f"'{model}' is neither an https:// address nor one of: {', '.join(known)}.", USAGE)
    url = wanted.url if wanted is not None else model
    check_address(url)
    called = name or (model if wanted is not None else _name_in(url))
    path = path_of(data, called)
    if path.exists():
        return _is_here(
            called,
            path.stat().st_size,
            sha256,
            next((one.source for one in all_pulled(data) if one.name == called), Source()),
        )
    with _progress(called, quiet=json) as tell:
        download = Download(
            url,
            path,
            sha256=sha256 or (wanted.sha256 if wanted is not None else None),
            size_bytes=wanted.size_bytes if wanted is not None and sha256 is None else None,
            proxies=proxies_of(place.environment),
            tell=tell,
        )
        try:
            fetched = download.run()
        except KeyboardInterrupt:
            return fail("Stopped. What came is kept; the same command goes on from there.", INCONCLUSIVE)
    licence = wanted.licence if wanted is not None else None
    keep_source(path, Source(url, fetched.sha256, licence, fetched.checked_against is not None))
    if json:
        print_json(
            {
                "name": called,
                "path": str(path),
                "size_bytes": fetched.head.size_bytes,
                "sha256": fetched.sha256,
                "checked": fetched.checked_against is not None,
                "resumed_from": fetched.resumed_from,
                "architecture": fetched.head.architecture,
                "parameters": fetched.head.parameters,
                "context": fetched.head.context,
                "licence": licence,
            }
        )
    else:
        _say(called, fetched, licence)
    return FINE


def remove(name: str, /, *, place: Here) -> int:
    """Delete a model that was pulled, and what an interrupted download left.

    A running engine keeps its file until it ends.

    Parameters
    ----------
    name
        The model, as `models list` shows it.
    """
    freed = remove_file(place.data_folder(place.load()), name.removeprefix("llama/"))
    print(f"Removed {name}: {freed / 1e6:,.1f} MB are free again.", file=sys.stderr)
    return FINE


def _print_known(known: dict[str, Pullable], *, as_json: bool) -> int:
    if as_json:
        print_json(known)
        return FINE
    rows = [
        (
            name,
            f"{one.size_bytes / 1e9:.1f} GB" if one.size_bytes else None,
            one.licence,
            "known" if one.sha256 else "not known beforehand",
            one.about,
        )
        for name, one in known.items()
    ]
    print_table(("name", "size", "licence", "checksum", ""), rows)
    return FINE


def _is_here(name: str, size: int, sha256: str | None, source: Source) -> int:
    if sha256 is not None and source.sha256 != sha256.lower():
        return fail(
            f"'{name}' is here with another checksum ({source.sha256 or 'unknown'}). "
            f"Remove it first: greenroom models remove {name}",
            FINDINGS,
        )
    print(f"'{name}' is here already ({size / 1e6:,.1f} MB).", file=sys.stderr)
    return FINE


def _say(name: str, fetched: Fetched, licence: str | None) -> None:
    head = fetched.head
    size = f"{head.parameters / 1e6:,.1f} million parameters"
    print(f"{name}: {head.architecture}, {size}, context {head.context or 'unknown'}.")
    print(f"Licence: {licence or 'not known here, see where it comes from'}.")
    if fetched.checked_against is None:
        print(f"Nobody said beforehand what its SHA-256 is; what came has {fetched.sha256}.")
    else:
        print(f"Its SHA-256 is right, by {fetched.checked_against}: {fetched.sha256}.")
    if not head.has_template:
        print("It holds no chat template: its answers may be poor.")
    if not is_installed():
        print(f"To run it, install the engine: {INSTALL}")
    print(f"Clients ask for it as llama/{name}.")


def _name_in(url: str) -> str:
    """The name of a file at an address. Raises RequestError."""
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    found = last[:-5] if last.lower().endswith(".gguf") else last
    if not is_name(found):
        raise RequestError("The address does not end in the name of a file. Say one with --name.", "name")
    return found


@contextmanager
def _progress(name: str, *, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """What tells how far it is: a bar at a terminal, a line from time to time otherwise."""
    if quiet:
        yield _silent
    elif not sys.stderr.isatty():
        yield _Lines(name)
    else:
        from rich.console import Console  # noqa: PLC0415  # rich costs 100 ms and is for people only
        from rich.progress import (  # noqa: PLC0415  # as above
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _silent(done: int, total: int | None) -> None:
    """Says nothing."""


class _Lines:
    def __init__(self, name: str) -> None:
        self._name = name
        self._next = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now < self._next and done != total:
            return
        self._next = now + _LINE_S
        share = f" of {total / 1e6:,.1f} MB ({100 * done / total:.0f} %)" if total else " MB"
        print(f"{self._name}: {done / 1e6:,.1f}{share}", file=sys.stderr, flush=True)
