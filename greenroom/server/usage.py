"""What was used and what it cost, over HTTP: sums of the ledger by whatever dimensions are asked for."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import MalformedRequest
from greenroom.exchange import Caller
from greenroom.server.routing import Doc, json_answer
from greenroom.store.usage import Asked, parse_by, total

PARAMETERS = ("by", "project", "key", "model", "app", "user", "tag", "from", "to")
_CONDITIONS = ("project", "key", "model", "app", "user", "tag")

Record = dict[str, Any]  # Any: JSON


class UsageAdministration(Protocol):
    """What the route and the page need; runs in a worker thread. Raises: StoreError."""

    def usage(self, asked: Asked) -> list[Record]: ...


class BudgetAdministration(UsageAdministration, Protocol):
    """What the routes need."""

    def budgets(self) -> list[Record]: ...


class UsageApi:
    """The routes `/api/usage` and `/api/budgets`."""

    def __init__(self, administration: BudgetAdministration) -> None:
        self._admin = administration

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/api/usage", "GET", "admin",
                "Sum up tokens and costs by any of project, key, model, app, user, tag and day.",
                self._usage, PARAMETERS),
            Doc("/api/budgets", "GET", "admin",
                "List what is spent, reserved and left of each budget in its present period.",
                self._budgets),
        )  # fmt: skip

    async def _usage(self, request: Request, caller: Caller | None) -> Response:
        asked = read_asked(request.query_params)
        rows = await run_in_threadpool(self._admin.usage, asked)
        return json_answer(shown(asked, rows))

    async def _budgets(self, request: Request, caller: Caller | None) -> Response:
        _none(request.query_params)
        return json_answer({"data": await run_in_threadpool(self._admin.budgets)})


def _none(query: Mapping[str, str]) -> None:
    for name in query:
        raise MalformedRequest(f"There is no parameter '{name}'.", name)


def shown(asked: Asked, rows: list[Record]) -> Record:
    """The answer; rows by tag count a call under each of its tags, so they have no sum."""
    return {"by": asked.by, "data": rows, "total": None if "tag" in asked.by else total(rows)}


def read_asked(query: Mapping[str, str]) -> Asked:
    """Read the query of `/api/usage`. Raises MalformedRequest naming the parameter."""
    unknown = sorted(set(query) - set(PARAMETERS))
    if unknown:
        raise MalformedRequest(
            f"There is no parameter '{unknown[0]}'. Known: {', '.join(PARAMETERS)}.", unknown[0]
        )
    try:
        by = parse_by(query.get("by", "day"))
    except ValueError as error:
        raise MalformedRequest(f"{error}.", "by") from None
    wanted = {name: query.get(name) or None for name in _CONDITIONS}
    until = _day(query, "to")
    return Asked(by, **wanted, since=_day(query, "from"), until=until and until + timedelta(days=1))


def _day(query: Mapping[str, str], name: str) -> date | None:
    text = query.get(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        raise MalformedRequest(f"'{name}' must be a day like 2026-01-31; all of it counts.", name) from None
    return min(max(day, date(1970, 1, 1)), date(2999, 12, 30))
