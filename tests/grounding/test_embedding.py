"""Vectors made behind the documents."""

import logging
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from greenroom.grounding import embedding
from greenroom.grounding.database import MIGRATIONS
from greenroom.grounding.embedding import BATCH, Embedding
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.vectors import Asked
from greenroom.grounding.words import ALL
from greenroom.testing import WordEncoder

MARKDOWN = b"# Cars\n\n## Garage\n\nIt opens at six.\n"


class Broken(WordEncoder):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise RuntimeError("no weights")


def wait_until(index: DocumentIndex, *, has_vectors: bool) -> None:
    deadline = time.monotonic() + 20
    while index.has_vectors("p", [ALL]) is not has_vectors:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "POLL_S", 0.01)


def test_what_is_missing_is_made_once_in_small_batches(index: DocumentIndex) -> None:
    encoder = WordEncoder()
    for number in range(2 * BATCH + 1):
        index.add("p", "c", f"{number}.txt", f"The number {number}.".encode())

    made = [Embedding(index, encoder).catch_up() for _ in range(2)]

    assert made == [2 * BATCH + 1, 0]
    assert [len(call) for call in encoder.calls] == [BATCH, BATCH, 1]


def test_headings_are_part_of_what_is_encoded(index: DocumentIndex) -> None:
    encoder = WordEncoder()
    index.add("p", "c", "cars.md", MARKDOWN)
    index.add("p", "c", "cars.txt", b"It opens at six.")

    Embedding(index, encoder).catch_up()

    assert encoder.calls == [["Cars › Garage\nIt opens at six.", "It opens at six."]]


def test_other_languages_have_none(index: DocumentIndex) -> None:
    index.add("p", "c", "pt.txt", "A garagem não abre às seis.".encode())
    index.add("p", "c", "es.txt", b"El garaje no abre a las seis.")

    assert Embedding(index, WordEncoder()).catch_up() == 0


def test_spared_collections_have_none_until_others_do(index: DocumentIndex) -> None:
    making = Embedding(index, WordEncoder(), spared=["sample"])
    index.add("p", "sample", "a.txt", b"The garage opens at six.")
    assert making.catch_up() == 0
    index.add("p", "c", "b.txt", b"The garden opens at nine.")

    assert making.catch_up() == 2


def test_documents_added_while_it_runs_get_theirs(index: DocumentIndex) -> None:
    running = Embedding(index, WordEncoder())
    running.start()
    try:
        index.add("p", "c", "a.txt", b"The garage opens at six.")
        wait_until(index, has_vectors=True)
        row = index.list("p")[0]
        index.remove("p", row.id)
        wait_until(index, has_vectors=False)
        index.add("p", "c", "b.txt", b"The garden opens at nine.")
        wait_until(index, has_vectors=True)
    finally:
        running.stop()
        running.stop()

    assert index.has_vectors("p", (ALL,))
    assert [one.filename for one in index.list("p")] == ["b.txt"]


def test_a_search_sees_new_vectors_within_a_second(index: DocumentIndex) -> None:
    encoder = WordEncoder()
    index.add("p", "c", "a.txt", b"The garage opens at six.")
    index.add("p", "c", "b.txt", b"Guests ring twice.")
    vector = Asked(encoder.name, encoder.encode(["Guests ring twice."])[0])
    assert index.search("x", project="p", collections=[ALL], limit=3, vector=vector) == []

    Embedding(index, encoder).catch_up()
    deadline = time.monotonic() + 3
    while not (found := index.search("x", project="p", collections=[ALL], limit=3, vector=vector)):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert found[0].document == "b.txt"


def test_a_vector_of_a_text_that_was_replaced_meanwhile_is_dropped(index: DocumentIndex) -> None:
    index.add("p", "c", "a.txt", b"The garage opens at six.")
    [(number, text)] = index.without_vector("test/words", ["en"], limit=9)
    index.add("p", "c", "a.txt", b"The garage is closed.")

    index.put_vectors("test/words", [(number, text, b"\0" * 128)])

    assert not index.has_vectors("p", [ALL])


def test_another_encoder_makes_its_own(index: DocumentIndex) -> None:
    index.add("p", "c", "a.txt", b"The garage opens at six.")
    other = WordEncoder()
    other.name = "test/others"
    Embedding(index, WordEncoder()).catch_up()

    assert Embedding(index, other).catch_up() == 1
    assert Embedding(index, other).catch_up() == 0


def test_an_encoder_that_breaks_is_logged_and_words_still_find(
    index: DocumentIndex, caplog: pytest.LogCaptureFixture
) -> None:
    index.add("p", "c", "a.txt", b"The garage opens at six.")
    running = Embedding(index, Broken())
    with caplog.at_level(logging.ERROR, "greenroom.embedding"):
        running.start()
        deadline = time.monotonic() + 20
        while not caplog.records:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.stop()

    assert "The garage" not in caplog.text
    assert index.search("garage", project="p", collections=[ALL], limit=1)


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(MIGRATIONS[0])
    old.execute("INSERT INTO collections VALUES (1, 'p', 'c', '2026-01-01T00:00:00+00:00')")
    old.execute(
        "INSERT INTO documents VALUES (1, 'file-old', 'p', 1, 'a', 'a.txt', 'text/plain', 'x', 24,"
        " '2026-01-01T00:00:00+00:00', 'en', 1, 3)"
    )
    old.execute(
        "INSERT INTO passages VALUES (1, 1, 0, 0, 'a', 'The garage opens at six.', 'a', 'garag open six')"
    )
    old.close()

    again = DocumentIndex(path)

    assert Embedding(again, WordEncoder()).catch_up() == 1
    again.close()
