"""Acting on what a detector found: masks, redactions, verdicts, refusals.

One `Screen` serves the `pii` and `secrets` steps. What is done about a finding is asked of `decide`, so that
several actions may meet in one request. Masks are numbered in the order in which values appear, so that a
conversation sent again is masked alike, and never take a name that the text already has.
"""

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from greenroom.contracts import Decide, Decision, Finding, StepConfig, as_usual, mask, verdict_of
from greenroom.errors import ConfigError
from greenroom.exchange import Action, Edit, Exchange, Reply, StepRecord, Text, Where
from greenroom.stages.check.candidate import join
from greenroom.stages.check.detector import RuleDetector
from greenroom.stages.check.linear import PatternError, whole_matcher
from greenroom.stages.check.refusal import Refusals
from greenroom.stages.check.vault import Vault
from greenroom.stages.sight import sight_of


class ScreenConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What `pii` and `secrets` have in common."""

    action: Action = "mask"
    """mask: a reversible stand-in; redact: gone for good; block: refuse; warn, log, route: only say so."""
    allow: tuple[str, ...] = ()
    """Patterns (re2, case ignored); a value that one of them matches as a whole is let through."""


_names = re.compile(r"<?\b([A-Za-z][A-Za-z_]*_\d{1,9})\b>?").findall
_strings = re.compile(r'"(?:[^"\\]|\\.)*"').finditer


class Screen:
    """Runs a detector over the texts of a request and acts on what it finds, all of one `category`."""

    def __init__(
        self,
        name: str,
        category: str,
        detector: RuleDetector,
        config: ScreenConfig,
        vault: Vault | None,
        decide: Decide,
        refusals: Refusals,
    ) -> None:
        self._name = name
        self._category = category
        self._detector = detector
        self._usual = Decision(config.action)
        self._decide = None if decide is as_usual else decide
        self._applies = config.mode == "apply"
        self._vault = vault
        self._refusals = refusals
        self._is_allowed = _allowance(name, config.allow)

    def __call__(
        self, exchange: Exchange, more: Mapping[int, Sequence[Finding]] | None = None
    ) -> Reply | None:
        """Look at every text of the request; None, or the refusal.

        `more` holds what was found otherwise, by the place of the text; the detector's own findings go first.
        """
        record = exchange.steps[-1]
        record.notes["score"] = 0.0
        if self._vault is not None and exchange.session is not None:
            self._recall(exchange, self._vault, exchange.session)
        found = self._detector.find_in(sight_of(exchange))
        if more:
            found = _merged(found, more)
        if not found:
            return None
        texts = exchange.request.texts
        is_blocked = False
        stand_ins = _StandIns(exchange, self._vault)
        for place, all_findings in found:
            text = texts[place]
            findings = self._not_allowed(all_findings, text.value)
            if findings and self._act(exchange, record, text, findings, stand_ins):
                is_blocked = True
        if is_blocked and self._applies:
            return Reply(refusal=self._refusals.sentence(exchange, self._category), step=self._name)
        return None

    def decide(self, exchange: Exchange, one: Finding, where: Where, value: str) -> Decision:
        """What is done about a finding that says `value`."""
        if self._decide is None:
            return self._usual
        return self._decide(exchange, self._name, one, where, self._usual.action, value)

    def find(self, value: str) -> list[Finding]:
        """Whole findings that are not allowed."""
        findings = self._detector.find(value)
        return self._not_allowed(findings, value) if findings else findings

    def _not_allowed(self, findings: list[Finding], value: str) -> list[Finding]:
        if len(findings) > 1:
            findings = join(findings, value)
        allowed = self._is_allowed
        if allowed is None:
            return findings
        return [one for one in findings if not allowed(value[one.start : one.end])]

    def _act(
        self,
        exchange: Exchange,
        record: StepRecord,
        text: Text,
        findings: list[Finding],
        stand_ins: "_StandIns",
    ) -> bool:
        """Mask and redact what is to be; whether anything is to be refused."""
        where: Where = "tool" if text.role in ("tool", "function") else "input"
        value = text.value
        actions: list[Action] = []
        for one in findings:
            decision = self.decide(exchange, one, where, value[one.start : one.end])
            actions.append(decision.action)
            start, end = text.to_original(one.start), text.to_original(one.end, is_end=True)
            self.note(record, one, decision, start, end, where, text.index)
        is_json = text.kind == "arguments"
        shown: list[Action] = actions if self._applies else ["log"] * len(actions)
        edits = stand_ins.edits(value, findings, shown, is_json=is_json)
        replaced = [edit for edit, action in zip(edits, actions, strict=True) if action in ("mask", "redact")]
        if replaced:
            for edit in replaced:
                edit.applied = self._applies
            record.changes.append(text.edit(replaced))
        return "block" in actions

    def note(
        self,
        record: StepRecord,
        one: Finding,
        decision: Decision,
        start: int,
        end: int,
        where: Where,
        index: int,
    ) -> None:
        """Write one finding into the record."""
        record.verdicts.append(verdict_of(self._name, one, decision, where, start, end, index))
        notes = record.notes
        notes["score"] = max(float(str(notes["score"])), one.score)
        counts = notes.setdefault("findings", Counter())
        assert isinstance(counts, Counter)
        counts[one.label] += 1

    def redact(
        self, exchange: Exchange, record: StepRecord, value: str, role: str, index: int
    ) -> tuple[str, list[tuple[Finding, Decision]]]:
        """The text of a passage or of a message that a step put in, without what was found in it.

        Never masked reversibly: what a document holds is not the caller's own, and must not be put back.
        """
        found = [
            (one, self.decide(exchange, one, "passage", value[one.start : one.end]))
            for one in self.find(value)
        ]
        for one, _ in found:
            exchange.redactions.setdefault(value[one.start : one.end], f"[{one.label}]")
        edits = [
            _edit(one, value, f"[{one.label}]", "taken out of a passage", applied=self._applies)
            for one, decision in found
            if decision.action in ("mask", "redact", "block")
        ]
        if not edits:
            return value, found
        carrier = Text(index, role, value)
        record.changes.append(carrier.edit(edits))
        return carrier.value, found

    def _recall(self, exchange: Exchange, vault: Vault, session: str) -> None:
        """Masks of earlier turns that stand in this request may come back in its answer."""
        known = vault.known(exchange.caller.project, session)
        if not known:
            return
        texts = "\n".join(_all_text(exchange))
        for name, value in known.items():
            if name in texts:
                exchange.masks.setdefault(name, value)
                exchange.redactions.setdefault(value, name)


def _merged(
    found: Sequence[tuple[int, list[Finding]]], more: Mapping[int, Sequence[Finding]]
) -> list[tuple[int, list[Finding]]]:
    """Both, sorted; one that overlaps a finding of the detector is left out."""
    by_text = dict(found)
    for place, others in more.items():
        own = by_text.get(place, [])
        new = [
            one for one in others if all(one.end <= other.start or one.start >= other.end for other in own)
        ]
        by_text[place] = sorted((*own, *new), key=lambda one: one.start)
    return sorted(by_text.items())


class _StandIns:
    """What stands for each value in one exchange."""

    def __init__(self, exchange: Exchange, vault: Vault | None) -> None:
        self._exchange = exchange
        self._vault = vault if exchange.session is not None else None
        self._by_value = {value: name for name, value in exchange.masks.items()}
        self._taken: set[str] | None = None
        self._last: dict[str, int] = {}

    def edits(
        self, text: str, findings: Sequence[Finding], actions: Sequence[Action], *, is_json: bool
    ) -> list[Edit]:
        """One edit for each finding; values go into the exchange's masks and redactions."""
        strings = [span.span() for span in _strings(text)] if is_json else []
        edits: list[Edit] = []
        for one, action in zip(findings, actions, strict=True):
            raw = text[one.start : one.end]
            value = _unescaped(raw) if is_json else raw
            if action != "mask":
                stand_in = f"[{one.label}]"
                reason = "is personal data" if one.category == "personal_data" else "is a secret"
            else:
                stand_in = self._mask(one.label, value)
                reason = "is put back in the answer"
            self._exchange.redactions.setdefault(raw, stand_in)
            if value != raw:
                self._exchange.redactions.setdefault(value, stand_in)
            if is_json and not _is_inside(strings, one.start):
                stand_in = f'"{stand_in}"'
            edits.append(_edit(one, text, stand_in, reason, applied=True))
        return edits

    def _mask(self, label: str, value: str) -> str:
        name = self._by_value.get(value)
        if name is None:
            name = self._by_value[value] = mask(label, self._number(label, value))
            self._exchange.masks[name] = value
        return name

    def _number(self, label: str, value: str) -> int:
        taken = self._taken
        if taken is None:
            taken = self._taken = _taken(self._exchange)
        if self._vault is not None and self._exchange.session is not None:
            project = self._exchange.caller.project
            return self._vault.number(project, self._exchange.session, label, value, taken)
        number = self._last.get(label, 0) + 1
        while mask(label, number) in taken:
            number += 1
        self._last[label] = number
        return number


