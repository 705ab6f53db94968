"""`guard`: the checks of the check stage on the answer, with the verdict before the text is released.

Looks for personal data and secrets that the caller did not bring and the passages do not hold. Knows
detectors by contract; masks of the caller's own data pass, since they are put back afterwards.
"""

import re
from collections.abc import Callable, Sequence
from typing import Literal

from greenroom.contracts import (
    PLAIN_NOT,
    Decide,
    Detector,
    Ease,
    Finding,
    StepConfig,
    TextFilter,
    as_usual,
    verdict_of,
)
from greenroom.exchange import Action, Edit, Exchange, Verdict
from greenroom.stages.check.detector import united
from greenroom.stages.check.refusal import SENTENCES, Refusals

CONTEXT = 64
"""Characters of released text that detectors may still look back on."""

_ROOM = 4096
"""Characters of plain words that may go ahead of a filter."""
_LONG_WORD = 19
"""No credential without a digit is shorter than the next."""

_HIDDEN = frozenset({"personal_data", "secret", "canary"})
"""What nothing that is stored may show."""

_trigger = re.compile(r"[0-9@=:_~$%&\-]|[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]|[A-Z]{4}|\.[A-Za-z]|[A-Za-z]{20}").search
"""What a text has where something may be found: keys of letters alone show by capitals, marks or length."""
_unusual = re.compile(PLAIN_NOT).search
_suspicious = re.compile(r"[^A-Za-zÀ-ÖØ-öø-ÿ \n,.;]|[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]").search
_lone = re.compile(r"(?:\A|[ \n])[xyzXYZ][ \n]\Z").search


class GuardConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.guard]: what happens to personal data and secrets in an answer."""

    personal_data: Literal["redact", "block", "warn"] = "redact"
    secrets: Literal["redact", "block", "warn"] = "redact"
    offense: Literal["off", "redact", "block", "warn"] = "off"
    """Insults, hatred and threats by word lists; plain words of a stream then wait for a look at them."""
    canary: Literal["redact", "block", "warn"] = "block"
    """The mark of the system message, where [steps.injection] puts one in."""
    on_error: Literal["allow", "refuse"] = "refuse"


class Guard:
    """Opens a `GuardFilter` for every text of an answer."""

    name = "guard"

    def __init__(
        self,
        config: GuardConfig,
        detectors: Sequence[Detector],
        decide: Decide = as_usual,
        refusals: Refusals = SENTENCES,
    ) -> None:
        self._usual: dict[str, Action] = {
            "personal_data": config.personal_data, "secret": config.secrets, "canary": config.canary,
        }  # fmt: skip
        if config.offense != "off":
            self._usual["offense"] = config.offense
        self._apply = config.mode == "apply"
        self._detectors = tuple(detectors)
        self._find = united(detectors)
        self._decide = decide
        self._refusals = refusals

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """A filter for prose and for the arguments of tool calls alike."""
        return GuardFilter(exchange, self._detectors, self._find, self.act, apply=self._apply)

    def act(self, exchange: Exchange, one: Finding, value: str, start: int, end: int) -> Verdict:
        """What is done about a finding; a sentence for the user is left where the answer is to end."""
        usual = one.action or self._usual.get(one.category, "redact")
        decision = self._decide(exchange, self.name, one, "output", usual, value)
        if not self._apply:
            decision = decision._replace(action="log")
        elif decision.action == "block":
            exchange.context["refusal"] = self._refusals.sentence(exchange, "answer")
        return verdict_of(self.name, one, decision, "output", start, end)

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Sure where nothing is found."""
        return not self._find(text)


