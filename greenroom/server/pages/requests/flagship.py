"""One request, stage by stage: what happened to it, why it ended so, what it cost, what may be done."""

import asyncio
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest, NotFound
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.evidence import REPLY_LIMIT, findings, payload, sentences
from greenroom.server.pages.journey import VIEWS, journey
from greenroom.server.pages.navigation import GROUPS
from greenroom.server.pages.record import Record, read_record
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.requests import application, comparison
from greenroom.server.pages.requests.backend import By, RequestsBackend
from greenroom.server.pages.requests.clean import clean
from greenroom.server.pages.requests.curl import curl
from greenroom.server.pages.requests.explanation import explain
from greenroom.server.pages.requests.lists import read_score
from greenroom.server.pages.requests.money import money
from greenroom.server.pages.requests.sent import messages, parameters
from greenroom.server.pages.requests.stops import stops
from greenroom.server.pages.sessions import Session
from greenroom.server.pages.waterfall import waterfall
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_PLAYGROUND = "/playground"
_MOST_STEPS = 400
"""As many as are shown; no exchange of ours has more, but a record from elsewhere may."""
_MOST_VERDICTS = 1_000


class RequestPage:
    """`/requests/{id}` and what is below it."""

    def __init__(self, backend: RequestsBackend) -> None:
        self._backend = backend
        self._doors: Doors
        self._has_playground = any(place.path == _PLAYGROUND for group in GROUPS for place in group.places)

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        page, twin = doors.page, doors.twin
        return [
            Route("/requests/{id}.otlp.json", twin(self.otlp)),
            Route("/requests/{id}.json", twin(self.show_json)),
            Route("/requests/{id}/compare", page(self.compare)),
            Route("/requests/{id}/score", page(self.score), methods=["POST"]),
            Route("/requests/{id}/collect", page(self.collect), methods=["POST"]),
            Route("/requests/{id}/replay", page(self.replay), methods=["POST"]),
            Route("/requests/{id}", page(self.show)),
        ]

    def show(self, request: Request, session: Session) -> Response:
        """The page."""
        view = request.query_params.get("view", "diff")
        view = view if view in VIEWS else "diff"
        return self._page(request, session, request.path_params["id"], view)

    def show_json(self, request: Request, session: Session) -> Response:
        """The record; as a file with `?download`."""
        id = request.path_params["id"]
        answer = json_answer(self._trace(id))
        if "download" in request.query_params:
            answer.headers["content-disposition"] = f'attachment; filename="request-{_file_name(id)}.json"'
        return answer

    def otlp(self, request: Request, session: Session) -> Response:
        """It as OTLP, for tools that read spans."""
        id = request.path_params["id"]
        told = self._backend.otlp(id)
        if told is None:
            raise NotFound("There is no request with this id. It may have been erased, or its time is over.")
        answer = json_answer(told)
        answer.headers["content-disposition"] = f'attachment; filename="request-{_file_name(id)}.otlp.json"'
        return answer

    def compare(self, request: Request, session: Session) -> Response:
        """Two requests side by side."""
        id, other = request.path_params["id"], request.query_params.get("with", "").strip()[-128:]
        if not other:
            raise MalformedRequest("Name the other request: its id, or its address.", "with")
        one, two = (read_record(self._trace(name)) for name in (id, other.rpartition("/")[2]))
        if one is None or two is None:
            raise MalformedRequest("One of these records has a shape that this version does not know.")
        return self._doors.render.html(
            "compare.html", session=session, one=one, other=two,
            facts=comparison.facts(one, two), texts=comparison.texts(one, two),
        )  # fmt: skip

    async def score(self, request: Request, session: Session) -> Response:
        """Score it: thumbs, a number, a comment, or what it should have said."""
        id = request.path_params["id"]
        form = await self._doors.posted(request, session)
        session.require("operator")
        try:
            score = read_score({**form, "value": form.get("thumb", form.get("value", ""))})
            added = await run_in_threadpool(self._backend.score, id, score, _by(request, session))
        except MalformedRequest as error:
            return await run_in_threadpool(self._page, request, session, id, "diff", str(error))
        if added is None:
            raise NotFound("There is no request with this id. It may have been erased, or its time is over.")
        return redirect(f"/requests/{segment(id)}#scores", f"Scored: {score.name} {score.value:.3g}.")

    async def collect(self, request: Request, session: Session) -> Response:
        """Add it to a data set."""
        id = request.path_params["id"]
        form = await self._doors.posted(request, session)
        session.require("operator")
        with_reply = form.get("with_reply") == "yes"

        def add() -> Response:
            try:
                kept = self._backend.collect(
                    form.get("data_set", "").strip(), [id], with_reply=with_reply, by=_by(request, session)
                )
            except GreenroomError as error:
                return self._page(request, session, id, "diff", str(error), error.status)
            known = "" if kept.added else " already"
            return redirect(
                f"/requests/{segment(id)}",
                f"{kept.name}@{kept.version} has it{known}, among {kept.rows} rows.",
            )

        return await run_in_threadpool(add)

    async def replay(self, request: Request, session: Session) -> Response:
        """Send it again, and put both side by side."""
        id = request.path_params["id"]
        await self._doors.posted(request, session)
        session.require("operator")
        try:
            fresh = await self._backend.replay(id, _by(request, session))
        except GreenroomError as error:
            return await run_in_threadpool(self._page, request, session, id, "diff", str(error), error.status)
        for pause_s in _PAUSES_S:  # the trace writer works behind the request
            if await run_in_threadpool(self._backend.get_trace, fresh) is not None:
                break
            await asyncio.sleep(pause_s)
        return redirect(f"/requests/{segment(id)}/compare?with={segment(fresh)}")

    def _trace(self, id: str) -> Json:
        trace = self._backend.get_trace(id)
        if trace is None:
            raise NotFound("There is no request with this id. It may have been erased, or its time is over.")
        return trace

    def _page(
        self, request: Request, session: Session, id: str, view: str = "diff", trouble: str = "",
        status: int = 200,
    ) -> Response:  # fmt: skip
        trace = self._trace(id)
        record, cut = _record_of(trace)
        if record is None:
            return self._doors.render.html("unreadable.html", session=session, id=id, payload=payload(trace))
        told = journey(record, view)  # type: ignore[arg-type]  # held to VIEWS by whoever calls
        bodies = self._backend.bodies(id)
        sent, left_out = messages(record)
        checked, unchecked = clean(record)
        raw_request = bodies.request if bodies is not None else ""
        raw_sent = (bodies.sent or bodies.request) if bodies is not None else ""
        return self._doors.render.html(
            "request.html",
            status=400 if trouble and status == 200 else status,
            session=session,
            id=id,
            record=record,
            view=view,
            neighbours=self._backend.neighbours(id),
            views=VIEWS,
            trouble=trouble,
            asked_text=record.newest_user()[1],
            explanation=explain(record),
            stops=stops(record, told.balances),
            journey=told._replace(left_out=told.left_out + cut),
            waterfall=waterfall(record),
            money=money(trace, self._backend.costs(trace)),
            spans=application.around(self._backend.spans(trace)),
            findings=findings(record),
            clean=checked,
            unchecked=unchecked,
            sent=sent,
            sent_left_out=left_out,
            parameters=parameters(raw_sent),
            sentences=sentences(record),
            reply_left_out=max(len((record.reply and record.reply.text) or "") - REPLY_LIMIT, 0),
            payloads=_payloads(record, raw_request, raw_sent),
            curl=curl(raw_request, _origin(request)) if raw_request else "",
            data_sets=self._backend.data_sets() if session.may_write else [],
            has_playground=self._has_playground,
        )


