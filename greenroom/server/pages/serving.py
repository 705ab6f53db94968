"""The pages of models at work: how fast each answers, what waits, what it takes, and why it ended last.

Knows what is told of models by its protocol alone, which runs on the loop: nothing in it waits.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import ModelNotFound
from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer, segment
from greenroom.server.pages.sessions import Session

Json = dict[str, Any]  # Any: what JSON holds


class Backend(Protocol):
    """What the pages ask: `lineage_of` in a worker thread, all others on the loop."""

    def all_models(self) -> list[Json]: ...
    def model(self, name: str) -> Json: ...
    def lineage_of(self, name: str) -> Json: ...


class Row(NamedTuple):
    """A model in the list, in words."""

    name: str
    address: str
    state: str
    is_trained: bool
    at_work: str
    waiting: str
    rate: str
    first: str
    answered: str
    failed: str
    memory: str
    kv: str
    restarts: str
    ends: list[tuple[str, str]]
    """When it ended by itself and why, the newest first."""


class ServingPages:
    """`/models` and what is below."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/models", doors.page(self._list)),
            Route("/models.json", doors.twin(self._list_json)),
            Route("/models/{name:path}.json", doors.twin(self._show_json)),
            Route("/models/{name:path}", doors.page(self._show)),
        ]

    async def _list(self, request: Request, session: Session) -> Response:
        rows = [_row(one) for one in self._backend.all_models()]
        return self._doors.render.html("models.html", session=session, rows=rows)

    async def _list_json(self, request: Request, session: Session) -> Response:
        return json_answer({"data": self._backend.all_models()})

    async def _show(self, request: Request, session: Session) -> Response:
        found, lineage = await self._found(request)
        targets = found.get("targets") or [found]
        return self._doors.render.html(
            "model.html",
            session=session,
            name=request.path_params["name"],
            twin=f"/models/{segment(request.path_params['name'])}.json",
            targets=[(_row(one), one) for one in targets],
            lineage=lineage,
        )

    async def _show_json(self, request: Request, session: Session) -> Response:
        found, lineage = await self._found(request)
        return json_answer({**found, "lineage": lineage})

    async def _found(self, request: Request) -> tuple[Json, Json | None]:
        """How a model fares, and where it comes from if it was trained here. Raises: ModelNotFound."""
        found = self._backend.model(request.path_params["name"])
        if not found.get("trained"):
            return found, None
        try:
            return found, await run_in_threadpool(self._backend.lineage_of, found["target"])
        except ModelNotFound:  # deleted just now
            return found, None


def _row(one: Json) -> Row:
    engine = one["engine"]
    memory_mb = None if engine is None else engine["memory_mb"]
    rate, limit = one["tokens_per_second"], None if engine is None else engine.get("kv_limit")
    elsewhere = "built in" if one["target"].startswith("greenroom/") else "remote"
    circuit = "" if one["circuit"] == "closed" else "left alone"
    return Row(
        name=one["target"],
        address="/models/" + segment(one["target"]),
        state=circuit or (elsewhere if engine is None else engine["state"]),
        is_trained=one["trained"] is not None,
        at_work=figures.count(one["at_work"]),
        waiting=figures.count(one["waiting"] + ((engine or {}).get("waiting") or 0)),
        rate=figures.NONE if rate is None else f"{rate:,.1f}",
        first=figures.duration(one["first_token_ms"]),
        answered=figures.count(one["answered"]),
        failed=figures.count(one["failed"]),
        memory=figures.NONE if memory_mb is None else figures.size(round(memory_mb * (1 << 20))),
        kv=figures.share(engine["kv_tokens"] / limit) if engine and limit else figures.NONE,
        restarts=figures.NONE if engine is None else figures.count(engine["restarts"]),
        ends=[(_moment(end["at"]), end["said"]) for end in reversed((engine or {}).get("ends", ()))],
    )


def _moment(at: float) -> str:
    return figures.clock(datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"))
