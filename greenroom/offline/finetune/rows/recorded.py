"""Training rows from recorded exchanges: what was really asked, and answered well or corrected by a person.

Rows are redacted as the exchanges were stored, and pass the gate like any other file. Only exchanges whose
tags say so are taken, unless the caller asks for less.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from msgspec import structs

from greenroom.offline.finetune.rows.form import faults, said
from greenroom.offline.finetune.rows.lines import Json
from greenroom.offline.finetune.rows.options import Consent, has_consent
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import SOURCES
from greenroom.store.traces import TraceStore

_PAGE = 200
_CHATS = frozenset(("chat", "messages", "responses", "completions"))
_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id")


class Example(NamedTuple):
    """A row, and the conversation it comes from."""

    row: Json
    conversation: str


class Answered(NamedTuple):
    """One recorded exchange as far as training wants it."""

    trace: str
    conversation: str
    messages: list[Json]
    """What was asked, earlier turns with it."""
    text: str
    """The answer that was given."""
    correction: str
    """What it should have said, where somebody said so."""
    scores: dict[str, float]
    """By name: a person's before that of a program, and that before a judge's."""
    arm: str
    """`EXPERIMENT/ARM`, or nothing."""
    consent: str


def answered(
    store: TraceStore, wanted: TraceFilter, consent: Consent, skipped: Counter[str], *, as_sent: bool = False
) -> Iterator[Answered]:
    """The newest exchanges that fit the filter and can be learnt from, `wanted.limit` of them at most.

    `skipped` counts the others by reason. With `as_sent` the messages are those that the model got, prompts
    and passages with them; otherwise those of the client.
    """
    left = wanted.limit
    page = structs.replace(wanted, limit=_PAGE)
    while left > 0:
        found = store.list(page)
        for one in found.rows:
            record = store.get(None, one["id"])
            usable = None if record is None else _read(record, consent, skipped, as_sent=as_sent)
            if usable is not None:
                yield usable
                left -= 1
                if left == 0:
                    return
        if found.next is None:
            return
        page = structs.replace(page, cursor=found.next)


def _read(record: Json, consent: Consent, skipped: Counter[str], *, as_sent: bool) -> Answered | None:
    reason = _fault(record, consent)
    if reason:
        skipped[reason] += 1
        return None
    source = record["sent" if as_sent else "request"]["messages"]
    messages = [
        {name: one[name] for name in _FIELDS if one.get(name)}
        for one in source
        if one.get("content") or one.get("tool_calls")
    ]
    corrections = [one for one in record["scores"] if one.get("correction")]
    corrections.sort(key=lambda one: -SOURCES.index(one["source"]))
    usable = Answered(
        trace=record["id"], conversation=_conversation(record["session"], messages), messages=messages,
        text=record["reply"]["text"], correction=corrections[-1]["correction"] if corrections else "",
        scores=_scores(record["scores"]), arm=record["tags"].get("experiment", ""),
        consent=record["tags"].get("consent", ""),
    )  # fmt: skip
    if any(kind != "unknown_field" for kind, _ in faults(row_of(usable, usable.text), "supervised")):
        skipped["it is no row to train on: images, calls without results, or no text"] += 1
        return None
    return usable


def _fault(record: Json, consent: Consent) -> str:
    if "eval" in record["tags"]:
        return "an evaluation asked it"
    if record["surface"] not in _CHATS:
        return "not a chat"
    if record["outcome"] not in ("answered", "cached"):
        return "it was refused or failed"
    if not record["request"]["messages"]:
        return "its texts were not kept"
    if not record["reply"]["text"]:
        return "it has no answer in words"
    if not has_consent(record["tags"].get("consent"), consent):
        return "no consent"
    return ""


def _conversation(session: str | None, messages: Sequence[Json]) -> str:
    """The session; without one, how the conversation began, which clients send again with every turn."""
    if session:
        return session
    first = next((said(one.get("content")) for one in messages if one["role"] == "user"), "")
    return "#" + sha256(first.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _scores(scores: Iterable[Json]) -> dict[str, float]:
    ranked = sorted(scores, key=lambda one: -SOURCES.index(one["source"]))
    return {one["name"]: one["value"] for one in ranked}


def examples(found: Iterable[Answered]) -> Iterator[Example]:
    """A row of each: with the correction where there is one, else with the answer that was given."""
    for one in found:
        yield Example(row_of(one, one.correction or one.text), one.conversation)


def row_of(one: Answered, answer: str) -> Json:
    """A conversation whose last message alone is learnt: earlier ones are rows of their own."""
    before = [
        {**message, "weight": 0} if message["role"] == "assistant" else message for message in one.messages
    ]
    return {"messages": [*before, {"role": "assistant", "content": answer}], "metadata": metadata_of(one)}


def metadata_of(one: Answered) -> Json:
    """Where a row comes from, and what was said of consent."""
    return {"trace": one.trace, **({"consent": one.consent} if one.consent else {})}
