"""Documents read in the background: once, to the end, and whatever is in them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom.errors import NotFound
from greenroom.grounding.attachments import AttachedRow, Chunking, Wanted
from greenroom.grounding.cutting import cut_document
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.ingestion import TRIES, Ingestion

TEXT = b"Otters sleep on their backs."


def upload(index: DocumentIndex, data: bytes = TEXT, name: str = "a.txt") -> str:
    one = index.files.begin(100_000_000)
    one.write(data)
    return index.files.keep(one, project="p", filename=name, purpose="user_data").id


def attach(index: DocumentIndex, id: str, store: str | None = None, chunking: Chunking | None = None) -> str:
    store = store or index.stores.create("p").id
    index.attachments.attach("p", store, [Wanted(file_id=id, chunking=chunking)])
    return store


def row(index: DocumentIndex, store: str, id: str) -> AttachedRow:
    found = index.attachments.get("p", store, id)
    assert found is not None
    return found


def found(index: DocumentIndex, store: str, query: str = "otters sleep") -> list[str]:
    return [one.text for one in index.search(query, project="p", collections=[store], limit=9)]


def test_what_waits_is_read_and_then_found(index: DocumentIndex) -> None:
    id = upload(index)
    store = attach(index, id)
    assert row(index, store, id).status == "in_progress"
    assert found(index, store) == []

    ingestion = Ingestion(index)

    assert ingestion.read_next() is True
    assert ingestion.read_next() is False
    assert row(index, store, id).status == "completed"
    assert found(index, store) == [TEXT.decode()]


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"\x7fELF\0\0", "a.bin", "unsupported_file"),
        (b"\x89PNG\r\n", "a.png", "unsupported_file"),
        (b"text\0text", "a.txt", "unsupported_file"),
        (b"%PDF-1.4 broken", "a.pdf", "invalid_file"),
        (b"x" * 21 * 1024 * 1024, "large.txt", "invalid_file"),
    ],
    ids=["program", "picture", "NUL", "broken", "large"],
)
def test_what_can_not_be_read_says_why(index: DocumentIndex, data: bytes, name: str, code: str) -> None:
    id = upload(index, data, name)
    store = attach(index, id)

    Ingestion(index).read_next()

    failed = row(index, store, id)
    assert (failed.status, failed.error_code) == ("failed", code)
    assert failed.error is not None
    assert failed.error.endswith(".")


def test_a_file_deleted_while_it_waits_is_gone(index: DocumentIndex) -> None:
    id = upload(index)
    store = attach(index, id)

    assert index.remove_file("p", id)

    assert Ingestion(index).read_next() is False
    assert index.attachments.get("p", store, id) is None


def test_a_document_removed_while_it_is_read_stays_removed(index: DocumentIndex) -> None:
    id = upload(index)
    store = attach(index, id)
    unread = index.claim()
    assert unread is not None

    index.remove("p", id, store)

    index.fill(unread, cut_document("a.txt", TEXT))

    assert index.attachments.get("p", store, id) is None
    assert found(index, store) == []


def test_a_document_that_was_changed_while_it_was_read_is_read_again(index: DocumentIndex) -> None:
    id = upload(index, TEXT * 100)
    store = attach(index, id)
    unread = index.claim()
    assert unread is not None
    attach(index, id, store, Chunking(100, 0))

    index.fill(unread, cut_document("a.txt", TEXT * 100))
    index.fail(unread, "server_error", "Late.")
    index.release(unread)

    assert row(index, store, id).status == "in_progress"
    while Ingestion(index).read_next():
        pass
    assert max(len(one.text) for one in index.passages("p", id, store)) <= 400


def test_what_was_read_of_a_removed_document_goes_into_no_other(index: DocumentIndex) -> None:
    first, second = upload(index), upload(index, b"Beavers build dams.")
    store = attach(index, first)
    unread = index.claim()
    assert unread is not None
    index.remove("p", first, store)
    attach(index, second, store)

    index.fill(unread, cut_document("a.txt", TEXT))

    assert found(index, store) == []
    assert row(index, store, second).status == "in_progress"


def test_bytes_that_are_gone_fail_the_document_only(index: DocumentIndex, tmp_path: Path) -> None:
    lost, good = upload(index), upload(index)
    store = attach(index, lost)
    attach(index, good, store)
    (tmp_path / "files" / lost).unlink()
    ingestion = Ingestion(index)

    while ingestion.read_next():
        pass

    assert row(index, store, lost).status == "failed"
    assert row(index, store, good).status == "completed"


def test_a_document_that_ends_the_process_is_given_up(index: DocumentIndex, tmp_path: Path) -> None:
    id = upload(index)
    store = attach(index, id)
    script = (
        "import os, sys; from pathlib import Path; from greenroom.grounding.index import DocumentIndex;"
        "index = DocumentIndex(Path(sys.argv[1])); assert index.claim() is not None; os.kill(os.getpid(), 9)"
    )
    for _ in range(TRIES):
        ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "documents.db")], check=False)
        assert ended.returncode == -9

    Ingestion(index).read_next()

    assert row(index, store, id).error_code == "server_error"
    attach(index, id, store)
    Ingestion(index).read_next()
    assert row(index, store, id).status == "completed"


def test_killed_at_any_moment_nothing_is_read_twice_or_half(index: DocumentIndex, tmp_path: Path) -> None:
    store = index.stores.create("p").id
    ids = [upload(index, b"Otters sleep. " * 2_000, f"{n}.txt") for n in range(8)]
    index.attachments.attach("p", store, [Wanted(file_id=id) for id in ids])
    script = (
        "import sys; from pathlib import Path; from greenroom.grounding.index import DocumentIndex;"
        "from greenroom.grounding.ingestion import Ingestion;"
        "one = Ingestion(DocumentIndex(Path(sys.argv[1])));"
        "print(flush=True);\nwhile one.read_next(): pass"
    )
    for wait_s in (0.05, 0.15):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "documents.db")], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait_s)
        os.kill(process.pid, 9)
        process.wait()
        process.stdout.close()
    ingestion = Ingestion(index)

    while ingestion.read_next():
        pass

    rows = index.list("p", store)
    assert {one.status for one in rows} == {"completed"}
    expected = len(index.passages("p", ids[0], store))
    assert expected > 10
    assert {one.passages for one in rows} == {expected}
    assert [len(index.passages("p", id, store)) for id in ids] == [expected] * 8


def test_threads_read_everything_once_and_stop(index: DocumentIndex) -> None:
    store = index.stores.create("p").id
    ids = [upload(index, f"Otter number {n} sleeps.".encode()) for n in range(20)]
    index.attachments.attach("p", store, [Wanted(file_id=id) for id in ids])
    ingestion = Ingestion(index)
    ingestion.start()
    ingestion.wake()

    _until(lambda: all(one.status == "completed" for one in index.list("p", store)))
    ingestion.stop()
    ingestion.stop()

    stored = index.stores.get("p", store)
    assert stored is not None
    assert (stored.counts.completed, stored.passages) == (20, 20)


def test_expired_files_go_with_their_documents(index: DocumentIndex) -> None:
    one = index.files.begin(100)
    one.write(TEXT)
    kept = index.files.keep(one, project="p", filename="a.txt", purpose="user_data", expires_s=1)
    store = attach(index, kept.id)
    Ingestion(index).read_next()
    assert found(index, store) != []

    _until(lambda: index.files.expired() != [])
    index.tidy()

    assert found(index, store) == []
    assert index.files.get("p", kept.id) is None


def test_a_document_cut_anew_has_its_new_passages_alone(index: DocumentIndex) -> None:
    id = upload(index, b"Otters sleep on their backs in the water. " * 100)
    store = attach(index, id)
    Ingestion(index).read_next()
    before = len(index.passages("p", id, store))

    attach(index, id, store, Chunking(100, 0))
    Ingestion(index).read_next()

    assert len(index.passages("p", id, store)) > before
    assert row(index, store, id).passages == len(index.passages("p", id, store))


def test_names_and_ids_of_stores_are_names_of_collections(index: DocumentIndex) -> None:
    id = upload(index)
    named, again = index.stores.create("p", name="sea"), index.stores.create("p", name="sea")
    attach(index, id, named.id)
    Ingestion(index).read_next()
    index.add("p", "sea", "b.md", b"Otters eat clams.")

    assert len(found(index, "sea", "otters")) == 2
    assert len(found(index, named.id, "otters")) == 2
    assert found(index, again.id, "otters") == []


def test_an_expired_store_is_searched_by_nobody_until_it_is_set_anew(
    index: DocumentIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = index.stores.create("p", name="short", days=1)
    attach(index, upload(index), store.id)
    Ingestion(index).read_next()
    assert found(index, "*") != []

    later = time.time() + 86_401
    monkeypatch.setattr(time, "time", lambda: later)

    assert found(index, store.id) == found(index, "short") == found(index, "*") == []
    expired = index.stores.get("p", store.id)
    assert expired is not None
    assert expired.is_expired
    index.stores.update("p", store.id, name=None, metadata=None, days=None, sets_days=True)
    assert found(index, "short") != []


def test_a_store_in_use_does_not_expire(index: DocumentIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    store = index.stores.create("p", name="used", days=1)
    attach(index, upload(index), store.id)
    Ingestion(index).read_next()
    began = time.time()

    for hours in (20, 40, 60):
        monkeypatch.setattr(time, "time", lambda hours=hours: began + hours * 3600)
        assert found(index, "used") != []


def test_attaching_what_is_not_there_attaches_nothing(index: DocumentIndex) -> None:
    store, id = index.stores.create("p").id, upload(index)

    with pytest.raises(NotFound):
        index.attachments.attach("p", store, [Wanted(file_id=id), Wanted(file_id="file-none")])

    assert index.list("p", store) == []


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
