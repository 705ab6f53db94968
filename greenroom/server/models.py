"""Models over HTTP: which there are and how they fare; who would be asked for a request."""

from typing import Any, Protocol

from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import TooLarge
from greenroom.exchange import Caller
from greenroom.models.catalogue.wish import Wish
from greenroom.server.openapi import CHAT_SCHEMA
from greenroom.server.routing import BODY_LIMIT_BYTES, Doc, json_answer, read_body

_wish = Decoder(Wish)


class ModelAdministration(Protocol):
    """What the routes need: `explain` runs on the loop, all others in a worker thread."""

    def models(self, project: str | None = None) -> list[dict[str, Any]]: ...  # Any: JSON
    def recommend(self, wish: Wish, project: str | None) -> dict[str, Any]: ...  # Any: JSON
    def facts(self, name: str) -> dict[str, Any]: ...  # Any: JSON
    async def explain(self, body: bytes) -> dict[str, Any]: ...  # Any: JSON


class ModelApi:
    """The routes under `/api/models`."""

    def __init__(self, administration: ModelAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/api/models", "GET", "viewer", "List apps, models and targets, and how targets fare now.",
                self._list),
            Doc("/api/models/explain", "POST", "operator",
                "Say who would be asked for a chat body, and why; no model is called.",
                self._explain, (), CHAT_SCHEMA),
            Doc("/api/models/recommend", "POST", "viewer",
                "Say which model to choose: best, best value, private; no model is called.",
                self._recommend, (), Wish),
            Doc("/api/models/facts", "GET", "viewer", "Show what is known of a model, with sources.",
                self._facts, ("name",)),
        )  # fmt: skip

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"data": await run_in_threadpool(self._admin.models, _project(caller))})

    async def _recommend(self, request: Request, caller: Caller | None) -> Response:
        wish = await read_body(request, _wish)
        return json_answer(await run_in_threadpool(self._admin.recommend, wish, _project(caller)))

    async def _facts(self, request: Request, caller: Caller | None) -> Response:
        name = request.query_params.get("name", "")
        return json_answer(await run_in_threadpool(self._admin.facts, name))

    async def _explain(self, request: Request, caller: Caller | None) -> Response:
        body = await request.body()
        if len(body) > BODY_LIMIT_BYTES:
            raise TooLarge("The body is larger than 1 MB.")
        return json_answer(await self._admin.explain(body))


def _project(caller: Caller | None) -> str | None:
    """Whose trained models and scores count; None: everybody's."""
    assert caller is not None  # the routes need a role
    return None if caller.role == "admin" else caller.project
