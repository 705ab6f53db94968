"""Files in their folder: whole or not there, whatever happens."""

import os
import sqlite3
import time
from pathlib import Path

import pytest

from greenroom.errors import StorageFull, StoreError, TooLarge
from greenroom.grounding.files import FileRow
from greenroom.grounding.index import DocumentIndex


def keep(
    index: DocumentIndex, data: bytes = b"text", *, project: str = "p", expires_s: int | None = None
) -> FileRow:
    upload = index.files.begin(1_000_000)
    upload.write(data)
    return index.files.keep(
        upload, project=project, filename="a.txt", purpose="user_data", expires_s=expires_s
    )


def names(tmp_path: Path) -> set[str]:
    return {one.name for one in (tmp_path / "files").iterdir()}


def test_a_kept_file_is_readable_by_its_owner_alone(index: DocumentIndex, tmp_path: Path) -> None:
    row = keep(index, b"some bytes")
    path = index.files.path(row)

    assert path.read_bytes() == b"some bytes"
    assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "files").stat().st_mode & 0o077 == 0
    assert index.files.get("p", row.id) == row
    assert index.files.get("q", row.id) is None


def test_a_discarded_upload_leaves_nothing_and_a_kept_one_stays(index: DocumentIndex, tmp_path: Path) -> None:
    upload = index.files.begin(100)
    upload.write(b"half")
    upload.discard()
    upload.discard()
    assert names(tmp_path) == set()

    upload = index.files.begin(100)
    upload.write(b"whole")
    row = index.files.keep(upload, project="p", filename="a", purpose="user_data")
    upload.discard()
    assert names(tmp_path) == {row.id}


def test_a_file_past_its_limit_is_refused(index: DocumentIndex) -> None:
    upload = index.files.begin(1_048_576)
    upload.write(b"x" * 1_048_576)

    with pytest.raises(TooLarge, match="1 MB"):
        upload.write(b"x")
    upload.discard()


def test_a_project_takes_no_more_than_its_share(index: DocumentIndex, tmp_path: Path) -> None:
    index.files.quota_bytes = 10
    kept = keep(index, b"x" * 6)
    keep(index, b"x" * 6, project="other")
    upload = index.files.begin(100)
    upload.write(b"x" * 6)

    with pytest.raises(StorageFull):
        index.files.keep(upload, project="p", filename="a", purpose="user_data")
    upload.discard()

    assert len(names(tmp_path)) == 2
    assert index.remove_file("p", kept.id)
    keep(index, b"x" * 6)


def test_what_has_expired_is_not_there(index: DocumentIndex) -> None:
    row = keep(index, expires_s=0)

    assert index.files.get("p", row.id) is None
    assert index.files.expired() == [("p", row.id)]


def test_a_full_disk_is_told_in_words(index: DocumentIndex, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir(exist_ok=True)
    upload = index.files.begin(10_000_000)
    assert upload._file is not None
    upload._file.close()
    upload._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by the upload

    with pytest.raises(StoreError, match="no room"):
        upload.write(b"x" * 100_000)
    upload.discard()

    assert names(tmp_path) == set()


def test_a_row_that_can_not_be_written_keeps_no_file(index: DocumentIndex, tmp_path: Path) -> None:
    upload = index.files.begin(100)
    upload.write(b"text")
    db = sqlite3.connect(tmp_path / "documents.db")
    db.execute("CREATE TRIGGER no BEFORE INSERT ON files BEGIN SELECT raise(ABORT, 'no'); END")
    db.close()

    with pytest.raises(sqlite3.Error):
        index.files.keep(upload, project="p", filename="a", purpose="user_data")
    upload.discard()

    assert names(tmp_path) == set()


def test_what_crashes_left_is_swept_away(index: DocumentIndex, tmp_path: Path) -> None:
    kept = keep(index)
    folder, old = tmp_path / "files", time.time() - 120
    for name in ("file-lost", f".{2**22 + 1}-aa.part", ".odd.part"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (old, old))
    at_work = index.files.begin(100)
    (folder / "file-fresh").write_bytes(b"x")

    assert index.files.sweep() == 3
    assert names(tmp_path) == {kept.id, at_work.path.name, "file-fresh"}
    at_work.discard()


def test_a_file_that_nothing_holds_any_more_goes(
    index: DocumentIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = index.add("p", "docs", "a.md", b"Otters swim.")
    upload = index.files.begin(100)
    upload.write(b"left by a crash")
    left = index.files.keep(upload, project="p", filename="b.md", purpose="user_data", stays=False)
    alone = keep(index)

    index.tidy()
    assert index.files.get("p", left.id) is not None
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    index.tidy()

    assert index.files.get("p", left.id) is None
    assert {one.id for one in (index.files.get("p", held.id), index.files.get("p", alone.id)) if one} == {
        held.id,
        alone.id,
    }


def test_a_document_of_the_same_name_takes_the_place_of_the_other(
    index: DocumentIndex, tmp_path: Path
) -> None:
    first = index.add("p", "docs", "a.md", b"Otters swim.")
    second = index.add("p", "docs", "a.md", b"Otters dive.")

    assert index.add("p", "docs", "a.md", b"Otters dive.") == second
    assert index.add("p", second.collection_id, "a.md", b"Otters dive.") == second
    assert [one.id for one in index.list("p")] == [second.id] != [first.id]
    assert names(tmp_path) == {second.id}
