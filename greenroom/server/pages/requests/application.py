"""Spans that the application told of, around one request: a tree, each with its bar on one scale."""

from typing import Any, NamedTuple

from greenroom.server.pages import figures

Json = dict[str, Any]  # Any: what JSON holds
_MOST = 300


class SpanLine(NamedTuple):
    """One span; `depth` up to 8, `x` and `width` in percent of the whole."""

    name: str
    service: str
    depth: int
    x: str
    width: str
    time: str
    is_bad: bool
    message: str
    attributes: list[tuple[str, str]]


class Around(NamedTuple):
    """The spans of an application, parents before children."""

    lines: list[SpanLine]
    total: str
    left_out: int


def around(told: Json) -> Around | None:
    """Return the spans to show; None where the application told of none."""
    found: list[Json] = told.get("spans") or []
    if not found:
        return None
    start = min(one["start_ns"] for one in found)
    whole = max(max(one["end_ns"] for one in found) - start, 1)
    lines = [_line(one, depth, start, whole) for one, depth in _ordered(found)[:_MOST]]
    left_out = max(int(told.get("total", 0)), len(found)) - len(lines)
    return Around(lines, figures.duration(whole / 1_000_000), max(left_out, 0))


def _ordered(found: list[Json]) -> list[tuple[Json, int]]:
    """Spans in the order of a tree: each before its children, and none twice where parents run in a ring."""
    by_id = {one["id"] for one in found}
    children: dict[str, list[Json]] = {}
    for one in found:
        parent = one["parent"] if one["parent"] in by_id and one["parent"] != one["id"] else ""
        children.setdefault(parent, []).append(one)
    ordered: list[tuple[Json, int]] = []
    seen: set[int] = set()
    stack = [(one, 0) for one in reversed(children.get("", []))]
    while stack or len(ordered) < len(found):
        if not stack:  # what is left is a ring
            stack = [(next(one for one in found if id(one) not in seen), 0)]
        one, depth = stack.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        ordered.append((one, depth))
        stack += [(child, depth + 1) for child in reversed(children.get(one["id"], []))]
    return ordered


def _line(one: Json, depth: int, start: int, whole: int) -> SpanLine:
    x = (one["start_ns"] - start) / whole * 100
    width = max((one["end_ns"] - one["start_ns"]) / whole * 100, 0.5)
    x = min(max(x, 0.0), 99.5)
    return SpanLine(
        one["name"], one["service"], min(depth, 8), f"{x:.2f}%", f"{min(width, 100 - x):.2f}%",
        figures.duration(one["ms"]), one["status"] == "error", one["message"],
        [(name, str(value)) for name, value in list(one["attributes"].items())[:30]],
    )  # fmt: skip
