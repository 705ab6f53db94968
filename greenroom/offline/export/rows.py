"""A record as one row of a table: for spreadsheets and for queries."""

import re
from collections.abc import Callable
from typing import Any

from msgspec.json import encode

Record = dict[str, Any]  # Any: a record, as JSON
Cell = str | int | float | None

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection"), full-width forms too."""
_INSIDE = re.compile("(?<=[;\t\r\n])[ \u00a0\"']*(?=[=@＝＠]|[-+－＋][^;\t\r\n]*[(|!])")
"""The same inside a text, where a spreadsheet that parts columns by semicolons or tabs (as one in Portuguese
does) begins a cell: it heeds quotes only where a cell begins with them. After a sign only what can call
something counts, so that lists of points stay as they are.
"""


def _model(one: Record) -> Record:
    return one.get("model") or {}


def _usage(one: Record) -> Record:
    return one.get("usage") or {}


def _ms(one: Record) -> Record:
    return one.get("timing_ms") or {}


def _number(value: object) -> float | None:
    """A price is a decimal in text."""
    return None if value is None else float(str(value))


def _asked(one: Record) -> str | None:
    """The newest text of the user's, as it came."""
    for message in reversed((one.get("request") or {}).get("messages") or []):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            parts = [part.get("text") for part in content or [] if isinstance(part, dict)]
            return "\n".join(part for part in parts if isinstance(part, str)) or None
    return None


COLUMNS: dict[str, tuple[str, Callable[[Record], Cell]]] = {
    "id": ("VARCHAR", lambda one: one["id"]),
    "created_at": ("TIMESTAMPTZ", lambda one: one["created_at"]),
    "project": ("VARCHAR", lambda one: one.get("project")),
    "key": ("VARCHAR", lambda one: one.get("key")),
    "app": ("VARCHAR", lambda one: one.get("app")),
    "session": ("VARCHAR", lambda one: one.get("session")),
    "user": ("VARCHAR", lambda one: one.get("user")),
    "model_asked": ("VARCHAR", lambda one: _model(one).get("asked")),
    "model_used": ("VARCHAR", lambda one: _model(one).get("used")),
    "outcome": ("VARCHAR", lambda one: one.get("outcome")),
    "error": ("VARCHAR", lambda one: one.get("error")),
    "language": ("VARCHAR", lambda one: (one.get("language") or {}).get("code")),
    "input_tokens": ("BIGINT", lambda one: _usage(one).get("input_tokens")),
    "cached_tokens": ("BIGINT", lambda one: _usage(one).get("cached_tokens")),
    "output_tokens": ("BIGINT", lambda one: _usage(one).get("output_tokens")),
    "cost_usd": ("DOUBLE", lambda one: _number(one.get("cost_usd"))),
    "total_ms": ("DOUBLE", lambda one: _ms(one).get("total")),
    "first_token_ms": ("DOUBLE", lambda one: _ms(one).get("first_token")),
    "overhead_ms": ("DOUBLE", lambda one: _ms(one).get("overhead")),
    "prompt": ("VARCHAR", _asked),
    "reply": ("VARCHAR", lambda one: (one.get("reply") or {}).get("text")),
    "tags": ("VARCHAR", lambda one: encode(one.get("tags") or {}).decode()),
    "scores": ("VARCHAR", lambda one: encode(one.get("scores") or []).decode()),
}
"""Name → its type in Parquet, and how it is read from a record. Texts are as they are kept: masked."""


def row_of(record: Record) -> dict[str, Cell]:
    """One record as a row."""
    return {name: read(record) for name, (_, read) in COLUMNS.items()}


def safe(cell: Cell) -> Cell:
    """A cell where no spreadsheet finds a formula: where one would begin, an apostrophe stands before it."""
    if not isinstance(cell, str):
        return cell
    guarded = _INSIDE.sub(r"'\g<0>", cell)
    return f"'{guarded}" if cell.lstrip(" \u00a0").startswith(_STARTS) else guarded
