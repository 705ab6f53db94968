"""The page of the audit log: what may be asked for, and its lines ready to show."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from greenroom.server.pages import figures

Json = dict[str, Any]  # Any: what JSON holds

ACTIONS = ("block", "redact", "mask", "route", "warn", "log")
_FILTERS = (
    "kind", "project", "app", "key", "exchange", "step", "rule", "category", "action", "policy", "from", "to",
)  # fmt: skip
_LONGEST = 500
_SHOWN = 300


class AuditLine(NamedTuple):
    """One line; what a kind does not have is empty."""

    kind: str
    number: str
    time: str
    at: str
    what: str
    """The rule, or what was done."""
    detail: str
    who: str
    where: str
    action: str
    policy: str
    shadow: str
    would: str
    exchange: str
    hash: str


def read_audit_filters(query: Mapping[str, str]) -> dict[str, str]:
    """Return the filters that are set, unknown names left out."""
    return {
        name: value for name in (*_FILTERS, "cursor") if (value := query.get(name, "").strip()[:_LONGEST])
    }


def audit_address(path: str, asked: Mapping[str, str], cursor: str | None = None) -> str:
    """Return `path` with these filters and another cursor."""
    wanted = {name: value for name, value in asked.items() if name != "cursor"}
    if cursor:
        wanted["cursor"] = cursor
    return f"{path}?{urlencode(wanted)}" if wanted else path


def read_lines(found: list[Json]) -> list[AuditLine]:
    """Return the lines to show."""
    return [_change(one) if one.get("kind") == "change" else _finding(one) for one in found]


def _finding(one: Json) -> AuditLine:
    severity = f"severity {one.get('severity', 0)}"
    return AuditLine(
        "finding", _text(one, "number"), figures.short_clock(_text(one, "at")), _text(one, "at"),
        _text(one, "rule"), f"{_text(one, 'category').replace('_', ' ')}, {severity}, {_text(one, 'step')}",
        _text(one, "key"), _text(one, "where"), _text(one, "action"), _text(one, "policy"),
        _text(one, "shadow"), _text(one, "would"), _text(one, "exchange"), _text(one, "hash"),
    )  # fmt: skip


def _change(one: Json) -> AuditLine:
    after = one.get("after")
    detail = ", ".join(_facts(after))[:_SHOWN]
    return AuditLine(
        "change", _text(one, "number"), figures.short_clock(_text(one, "at")), _text(one, "at"),
        _text(one, "what"), detail, _text(one, "who"), _text(one, "address"), "", "", "", "", "",
        _text(one, "hash"),
    )  # fmt: skip


def _facts(after: object, name: str = "") -> Iterator[str]:
    """What a change left behind, as `name value`; what is not set is left out."""
    if isinstance(after, dict):
        for key, value in after.items():
            yield from _facts(value, f"{name}.{key}" if name else str(key))
    elif after not in (None, "", []):
        told = after if isinstance(after, str) else json.dumps(after, ensure_ascii=False)
        yield f"{name} {told}".strip()


def _text(one: Json, name: str) -> str:
    value = one.get(name)
    return "" if value is None else str(value)
