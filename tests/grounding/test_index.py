import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.errors import StoreError
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.words import ALL
from tests.grounding.conftest import HANDBOOK, MANUAL


def test_a_question_finds_the_passage_that_answers_it(index: DocumentIndex) -> None:
    index.add("p", "docs", "handbook.md", HANDBOOK.encode())

    found = index.search("How do I add a provider?", project="p", collections=["docs"], limit=3)

    assert found[0].title == "Handbook › Add a provider"
    assert found[0].document == "handbook.md"
    assert 0 < found[0].score <= 1
    assert found[0].text.startswith("A provider is an API")


def test_each_language_is_searched_in_its_own_stems(index: DocumentIndex) -> None:
    index.add("p", "docs", "handbook.md", HANDBOOK.encode())
    index.add("p", "docs", "manual.md", MANUAL.encode())

    found = index.search("informacao de faturamento", project="p", collections=[ALL], limit=3)

    assert found[0].title == "Manual › Informações fiscais"


def test_the_same_file_twice_is_no_work(index: DocumentIndex) -> None:
    first = index.add("p", "docs", "handbook.md", HANDBOOK.encode())
    before = index.generation()
    again = index.add("p", "docs", "handbook.md", HANDBOOK.encode())

    assert again == first
    assert index.generation() == before


def test_a_changed_file_replaces_the_old_one(index: DocumentIndex) -> None:
    index.add("p", "docs", "a.md", b"Elephants are grey animals.")
    index.add("p", "docs", "a.md", b"Flamingos are pink birds.")

    assert len(index.list("p")) == 1
    assert index.search("elephants", project="p", collections=[ALL], limit=3) == []
    assert len(index.search("flamingos", project="p", collections=[ALL], limit=3)) == 1


def test_a_file_that_can_not_be_read_leaves_the_old_one(index: DocumentIndex) -> None:
    kept = index.add("p", "docs", "a.md", b"Elephants are grey.")

    with pytest.raises(Exception, match="not text"):
        index.add("p", "docs", "a.md", b"\x89PNG")

    assert index.list("p") == [kept]


def test_a_removed_document_is_found_no_more(index: DocumentIndex) -> None:
    row = index.add("p", "docs", "a.md", b"Elephants are grey.")

    assert index.remove("other", row.id) is False
    assert index.remove("p", row.id) is True
    assert index.search("elephants", project="p", collections=[ALL], limit=3) == []
    assert [one.counts.total for one in index.stores.all("p")] == [0]
    assert index.passages("p", row.id) == []
    assert index.files.get("p", row.id) is None


def test_a_removed_collection_takes_its_documents_along(index: DocumentIndex) -> None:
    index.add("p", "docs", "a.md", b"Elephants are grey.")
    index.add("p", "more", "a.md", b"Elephants are large.")

    assert index.remove_collection("p", "docs") is True
    assert index.remove_collection("p", "docs") is False
    assert [one.text for one in index.search("elephants", project="p", collections=[ALL], limit=3)] == [
        "Elephants are large."
    ]


def test_no_search_leaves_its_project(index: DocumentIndex) -> None:
    index.add("alpha", "docs", "a.md", b"The secret number is seven.")
    index.add("beta", "docs", "b.md", b"The public number is eight.")

    for collections in (["docs"], [ALL], ["docs", ALL]):
        found = index.search("secret number", project="beta", collections=collections, limit=9)
        assert [one.document for one in found] == ["b.md"]
    assert index.search("secret", project="gamma", collections=[ALL], limit=9) == []
    row = index.list("alpha")[0]
    assert index.passages("beta", row.id) == []


def test_what_another_project_holds_does_not_change_scores(index: DocumentIndex) -> None:
    index.add("p", "docs", "handbook.md", HANDBOOK.encode())
    before = index.search("limit of requests", project="p", collections=[ALL], limit=5)
    for number in range(5):
        index.add("q", "docs", f"{number}.md", b"Limit of requests. A limit, a request.")

    assert index.search("limit of requests", project="p", collections=[ALL], limit=5) == before


