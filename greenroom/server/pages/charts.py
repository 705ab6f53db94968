"""What the `chart` macro shows: a JSON block for the drawing, and a table that says the same."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from markupsafe import Markup

from greenroom.server.pages import figures

MOST_ROWS = 200
"""How many times the table shows, the newest; the drawing has all."""

Series = Mapping[str, Any]  # Any: "label" is text, "points" are pairs of unix seconds and a number or None


class Row(NamedTuple):
    """One time of the table and a figure of each series."""

    time: str
    values: list[str]


class Table(NamedTuple):
    """The newest rows, and how many older ones are not shown."""

    rows: list[Row]
    left_out: int


def block(
    series: Sequence[Series], unit: str, markers: Sequence[Mapping[str, Any]] = (), href: str = ""
) -> Markup:
    """Return the JSON that `<gr-chart>` draws; no text in it can end the element it stands in."""
    told = msgspec.json.encode({"series": series, "unit": unit, "markers": markers, "href": href}).decode()
    safe = told.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(safe)  # noqa: S704  what could be markup stands as \u escapes


def table(series: Sequence[Series], unit: str) -> Table:
    """Return the same as rows, newest first."""
    columns = [dict(one["points"]) for one in series]
    times = sorted({at for column in columns for at in column}, reverse=True)
    shown = [Row(clock(at), [figure(column.get(at), unit) for column in columns]) for at in times[:MOST_ROWS]]
    return Table(shown, max(len(times) - MOST_ROWS, 0))


def figure(value: float | None, unit: str) -> str:
    """Return one figure with its unit: "ms", "USD", "share" (a part of one), or a word."""
    if value is None:
        return figures.NONE
    if unit == "ms":
        return figures.duration(value)
    if unit == "USD":
        return figures.dollars(format(value, ".9f"))
    if unit == "share":
        return figures.share(value)
    return f"{value:,.4g} {unit}".rstrip() if abs(value) < 1e4 else f"{value:,.0f} {unit}".rstrip()


def clock(at: float) -> str:
    """Return unix seconds as "24 Nov 15:04", UTC."""
    time = datetime.fromtimestamp(at, UTC)
    return f"{time.day} {time:%b %H:%M}"


def iso(at: float) -> str:
    """Return unix seconds as an ISO time, UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat()
