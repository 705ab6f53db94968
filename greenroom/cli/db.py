"""`greenroom db`: the stores in the data folder."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from cyclopts import App

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE, Here
from greenroom.store import database

app = App(name="db", help="Check, copy and bring up to date the stores in the data folder.")

_MAGIC = b"SQLite format 3\x00"


class _State(NamedTuple):
    store: str
    schema: int | None
    bytes: int
    faults: list[str]


@app.command
def check(*, json: bool = False, place: Here) -> int:
    """Read all stores through: exit 0 when they are sound, 1 when not. Works while a server runs.

    Parameters
    ----------
    json
        Print the answer as JSON.
    """
    folder = place.data_folder(place.load())
    paths = stores(folder)
    if not paths:
        return fail(f"There is no store in '{folder}'.", ENVIRONMENT)
    found = [_State(path.name, version(path), path.stat().st_size, database.check(path)) for path in paths]
    if json:
        print_json([one._asdict() for one in found])
    else:
        rows = [(*one[:3], "; ".join(one.faults) or "sound") for one in found]
        print_table(("store", "schema", "bytes", "state"), rows)
    return FINDINGS if any(one.faults for one in found) else FINE


@app.command
def backup(target: Path, /, *, place: Here) -> int:
    """Copy all stores and uploaded files into a folder, beside a running server. No copy is half.

    Parameters
    ----------
    target
        The folder; made when it does not exist. Copies of the same name in it are replaced.
    """
    folder = place.data_folder(place.load())
    if target.resolve() == folder.resolve():
        return fail("The copy can't go into the data folder itself.", USAGE)
    paths = stores(folder)
    if not paths:
        return fail(f"There is no store in '{folder}'.", ENVIRONMENT)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in paths:
        database.backup(path, target / path.name)
        (target / path.name).chmod(0o600)
        print(f"{path.name}: {(target / path.name).stat().st_size} bytes")
    copied = _copy_files(folder / "files", target / "files")
    if copied:
        print(f"files: {copied} copied")
    return FINE


@app.command
def migrate(*, place: Here) -> int:
    """Bring all stores to the schema of this version. Every start does the same; a copy is made before."""
    folder = place.data_folder(place.load())
    before = {path.name: version(path) for path in stores(folder)}
    house = place.open()
    # Opening a store is what brings it up to date.
    _ = house.keys, house.traces, house.documents, house.turns, house.books, house.experiments
    for path in stores(folder):
        was, now = before.get(path.name), version(path)
        said = "made" if was is None else "up to date" if was == now else f"from schema {was}"
        print(f"{path.name}: schema {now}, {said}")
    return FINE


def stores(folder: Path) -> list[Path]:
    """The SQLite files in a data folder, copies of earlier schemas left out."""
    return [path for path in sorted(folder.glob("*")) if ".backup-v" not in path.name and _is_store(path)]


def version(path: Path) -> int | None:
    """The schema of a store, None when it can't be read."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return None


def _copy_files(source: Path, target: Path) -> int:
    """Copy uploaded files that are not there yet, which never change; how many those were.

    After the stores, so that every file a copied store knows of is copied, if it was not deleted meanwhile.
    """
    if not source.is_dir():
        return 0
    target.mkdir(mode=0o700, exist_ok=True)
    copied = 0
    for path in source.iterdir():
        if path.name.startswith(".") or (target / path.name).exists():
            continue
        half = target / f".{path.name}.part"
        try:
            shutil.copy2(path, half)
        except FileNotFoundError:  # deleted meanwhile
            continue
        half.replace(target / path.name)
        copied += 1
    return copied


def _is_store(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
