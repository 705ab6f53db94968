"""One redactor at the sink: sensitive values leave a record before anything is stored.

Knows the record's shape and nothing of how values were found. Values are replaced longest first, in one pass,
so a mask is never itself searched. Offsets afterwards count in the redacted text; a position inside a value
moves to its mask's edge.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from typing import Any, AnyStr

import msgspec
from msgspec import Raw, Struct

from greenroom.store.material import Body, MessageText, Record, Row, messages_of, plain, pseudonym, texts_of

_KEPT = frozenset({
    "id", "created_at", "project", "key", "app", "used", "language", "usage", "cost_usd", "cache", "outcome",
    "status", "finish_reason", "timing_ms", "stage", "step", "ms", "ns", "rule", "category", "severity",
    "score", "where", "action", "index", "part", "role", "type", "start", "end", "confidence", "applied",
    "cited",
})  # fmt: skip
"""Our own words and numbers: never text of a caller."""

_IN_MESSAGES = frozenset({"role", "type"})
_WORDS_OF_TEXT = ("text", "before", "reason")
"""What an edit, a finding or an entity says in words of the caller's text."""
_LONG = 200
_NOTHING: frozenset[str] = frozenset()


class _Check(Struct):
    messages: list[Raw] = []


_check = msgspec.json.Decoder(_Check)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()  # Any: a client's body
_encode = msgspec.json.Encoder().encode
_BROKEN = (msgspec.DecodeError, UnicodeError, RecursionError)


class Shift:
    """How positions in a text move when values in it are replaced."""

    __slots__ = ("_new", "_spans", "text")

    def __init__(self, text: str, spans: list[tuple[int, int, str]]) -> None:
        self.text = text
        self._spans = spans
        self._new: list[tuple[int, int]] = []
        moved = 0
        for start, end, mask in spans:
            self._new.append((start + moved, start + moved + len(mask)))
            moved += len(mask) - (end - start)

    def at(self, position: int, *, is_end: bool = False) -> int:
        """Where a position of the old text lies in the new one."""
        position = min(max(position, 0), len(self.text))
        place = bisect_right(self._spans, position, key=lambda span: span[0]) - 1
        if place < 0:
            return position
        start, end, _ = self._spans[place]
        new_start, new_end = self._new[place]
        if position >= end:
            return position - end + new_end
        return new_end if is_end and position > start else new_start