def _taken(exchange: Exchange) -> set[str]:
    """Masks that the texts name, also without brackets or in small letters, and those already given."""
    taken = set(exchange.masks)
    for text in _all_text(exchange):
        if "_" in text:
            taken.update(f"<{name.upper()}>" for name in _names(text))
    return taken


def _all_text(exchange: Exchange) -> Iterable[str]:
    for text in exchange.request.texts:
        yield text.value
    for _, message in exchange.request.added:
        yield from (value for value, _ in contents(message))
    for passage in exchange.passages:
        yield passage.text


def contents(message: dict[str, object]) -> list[tuple[str, Callable[[str], None]]]:
    """The texts of a message that a step put in, each with a way to replace it."""
    content = message.get("content")
    if isinstance(content, str):

        def replace(text: str) -> None:
            message["content"] = text

        return [(content, replace)]
    if not isinstance(content, list):
        return []
    return [
        (part["text"], _replacer(part))
        for part in content
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def _replacer(part: dict[str, object]) -> Callable[[str], None]:
    def replace(text: str) -> None:
        part["text"] = text

    return replace


def _edit(one: Finding, text: str, stand_in: str, reason: str, *, applied: bool) -> Edit:
    what = one.label.replace("_", " ")
    return Edit(
        start=one.start, end=one.end, text=stand_in, before=text[one.start : one.end], rule=one.rule,
        reason=f"{what}: {reason}", confidence=one.score, applied=applied,
    )  # fmt: skip


def _unescaped(raw: str) -> str:
    """The value behind a piece of a JSON string."""
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(f'"{raw}"'))
    except ValueError:
        return raw


def _is_inside(strings: Sequence[tuple[int, int]], position: int) -> bool:
    place = bisect_right(strings, (position, position))
    return any(start < position < end for start, end in strings[max(0, place - 1) : place + 1])


def _allowance(name: str, patterns: Sequence[str]) -> Callable[[str], object] | None:
    if not patterns:
        return None
    try:
        return whole_matcher(f"(?i)(?:{'|'.join(patterns)})")
    except PatternError as error:
        raise ConfigError(f"Step '{name}', key 'allow': {error}.") from error