class GuardFilter:
    """Releases text up to where no finding can still grow; what is found is replaced, or stops the answer.

    Holds back at most 256 characters, in plain prose the last word only. However the text is cut, the output
    is the same, since a detector's decision depends on at most 64 characters around a span.
    """

    lookback = 256

    def __init__(
        self,
        exchange: Exchange,
        detectors: Sequence[Detector],
        find: Callable[[str], list[Finding]],
        act: Callable[[Exchange, Finding, str, int, int], Verdict],
        *,
        apply: bool,
    ) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self._exchange = exchange
        self._detectors = detectors
        self._find = find
        self._ask = act
        self._apply = apply
        self._passes_words = all(detector.passes_words for detector in detectors)
        self._text = ""
        self._done = 0
        """How much of `_text` was released; the rest is held."""
        self._base = 0
        """Where `_text` begins in all that was fed."""

    def feed(self, text: str) -> str:
        """What is safe to show now."""
        whole = self._text = self._text + text
        done = self._done
        if self._passes_words and _trigger(whole, done) is None and (len(text) < CONTEXT or _is_prose(text)):
            # Nothing that a key or number has: only the last word held may still turn into something.
            end = max(whole.rfind(" "), whole.rfind("\n")) + 1
            if _lone(whole, max(0, end - 3), end) is not None:
                end -= 2  # the letter that a Spanish number of identity begins with
            if end <= done:
                if len(whole) - done <= CONTEXT:
                    return ""
            elif _trigger(whole) is None:
                return self._release(end)
        first = max(0, len(whole) - self.lookback - CONTEXT)
        tail = whole[first:]
        end = first + min(detector.safe_end(tail) for detector in self._detectors)
        return self._judge(max(end, done, len(whole) - self.lookback))

    def ease(self) -> Ease | None:
        """Plain words are no findings and begin none, unless something before them still goes on."""
        if not self._passes_words or _trigger(self._text) is not None:
            return None
        return Ease(_ROOM, self._text[self._done :])

    def whole(self, text: str) -> str:
        """All of a text at once: the same as feeding and flushing it, with one look instead of two."""
        self._text = text
        return self._act_on(self._find(text), len(text)) if text else ""

    def flush(self) -> str:
        """The rest."""
        if self._done == len(self._text):
            return ""
        return self._judge(len(self._text))

    def _judge(self, end: int) -> str:
        whole, done = self._text, self._done
        if end <= done:
            return ""
        if self._passes_words and len(whole) - done < 16 and _trigger(whole) is None:
            return self._release(end)
        return self._act_on(self._find(whole), end)

    def _act_on(self, findings: list[Finding], end: int) -> str:
        if not findings:
            return self._release(end)
        whole, done = self._text, self._done
        findings.sort(key=lambda one: (one.start, -one.end))
        pieces: list[str] = []
        at = done
        for one in findings:
            if one.start < at or one.start >= end:
                continue
            if self._is_known(whole[one.start : one.end], one.category):
                continue
            replacement = self._act(one)
            if self.rejected is not None:
                return ""
            if replacement is not None:
                pieces += (whole[at : one.start], replacement)
                at = one.end
        end = max(end, at)
        pieces.append(whole[at:end])
        self._release(end)
        return "".join(pieces)

    def _act(self, one: Finding) -> str | None:
        start, end = self._base + one.start, self._base + one.end
        value = self._text[one.start : one.end]
        replacement = f"[{one.label}]"
        if one.category in _HIDDEN:
            self._exchange.redactions.setdefault(value, replacement)
        verdict = self._ask(self._exchange, one, value, start, end)
        self.verdicts.append(verdict)
        if verdict.action == "block":
            self.rejected = one.rule
            return None
        if verdict.action not in ("mask", "redact"):
            return None
        self.edits.append(
            Edit(start=start, end=end, text=replacement, before=value, rule=one.rule,
                 reason=f"{one.label.replace('_', ' ').lower()} that the caller did not bring was removed",
                 confidence=one.score)
        )  # fmt: skip
        return replacement

    def _is_known(self, value: str, category: str) -> bool:
        """Whether the caller sent this value, or the operator's passages hold it."""
        if category not in ("personal_data", "offense"):
            return False
        exchange = self._exchange
        return any(value in text.original for text in exchange.request.texts) or any(
            value in passage.text for passage in exchange.passages
        )

    def _release(self, end: int) -> str:
        whole = self._text
        released = whole[self._done : end]
        drop = end - CONTEXT
        if drop > CONTEXT:
            # Keep whole words, so that a span never begins in the middle of one.
            drop = max(whole.rfind(" ", 0, drop), whole.rfind("\n", 0, drop)) + 1
            self._text = whole[drop:]
            self._base += drop
            self._done = end - drop
        else:
            self._done = end
        return released


def _is_prose(text: str) -> bool:
    """Whether a text is of words alone that are neither long nor oddly capitalised."""
    if _unusual(text) is not None and _suspicious(text) is not None:
        return False
    return len(max(text.split(" "), key=len)) <= _LONG_WORD
