"""Tables brought up to date: nothing of an older file is lost."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from greenroom.grounding.database import MIGRATIONS, Database
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.words import ALL, marks


@pytest.mark.parametrize("version", [1, 2])
def test_documents_of_an_older_file_are_found_and_replaced(tmp_path: Path, version: int) -> None:
    path = tmp_path / "documents.db"
    old = sqlite3.connect(path, isolation_level=None)
    for script in MIGRATIONS[:version]:
        old.executescript(script)
    old.execute("INSERT INTO collections VALUES (7, 'p', 'docs', '2026-01-01T00:00:00+00:00')")
    old.execute(
        "INSERT INTO documents VALUES (3, 'file-old', 'p', 7, 'a', 'a.md', 'text/markdown', 'x', 19,"
        " '2026-01-01T00:00:00+00:00', 'en', 1, 2)"
    )
    old.execute("INSERT INTO passages VALUES (5, 3, 0, 0, 'a', 'Elephants are grey.', 'a', 'eleph grey')")
    old.execute("INSERT INTO words (rowid, marks) VALUES (5, ?)", (marks(7, ["a"], ["eleph", "grey"]),))
    if version == 2:
        old.execute("INSERT INTO vectors VALUES (5, 'some', x'00')")
    old.close()

    index = DocumentIndex(path)

    (found,) = index.search("grey elephants", project="p", collections=["docs"], limit=3)
    assert found.id == "file-old#0"
    (collection,) = index.stores.all("p")
    assert collection.id.startswith("vs_")
    assert (collection.name, collection.counts.completed, collection.created_at) == ("docs", 1, 1767225600)
    if version == 2:
        assert index.has_vectors("p", [ALL])
    index.add("p", "docs", "a.md", b"Elephants are large.")
    assert [one.text for one in index.search("elephants", project="p", collections=[ALL], limit=3)] == [
        "Elephants are large."
    ]
    assert index.remove_collection("p", "docs")
    left = index._db.connection().execute(
        "SELECT (SELECT count(*) FROM passages), (SELECT count(*) FROM vectors)"
    )
    assert left.fetchone() == (0, 0)
    index.close()


def test_several_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    for number in range(20):
        path, together = tmp_path / f"{number}.db", Barrier(4)

        def opened(path: Path = path, together: Barrier = together) -> tuple[int, int]:
            together.wait()
            db = Database(path)
            found = db.state()
            db.close()
            return found

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: opened(), range(4))) == [(0, 0)] * 4
