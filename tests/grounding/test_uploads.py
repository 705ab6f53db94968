"""Files that come in parts: what is joined, refused, let go of, and left by a crash."""

import hashlib
import os
from pathlib import Path

import pytest

from greenroom.errors import Conflict, MalformedRequest, NotFound, StorageFull, TooLarge
from greenroom.grounding import uploads as given
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.uploads import UploadRow


@pytest.fixture
def index(tmp_path: Path) -> DocumentIndex:
    return DocumentIndex(tmp_path / "documents.db")


def begun(index: DocumentIndex, size: int, project: str = "p") -> UploadRow:
    return index.uploads.create(project=project, filename="../a b.jsonl", purpose="batch", size=size)


def part(index: DocumentIndex, row: UploadRow, data: bytes) -> str:
    upload = index.uploads.begin(1_000)
    try:
        upload.write(data)
        return index.uploads.keep(upload, row).id
    finally:
        upload.discard()


def left(tmp_path: Path) -> list[str]:
    folder = tmp_path / "uploads"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_parts_are_joined_in_the_order_that_is_asked_for(index: DocumentIndex, tmp_path: Path) -> None:
    row = begun(index, 6)
    first, second = part(index, row, b"abc"), part(index, row, b"def")

    done, file = index.uploads.complete(
        "p", row.id, [second, first], hashlib.md5(b"defabc").hexdigest().upper()
    )

    assert (done.status, done.file, file.filename, file.purpose) == (
        "completed",
        file.id,
        "a b.jsonl",
        "batch",
    )
    assert index.files.path(file).read_bytes() == b"defabc"
    assert left(tmp_path) == []
    with pytest.raises(MalformedRequest, match="completed"):
        index.uploads.complete("p", row.id, [second, first], None)


def test_a_wrong_digest_leaves_the_parts_for_another_try(index: DocumentIndex) -> None:
    row = begun(index, 3)
    one = part(index, row, b"abc")

    with pytest.raises(MalformedRequest, match="MD5"):
        index.uploads.complete("p", row.id, [one], "0" * 32)

    assert index.uploads.complete("p", row.id, [one], None)[1].bytes == 3


def test_a_crash_between_the_file_and_the_end_of_its_upload_makes_one_file(
    index: DocumentIndex,
) -> None:
    row = begun(index, 3)
    one = part(index, row, b"abc")
    made = index.uploads._join(row, [one], None)

    _, again = index.uploads.complete("p", row.id, [one], None)

    assert again.id == made.id


def test_nothing_is_found_by_another_project(index: DocumentIndex) -> None:
    row = begun(index, 3)
    other = part(index, begun(index, 3), b"abc")

    with pytest.raises(NotFound):
        index.uploads.get("q", row.id)
    with pytest.raises(NotFound):
        index.uploads.cancel("q", row.id)
    with pytest.raises(MalformedRequest, match="no part"):
        index.uploads.complete("p", row.id, [other], None)


def test_what_is_announced_counts_for_the_projects_share(index: DocumentIndex) -> None:
    index.files.quota_bytes = 10
    begun(index, 6)

    with pytest.raises(StorageFull):
        begun(index, 5)

    begun(index, 4)
    begun(index, 10, "q")


def test_a_part_past_the_limit_of_parts_is_refused_and_leaves_nothing(
    index: DocumentIndex, tmp_path: Path
) -> None:
    with pytest.raises(TooLarge):
        part(index, begun(index, 5_000), b"a" * 1_001)

    assert left(tmp_path) == []


def test_an_upload_past_its_time_takes_no_part_and_its_parts_go(index: DocumentIndex, tmp_path: Path) -> None:
    row = begun(index, 6)
    part(index, row, b"abc")
    index._db.connection().execute("UPDATE uploads SET expires_at = unixepoch() - 1")

    with pytest.raises(MalformedRequest, match="expired"):
        part(index, row, b"def")
    index.tidy()

    assert index.uploads.get("p", row.id).status == "expired"
    assert left(tmp_path) == []


def test_parts_are_not_without_number_however_small(
    index: DocumentIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given, "MOST_PARTS", 2)
    row = begun(index, 6)
    two = [part(index, row, b""), part(index, row, b"")]

    with pytest.raises(MalformedRequest, match="Send larger ones"):
        part(index, row, b"a")

    assert left(tmp_path) == sorted(two)


def test_what_became_of_an_upload_is_forgotten_a_day_later(index: DocumentIndex) -> None:
    over, waiting = begun(index, 6), begun(index, 6)
    index.uploads.cancel("p", over.id)
    index._db.connection().execute(
        "UPDATE uploads SET expires_at = expires_at - 100000 WHERE id = ?", (over.id,)
    )

    index.tidy()

    assert index.uploads.get("p", waiting.id).status == "pending"
    with pytest.raises(NotFound):
        index.uploads.get("p", over.id)


def test_bytes_that_a_crash_left_go(index: DocumentIndex, tmp_path: Path) -> None:
    row = begun(index, 6)
    kept = part(index, row, b"abc")
    stray = tmp_path / "uploads" / "part_stray"
    stray.write_bytes(b"x")
    os.utime(stray, (1, 1))

    index.tidy()

    assert left(tmp_path) == [kept]


def test_a_project_may_have_a_hundred_that_wait(
    index: DocumentIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given, "MOST_PENDING", 2)
    first = begun(index, 1)
    begun(index, 1)

    with pytest.raises(Conflict):
        begun(index, 1)

    index.uploads.cancel("p", first.id)
    begun(index, 1)
