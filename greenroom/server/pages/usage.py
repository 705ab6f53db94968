"""The page of usage: what each day cost, and who and what it was spent on."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer
from greenroom.server.pages.sessions import Session
from greenroom.store.usage import Asked, Dimension, today, total, usage_conditions

Json = dict[str, Any]  # Any: what JSON holds

DAYS = (7, 30, 90)
_USUAL_DAYS = 30
_TABLES: tuple[Dimension, ...] = ("model", "app", "project", "key", "user", "tag")
_CHARTED: tuple[Dimension, ...] = ("model", "app")
_COUNTS = ("cost_nano", "calls", "input", "output", "unpriced")
"""What a line of a table tells."""
_MOST_ROWS = 12
_MOST_SERIES = 6
_EPOCH = date(1970, 1, 1).toordinal()
_HEIGHT = 120


class Backend(Protocol):
    """What the page asks; runs in a worker thread."""

    def usage(self, asked: Asked) -> list[Json]: ...
    def usage_by(
        self, asked: Asked, bys: Sequence[tuple[Dimension, ...]], counts: Sequence[str]
    ) -> list[list[Json]]: ...


class Column(NamedTuple):
    """A day in the chart; places in percent of its width, heights in pixels."""

    x: str
    width: str
    y: str
    height: str
    title: str


class Bar(NamedTuple):
    """One line of a table: a name, the width of its bar, and figures."""

    name: str
    address: str
    width: str
    usd: str
    calls: str
    tokens: str
    unpriced: int


class Table(NamedTuple):
    """What one dimension's values cost, the dearest first."""

    dimension: str
    bars: list[Bar]
    left_out: int


class UsagePage:
    """`/usage` and its JSON."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/usage", doors.page(self.show)),
            Route("/usage.json", doors.twin(self.show_json)),
        ]

    def show(self, request: Request, session: Session) -> Response:
        """The page."""
        days, asked = read_usage(request.query_params)
        by_day = self._backend.usage(asked)
        whole = total(by_day)
        found = dict(
            zip(_TABLES, self._backend.usage_by(asked, [(one,) for one in _TABLES], _COUNTS), strict=True)
        )
        conditions = usage_conditions(asked)
        return self._doors.render.html(
            "usage.html",
            session=session,
            days=days,
            choices=[(one, _address(conditions, one)) for one in DAYS],
            conditions=[
                (name, value, _address({k: v for k, v in conditions.items() if k != name}, days))
                for name, value in conditions.items()
            ],
            columns=columns(by_day, days),
            height=_HEIGHT,
            first=(today() - timedelta(days=days - 1)).isoformat(),
            last=today().isoformat(),
            charts=_charts(self._backend, asked, days),
            most=figures.dollars(str(max((_usd(row) for row in by_day), default=Decimal(0)))),
            whole=_figures(whole),
            tables=[
                _table(name, rows, conditions, days) for name, rows in found.items() if _tells(rows, name)
            ],
            twin="/usage.json" + _address(conditions, days).removeprefix("/usage"),
        )

    def show_json(self, request: Request, session: Session) -> Response:
        """The same by day, as JSON."""
        days, asked = read_usage(request.query_params)
        rows = self._backend.usage(asked)
        return json_answer({"days": days, "data": rows, "total": total(rows)})


def read_usage(query: Mapping[str, str]) -> tuple[int, Asked]:
    """How many days are shown, and of what; unknown names and values are left out."""
    wanted = query.get("days", "")
    days = int(wanted) if wanted in {str(one) for one in DAYS} else _USUAL_DAYS

    def said(name: str) -> str | None:
        return query.get(name, "").strip()[:500] or None

    since = today() - timedelta(days=days - 1)
    return days, Asked(
        ("day",), said("project"), said("key"), said("model"), said("app"), said("user"), said("tag"), since
    )


def columns(rows: Sequence[Json], days: int) -> list[Column]:
    """A column for each day that cost something, the last day at the right end."""
    most = max((_usd(row) for row in rows), default=Decimal(0))
    first = today() - timedelta(days=days - 1)
    step = 100 / days
    out = []
    for row in rows:
        place = (date.fromisoformat(row["day"]) - first).days
        height = float(_usd(row) / most) * (_HEIGHT - 2) if most else 0.0
        height = max(height, 2.0)
        title = f"{row['day']}: {figures.dollars(row['cost_usd'])}, {figures.count(row['requests'])} requests"
        x, width, top = place * step, step * 0.8, _HEIGHT - height
        out.append(Column(f"{x:.3f}%", f"{width:.3f}%", f"{top:.1f}", f"{height:.1f}", title))
    return out


def _charts(backend: Backend, asked: Asked, days: int) -> list[tuple[str, str, list[Json]]]:
    """What each day cost by model and by app, and its tokens: title, unit and series."""
    first = today() - timedelta(days=days - 1)
    times = [_seconds(first + timedelta(days=day)) for day in range(days)]
    found = []
    cut = backend.usage_by(asked, [("day", one) for one in _CHARTED], ("cost_nano",))
    for dimension, rows in zip(_CHARTED, cut, strict=True):
        sums: dict[str, dict[int, float]] = {}
        for row in rows:
            of = sums.setdefault(row[dimension] or "none", {})
            at = _seconds(date.fromisoformat(row["day"]))
            of[at] = of.get(at, 0.0) + float(row["cost_usd"])
        dearest = sorted(
            (name for name in sums if any(sums[name].values())), key=lambda name: -sum(sums[name].values())
        )
        shown = dearest[:_MOST_SERIES]
        series = [
            {"label": name, "points": [[at, sums[name].get(at, 0.0)] for at in times]} for name in shown
        ]
        if rest := dearest[_MOST_SERIES:]:
            points = [[at, sum(sums[name].get(at, 0.0) for name in rest)] for at in times]
            series.append({"label": "others", "points": points})
        if len(series) > 1:
            found.append((f"By {dimension}", "USD", series))
    return found


def _seconds(day: date) -> int:
    return (day.toordinal() - _EPOCH) * 86_400


def _tells(rows: Sequence[Json], name: str) -> bool:
    return any(row[name] for row in rows)


def _table(name: str, rows: Sequence[Json], conditions: Mapping[str, str], days: int) -> Table:
    most = max((_usd(row) for row in rows), default=Decimal(0))
    bars = []
    for row in rows[:_MOST_ROWS]:
        value = row[name]
        share = float(_usd(row) / most) * 100 if most else 0.0
        bars.append(
            Bar(
                value or "none",
                _address({**conditions, name: value}, days) if value else "",
                f"{share:.2f}%",
                figures.dollars(row["cost_usd"]),
                figures.count(row["calls"]),
                figures.count(row["input_tokens"] + row["output_tokens"]),
                row["unpriced_calls"],
            )
        )
    return Table(name, bars, max(0, len(rows) - _MOST_ROWS))


def _figures(whole: Json) -> Json:
    return {
        "usd": figures.dollars(whole["cost_usd"]),
        "requests": figures.count(whole["requests"]),
        "input": figures.count(whole["input_tokens"]),
        "cached": figures.count(whole["cached_tokens"]),
        "output": figures.count(whole["output_tokens"]),
        "unpriced": whole["unpriced_calls"],
        "estimated": whole["estimated_calls"],
    }


def _usd(row: Json) -> Decimal:
    return Decimal(row["cost_usd"])


def _address(conditions: Mapping[str, str], days: int) -> str:
    asked = dict(conditions)
    if days != _USUAL_DAYS:
        asked["days"] = str(days)
    return f"/usage?{urlencode(asked)}" if asked else "/usage"
