"""The pages of collections: shown, searched, filled and removed by who may."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Response

from greenroom.gateway.access import Access
from greenroom.grounding.attachments import Wanted
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.ingestion import Ingestion
from greenroom.server.knowledge import Desk
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Visitor

HOSTILE = '<img src=x onerror="window.hit=1">'


class Shelf:
    """An index behind the pages, and who is signed in."""

    def __init__(self, index: DocumentIndex, visitor: Visitor, woken: list[int], noted: list[str]) -> None:
        self.index = index
        self.visitor = visitor
        self.woken = woken
        self.noted = noted

    def read_all(self) -> None:
        while Ingestion(self.index).read_next():
            pass

    def post_file(self, path: str, name: str, data: bytes, **fields: str) -> Response:
        return self.visitor.client.post(
            path, data=fields, files={"file": (name, data)}, headers={"origin": self.visitor.origin}
        )


@pytest.fixture
def shelf(tmp_path: Path, backend: FakeBackend, clock: Clock) -> Iterator[Shelf]:
    index, woken = DocumentIndex(tmp_path / "documents.db"), list[int]()
    noted: list[str] = []
    desk = Desk(
        Access({}), index, None, lambda: woken.append(1), 1_000_000,
        lambda who, what, _about, _address: noted.append(f"{who}: {what}"),
    )  # fmt: skip
    with Visitor(backend, clock, desk=desk) as visitor:
        yield Shelf(index, visitor, woken, noted)
    index.close()


@pytest.mark.parametrize(
    ("text", "question", "marked"),
    [
        ("Every employee has thirty days of leave.", "How many days of leave?", ["days", "leave"]),
        ("Cada funcionário tem trinta dias de férias.", "quantos dias de ferias?", ["dias", "férias"]),
        ("Cada empleado tiene treinta días de vacaciones.", "¿cuántas vacaciones?", ["vacaciones"]),
    ],
    ids=["en", "pt", "es"],
)
def test_a_search_marks_what_it_found(shelf: Shelf, text: str, question: str, marked: list[str]) -> None:
    shelf.index.add("p", "handbook", "leave.md", text.encode())
    (row,) = shelf.index.stores.all("p")
    shelf.visitor.sign_in()

    seen = shelf.visitor.get(f"/collections/{row.id}?q={question}").text

    assert [f"<mark>{word}</mark>" in seen for word in marked] == [True] * len(marked)
    twin = shelf.visitor.get(f"/collections/{row.id}.json?q={question}").json()
    assert twin["results"][0]["text"] == text
    assert 0 < twin["results"][0]["score"] <= 1
    assert twin["documents"][0]["filename"] == "leave.md"


def test_a_document_is_added_by_hand_read_and_removed(shelf: Shelf) -> None:
    visitor = shelf.visitor
    visitor.sign_in()
    made = visitor.post(
        "/collections", {"csrf": visitor.token("/collections"), "name": "handbook", "project": "p"}
    )
    page = made.headers["location"]
    (row,) = shelf.index.stores.all("p")
    assert page == f"/collections/{row.id}"

    added = shelf.post_file(
        f"{page}/documents", "leave.md", b"Thirty days of leave.", csrf=visitor.token(page)
    )
    assert added.status_code == 303
    assert shelf.woken == [1]
    assert "being read" in visitor.get(page).text
    assert 'http-equiv="refresh"' in visitor.get(page).text
    shelf.read_all()
    shown = visitor.get(page).text
    assert "being read" not in shown
    assert "leave.md" in shown

    (document,) = shelf.index.list("p", row.id)
    removed = visitor.post(f"{page}/documents/{document.id}/delete", {"csrf": visitor.token(page)})
    assert removed.status_code == 303
    assert shelf.index.list("p", row.id) == []
    assert shelf.index.files.get("p", document.id) is None
    assert visitor.post(f"{page}/delete", {"csrf": visitor.token(page)}).headers["location"] == "/collections"
    assert shelf.index.stores.all("p") == []
    assert visitor.get(page).status_code == 404
    acts = ("collection.create", "document.create", "document.delete", "collection.delete")
    assert shelf.noted == [f"key-admin: {act}" for act in acts]


def test_what_failed_is_shown_with_its_reason(shelf: Shelf) -> None:
    store = shelf.index.stores.create("p", name="odd")
    upload = shelf.index.files.begin(100)
    upload.write(b"\x7fELF")
    kept = shelf.index.files.keep(upload, project="p", filename=HOSTILE, purpose="user_data")
    shelf.index.attachments.attach("p", store.id, [Wanted(file_id=kept.id)])
    shelf.read_all()
    shelf.visitor.sign_in()

    page = shelf.visitor.get(f"/collections/{store.id}").text

    assert "The document is not text." in page
    assert HOSTILE not in page
    assert "1 failed" in shelf.visitor.get("/collections").text


@pytest.mark.parametrize("field", ["name", "text", "query"])
def test_nothing_stored_or_asked_becomes_markup(shelf: Shelf, field: str) -> None:
    shelf.index.add("p", HOSTILE if field == "name" else "c", "a.txt", f"{HOSTILE} otters".encode())
    (row,) = shelf.index.stores.all("p")
    shelf.visitor.sign_in()

    for path in ("/collections", f"/collections/{row.id}?q=otters {HOSTILE}"):
        assert "<img src=x" not in shelf.visitor.get(path).text


def test_forms_from_elsewhere_and_without_a_token_change_nothing(shelf: Shelf) -> None:
    visitor = shelf.visitor
    store = shelf.index.stores.create("p", name="kept")
    shelf.index.add("p", "kept", "a.md", b"Otters.")
    visitor.sign_in()
    page = f"/collections/{store.id}"
    token = visitor.token(page)

    assert shelf.post_file(f"{page}/documents", "b.md", b"x", csrf="wrong").status_code == 403
    assert visitor.post(f"{page}/delete", {"csrf": "wrong"}).status_code == 403
    assert visitor.post("/collections", {"csrf": "wrong", "name": "new"}).status_code == 403
    visitor.origin = "http://evil"
    assert shelf.post_file(f"{page}/documents", "b.md", b"x", csrf=token).status_code == 403
    assert visitor.post(f"{page}/delete", {"csrf": token}, origin="http://evil").status_code == 403

    assert [one.filename for one in shelf.index.list("p")] == ["a.md"]
    assert [one.name for one in shelf.index.stores.all("p")] == ["kept"]
    assert len(list((shelf.index.files._folder).iterdir())) == 1


def test_a_viewer_looks_and_changes_nothing(shelf: Shelf) -> None:
    visitor = shelf.visitor
    store = shelf.index.stores.create("p", name="kept")
    visitor.sign_in(VIEWER_KEY)
    page = f"/collections/{store.id}"
    token = visitor.token(page)

    assert "Add a document" not in visitor.get(page).text
    assert visitor.post(f"{page}/delete", {"csrf": token}).status_code == 403
    assert visitor.post("/collections", {"csrf": token, "name": "new"}).status_code == 403
    assert shelf.post_file(f"{page}/documents", "b.md", b"x", csrf=token).status_code == 403
    assert [one.name for one in shelf.index.stores.all("p")] == ["kept"]


def test_nobody_sees_collections_without_signing_in(shelf: Shelf) -> None:
    store = shelf.index.stores.create("p", name="kept")

    assert shelf.visitor.get("/collections").status_code == 303
    assert shelf.visitor.get(f"/collections/{store.id}.json").status_code == 401
    assert shelf.post_file(f"/collections/{store.id}/documents", "b.md", b"x").status_code == 303


@pytest.mark.parametrize(
    ("name", "data", "status"), [("a.md", b"", 400), ("a.md", b"x" * 1_100_000, 413), ("a.md", None, 400)]
)
def test_a_form_that_can_not_be_taken_says_so_on_the_page(
    shelf: Shelf, name: str, data: bytes | None, status: int
) -> None:
    store = shelf.index.stores.create("p", name="kept")
    shelf.visitor.sign_in()
    page = f"/collections/{store.id}"
    token = shelf.visitor.token(page)

    if data is None:
        answer = shelf.visitor.post(f"{page}/documents", {"csrf": token})
    else:
        answer = shelf.post_file(f"{page}/documents", name, data, csrf=token)

    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert shelf.index.list("p") == []
