"""One redactor at the sink: sensitive values leave a record before anything is stored.

Knows the record's shape and nothing of how values were found. Values are replaced longest first, in one pass,
so a mask is never itself searched. Offsets afterwards count in the redacted text; a position inside a value
moves to its mask's edge.
"""

from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from greenroom.exchange import Change, Edit, Entity, StepRecord, Text, Verdict
from greenroom.gateway.record import without_shared
from greenroom.gateway.spans import Shift, find, replaced
from greenroom.store.material import Body, Row, encode_body, messages_of, plain, pseudonym, texts_of

_KEPT = frozenset({"id", "score", "start", "end", "cited", "role", "type"})
"""Our own words and numbers in passages and in what was recalled: never text of a caller."""

_IN_MESSAGES = frozenset({"role", "type"})
_KEPT_STRINGS = (b'"role"', b'"type"')
_OUTSIDE_STRINGS = frozenset("{}[]:, \t\r\n0123456789+-.eEtruefalsn")
"""What JSON may hold outside of strings: a value made of these alone could hit more than text."""
_IN_NUMBERS = frozenset("0123456789+-.einfa")
_Text = tuple[int, int | None, str]


class _Check(Struct):
    messages: list[Raw] = []


_check = msgspec.json.Decoder(_Check)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()  # Any: a client's body
_encode = msgspec.json.Encoder().encode
_BROKEN = (msgspec.DecodeError, UnicodeError, RecursionError)


class Redactor:
    """Replaces the values of one exchange by what stands for them."""

    def __init__(self, redactions: Mapping[str, str]) -> None:
        forms = {value: mask for value, mask in redactions.items() if value}
        for value, mask in tuple(forms.items()):  # as they stand inside the JSON text of a tool call
            if not (value.isascii() and value.isprintable()) or '"' in value or "\\" in value:
                forms.setdefault(dumps(value)[1:-1], mask)
                forms.setdefault(dumps(value, ensure_ascii=False)[1:-1], mask)
        self._forms = forms
        self._values = list(forms.items())
        if len(forms) > 1:
            self._values.sort(key=lambda pair: -len(pair[0]))
        self._raw_values = [(_encode(value)[1:-1], _encode(mask)[1:-1]) for value, mask in self._values]
        self._known: dict[str, Shift] = {}
        self.may_be_number = any(map(_is_in_numbers, forms))

    def text(self, text: str) -> str:
        """The text with masks for values."""
        for value, mask in self._values:
            if value in text:
                return mask if len(value) == len(text) else self.shift(text).hidden
        return text

    def shift(self, text: str) -> Shift:
        """How positions in this text move; kept, as it comes again in steps and findings."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = Shift(text, find(text, self._values))
        return known

    def is_free(self, kept: object) -> bool:
        """Whether what is kept holds no value: one look at all of it, as it is stored."""
        if self.may_be_number:
            return False
        looked = encode_body(kept)
        if b"\xff" in looked:  # never in a text, but in a moment, whose text it does not show
            return False
        return all(value.encode() not in looked for value, _ in self._values)

    def name(self, name: str | None) -> str | None:
        """A user or session: as it is, or a stable stand-in when it holds a value."""
        return name if name is None or not find(name, self._values) else pseudonym(name)

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
            spans = find(raw, self._raw_values)
            if not spans:
                return raw
            if any(_is_kept(raw, start) for start, _, _ in spans):
                return self._walked(raw)
            hidden = replaced(raw, spans, b"")
            if b"\\" in raw or any(map(_OUTSIDE_STRINGS.issuperset, self._forms)):
                try:
                    _check.decode(hidden)
                except _BROKEN:  # a value stood there as a number, or began within an escape
                    return self._walked(raw)
            return hidden
        except _BROKEN:
            return b""

    def is_clean(self, piece: bytes) -> bool:
        """Whether a piece of JSON holds no value, in whatever spelling."""
        return b"\\" not in piece and not find(piece, self._raw_values)

    def _walked(self, raw: bytes) -> bytes:
        return _encode(self.walk(_any.decode(raw), _IN_MESSAGES))


def _is_in_numbers(value: str) -> bool:
    """Whether a number's digits could hold this value."""
    if not _IN_NUMBERS.issuperset(value) or value.count(".") > 1:
        return False
    return "e" in value or not ("-" in value[1:] or "+" in value)


