"""Erasing what evaluations keep of exchanges: rows of data sets, answers of runs, rows of `/v1/evals`.

A data set's version keeps its number and its digest, so that runs over it are still found; the rows are gone.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from greenroom.store.database import empty_log
from greenroom.store.evals import EvalStore
from greenroom.store.openai_evals import JUDGED

_QUOTED = re.compile(rb'"([\w-]{1,64})"', re.ASCII)
"""A short JSON string: what an exchange's id looks like in a row."""
_STEP = 500
"""Rows erased in one transaction."""
_FORGET = "UPDATE calls SET output = NULL, outcome = 'erased' WHERE "
"""That a call was made, and its price, stay."""


def erase_exchanges(store: EvalStore, ids: AbstractSet[str]) -> int:
    """Erase what evaluations hold of these exchanges; how many rows and answers. Reads all rows once."""
    if not ids:
        return 0
    wanted = {one.encode() for one in ids}
    gone = 0
    for table, of in (("data_rows", "data_set"), ("openai_rows", "run")):
        with store.reading() as db:
            rows = db.execute(f"SELECT {of}, place, body FROM {table}")  # noqa: S608  # constants
            places = [(row[0], row[1]) for row in rows if not wanted.isdisjoint(_QUOTED.findall(row[2]))]
        if table == "openai_rows":  # before the rows, which alone say what else is to go
            gone += _erase_graded(store, places)
        for at in range(0, len(places), _STEP):
            with store.changing() as db:
                db.executemany(f"DELETE FROM {table} WHERE {of} = ? AND place = ?", places[at : at + _STEP])  # noqa: S608  # constants
        gone += len(places)
    gone += _erase_answers(store, ids)
    if gone:
        with store.reading() as db:  # what was erased is not to stay in the log
            empty_log(db)
    return gone


def keys_of(store: EvalStore, ids: AbstractSet[str]) -> list[str]:
    """Under which keys answers to samples that are these exchanges are kept."""
    known, keys = list(ids), set()
    for at in range(0, len(known), _STEP):
        some = known[at : at + _STEP]
        marks = ", ".join("?" * len(some))
        with store.reading() as db:
            rows = db.execute(
                f"SELECT key FROM calls JOIN items ON items.call = calls.number WHERE sample IN ({marks})",  # noqa: S608  # marks alone
                some,
            )
            keys |= {str(row[0]) for row in rows}
    return sorted(keys)


def _erase_graded(store: EvalStore, places: Sequence[tuple[str, int]]) -> int:
    """Answers that runs of `/v1/evals` got for these rows; how many.

    What graders said goes for the whole run, and what is not graded yet: nothing tells of which row that is.
    """
    gone = 0
    for at in range(0, len(places), _STEP):
        some = places[at : at + _STEP]
        with store.changing() as db:
            db.executemany(_FORGET + "number IN (SELECT call FROM items WHERE run = ? AND place = ?)", some)  # noqa: S608  # constants
            gone += db.executemany("DELETE FROM items WHERE run = ? AND place = ?", some).rowcount
    runs = {run for run, _ in places}
    with store.changing() as db:
        db.executemany(_FORGET + "run = ?", [(run + JUDGED,) for run in runs])
        db.executemany(
            _FORGET + "run = ?1 AND number NOT IN (SELECT call FROM items WHERE run = ?1)",  # noqa: S608  # constants
            [(run,) for run in runs],
        )
    return gone


def _erase_answers(store: EvalStore, ids: AbstractSet[str]) -> int:
    """Answers to samples that are these exchanges."""
    gone, known = 0, list(ids)
    for at in range(0, len(known), _STEP):
        some = known[at : at + _STEP]
        marks = ", ".join("?" * len(some))
        with store.changing() as db:
            calls = db.execute(
                f"SELECT call FROM items WHERE sample IN ({marks})",  # noqa: S608  # marks alone
                some,
            ).fetchall()
            db.executemany(_FORGET + "number = ?", calls)
            gone += db.execute(f"DELETE FROM items WHERE sample IN ({marks})", some).rowcount  # noqa: S608  # marks alone
    return gone
