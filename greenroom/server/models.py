"""Models over HTTP: which there are and how they fare; who would be asked for a request."""

from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import TooLarge
from greenroom.exchange import Caller
from greenroom.server.openapi import CHAT_SCHEMA
from greenroom.server.routing import BODY_LIMIT_BYTES, Doc, json_answer
from greenroom.wire import openai


class ModelAdministration(Protocol):
    """What the routes need: `models` runs in a worker thread, `explain` on the loop."""

    def models(self) -> list[dict[str, Any]]: ...  # Any: JSON
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
        )  # fmt: skip

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        return json_answer(openai.encode({"data": await run_in_threadpool(self._admin.models)}))

    async def _explain(self, request: Request, caller: Caller | None) -> Response:
        body = await request.body()
        if len(body) > BODY_LIMIT_BYTES:
            raise TooLarge("The body is larger than 1 MB.")
        return json_answer(openai.encode(await self._admin.explain(body)))