def _is_kept(raw: bytes, position: int) -> bool:
    """Whether a place in JSON lies in one of the words that stay: a role or a type."""
    quote = raw.rfind(b'"', 0, position)
    before = raw[max(0, quote - 16) : quote].rstrip() if quote > 0 else b""
    return before.endswith(b":") and before[:-1].rstrip().endswith(_KEPT_STRINGS)


class _Parts:
    """The parts of one record that carry offsets, and the texts these count in."""

    def __init__(self, redactions: Mapping[str, str], row: Row, body: Body, texts: Sequence[_Text]) -> None:
        self._texts = texts
        self._own: dict[int, list[tuple[int | None, str]]] = {}
        """The parts of each message that was asked for, with their texts."""
        disguised: dict[str, str] = {}
        beside: list[object] = [
            row.asked, row.session, row.user, body.why, body.error, body.tags, body.attempts, body.passages,
            body.recalled,
        ]  # fmt: skip
        for step in body.steps:
            if step.notes:
                beside.append(step.notes)
            for change in step.changes:
                beside.append(change.after)
                original = None
                for part, text in self._of(change.index):
                    if part == change.part:
                        original = text
                        break
                for edit in change.edits:
                    beside += (edit.text, edit.reason)
                    if original is not None and edit.before in redactions:
                        slice_ = original[edit.start : edit.end]
                        if len(slice_) > 3 and slice_ not in redactions:
                            disguised[slice_] = redactions[edit.before]
        # Values count too as they stood in the original, when a step masked what an earlier one had cleaned.
        self.redactor = Redactor({**redactions, **disguised} if disguised else redactions)
        self._redactions = redactions
        self._reply = [body.reply_raw] if body.reply_text is None else [body.reply_raw, body.reply_text]
        self._passages = [one.text for one in body.passages] if body.passages else []
        self.is_free = self.redactor.is_free(beside)
        """Beside requests, answers and what was replaced there is nothing to hide: the common case."""

    def _of(self, index: int) -> list[tuple[int | None, str]]:
        own = self._own.get(index)
        if own is None:
            own = self._own[index] = [(part, text) for at, part, text in self._texts if at == index]
        return own

    def stages(self, steps: list[StepRecord]) -> list[StepRecord]:
        """Steps with their changes, notes and findings."""
        return [
            replace(
                step,
                changes=[self._change(one) for one in step.changes],
                notes=self._notes(step.notes) if step.notes else step.notes,
                verdicts=[self._verdict(one) for one in step.verdicts],
            )
            if step.changes or step.verdicts or (step.notes and not self.is_free) or "sentences" in step.notes
            else step
            for step in steps
        ]

    def _notes(self, notes: dict[str, object]) -> dict[str, object]:
        if "sentences" in notes:
            notes = {**notes, "sentences": [self._sentence(one) for one in plain(notes["sentences"])]}
        elif self.is_free:
            return notes
        walked: dict[str, object] = self.redactor.walk(plain(notes))
        return walked

    def _sentence(self, judged: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
        """A stretch of the answer that was judged, where it lies now."""
        start, end = self._moved(judged["start"], judged["end"], self._reply[-1:])
        return {**judged, "start": start, "end": end}

    def _change(self, change: Change) -> Change:
        if change.index >= 0:
            own = self._of(change.index)
            candidates = [text for part, text in own if part == change.part]
            if len(candidates) < len(own):
                candidates += [text for part, text in own if part != change.part]
            candidates.append(change.before)
        else:
            candidates = [change.before, *self._reply]
        hide = self.redactor.text
        return replace(
            change,
            before=hide(change.before),
            after=change.after if self.is_free else hide(change.after),
            edits=[self._edit(edit, candidates) for edit in change.edits],
        )

    def _edit(self, edit: Edit, candidates: list[str]) -> Edit:
        before = edit.before
        start, end = self._moved(edit.start, edit.end, candidates, before)
        hide = self.redactor.text
        if self.is_free:
            return replace(edit, start=start, end=end, before=hide(before))
        return replace(
            edit, start=start, end=end, text=hide(edit.text), reason=hide(edit.reason), before=hide(before)
        )

    def _verdict(self, verdict: Verdict) -> Verdict:
        candidates = self._candidates(verdict.index, verdict.where)
        start, end = self._moved(verdict.start, verdict.end, candidates)
        return replace(verdict, start=start, end=end)

    def entity(self, entity: Entity) -> Entity:
        """A name found in a message."""
        text, candidates = entity.text, self._candidates(entity.index, "input")
        shift = self._shift(entity.start, entity.end, candidates, text)
        start, end = self._moved(entity.start, entity.end, candidates, text)
        # Cut from the text that is kept: the name may be a part of a value, or begin in one.
        is_there = shift is not None and shift.text[entity.start : entity.end] == text
        shown = shift.hidden[start:end] if shift is not None and is_there else self.redactor.text(text)
        value = entity.value if shown == text else ""  # another way of writing what was hidden
        return replace(entity, start=start, end=end, text=shown, value=value)

    def _candidates(self, index: int, where: str) -> list[str]:
        """In which texts a finding may count: a message, a passage or the answer."""
        if where == "passage" and self._passages:
            return self._passages
        own = self._of(index)
        if own:
            return [text for _, text in own]
        if where == "output":
            return self._reply
        return [text for _, _, text in reversed(self._texts)] + self._reply

    def _moved(self, start: int, end: int, candidates: list[str], expected: str = "") -> tuple[int, int]:
        """Where a span lies now."""
        shift = self._shift(start, end, candidates, expected)
        if shift is None:
            return start, end
        whole = shift.whole.get((start, end))
        if whole is not None:
            return whole
        moved = shift.at(start)
        return moved, max(moved, shift.at(end, is_end=True))

    def _shift(self, start: int, end: int, candidates: list[str], expected: str = "") -> Shift | None:
        """How the text moved that is meant.

        It is the one where the span reads as expected or as a value, or the first it fits in.
        """
        chosen = None
        for text in candidates:
            if end <= len(text):
                found = text[start:end]
                if found in self._redactions or (expected and found == expected):
                    chosen = text
                    break
                if chosen is None:
                    chosen = text
        if chosen is None:
            if not candidates:
                return None
            chosen = candidates[0]
        return self.redactor.shift(chosen)


def redact_parts(
    row: Row, body: Body | None, redactions: Mapping[str, str], texts: Sequence[Text] | None = None
) -> tuple[Row, Body | None]:
    """What is stored, with masks for every sensitive value; offsets count in the new texts.

    `redactions` maps values to masks. `body` may be None when no texts are kept; `texts` are the request's,
    if they were read already. What was given is not changed.
    """
    if body is None:
        return _redact_row(row, Redactor(redactions)), None
    originals: list[_Text] = (
        [(one.message, one.part, one.text) for one in texts_of(messages_of(body.request))]
        if texts is None
        else [
            (one.index, one.part, one.value if one.before_edits is None else one.before_edits)
            for one in texts
        ]
    )
    parts = _Parts(redactions, row, body, originals)
    hide = parts.redactor
    raw = hide.text(body.reply_raw)
    text = None if body.reply_text is None else hide.text(body.reply_text)
    hidden = replace(
        body,
        request=hide.body(body.request),
        reply_raw=raw,
        reply_text=None if text == raw else text,
        steps=parts.stages(body.steps),
        entities=[parts.entity(one) for one in body.entities] if body.entities else body.entities,
    )
    if not parts.is_free:
        # Dictionaries encode to the same bytes as the Structs they were made of.
        hidden.passages = hide.walk(plain(body.passages), _KEPT)
        hidden.recalled = hide.walk(plain(body.recalled), _KEPT)
        hidden.attempts = [
            one if one.error is None else replace(one, error=hide.text(one.error)) for one in body.attempts
        ]
        hidden.tags = hide.walk(body.tags)
        hidden.why = hide.text(body.why)
        hidden.error = None if body.error is None else hide.text(body.error)
        row = _redact_row(row, hide)
    if body.sent:
        _put_sent(hidden, body.sent, hide)
    return row, hidden


def _put_sent(hidden: Body, sent: bytes, redactor: Redactor) -> None:
    """What was sent has masks already: mostly it ends as the redacted request does; no search there."""
    hidden.sent = sent
    without_shared(hidden)
    if not (hidden.shared != (0, 0) and redactor.is_clean(hidden.sent)):
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
