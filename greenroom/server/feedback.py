"""Feedback over HTTP: a score for an exchange that ended. A key scores the exchanges of its own project."""

import asyncio
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import NotFound
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, json_answer, read_body
from greenroom.store.scores import LONGEST_COMMENT, LONGEST_CORRECTION, NAME, Score, Source, checked

_WAITS_S = (0.06, 0.12, 0.3)
"""An exchange is stored within 50 ms of its end: feedback that is quicker than that waits for it."""


class Feedback(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/feedback`. `id` is the `x-request-id` of the answer; true is 1 and false 0."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    name: Annotated[str, Meta(pattern=NAME)]
    value: float | bool
    comment: Annotated[str, Meta(max_length=LONGEST_COMMENT)] = ""
    source: Source = "person"
    correction: Annotated[str, Meta(max_length=LONGEST_CORRECTION)] = ""
    """What the answer should have said."""


class FeedbackAdministration(Protocol):
    """What the route needs; runs in a worker thread. Raises: MalformedRequest, StoreError."""

    def score(self, project: str | None, id: str, score: Score) -> dict[str, Any] | None: ...  # Any: JSON


_feedback = Decoder(Feedback)


class FeedbackApi:
    """The route `POST /api/feedback`."""

    def __init__(self, administration: FeedbackAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The route."""
        return (
            Doc("/api/feedback", "POST", "app",
                "Score an exchange; of one name and source the newest score counts.",
                self._add, (), Feedback, 201),
        )  # fmt: skip

    async def _add(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _feedback)
        score = checked(
            Score(
                name=body.name, value=float(body.value), comment=body.comment, source=body.source,
                correction=body.correction,
            )
        )  # fmt: skip
        project = None if caller.role == "admin" else caller.project
        for wait_s in (*_WAITS_S, None):
            added = await run_in_threadpool(self._admin.score, project, body.id, score)
            if added is not None:
                return json_answer({"id": body.id, **added}, 201)
            if wait_s is not None:
                await asyncio.sleep(wait_s)
        raise NotFound("No exchange has this id. Send the x-request-id of an answer of this project.")
