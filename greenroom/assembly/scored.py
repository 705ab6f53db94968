"""Scored exchanges of the data folder as examples that a router learns from."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from greenroom.errors import MalformedRequest
from greenroom.models.learned.examples import Answer
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import SOURCES, read_filter
from greenroom.store.traces import TraceStore

_PAGE = 200
_KEYS = ("score", "app", "model", "user", "session", "tag", "project")
_LATELY = 100_000
"""Exchanges that are looked at, the newest first."""


def read_wanted(text: str) -> TraceFilter:
    """Read `score=helpful,app=support`. Raises: MalformedRequest."""
    told = dict(part.partition("=")[::2] for part in text.split(",") if part)
    unknown = next((key for key in told if key not in _KEYS), None)
    if unknown is not None:
        raise MalformedRequest(f"'{unknown}' is no filter here. There are: {', '.join(_KEYS)}.", "from")
    if not told.get("score"):
        raise MalformedRequest("Say which score counts, as in traces:score=helpful,app=support.", "from")
    return replace(TraceFilter(limit=_PAGE), **told)


def scored_answers(store: TraceStore, wanted: TraceFilter) -> Iterator[Answer]:
    """Exchanges that a target answered and that have the score, by the newest user text.

    Of several sources a person's word goes before a program's, and that before a judge's. Raises:
    MalformedRequest for a score that does not lie between 0 and 1.
    """
    assert wanted.score is not None, "read_wanted saw to it"
    name = read_filter(wanted.score).name
    looked_at = 0
    while True:
        page = store.list(wanted)
        for one in page.rows:
            record = store.get(None, one["id"])
            answer = None if record is None else _answer(record, name)
            if answer is not None:
                yield answer
        looked_at += len(page.rows)
        if page.next is None or looked_at >= _LATELY:
            return
        wanted = replace(wanted, cursor=page.next)


def _answer(record: dict[str, Any], name: str) -> Answer | None:  # Any: JSON
    target = (record.get("model") or {}).get("used")
    said = [one for one in record.get("scores", ()) if one["name"] == name]
    text = newest_text(record["request"]["messages"])
    if not target or not said or not text or record["outcome"] != "answered":
        return None
    value = min(said, key=lambda one: SOURCES.index(one["source"]))["value"]
    if not 0 <= value <= 1:
        raise MalformedRequest(
            f"Exchange {record['id']} has '{name}' {value:g}. A router needs scores from 0 to 1.",
            "from",
        )
    usage = record.get("usage") or {}
    cost = record.get("cost_usd")
    return Answer(text, target, value, None if cost is None else float(cost), usage.get("output_tokens"))


def newest_text(messages: Sequence[dict[str, Any]]) -> str:  # Any: JSON
    """The text of the newest user message; empty where there is none."""
    said = [_text(one) for one in messages if one.get("role") == "user"]
    return said[-1] if said else ""


def _text(message: dict[str, Any]) -> str:  # Any: JSON
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = [one.get("text") for one in content or () if isinstance(one, dict)]
    return next((one for one in reversed(parts) if one), "")
