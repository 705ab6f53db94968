"""The pages of batches: all of them; one with how far it is, what it costs, and what came of its lines.

Knows the backend by its protocol alone. While a batch is at work its page brings itself up to date.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError
from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.headers import HEADERS
from greenroom.server.pages.rendering import json_answer, redirect, segment
from greenroom.server.pages.sessions import Session
from greenroom.server.routing import client_address

Json = dict[str, Any]  # Any: what JSON holds
LIVING = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_CHIPS = {"completed": "chip-good", "failed": "chip-bad"} | dict.fromkeys(
    LIVING - {"cancelling"}, "chip-info"
)
_MAY_END = frozenset({"validating", "in_progress"})
_TIMES = ("created", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


class Backend(Protocol):
    """What the pages ask; all but `cancel` in worker threads. Raises: GreenroomError."""

    def list(self, after: str | None) -> Json:
        """`data`, the newest first, and `next`."""
        ...

    def show(self, id: str) -> Json:
        """One, with `lines`."""
        ...

    async def cancel(self, id: str, by: str, address: str) -> None: ...
    def file(self, id: str, kind: str) -> tuple[Path, str]: ...


class BatchPages:
    """`/batches` and what is below."""

    def __init__(self, batches: Backend) -> None:
        self._batches = batches
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """The routes."""
        self._doors = doors
        return [
            Route("/batches", doors.page(self._list)),
            Route("/batches.json", doors.twin(self._list_json)),
            Route("/batches/{id}.json", doors.twin(self._show_json)),
            Route("/batches/{id}/{kind}.jsonl", doors.page(self._file)),
            Route("/batches/{id}", doors.page(self._show), methods=["GET", "POST"]),
        ]

    def _list(self, request: Request, session: Session) -> Response:
        found = self._batches.list(request.query_params.get("after") or None)
        rows = [_row(one) for one in found["data"]]
        return self._doors.render.html(
            "batches.html",
            session=session,
            rows=rows,
            is_live=any(one["status"] in LIVING for one in rows),
            older=f"/batches?after={segment(found['next'])}" if found["next"] else "",
        )

    def _list_json(self, request: Request, session: Session) -> Response:
        after = request.query_params.get("after") or None
        return json_answer(self._batches.list(after))

    async def _show(self, request: Request, session: Session) -> Response:
        id = request.path_params["id"]
        if request.method != "POST":
            return await run_in_threadpool(self._page, session, id)
        await self._doors.posted(request, session)
        session.require("operator")
        try:
            await self._batches.cancel(id, session.who, client_address(request))
        except GreenroomError as error:
            return await run_in_threadpool(self._page, session, id, str(error), error.status)
        return redirect("/batches/" + segment(id), "The batch is being cancelled.")

    def _show_json(self, request: Request, session: Session) -> Response:
        id = request.path_params["id"]
        return json_answer(self._batches.show(id))

    def _file(self, request: Request, session: Session) -> Response:
        id, kind = request.path_params["id"], request.path_params["kind"]
        path, name = self._batches.file(id, kind)
        return FileResponse(path, 200, HEADERS, "application/jsonl; charset=utf-8", filename=name)

    def _page(self, session: Session, id: str, trouble: str = "", status: int = 200) -> Response:
        batch = self._batches.show(id)
        row = _row(batch)
        return self._doors.render.html(
            "batch.html",
            status=status,
            session=session,
            row=row,
            facts=_facts(batch),
            errors=((batch["errors"] or {}).get("data") or [])[:50],
            lines=batch["lines"],
            files=[kind for kind in ("output", "error") if batch[f"{kind}_file_id"]],
            is_live=batch["status"] in LIVING,
            may_end=batch["status"] in _MAY_END,
            trouble=trouble,
        )


def _row(one: Json) -> Json:
    counts, ours = one["request_counts"], one["greenroom"]
    done = counts["completed"] + counts["failed"]
    part = done / counts["total"] if counts["total"] else None
    return {
        "id": one["id"],
        "address": "/batches/" + segment(one["id"]),
        "project": one["project"],
        "endpoint": one["endpoint"],
        "model": one["model"] or figures.NONE,
        "status": one["status"],
        "state": one["status"].replace("_", " "),
        "chip": _CHIPS.get(one["status"], "chip-warn"),
        "created_at": figures.iso(one["created_at"]),
        "width": None if part is None else f"{part * 100:.1f}%",
        "done": f"{figures.count(done)} of {figures.count(counts['total'])}" if counts["total"] else "",
        "failed": counts["failed"],
        "cost": figures.dollars(ours["cost_usd"]) + (" and more" if ours["unpriced"] else ""),
    }


def _facts(one: Json) -> list[tuple[str, str]]:
    usage, ours = one["usage"], one["greenroom"]
    times: Mapping[str, int | None] = {name: one[f"{name}_at"] for name in _TIMES}
    found = [
        ("Endpoint", one["endpoint"]),
        ("Model", one["model"] or "several"),
        ("Project", one["project"]),
        ("Key", one["key"]),
        ("Input", one["input_file_id"]),
        ("Tokens in", figures.count(usage["input_tokens"])),
        ("of them cached", figures.count(usage["input_tokens_details"]["cached_tokens"])),
        ("Tokens out", figures.count(usage["output_tokens"])),
        ("Cost", figures.dollars(ours["cost_usd"])),
        ("Budget", figures.dollars(ours["budget_usd"]) if ours["budget_usd"] is not None else ""),
        ("Without a price", figures.count(ours["unpriced"]) if ours["unpriced"] else ""),
        *((name.replace("_", " ").capitalize(), _clock(at)) for name, at in times.items() if at),
    ]  # fmt: skip
    return [(name, value) for name, value in found if value]


def _clock(unix_s: int) -> str:
    return figures.clock(figures.iso(unix_s))
