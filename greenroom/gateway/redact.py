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
from msgspec.structs import replace

from greenroom.exchange import Change, Edit, Entity, StepRecord, Text, Verdict
from greenroom.gateway.record import without_shared
from greenroom.store.material import Body, MessageText, Row, messages_of, plain, pseudonym, texts_of

_KEPT = frozenset({"id", "score", "start", "end", "cited", "role", "type"})
"""Our own words and numbers in passages and in what was recalled: never text of a caller."""

_IN_MESSAGES = frozenset({"role", "type"})
_KEPT_STRINGS = (b'"role"', b'"type"')
_OUTSIDE_STRINGS = frozenset("{}[]:, \t\r\n0123456789+-.eEtruefalsn")
"""What JSON may hold outside of strings: a value made of these alone could hit more than text."""
_IN_NUMBERS = frozenset("0123456789+-.einfa")
_FLAT, _LONG = frozenset({str, int, float, bool}), 200


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
        self._longest = max(map(len, forms), default=0)
        self._known: dict[str, list[tuple[int, int, str]]] = {}
        self._is_in_text = all(not _OUTSIDE_STRINGS.issuperset(value) for value in forms)
        self.may_be_number = any(map(_is_in_numbers, forms))
        self._forms = forms

    def text(self, text: str) -> str:
        """The text with masks for values."""
        if len(text) < self._shortest:
            return text
        if len(text) <= self._longest and text in self._forms:
            return self._forms[text]
        for value, _ in self._values:
            if value in text:
                return _replace(text, self._spans(text), "")
        return text

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

    def walk(self, value: Any, kept: frozenset[str] = frozenset()) -> Any:  # Any: JSON
        """The same JSON with masks in its strings, keys and numbers; `kept` keys are left alone."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.text(str(key)): one if key in kept else self.walk(one, kept)
                for key, one in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.walk(one, kept) for one in value]
        if not self.may_be_number or isinstance(value, bool) or not isinstance(value, int | float):
            return value
        number = str(value)
        hidden = self.text(number)
        return value if hidden == number else hidden

    def body(self, raw: bytes) -> bytes:
        """A JSON body with masks for values; empty when it has escapes and is no JSON.

        Works on the bytes, on the decoded body where that could hit more than text.
        """
        if not raw:
            return raw
        try:
            if b"\\" in raw and (
                b"\\u" in raw or b"\\/" in raw
            ):  # the same letter has several spellings: choose one
                raw = _encode(_any.decode(raw))
            spans = _find(raw, self._raw_values)
            if not spans:
                return raw
            if any(_is_kept(raw, start) for start, _, _ in spans):
                return self._walked(raw)
            hidden = _replace(raw, spans, b"")
            if not self._is_in_text or b"\\" in raw:
                try:
                    _check.decode(hidden)
                except _BROKEN:  # a value stood there as a number, or began within an escape
                    return self._walked(raw)
            return hidden
        except _BROKEN:
            return b""

    def is_clean(self, piece: bytes) -> bool:
        """Whether a piece of JSON holds no value, in whatever spelling."""
        return b"\\" not in piece and not any(value in piece for value, _ in self._raw_values)

    def _walked(self, raw: bytes) -> bytes:
        return _encode(self.walk(_any.decode(raw), _IN_MESSAGES))


def _find(text: AnyStr, values: Iterable[tuple[AnyStr, AnyStr]]) -> list[tuple[int, int, AnyStr]]:
    """Where values stand: sorted, not overlapping, the longest first served."""
    taken: list[tuple[int, int, AnyStr]] = []
    present = [pair for pair in values if pair[0] in text]
    if len(present) == 1:  # nothing can overlap
        ((value, mask),) = present
        at = text.find(value)
        while at >= 0:
            end = at + len(value)
            taken.append((at, end, mask))
            at = text.find(value, end)
        return taken
    for value, mask in present:
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


def _is_in_numbers(value: str) -> bool:
    """Whether a number's digits could hold this value."""
    if not _IN_NUMBERS.issuperset(value) or value.count(".") > 1:
        return False
    return "e" in value or not ("-" in value[1:] or "+" in value)


