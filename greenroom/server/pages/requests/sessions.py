"""The pages of sessions: the latest of them with their sums, and one of them turn by turn."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import NotFound
from greenroom.server.pages import figures
from greenroom.server.pages.access import own_project
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.glyphs import Run, runs
from greenroom.server.pages.rendering import json_answer, segment
from greenroom.server.pages.requests.backend import RequestsBackend
from greenroom.server.pages.sessions import Session

Json = dict[str, Any]  # Any: what JSON holds
_PAGE = 50
_LONGEST = 2_000


class Turn(NamedTuple):
    """One turn, ready to show. `so_far` is what the session had cost after it."""

    id: str
    created_at: str
    outcome: str
    asked: list[Run]
    said: list[Run]
    is_cut: bool
    model: str
    cost: str
    so_far: str
    total: str
    scores: list[str]
    fell: bool
    """Some score is lower than the turn before had it."""


class SessionPages:
    """`/sessions` and `/sessions/{id}`, with their twins."""

    def __init__(self, backend: RequestsBackend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/sessions", doors.page(self.list)),
            Route("/sessions.json", doors.twin(self.list_json)),
            Route("/sessions/{id:path}.json", doors.twin(self.show_json)),
            Route("/sessions/{id:path}", doors.page(self.show)),
        ]

    def list(self, request: Request, session: Session) -> Response:
        """The sessions in which something happened last."""
        cursor = request.query_params.get("cursor") or None
        found = self._backend.sessions(cursor, _PAGE)
        return self._doors.render.html(
            "sessions.html",
            session=session,
            rows=[_row(one) for one in found.rows],
            cursor=cursor,
            older=f"/sessions?{urlencode({'cursor': found.next})}" if found.next else "",
            reached=found.reached if len(found.rows) < _PAGE else None,
            twin="/sessions.json" + (f"?{urlencode({'cursor': cursor})}" if cursor else ""),
        )

    def list_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""
        cursor = request.query_params.get("cursor") or None
        found = self._backend.sessions(cursor, _PAGE)
        return json_answer({"data": found.rows, "next": found.next, "reached": found.reached})

    def show(self, request: Request, session: Session) -> Response:
        """One session, its newest turns."""
        id, project, cursor = _asked(request)
        found = self._backend.session(project, id, cursor, _PAGE)
        if found is None:
            raise NotFound("There is no session of this name. It may have been erased, or its time is over.")
        return self._doors.render.html(
            "session.html",
            session=session,
            id=id,
            project=project,
            summary=_row(found.summary),
            turns=_turns(found.turns),
            is_part=cursor is not None or found.earlier is not None,
            earlier=_address(id, project, cursor=found.earlier) if found.earlier else "",
            newest=_address(id, project) if cursor else "",
            twin=_address(id, project, ending=".json", cursor=cursor),
        )

    def show_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""
        id, project, cursor = _asked(request, ".json")
        found = self._backend.session(project, id, cursor, _PAGE)
        if found is None:
            raise NotFound("There is no session of this name. It may have been erased, or its time is over.")
        return json_answer({"session": found.summary, "turns": found.turns, "earlier": found.earlier})


def _row(one: Json) -> Json:
    return {
        **one,
        "address": _address(one["session"], one["project"]),
        "cost": figures.dollars(one["cost_usd"]),
        "tokens": figures.count(one["tokens"]),
        "turns": f"{one['turns']:,}" if one["is_whole"] else f"{one['turns']:,}+",
    }


def _turns(found: Sequence[Json]) -> list[Turn]:
    so_far = Decimal(0)
    before: dict[str, float] = {}
    turns = []
    for one in found:
        so_far += Decimal(one["cost_usd"] or 0)
        scores = {score["name"]: score["value"] for score in one["scores"]}
        fell = any(value < before.get(name, value) for name, value in scores.items())
        before |= scores
        turns.append(
            Turn(
                one["id"], one["created_at"], one["outcome"], runs(one["asked"][:_LONGEST]),
                runs(one["said"][:_LONGEST]), max(len(one["asked"]), len(one["said"])) > _LONGEST,
                one["model"]["used"] or figures.NONE, figures.dollars(one["cost_usd"]),
                figures.dollars(format(so_far, "f")), figures.duration(one["timing_ms"]["total"]),
                [f"{name} {value:.3g}" for name, value in scores.items()], fell,
            )
        )  # fmt: skip
    return turns


def _asked(request: Request, ending: str = "") -> tuple[str, str, str | None]:
    """Session, project and cursor; the session from the address as it was sent. Raises: NotFound."""
    raw = bytes(request.scope.get("raw_path") or request.scope["path"].encode())
    parts = raw.partition(b"?")[0].decode("latin-1").split("/")
    try:
        id = unquote(parts[2].removesuffix(ending), errors="strict") if len(parts) == 3 else ""
    except UnicodeDecodeError:
        id = ""
    if not 0 < len(id) <= 200:
        raise NotFound("There is no such session.")
    return (
        id,
        own_project(request.query_params.get("project")) or "default",
        request.query_params.get("cursor") or None,
    )


def _address(id: str, project: str, *, ending: str = "", cursor: str | None = None) -> str:
    wanted = {"project": project} | ({"cursor": cursor} if cursor else {})
    return f"/sessions/{segment(id)}{ending}?{urlencode(wanted)}"