def test_only_the_named_collections_are_searched(index: DocumentIndex) -> None:
    index.add("p", "one", "a.md", b"Elephants are grey.")
    index.add("p", "two", "b.md", b"Elephants are large.")

    found = index.search("elephants", project="p", collections=["two"], limit=5)

    assert [one.document for one in found] == ["b.md"]
    assert index.search("elephants", project="p", collections=[], limit=5) == []
    assert index.search("elephants", project="p", collections=["three"], limit=5) == []


@pytest.mark.parametrize(
    "query",
    ['"', '""" OR 1=1 --', "NEAR(a b, 5)", "a AND OR NOT", "body:elephants*", "^elephants", "'; DROP TABLE documents; --",
     "\0\0", "{heading} : x", "-" * 1000, "🙂" * 100, "", " ", "elephants " * 100_000, "\\", "a~b~", "1~elephants"],
)  # fmt: skip
def test_no_query_text_breaks_the_search(index: DocumentIndex, query: str) -> None:
    index.add("p", "docs", "a.md", b"Elephants are grey.")

    index.search(query, project="p", collections=[ALL, query], limit=5)

    assert len(index.list("p")) == 1


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_any_text_is_a_query_and_scores_stay_between_0_and_1(index: DocumentIndex, query: str) -> None:
    if not index.has_passages("p"):
        index.add("p", "docs", "handbook.md", HANDBOOK.encode())

    found = index.search(query + " provider", project="p", collections=[ALL], limit=5)

    assert all(0 < one.score <= 1 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\windows\\x.md", "a\0b\n.md", "x" * 4000, "", "..", "/"]
)
def test_file_names_are_shown_and_never_paths(index: DocumentIndex, tmp_path: Path, name: str) -> None:
    row = index.add("p", "docs", name, b"Some text.")

    assert "/" not in row.filename
    assert "\\" not in row.filename
    assert row.filename.isprintable()
    assert 0 < len(row.filename) <= 200
    assert {one.name.split("-")[0] for one in tmp_path.iterdir()} == {"documents.db", "files"}
    assert [one.name for one in (tmp_path / "files").iterdir()] == [row.id]


def test_another_process_is_noticed(index: DocumentIndex, tmp_path: Path) -> None:
    assert not index.has_passages("p")
    before = index.generation()
    script = (
        "import sys; from pathlib import Path; from greenroom.grounding.index import DocumentIndex;"
        "DocumentIndex(Path(sys.argv[1])).add('p', 'docs', 'a.md', b'Elephants are grey.')"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "documents.db")], check=True)

    assert index.generation() > before
    assert len(index.search("elephants", project="p", collections=[ALL], limit=5)) == 1


def test_threads_may_search_while_one_writes(index: DocumentIndex) -> None:
    index.add("p", "docs", "handbook.md", HANDBOOK.encode())
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(50):
                assert index.search("provider", project="p", collections=[ALL], limit=3)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10):
        index.add("p", "docs", f"{number}.md", f"Number {number} of the providers.".encode())
    for thread in threads:
        thread.join()

    assert failures == []


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    DocumentIndex(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(StoreError, match="newer"):
        DocumentIndex(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)

    with pytest.raises(StoreError):
        DocumentIndex(path)


def test_the_version_is_that_of_the_tables(index: DocumentIndex) -> None:
    assert index.version == 4


def test_the_file_is_for_its_owner_only(index: DocumentIndex, tmp_path: Path) -> None:
    assert (tmp_path / "documents.db").stat().st_mode & 0o077 == 0


def test_an_empty_document_is_listed_and_never_found(index: DocumentIndex) -> None:
    row = index.add("p", "docs", "empty.md", b"")

    assert row.passages == 0
    assert not index.has_passages("p")


def test_a_question_in_another_language_finds_names_it_shares_with_the_document(index: DocumentIndex) -> None:
    index.add("p", "docs", "handbook.md", HANDBOOK.encode())

    found = index.search("como é que eu configuro o greenroom.toml?", project="p", collections=[ALL], limit=1)

    assert found[0].title == "Handbook › Add a provider"
    assert found[0].score > 0.2
