"""The page of one document: its passages in order, a search among them, and reading it anew.

Knows the index through the desk that the API uses too.
"""

import re
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import NotFound
from greenroom.exchange import Passage
from greenroom.grounding.attachments import AttachedRow
from greenroom.grounding.stems import language_of, tokens
from greenroom.grounding.stores import StoreRow
from greenroom.server.knowledge.desk import Desk
from greenroom.server.pages.access import seen
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session

PASSAGES = 50
"""On one page."""
_RESULTS = 10
_LONGEST_QUERY = 1_000
_word = re.compile(r"\w+(?:[-.@]\w+)*")


class Run(NamedTuple):
    """A stretch of a passage's text."""

    text: str
    is_hit: bool


class Result(NamedTuple):
    """A passage that was found."""

    passage: Passage
    runs: list[Run]


class DocumentPages:
    """`/collections/{id}/documents/{document}` and what is done there; `/passages/{id}` leads there."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._index = desk.index
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        page, twin = doors.page, doors.twin
        one = "/collections/{id}/documents/{document}"
        return [
            Route("/collections/{id}/reindex", page(self._read_all_again), methods=["POST"]),
            Route(one + "/reindex", page(self._read_again), methods=["POST"]),
            Route(one + ".json", twin(self._show_json)),
            Route(one, page(self._show)),
            Route("/passages/{passage:path}", page(self._passage)),
        ]

    def _show(self, request: Request, session: Session) -> Response:
        query = request.query_params.get("q", "").strip()[:_LONGEST_QUERY]
        start = _start(request)
        home, row = self._found(request)
        passages = self._index.passages(row.project, row.id, home.id)
        first = min(start, max(0, len(passages) - 1)) // PASSAGES * PASSAGES
        address = f"/collections/{segment(home.id)}/documents/{segment(row.id)}"
        found = self._results(home, row, query)
        return self._doors.render.html(
            "document.html",
            session=session,
            home=home,
            row=row,
            address=address,
            query=query,
            passages=list(enumerate(passages))[first : first + PASSAGES],
            count=len(passages),
            earlier=f"{address}?from={first - PASSAGES}" if first else "",
            later=f"{address}?from={first + PASSAGES}" if first + PASSAGES < len(passages) else "",
            results=[(one, passage_address(home.id, one.passage.id)) for one in found],
            has_file=self._index.files.get(row.project, row.id) is not None,
        )

    def _show_json(self, request: Request, session: Session) -> Response:
        query = request.query_params.get("q", "").strip()[:_LONGEST_QUERY]
        home, row = self._found(request)
        passages = self._index.passages(row.project, row.id, home.id)
        return json_answer(
            {
                "id": row.id, "collection": home.id, "project": row.project, "filename": row.filename,
                "title": row.title, "status": row.status, "code": row.error_code, "error": row.error,
                "language": row.language or None, "bytes": row.bytes, "attributes": row.attributes,
                "passages": [_told(one) for one in passages],
                "results": [
                    {**_told(one.passage), "score": one.passage.score}
                    for one in self._results(home, row, query)
                ],
            }
        )  # fmt: skip

    async def _passage(self, request: Request, session: Session) -> Response:
        """To the page where a passage stands, by the id that records have."""
        id = request.path_params["passage"]
        document, _, position = id.rpartition("#" if "#" in id else ":")

        def find() -> str | None:
            file = self._index.files.find(document)
            is_shown = file is not None and seen() in (None, file.project)
            home = (
                None
                if file is None or not is_shown
                else self._index.attachments.home_of(file.project, document)
            )
            return None if home is None else passage_address(home, f"{document}#{position}")

        address = await run_in_threadpool(find)
        if address is None:
            raise NotFound("There is no such passage any more. Its document may have been removed.")
        return redirect(address)

    async def _read_again(self, request: Request, session: Session) -> Response:
        await self._doors.posted(request, session)
        session.require("operator")
        home, row = await run_in_threadpool(self._found, request)
        again = self._index.attachments.read_again
        if not await run_in_threadpool(again, row.project, home.id, row.id) and row.status != "in_progress":
            raise NotFound("The file of this document is gone. Remove it here, and upload it again.")
        self._desk.wake()
        await self._desk.noted(request, session.who, "document.reindex", id=row.id, collection=home.id)
        address = f"/collections/{segment(home.id)}/documents/{segment(row.id)}"
        return redirect(address, "It is being read again.")

    async def _read_all_again(self, request: Request, session: Session) -> Response:
        await self._doors.posted(request, session)
        session.require("operator")
        home = await run_in_threadpool(self._home, request)
        count = await run_in_threadpool(self._index.attachments.read_again, home.project, home.id)
        self._desk.wake()
        await self._desk.noted(request, session.who, "collection.reindex", id=home.id, documents=count)
        return redirect("/collections/" + segment(home.id), f"{count} documents are being read again.")

    def _home(self, request: Request) -> StoreRow:
        row = self._index.stores.get(seen(), request.path_params["id"])
        if row is None:
            raise NotFound("There is no collection with this id. It may have been removed.")
        return row

    def _found(self, request: Request) -> tuple[StoreRow, AttachedRow]:
        home = self._home(request)
        row = self._index.attachments.get(home.project, home.id, request.path_params["document"])
        if row is None:
            raise NotFound("There is no such document in this collection. It may have been removed.")
        return home, row

    def _results(self, home: StoreRow, row: AttachedRow, query: str) -> list[Result]:
        return found_in(self._desk, home, query, _RESULTS, (row.id,))


def found_in(
    desk: Desk, home: StoreRow, query: str, limit: int, documents: tuple[str, ...] | None = None
) -> list[Result]:
    """What a search in a collection, or in some of its documents, finds; best first."""
    if not query or home.is_expired:
        return []
    found = desk.search([query], project=home.project, collection=home.id, limit=limit, documents=documents)
    return [Result(one, marked(one.text, query)) for one in found]


def passage_address(store: str, passage: str) -> str:
    """Where a passage stands on the page of its document."""
    document, _, position = passage.rpartition("#")
    place = int(position) if position.isascii() and position.isdigit() and len(position) < 9 else 0
    start = f"?from={place // PASSAGES * PASSAGES}" if place >= PASSAGES else ""
    return f"/collections/{segment(store)}/documents/{segment(document)}{start}#p{place}"


def marked(text: str, query: str) -> list[Run]:
    """A passage's text in stretches: words that the query holds in any form, and what is between them."""
    language = language_of(text, language_of(query))
    wanted = set(tokens(query, language))
    runs: list[Run] = []
    at = 0
    for word in _word.finditer(text):
        if wanted.isdisjoint(tokens(word[0], language)):
            continue
        if word.start() > at:
            runs.append(Run(text[at : word.start()], is_hit=False))
        runs.append(Run(word[0], is_hit=True))
        at = word.end()
    return [*runs, Run(text[at:], is_hit=False)]


def _start(request: Request) -> int:
    said = request.query_params.get("from", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0


def _told(one: Passage) -> dict[str, object]:
    return {"id": one.id, "title": one.title, "start": one.start, "text": one.text}
