"""What stands beside the river: findings with their place in the text, judged sentences, payloads."""

import json
from typing import Any, NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.glyphs import Run, runs
from greenroom.server.pages.record import Record, VerdictView

PAYLOAD_LIMIT = 64 * 1024
"""Characters of a body that are shown; the rest is behind the link to the JSON."""
REPLY_LIMIT = 6_000
"""Characters of the reply shown at the river's end; the whole is among the bodies."""
_AROUND = 28
_LONGEST_SPAN = 120
_LABELS = {"supported": "supported", "partly": "partly", "not": "not"}


class Finding(NamedTuple):
    """One verdict with the span it is about, between a little of what stands around it."""

    step: str
    rule: str
    category: str
    severity: int
    score: str
    where: str
    action: str
    policy: str
    shadow: str
    would: str
    before: list[Run]
    span: list[Run]
    after: list[Run]


class Sentence(NamedTuple):
    """A stretch of the reply; `label` is empty for what was not judged."""

    runs: list[Run]
    label: str
    why: str = ""
    """What of it the passages do not have, and which of them comes closest."""
    passage: int = 0
    """The passage it rests on, by its place in the list from 1; 0 where none does."""


class Payload(NamedTuple):
    """A body as text, cut at `PAYLOAD_LIMIT`."""

    text: str
    size: str
    is_cut: bool


def findings(record: Record, most: int = 200) -> list[Finding]:
    """Return the verdicts of a record, up to `most`."""
    newest = record.newest_user()[0]
    return [_finding(record, one, newest) for one in record.all_verdicts[:most]]


def _finding(record: Record, one: VerdictView, newest: int) -> Finding:
    index = one.index
    if index is None:
        index = -1 if one.where == "output" else newest
    # A passage's offsets count in the passage, and the verdict does not say which one it was.
    text = "" if one.where == "passage" or (index < 0 and one.where != "output") else record.text_of(index)
    is_inside = 0 <= one.start < one.end <= len(text)
    start, end = (one.start, one.end) if is_inside else (0, 0)
    span = text[start:end]
    if len(span) > _LONGEST_SPAN:
        span = span[:_LONGEST_SPAN] + "…"
    return Finding(
        one.step,
        one.rule,
        one.category.replace("_", " "),
        one.severity,
        figures.score(one.score),
        one.where,
        one.action,
        one.policy,
        one.shadow,
        one.would or "",
        runs(("…" if start > _AROUND else "") + text[max(start - _AROUND, 0) : start]) if is_inside else [],
        runs(span, all_of_them=True),
        runs(text[end : end + _AROUND] + ("…" if len(text) > end + _AROUND else "")) if is_inside else [],
    )


def sentences(record: Record) -> list[Sentence]:
    """Return the reply cut by the sentences `verify` judged, up to `REPLY_LIMIT` characters."""
    text = (record.reply.text or "")[:REPLY_LIMIT] if record.reply else ""
    cut: list[Sentence] = []
    at = 0
    places = {one.id: number for number, one in enumerate(record.passages[:50], 1)}
    for start, end, label, why, passage in sorted(_judged(record)):
        if not at <= start < end <= len(text):
            continue
        if start > at:
            cut.append(Sentence(runs(text[at:start]), ""))
        cut.append(
            Sentence(runs(text[start:end]), label, why, places.get(passage, 0) if label != "not" else 0)
        )
        at = end
    if at < len(text):
        cut.append(Sentence(runs(text[at:]), ""))
    return cut


def _judged(record: Record) -> list[tuple[int, int, str, str, str]]:
    found: list[tuple[int, int, str, str, str]] = []
    for step in record.stages:
        judged = step.notes.get("sentences")
        if step.step != "verify" or not isinstance(judged, list):
            continue
        for one in judged:
            if not isinstance(one, dict):
                continue
            start, end, label = one.get("start"), one.get("end"), one.get("label")
            if isinstance(start, int) and isinstance(end, int) and label in _LABELS:
                found.append((start, end, _LABELS[label], _why(one), str(one.get("passage", ""))))
    return found


def _why(judged: dict[str, Any]) -> str:  # Any: JSON
    missing, passage = judged.get("missing"), judged.get("passage")
    said = [f"not there: {', '.join(map(str, missing))}"] if isinstance(missing, list) and missing else []
    if isinstance(passage, str):
        said.append(f"closest: passage {passage}")
    return "; ".join(said)[:200]


def payload(body: Any) -> Payload | None:  # Any: JSON or text
    """Return a body to show, or None when there is none."""
    if body is None or body == "":
        return None
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=2, default=str)
    size = len(text.encode("utf-8", "replace"))
    shown = f"{size:,} bytes" if size < 1024 else f"{size / 1024:,.1f} KB"
    return Payload(text[:PAYLOAD_LIMIT], shown, len(text) > PAYLOAD_LIMIT)