class Redactor:
    """Replaces the values of one exchange by what stands for them."""

    def __init__(self, redactions: Mapping[str, str]) -> None:
        forms = {value: mask for value, mask in redactions.items() if value}
        for value, mask in tuple(forms.items()):  # as they stand inside the JSON text of a tool call
            if not (value.isascii() and value.isprintable()) or '"' in value or "\\" in value:
                forms.setdefault(dumps(value)[1:-1], mask)
                forms.setdefault(dumps(value, ensure_ascii=False)[1:-1], mask)
        self._values = sorted(forms.items(), key=lambda pair: -len(pair[0]))
        self._raw_values = [(_encode(value)[1:-1], _encode(mask)[1:-1]) for value, mask in self._values]
        self._shortest = min(map(len, forms), default=0)
        self._known: dict[str, list[tuple[int, int, str]]] = {}
        self._is_wordlike = any(value.replace("_", "").replace("-", "").isalpha() for value in redactions)

    def text(self, text: str) -> str:
        """The text with masks for values."""
        if len(text) < self._shortest:
            return text
        spans = self._spans(text)
        return _replace(text, spans, "") if spans else text

    def shift(self, text: str) -> Shift:
        """How positions in this text move."""
        return Shift(text, self._spans(text))

    def _spans(self, text: str) -> list[tuple[int, int, str]]:
        """Where values stand; long texts come several times (a message, a step's view of it): kept."""
        if len(text) < _LONG:
            return _find(text, self._values)
        spans = self._known.get(text)
        if spans is None:
            spans = self._known[text] = _find(text, self._values)
        return spans

    def name(self, name: str | None) -> str | None:
        """A user or session: as it is, or a stable stand-in when it holds a value."""
        return name if name is None or not _find(name, self._values) else pseudonym(name)

    def walk(self, value: Any, kept: frozenset[str] = _NOTHING) -> Any:  # Any: JSON
        """The same JSON with masks in its strings, keys and numbers; `kept` keys are left alone."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): one if key in kept else self.walk(one, kept)
                for key, one in value.items()
            }
        if isinstance(value, Sequence):
            return [self.walk(one, kept) for one in value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        number = str(value)
        hidden = self.text(number)
        return value if hidden == number else hidden

    def body(self, raw: bytes) -> bytes:
        """A JSON body with masks for values; empty when it is no JSON, since then nothing can be promised.

        Works on the bytes (a few microseconds), on the decoded body where that could hit JSON itself.
        """
        if not raw:
            return raw
        try:
            if self._is_wordlike:
                return self._walked(raw)
            if b"\\u" in raw or b"\\/" in raw:  # the same letter has several spellings: choose one
                raw = _encode(_any.decode(raw))
            spans = _find(raw, self._raw_values)
            if not spans:
                return raw
            hidden = _replace(raw, spans, b"")
            try:
                _check.decode(hidden)
            except _BROKEN:  # a value stood there as a number
                return self._walked(raw)
            return hidden
        except _BROKEN:
            return b""

    def _walked(self, raw: bytes) -> bytes:
        return _encode(self.walk(_any.decode(raw), _IN_MESSAGES))


def _find(text: AnyStr, values: Iterable[tuple[AnyStr, AnyStr]]) -> list[tuple[int, int, AnyStr]]:
    """Where values stand: sorted, not overlapping, the longest first served."""
    taken: list[tuple[int, int, AnyStr]] = []
    for value, mask in values:
        at = text.find(value)
        while at >= 0:
            end = at + len(value)
            place = bisect_right(taken, at, key=lambda span: span[0])
            if place and taken[place - 1][1] > at:
                at = text.find(value, taken[place - 1][1])
            elif place < len(taken) and taken[place][0] < end:
                at = text.find(value, at + 1)
            else:
                insort(taken, (at, end, mask))
                at = text.find(value, end)
    return taken


def _replace(text: AnyStr, spans: list[tuple[int, int, AnyStr]], empty: AnyStr) -> AnyStr:
    pieces: list[AnyStr] = []
    at = 0
    for start, end, mask in spans:
        pieces += (text[at:start], mask)
        at = end
    pieces.append(text[at:])
    return empty.join(pieces)


class _Parts:
    """The parts of one record that carry offsets, and the texts these count in."""

    def __init__(
        self, redactions: Mapping[str, str], stages: list[Record], texts: list[MessageText],
        reply: Sequence[str], passages: list[Record],
    ) -> None:  # fmt: skip
        self.redactor = Redactor({**redactions, **_disguised(redactions, stages, texts)})
        self._redactions = redactions
        shift = self.redactor.shift
        self._messages: dict[int, list[tuple[int | None, Shift]]] = {}
        for one in texts:
            self._messages.setdefault(one.message, []).append((one.part, shift(one.text)))
        self._reply = [shift(one) for one in reply]
        self._passages = [shift(str(one.get("text", ""))) for one in passages]

    def stages(self, stages: list[Record]) -> list[Record]:
        """Steps with their changes, notes and findings."""
        return [
            {
                **stage,
                "changes": [self._change(one) for one in stage["changes"]],
                "notes": self.redactor.walk(stage["notes"]),
                "verdicts": self.verdicts(stage["verdicts"]),
            }
            if stage["changes"] or stage["notes"] or stage["verdicts"]
            else stage
            for stage in stages
        ]

    def _change(self, change: Record) -> Record:
        index, part = change.get("index", -1), change.get("part")
        before = self.redactor.shift(change["before"])
        if index >= 0:
            own = self._messages.get(index, [])
            candidates = [one for at, one in own if at == part] + [one for at, one in own if at != part]
            candidates.append(before)
        else:
            candidates = [before, *self._reply]
        hide = self.redactor.text
        edits = [self._moved(edit, candidates, edit.get("before", "")) for edit in change["edits"]]
        return {**change, "before": hide(change["before"]), "after": hide(change["after"]), "edits": edits}

    def verdicts(self, verdicts: list[Record]) -> list[Record]:
        """Findings; each counts in a message, a passage or the answer."""
        return [self._moved(one, self._candidates(one)) for one in verdicts]

    def entities(self, entities: list[Record]) -> list[Record]:
        """Names found in messages."""
        return [self._moved(one, self._candidates(one), one["text"]) for one in entities]

    def _candidates(self, item: Record) -> list[Shift]:
        index, where = item.get("index", -1), item.get("where", "input")
        if where == "passage" and self._passages:
            return self._passages
        if index >= 0 and index in self._messages:
            return [shift for _, shift in self._messages[index]]
        if where == "output":
            return self._reply
        newest_first = [shift for own in reversed(self._messages.values()) for _, shift in reversed(own)]
        return newest_first + self._reply

    def _moved(self, item: Record, candidates: list[Shift], expected: str = "") -> Record:
        start, end = int(item["start"]), int(item["end"])
        text = self._choose(candidates, start, end, expected)
        moved = dict(item)
        for key in _WORDS_OF_TEXT:
            if key in item:
                moved[key] = self.redactor.text(item[key])
        if text is not None:
            moved["start"] = text.at(start)
            moved["end"] = max(moved["start"], text.at(end, is_end=True))
        return moved

    def _choose(self, candidates: list[Shift], start: int, end: int, expected: str) -> Shift | None:
        """Which text was meant: where the span reads as expected, or as a value, or the first it fits in."""
        fitting = [one for one in candidates if end <= len(one.text)]
        for one in fitting:
            found = one.text[start:end]
            if (expected and found == expected) or found in self._redactions:
                return one
        if fitting:
            return fitting[0]
        return candidates[0] if candidates else None


def _disguised(
    redactions: Mapping[str, str], stages: list[Record], texts: list[MessageText]
) -> dict[str, str]:
    """Values as they stood in the original, when a step masked what an earlier step had cleaned."""
    originals = {(one.message, one.part): one.text for one in texts}
    found: dict[str, str] = {}
    for stage in stages:
        for change in stage["changes"]:
            original = originals.get((change.get("index", -1), change.get("part")))
            for edit in change["edits"] if original is not None else ():
                mask = redactions.get(edit.get("before", ""))
                if mask is not None and original is not None:
                    slice_ = original[edit["start"] : edit["end"]]
                    if len(slice_) > 3 and slice_ not in redactions:
                        found[slice_] = mask
    return found


def redact_record(record: Record, redactions: Mapping[str, str]) -> Record:
    """The record with every sensitive value replaced by what stands for it; offsets count in the new texts.

    `redactions` maps values to masks. The record that was given is not changed.
    """
    if not redactions:
        return record
    reply = record.get("reply") or {}
    messages = (record.get("request") or {}).get("messages") or []
    replies = [reply.get("raw", ""), reply.get("text", "")]
    parts = _Parts(
        redactions, record.get("stages", []), texts_of(messages), replies, record.get("passages", [])
    )
    redactor = parts.redactor
    result: Record = {}
    for key, value in record.items():
        if key in {"user", "session"}:
            result[key] = redactor.name(value)
        elif key == "stages":
            result[key] = parts.stages(value)
        elif key == "verdicts":
            result[key] = parts.verdicts(value)
        elif key == "entities":
            result[key] = parts.entities(value)
        elif key in {"request", "sent"}:
            result[key] = redactor.walk(value, _IN_MESSAGES)
        else:
            result[key] = value if key in _KEPT else redactor.walk(value, _KEPT)
    return result


def redact_parts(row: Row, body: Body | None, redactions: Mapping[str, str]) -> tuple[Row, Body | None]:
    """The same for what is stored. `body` may be None when no texts are kept."""
    if body is None:
        return _redact_row(row, Redactor(redactions)), None
    stages = plain(body.steps)
    reply = [body.reply_raw] if body.reply_text is None else [body.reply_raw, body.reply_text]
    passages = plain(body.passages)
    parts = _Parts(redactions, stages, texts_of(messages_of(body.request)), reply, passages)
    hide = parts.redactor
    raw = hide.text(body.reply_raw)
    text = None if body.reply_text is None else hide.text(body.reply_text)
    came, sent = hide.body(body.request), hide.body(body.sent)
    hidden = Body(
        request=came,
        sent=b"" if sent == came else sent,
        reply_raw=raw,
        reply_text=None if text == raw else text,
        # Dictionaries encode to the same bytes as the Structs they were made of.
        steps=parts.stages(stages),  # type: ignore[arg-type]
        entities=parts.entities(plain(body.entities)),  # type: ignore[arg-type]
        passages=hide.walk(passages, _KEPT),
        recalled=hide.walk(plain(body.recalled), _KEPT),
        attempts=hide.walk(plain(body.attempts), _KEPT),
        tags=hide.walk(body.tags),
        why=hide.text(body.why),
        usage=body.usage,
        finish_reason=body.finish_reason,
        error=None if body.error is None else hide.text(body.error),
        confidence=body.confidence,
    )
    return _redact_row(row, hide), hidden


def _redact_row(row: Row, redactor: Redactor) -> Row:
    return row._replace(
        asked=redactor.text(row.asked), session=redactor.name(row.session), user=redactor.name(row.user)
    )


def redact_tags(tags: Mapping[str, str], redactions: Mapping[str, str]) -> Mapping[str, str]:
    """The same for tags, which lists are filtered by."""
    walked: Mapping[str, str] = Redactor(redactions).walk(tags) if tags else tags
    return walked