def _is_kept(raw: bytes, position: int) -> bool:
    """Whether a place in JSON lies in one of the words that stay: a role or a type."""
    before = raw[max(0, raw.rfind(b'"', 0, position) - 16) : position].rpartition(b'"')[0].rstrip()
    return before.endswith(b":") and before[:-1].rstrip().endswith(_KEPT_STRINGS)


class _Parts:
    """The parts of one record that carry offsets, and the texts these count in."""

    def __init__(self, redactions: Mapping[str, str], body: Body, texts: Sequence[MessageText]) -> None:
        self.redactor = Redactor({**redactions, **_disguised(redactions, body.steps, texts)})
        self._redactions = redactions
        self._texts = texts
        self._reply = [body.reply_raw] if body.reply_text is None else [body.reply_raw, body.reply_text]
        self._passages = [one.text for one in body.passages]

    def stages(self, steps: list[StepRecord]) -> list[StepRecord]:
        """Steps with their changes, notes and findings."""
        return [
            replace(
                step,
                changes=[self._change(one) for one in step.changes],
                notes=self._notes(step.notes) if step.notes else step.notes,
                verdicts=[self._verdict(one) for one in step.verdicts],
            )
            if step.changes or step.notes or step.verdicts
            else step
            for step in steps
        ]

    def _notes(self, notes: dict[str, object]) -> dict[str, object]:
        values = notes.values()
        if not all(value is None or type(value) in _FLAT for value in values):
            notes = plain(notes)
        elif not self.redactor.may_be_number:
            words = "\n".join([*notes, *[value for value in values if type(value) is str]])
            if self.redactor.text(words) is words:
                return notes
        walked: dict[str, object] = self.redactor.walk(notes)
        return walked

    def _change(self, change: Change) -> Change:
        if change.index >= 0:
            own = [one for one in self._texts if one.message == change.index]
            candidates = [one.text for one in own if one.part == change.part]
            candidates += [one.text for one in own if one.part != change.part]
            candidates.append(change.before)
        else:
            candidates = [change.before, *self._reply]
        hide = self.redactor.text
        edits = [self._edit(edit, candidates) for edit in change.edits]
        return replace(change, before=hide(change.before), after=hide(change.after), edits=edits)

    def _edit(self, edit: Edit, candidates: list[str]) -> Edit:
        start, end = self._moved(edit.start, edit.end, candidates, edit.before)
        hide = self.redactor.text
        return replace(
            edit,
            start=start,
            end=end,
            text=hide(edit.text),
            reason=hide(edit.reason),
            before=hide(edit.before),
        )

    def _verdict(self, verdict: Verdict) -> Verdict:
        candidates = self._candidates(verdict.index, verdict.where)
        start, end = self._moved(verdict.start, verdict.end, candidates)
        return replace(verdict, start=start, end=end)

    def entity(self, entity: Entity) -> Entity:
        """A name found in a message."""
        text, candidates = entity.text, self._candidates(entity.index, "input")
        start, end = self._moved(entity.start, entity.end, candidates, text)
        return replace(entity, start=start, end=end, text=self.redactor.text(text))

    def _candidates(self, index: int, where: str) -> list[str]:
        """In which texts a finding may count: a message, a passage or the answer."""
        if where == "passage" and self._passages:
            return self._passages
        own = [one.text for one in self._texts if one.message == index]
        if own:
            return own
        if where == "output":
            return self._reply
        return [one.text for one in reversed(self._texts)] + self._reply

    def _moved(self, start: int, end: int, candidates: list[str], expected: str = "") -> tuple[int, int]:
        text = self._choose(candidates, start, end, expected)
        if text is None:
            return start, end
        shift = self.redactor.shift(text)
        moved = shift.at(start)
        return moved, max(moved, shift.at(end, is_end=True))

    def _choose(self, candidates: list[str], start: int, end: int, expected: str) -> str | None:
        """Which text was meant: where the span reads as expected, or as a value, or the first it fits in."""
        fitting = [one for one in candidates if end <= len(one)]
        for one in fitting:
            found = one[start:end]
            if (expected and found == expected) or found in self._redactions:
                return one
        return next(iter(fitting or candidates), None)


