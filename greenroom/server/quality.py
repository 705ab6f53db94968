"""Quality over HTTP: every score over time with its interval."""

from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import Forbidden, MalformedRequest
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, json_answer

Json = dict[str, Any]  # Any: JSON
PARAMETERS = ("project", "app", "model", "prompt", "days")
MOST_DAYS = 400


class QualityAdministration(Protocol):
    """What the route and the page need; runs in a worker thread and may raise GreenroomError."""

    def quality(
        self, project: str | None, days: int, app: str | None = ..., model: str | None = ...,
        prompt: str | None = ...,
    ) -> Json: ...  # fmt: skip


class QualityApi:
    """The route `GET /api/quality`."""

    def __init__(self, administration: QualityAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The route."""
        return (
            Doc("/api/quality", "GET", "viewer",
                "Show scores of live traffic by day, app, model and prompt, each mean with its interval.",
                self._quality, PARAMETERS),
        )  # fmt: skip

    async def _quality(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = request.query_params
        unknown = sorted(set(query) - set(PARAMETERS))
        if unknown:
            raise MalformedRequest(
                f"There is no parameter '{unknown[0]}'. Known: {', '.join(PARAMETERS)}.", unknown[0]
            )
        project = query.get("project") or (None if caller.role == "admin" else caller.project)
        if caller.role != "admin" and project != caller.project:
            raise Forbidden("This key may see its own project only.")
        found = await run_in_threadpool(
            self._admin.quality, project, read_days(query.get("days")), query.get("app") or None,
            query.get("model") or None, query.get("prompt") or None,
        )  # fmt: skip
        return json_answer(found)


def read_days(text: str | None) -> int:
    """How many days are asked for; 30 where nobody says. Raises: MalformedRequest."""
    if not text:
        return 30
    if not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= MOST_DAYS:
        raise MalformedRequest(f"'days' must be a number from 1 to {MOST_DAYS}.", "days")
    return int(text)
