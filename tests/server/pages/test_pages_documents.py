"""The page of a document: its passages, a search among them, reading it anew, and what could not be read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.gateway.access import Access
from greenroom.grounding.attachments import Wanted
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.ingestion import Ingestion
from greenroom.server.knowledge import Desk
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Visitor

LONG = "\n\n".join(
    f"## Part {n}\n\nPier {n} opens at {n % 24} o'clock. " + "Ships wait there. " * 90 for n in range(120)
)


class Shelf:
    """An index behind the pages, who is signed in, and what was noted."""

    def __init__(
        self, index: DocumentIndex, visitor: Visitor, woken: list[int], noted: list[tuple[str, str]]
    ) -> None:
        self.index, self.visitor, self.woken, self.noted = index, visitor, woken, noted

    def read_all(self) -> None:
        while Ingestion(self.index).read_next():
            pass


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    index, noted = DocumentIndex(tmp_path / "documents.db"), list[tuple[str, str]]()
    woken: list[int] = []
    desk = Desk(
        Access({}),
        index,
        None,
        lambda: woken.append(1),
        1_000_000,
        lambda who, what, *_: noted.append((who, what)),
    )
    with Visitor(FakeBackend(), Clock(), desk=desk) as visitor:
        yield Shelf(index, visitor, woken, noted)
    index.close()


def test_passages_stand_in_order_page_by_page_and_are_found(shelf: Shelf) -> None:
    row = shelf.index.add("p", "harbour", "piers.md", LONG.encode())
    home = row.collection_id
    shelf.visitor.sign_in()
    address = f"/collections/{home}/documents/{row.id}"
    first, second = shelf.visitor.see(address), shelf.visitor.see(f"{address}?from=50")
    beyond = shelf.visitor.see(f"{address}?from=99999999")
    twin = shelf.visitor.get(f"{address}.json?q=pier 117").json()
    led = shelf.visitor.get(f"/passages/{row.id}%2377")
    also = shelf.visitor.get(f"/passages/{row.id}:2")
    searched = shelf.visitor.see(f"{address}?q=pier 117")

    assert first.all("li", id="p0")
    assert first.all("a", rel="next")
    assert second.all("li", id="p50")
    assert not second.all("li", id="p49")
    assert beyond.all("li", id=f"p{row.passages - 1}")
    assert len(twin["passages"]) == row.passages > 100
    assert "Pier 117" in twin["results"][0]["text"]
    assert led.headers["location"] == f"{address}?from=50#p77"
    assert also.headers["location"] == f"{address}#p2"
    at = twin["results"][0]["id"].rpartition("#")[2]
    assert searched.all("a", href=f"{address}?from={int(at) // 50 * 50}#p{at}")


def test_a_document_is_read_again_and_its_collection_too(shelf: Shelf) -> None:
    row = shelf.index.add("p", "harbour", "piers.md", b"Pier 7 opens at noon.")
    shelf.index.add("p", "harbour", "ships.md", b"Ships wait.")
    shelf.visitor.sign_in()
    address = f"/collections/{row.collection_id}/documents/{row.id}"
    csrf = shelf.visitor.token(address)
    again = shelf.visitor.post(f"{address}/reindex", {"csrf": csrf})
    twice = shelf.visitor.post(f"{address}/reindex", {"csrf": csrf})
    during = shelf.visitor.get(f"{address}.json").json()
    shelf.read_all()
    after = shelf.visitor.get(f"{address}.json?q=noon").json()
    every = shelf.visitor.post(f"/collections/{row.collection_id}/reindex", {"csrf": csrf})
    waiting = [one.status for one in shelf.index.list("p")]
    forged = shelf.visitor.post(f"{address}/reindex", {"csrf": "guess"})

    assert again.headers["location"] == address
    assert (twice.status_code, forged.status_code) == (303, 403)
    assert (during["status"], during["passages"]) == ("in_progress", [])
    assert (after["status"], after["results"][0]["text"]) == ("completed", "Pier 7 opens at noon.")
    assert every.headers["location"] == f"/collections/{row.collection_id}"
    assert waiting == ["in_progress", "in_progress"]
    assert len(shelf.woken) == 3
    assert {what for _, what in shelf.noted} == {"document.reindex", "collection.reindex"}


def test_what_could_not_be_read_says_why_and_can_be_tried_again(shelf: Shelf) -> None:
    shelf.visitor.sign_in()
    made = shelf.index.stores.create("p", name="harbour")
    upload = shelf.index.files.begin(1_000)
    upload.write(b"%PDF-1.4 <b>broken</b>")
    file = shelf.index.files.keep(
        upload, project="p", filename="<b>x<b>.pdf", purpose="user_data", stays=False
    )
    shelf.index.attachments.attach("p", made.id, [Wanted(file_id=file.id)])
    shelf.read_all()
    listed, twin = shelf.visitor.get("/collections"), shelf.visitor.get("/collections.json").json()
    page = shelf.visitor.see(f"/collections/{made.id}/documents/{file.id}")

    (unread,) = twin["unread"]
    assert unread["filename"] == "<b>x<b>.pdf"
    assert unread["error"]
    assert "What could not be read" in listed.text
    assert "<b>x" not in listed.text
    assert f"It could not be read: {unread['error']}" in page.text
    assert page.all("form", action=f"/collections/{made.id}/documents/{file.id}/reindex")


def test_a_document_whose_file_is_gone_keeps_its_passages(shelf: Shelf) -> None:
    row = shelf.index.add("p", "harbour", "piers.md", b"Pier 7 opens at noon.")
    with shelf.index._db.writing("files") as db:
        db.execute("DELETE FROM files")
    shelf.visitor.sign_in()
    address = f"/collections/{row.collection_id}/documents/{row.id}"
    tried = shelf.visitor.post(f"{address}/reindex", {"csrf": shelf.visitor.token(address)})

    assert tried.status_code == 404
    assert "The file of this document is gone" in tried.text
    assert len(shelf.visitor.get(f"{address}.json").json()["passages"]) == 1


def test_who_may_only_look_reads_nothing_anew_and_what_is_not_there_is_not_found(shelf: Shelf) -> None:
    row = shelf.index.add("p", "harbour", "piers.md", b"Pier 7 opens at noon.")
    shelf.visitor.sign_in(VIEWER_KEY)
    address = f"/collections/{row.collection_id}/documents/{row.id}"
    page = shelf.visitor.see(address)
    csrf = page.all("input", name="csrf")[0]["value"]
    tried = [
        shelf.visitor.post(place, {"csrf": csrf}).status_code
        for place in (f"{address}/reindex", f"/collections/{row.collection_id}/reindex")
    ]
    missing = [
        shelf.visitor.get(place).status_code
        for place in (
            f"/collections/none/documents/{row.id}",
            f"{address}x",
            f"{address}x.json",
            "/passages/none:1",
        )
    ]

    assert "Read it again" not in page.text
    assert tried == [403, 403]
    assert missing == [404] * 4