def _disguised(
    redactions: Mapping[str, str], steps: list[StepRecord], texts: Sequence[MessageText]
) -> dict[str, str]:
    """Values as they stood in the original, when a step masked what an earlier step had cleaned."""
    found: dict[str, str] = {}
    for step in steps:
        for change in step.changes:
            place = (change.index, change.part)
            original = next((one.text for one in texts if (one.message, one.part) == place), None)
            for edit in change.edits if original is not None else ():
                mask = redactions.get(edit.before)
                if mask is not None and original is not None:
                    slice_ = original[edit.start : edit.end]
                    if len(slice_) > 3 and slice_ not in redactions:
                        found[slice_] = mask
    return found


def redact_parts(
    row: Row, body: Body | None, redactions: Mapping[str, str], texts: Sequence[Text] | None = None
) -> tuple[Row, Body | None]:
    """What is stored, with masks for every sensitive value; offsets count in the new texts.

    `redactions` maps values to masks. `body` may be None when no texts are kept; `texts` are the request's,
    if they were read already. What was given is not changed.
    """
    if body is None:
        return _redact_row(row, Redactor(redactions)), None
    originals = (
        texts_of(messages_of(body.request))
        if texts is None
        else [tuple.__new__(MessageText, (one.index, one.role, one.part, one.original)) for one in texts]
    )
    parts = _Parts(redactions, body, originals)
    hide = parts.redactor
    raw = hide.text(body.reply_raw)
    text = None if body.reply_text is None else hide.text(body.reply_text)
    came = hide.body(body.request)
    hidden = Body(
        request=came,
        reply_raw=raw,
        reply_text=None if text == raw else text,
        steps=parts.stages(body.steps),
        entities=[parts.entity(one) for one in body.entities],
        # Dictionaries encode to the same bytes as the Structs they were made of.
        passages=hide.walk(plain(body.passages), _KEPT) if body.passages else body.passages,
        recalled=hide.walk(plain(body.recalled), _KEPT) if body.recalled else body.recalled,
        attempts=[
            one if one.error is None else replace(one, error=hide.text(one.error)) for one in body.attempts
        ],
        tags=hide.walk(body.tags),
        why=hide.text(body.why),
        usage=body.usage,
        finish_reason=body.finish_reason,
        error=None if body.error is None else hide.text(body.error),
        confidence=body.confidence,
    )
    if body.sent:
        _put_sent(hidden, body.sent, hide)
    return _redact_row(row, hide), hidden


def _put_sent(hidden: Body, sent: bytes, redactor: Redactor) -> None:
    """What was sent has masks already: mostly it ends as the redacted request does; no search there."""
    hidden.sent = sent
    without_shared(hidden)
    if not (any(hidden.shared) and redactor.is_clean(hidden.sent)):
        hidden.sent, hidden.shared = redactor.body(sent), (0, 0)
        without_shared(hidden)


def _redact_row(row: Row, redactor: Redactor) -> Row:
    asked, session, user = redactor.text(row.asked), redactor.name(row.session), redactor.name(row.user)
    if (asked, session, user) == (row.asked, row.session, row.user):
        return row
    return row._replace(asked=asked, session=session, user=user)


def redact_tags(tags: Mapping[str, str], redactions: Mapping[str, str]) -> Mapping[str, str]:
    """The same for tags, which lists are filtered by."""
    walked: Mapping[str, str] = Redactor(redactions).walk(tags) if tags else tags
    return walked
