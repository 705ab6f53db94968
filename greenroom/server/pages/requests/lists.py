"""The list of requests: a bar of filters, what the newest that fit are, deeds for those that are ticked."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.server.filtering import FIELDS
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.forms import Form
from greenroom.server.pages.headers import HEADERS
from greenroom.server.pages.listing import Row, read_rows
from greenroom.server.pages.live import live
from greenroom.server.pages.rendering import json_answer, redirect
from greenroom.server.pages.requests.asked import MOST, Asked, chips, choices, read_asked
from greenroom.server.pages.requests.backend import By, Json, RequestsBackend
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address
from greenroom.store.scores import Score, checked

MOST_EXPORTED = 1_000
_MOST_LIVE = 50


class Line(NamedTuple):
    """One line of the list."""

    row: Row
    snippet: Sequence[tuple[str, bool]]
    """Texts, each with whether it is what was searched for."""


class RequestLists:
    """`/requests`, its JSON, its live tail, its export, saved views and deeds for many."""

    def __init__(self, backend: RequestsBackend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes; they must stand before those of one request."""
        self._doors = doors
        page, twin = doors.page, doors.twin
        return [
            Route("/requests", page(self.show)),
            Route("/requests.json", twin(self.show_json)),
            Route("/requests/live", twin(self.follow)),
            Route("/requests/export.jsonl", page(self.export)),
            Route("/requests/views", page(self.keep_view), methods=["POST"]),
            Route("/requests/bulk", page(self.do_many), methods=["POST"]),
        ]

    def show(self, request: Request, session: Session) -> Response:
        """The page."""
        asked = read_asked(request.query_params)
        return self._page(session, asked)

    def _page(self, session: Session, asked: Asked, trouble: str = "", status: int = 200) -> Response:
        terms, sight = [], None
        try:
            found = asked.read()
            terms = found.terms
            sight = self._backend.browse(found.filter)
        except MalformedRequest as error:
            status, trouble = error.status, str(error)
        facets = sight.facets if sight is not None else None
        return self._doors.render.html(
            "requests.html",
            status=status,
            session=session,
            asked=asked,
            trouble=trouble,
            chips=chips(asked, terms),
            fields=FIELDS,
            lines=lines_of(sight.rows) if sight is not None else [],
            facets=choices(asked, terms, facets.values) if facets is not None else {},
            counted=facets,
            reached=sight.reached if sight is not None else None,
            older=asked.address("/requests", cursor=sight.next) if sight is not None and sight.next else "",
            newest=asked.address("/requests"),
            views=[(one.name, asked.address("/requests", text=one.filter), one.filter == asked.text)
                   for one in self._backend.views(session.who)],
            data_sets=self._backend.data_sets(),
            live=asked.address("/requests/live"),
            export=asked.address("/requests/export.jsonl"),
            most_exported=MOST_EXPORTED,
            twin=asked.address("/requests.json", cursor=asked.cursor),
        )  # fmt: skip

    def show_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""
        asked = read_asked(request.query_params)
        sight = self._backend.browse(asked.read().filter)
        told: Json = {"data": sight.rows, "next": sight.next, "reached": sight.reached}
        if sight.facets is not None:
            told["facets"] = sight.facets._asdict()
        return json_answer(told)

    async def follow(self, request: Request, session: Session) -> Response:
        """Rows as they come."""
        wanted = read_asked(request.query_params)._replace(cursor=None, limit=_MOST_LIVE).read().filter

        def source(after: str) -> tuple[str, list[str]]:
            known = int(after) if after.isascii() and after.isdecimal() and len(after) <= 18 else None
            sight = self._backend.newer(wanted, 2**62 if known is None else known)
            lines = [] if known is None else lines_of(sight.rows)
            return str(sight.next), [
                self._doors.render.text("request_row.html", line=line, session=session) for line in lines
            ]

        return await live(request, session, source)

    def export(self, request: Request, session: Session) -> Response:
        """Whole records of what fits, newest first, a line of JSON each."""
        asked = read_asked(request.query_params)
        wanted = asked._replace(cursor=None, limit=MOST).read().filter
        first = self._backend.browse(wanted)  # what is wrong is said before all else

        def lines() -> Iterator[bytes]:
            left, sight = MOST_EXPORTED, first
            while True:
                for row in sight.rows[:left]:
                    yield from self._line(str(row["id"]))
                left -= len(sight.rows)
                if sight.next is None or left <= 0:
                    return
                sight = self._backend.browse(msgspec.structs.replace(wanted, cursor=sight.next))

        return _download(lines())

    def _line(self, id: str) -> Iterator[bytes]:
        record = self._backend.get_trace(id)
        if record is not None:
            yield msgspec.json.encode(record) + b"\n"

    async def keep_view(self, request: Request, session: Session) -> Response:
        """Save the filter under a name, or delete a view."""
        form = await self._doors.posted(request, session)
        asked = read_asked(form)
        if form.get("do") == "remove":
            await run_in_threadpool(self._backend.remove_view, session.who, form.get("name", ""))
            return redirect(asked.address("/requests"), "The view was deleted.")
        asked.read()
        if not asked.text:
            raise MalformedRequest("Filter the requests first: a view without a filter shows all.", "filter")
        await run_in_threadpool(self._backend.save_view, session.who, form.get("name", ""), asked.text)
        return redirect(asked.address("/requests"), "The view was saved.")

    async def do_many(self, request: Request, session: Session) -> Response:
        """Export, score or collect the requests that are ticked."""
        form = await self._doors.posted(request, session)
        asked = read_asked(form)
        ids = form.many("id")[:MOST] if isinstance(form, Form) else []
        deed = form.get("do", "")
        if deed == "export":
            return _download(line for id in ids for line in self._line(id))
        session.require("operator")
        by = By(session.who, client_address(request))
        try:
            if not ids:
                raise MalformedRequest("Tick the requests that are meant first.", "id")
            if deed == "score":
                said = await run_in_threadpool(self._score, ids, read_score(form), by)
            elif deed == "collect":
                said = await run_in_threadpool(self._collect, ids, form, by)
            else:
                raise MalformedRequest("This form says nothing that can be done.", "do")
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, asked, str(error), error.status)
        return redirect(asked.address("/requests"), said)

    def _score(self, ids: Sequence[str], score: Score, by: By) -> str:
        scored = sum(self._backend.score(id, score, by) is not None for id in ids)
        return f"{scored} scored."

    def _collect(self, ids: Sequence[str], form: dict[str, str], by: By) -> str:
        kept = self._backend.collect(
            form.get("data_set", "").strip(), ids, with_reply=form.get("with_reply") == "yes", by=by
        )
        left_out = f", {kept.skipped} left out" if kept.skipped else ""
        return f"{kept.added} added to {kept.name}@{kept.version}{left_out}; it has {kept.rows} rows."


def read_score(form: dict[str, str]) -> Score:
    """The score that a form gives. Raises MalformedRequest."""
    try:
        value = float(form.get("value", "").replace(",", "."))
    except ValueError:
        raise MalformedRequest("A score's value must be a number, as 1, 0 or 0.75.", "value") from None
    return checked(
        Score(
            name=form.get("name", "").strip(), value=value, comment=form.get("comment", "").strip(),
            correction=form.get("correction", "").strip().replace("\r\n", "\n"),
        )
    )  # fmt: skip


def lines_of(rows: Sequence[Json]) -> list[Line]:
    """Return the lines to show."""
    shown = read_rows([{name: value for name, value in one.items() if name != "snippet"} for one in rows])
    return [Line(row, one.get("snippet", ())) for row, one in zip(shown, rows, strict=True)]


def _download(lines: Iterable[bytes]) -> Response:
    head = {**HEADERS, "content-disposition": 'attachment; filename="requests.jsonl"'}
    return StreamingResponse(lines, 200, head, "application/x-ndjson")