def _record_of(trace: Json) -> tuple[Record | None, int]:
    """The record as far as it is shown, and how many of its steps are not."""
    steps, verdicts = trace.get("stages"), trace.get("verdicts")
    if not isinstance(steps, list) or not isinstance(verdicts, list):
        return read_record(trace), 0
    shown = {**trace, "stages": steps[:_MOST_STEPS], "verdicts": verdicts[:_MOST_VERDICTS]}
    return read_record(shown), max(len(steps) - _MOST_STEPS, 0)


def _payloads(record: Record, request: str, sent: str) -> list[tuple[str, str, str, Any]]:  # Any: payloads
    reply = record.reply
    is_same = request == sent if request else record.sent is not None and record.sent == record.request
    return [
        ("request", "Request", "as it came", payload(request or record.request)),
        ("sent-body", "Sent", "what the model got", None if is_same else payload(sent or record.sent)),
        ("raw", "Reply, raw", "what the model said", payload(reply.raw if reply else None)),
        ("text", "Reply", "what went out", payload(reply.text if reply else None)),
    ]


def _by(request: Request, session: Session) -> By:
    return By(session.who, client_address(request))


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"


def _file_name(id: str) -> str:
    return "".join(one for one in id if one.isascii() and (one.isalnum() or one in "-_"))[:64]
