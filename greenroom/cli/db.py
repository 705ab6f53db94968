"""`greenroom db`: the stores in the data folder."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from cyclopts import App

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE, Here
from greenroom.models.pulled import FOLDER as PULLED
from greenroom.store import backups, database
from greenroom.store.backups import stores

app = App(name="db", help="Check, copy, put back and bring up to date the stores in the data folder.")


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
def backup(target: Path, /, *, with_models: bool = False, json: bool = False, place: Here) -> int:
    """Copy the data folder while a server runs: all stores as they are at one moment, with digests.

    A copy is complete when its backup.json is there. master.key and audit.key are not in it: keep them apart.

    Parameters
    ----------
    target
        The folder; made when it does not exist. A copy that is in it is replaced; its files are taken over
        where they have not changed.
    with_models
        Also the models that `greenroom models pull` brought, which are large and can be pulled again.
    json
        Print what was copied as JSON.
    """
    folder = place.data_folder(place.load())
    if target.resolve() == folder.resolve() or folder.resolve() in target.resolve().parents:
        return fail("The copy can't go into the data folder itself.", USAGE)
    if not stores(folder):
        return fail(f"There is no store in '{folder}'.", ENVIRONMENT)
    try:
        done = backups.back_up(folder, target, without=() if with_models else (PULLED,))
    except OSError as error:
        return fail(
            f"The copy was not made: {error.strerror or error}. See that there is space.", ENVIRONMENT
        )
    manifest = done.manifest
    if json:
        print_json(manifest)
        return FINE
    for name, file in manifest.files.items():
        if name.endswith(".db") and "/" not in name:
            print(f"{name}: {file.bytes} bytes")
    if done.new_files:
        print(f"files: {done.new_files} copied")
    if manifest.lost:
        print(f"files: {len(manifest.lost)} were deleted meanwhile and are not in the copy")
    return FINE


@app.command
def restore(source: Path | None = None, /, *, finish: bool = False, json: bool = False, place: Here) -> int:
    """Put a copy back in the place of the data folder's content, which goes aside. Stop the server first.

    Every digest is looked at before anything is touched. Exit 3 when a server runs, or the copy is not whole.

    Parameters
    ----------
    source
        The folder that `greenroom db backup` made.
    finish
        Bring a restore to its end that was interrupted.
    json
        Print what was done as JSON.
    """
    folder = place.data_folder(place.load())
    if (source is None) != finish:
        return fail("Name the folder of a copy, or say --finish.", USAGE)
    lock = database.lock_folder(folder)
    try:
        aside = backups.finish(folder) if source is None else backups.restore(source, folder)
    except OSError as error:
        return fail(f"Nothing was put back: {error.strerror or error}. See that there is space.", ENVIRONMENT)
    finally:
        lock.release()
    if json:
        print_json({"folder": str(folder), "before": None if aside is None else str(aside)})
        return FINE
    print(f"'{folder}' holds the copy now.")
    if aside is not None:
        print(f"What was there before is in '{aside}'. Remove it when you no longer need it.")
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


def version(path: Path) -> int | None:
    """The schema of a store, None when it can't be read."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return None
