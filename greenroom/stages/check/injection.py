"""`injection`: texts that try to give the model orders of their own, with one score for each.

Direct in what users write, indirect in passages and tool results, whatever the disguise (`reading`). Signs
(`attacks`) and an n-gram classifier over sentences and windows (`ngrams`) make one score from 0 to 1. What a
user writes is blocked or warned of; a passage that tries it is dropped and named, a tool result replaced by a
notice, and the request goes on. Which texts are looked at: see `judging`. Knows no meaning: an attack told as
a story in words nobody used before gets past, and so may a long document with one odd sentence.
"""

from collections.abc import Iterable
from typing import Annotated, Literal, Protocol, cast

from msgspec import Meta

from greenroom.contracts import Decide, Finding, StepConfig, as_usual, verdict_of
from greenroom.exchange import Action, Edit, Exchange, Passage, Reply, Stage, StepRecord, Text, Where
from greenroom.stages.check.canary import Canary
from greenroom.stages.check.judging import Assessment, Engine, assessed, fresh
from greenroom.stages.check.mask import contents
from greenroom.stages.check.refusal import SENTENCES, Language, Refusals, refusal_language

Share = Annotated[float, Meta(ge=0, le=1)]


class InjectionConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.injection]: from which score on a text counts as an attack, by where it comes from."""

    engine: Engine = "full"
    """"full", or "rules": phrases alone, no classifier, for the shortest path."""
    warn: Share = 0.65
    """From here on a finding is recorded."""
    block: Share = 0.8
    """From here on a user's message is refused: some 0.5 % false alarms."""
    passage: Share = 0.8
    """From here on a passage is dropped, and what another step put in is replaced by a notice."""
    tool: Share = 0.8
    """From here on a tool's result is replaced by a notice."""
    canary: bool = False
    """Put a mark into the system message that `guard` looks for in the answer."""
    on_error: Literal["allow", "refuse"] = "refuse"  # what could not be looked at is not let through


_NOTICES: dict[Language, str] = {
    "en": "[Left out: this text tried to give the assistant orders.]",
    "pt": "[Retirado: este texto tentava dar ordens ao assistente.]",
    "es": "[Retirado: este texto intentaba dar órdenes al asistente.]",
}


class Placed(Protocol):
    """What the step `documents` leaves, as far as a check needs it."""

    def drop(self, exchange: Exchange, ids: frozenset[str]) -> None:
        """Take passages out of the exchange and of the request."""
        ...


class Injection:
    """Refuses, warns, drops or replaces by where an injected instruction stands and how sure it is one."""

    name = "injection"
    stage: Stage = "check"

    def __init__(
        self,
        config: InjectionConfig,
        decide: Decide = as_usual,
        canary: Canary | None = None,
        refusals: Refusals = SENTENCES,
    ) -> None:
        self._refusals = refusals
        self._config = config
        self._decide = decide
        self._applies = config.mode == "apply"
        self._canary = canary if config.canary and self._applies else None

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Look at what is new; None, or the refusal."""
        record = exchange.steps[-1]
        record.notes["score"] = 0.0
        texts = fresh(exchange.request)
        engine = self._config.engine
        is_refused = False
        if texts:
            values = [text.value for text in texts]
            for text, found in zip(texts, await assessed(exchange, values, engine), strict=True):
                is_refused |= self._judge(exchange, record, text, found)
        if exchange.passages:
            is_refused |= await self._judge_passages(exchange, record)
        if exchange.request.added:
            is_refused |= await self._judge_added(exchange, record)
        if self._canary is not None:
            self._canary.put(exchange, record)
        if is_refused and self._applies:
            return Reply(refusal=self._refusals.sentence(exchange, "injection"), step=self.name)
        return None

    def _judge(self, exchange: Exchange, record: StepRecord, text: Text, found: Assessment) -> bool:
        is_tool = text.role in ("tool", "function")
        usual = (
            self._usual(found, "redact", self._config.tool)
            if is_tool
            else self._usual(found, "block", self._config.block)
        )
        if usual is None:
            _note(record.notes, found)
            return False
        where: Where = "tool" if is_tool else "input"
        start, end = (
            text.to_original(found.injection.start),
            text.to_original(found.injection.end, is_end=True),
        )
        action = self._found(exchange, record, found, (start, end), where, text.index, usual)
        if action in ("redact", "mask"):
            span = (0, len(text.value)) if is_tool else (found.injection.start, found.injection.end)
            record.changes.append(text.edit([self._edit(exchange, text.value, span)]))
        return action == "block"

    async def _judge_passages(self, exchange: Exchange, record: StepRecord) -> bool:
        passages = exchange.passages
        all_found = await assessed(exchange, [one.text for one in passages], self._config.engine)
        dropped: list[Passage] = []
        is_refused = False
        for index, (passage, found) in enumerate(zip(passages, all_found, strict=True)):
            span = (found.injection.start, found.injection.end)
            usual = self._usual(found, "redact", self._config.passage)
            action = self._found(exchange, record, found, span, "passage", index, usual)
            is_refused |= action == "block"
            if action in ("redact", "mask"):
                dropped.append(passage)
        if dropped:
            record.notes["dropped"] = [f"{one.document}, {one.title}" for one in dropped]
            placed = exchange.context.get("documents")
            if self._applies and placed is not None:
                cast("Placed", placed).drop(exchange, frozenset(one.id for one in dropped))
        return is_refused

    async def _judge_added(self, exchange: Exchange, record: StepRecord) -> bool:
        """What steps put in (memories), but for the passages, which were judged one by one."""
        shown = [passage.text for passage in exchange.passages]
        parts = [
            (index, str(message.get("role", "")), value, replace)
            for index, message in exchange.request.added
            if message.get("role") not in ("user", "assistant")
            for value, replace in contents(message)
            if not any(one and one in value for one in shown)
        ]
        all_found = await assessed(exchange, [part[2] for part in parts], self._config.engine)
        is_refused = False
        for (index, role, value, replace), found in zip(parts, all_found, strict=True):
            usual = self._usual(found, "redact", self._config.passage)
            span = (found.injection.start, found.injection.end)
            action = self._found(exchange, record, found, span, "passage", index, usual)
            is_refused |= action == "block"
            if action in ("redact", "mask"):
                carrier = Text(index, role, value)
                record.changes.append(carrier.edit([self._edit(exchange, value, (0, len(value)))]))
                if self._applies:
                    replace(carrier.value)
        return is_refused

    def _usual(self, found: Assessment, action: Action, bound: float) -> Action | None:
        """None: no finding."""
        score = found.injection.score
        return action if score >= bound else "warn" if score >= self._config.warn else None

    def _found(
        self, exchange: Exchange, record: StepRecord, found: Assessment, span: tuple[int, int],
        where: Where, index: int, usual: Action | None,
    ) -> Action | None:  # fmt: skip
        """Write one text's score, and its finding if it is one; what is done about it."""
        judged = found.injection
        notes = record.notes
        _note(notes, found)
        if usual is None:
            return None
        against = [one for one in judged.signs if one != "about"]
        rule = f"injection.{against[0] if against else 'ngrams'}"
        severity = 3 if judged.score >= self._config.block else 2
        finding = Finding(
            start=span[0], end=span[1], rule=rule, label="INJECTION", category="injection",
            score=round(judged.score, 4), severity=severity,
        )  # fmt: skip
        decision = self._decide(exchange, self.name, finding, where, usual)
        action = decision.action
        shown = decision if self._applies else decision._replace(action="log")
        record.verdicts.append(verdict_of(self.name, finding, shown, where, *span, index))
        _add(notes, "signs", against)
        if judged.reading:
            _add(notes, "read_as", (judged.reading,))
        return action

    def _edit(self, exchange: Exchange, value: str, span: tuple[int, int]) -> Edit:
        start, end = span
        return Edit(
            start=start, end=end, text=_NOTICES[refusal_language(exchange)], before=value[start:end],
            rule="injection", reason="tried to give the assistant orders", applied=self._applies,
        )  # fmt: skip


def _note(notes: dict[str, object], found: Assessment) -> None:
    """The highest score so far, and what had to be undone."""
    score = round(found.injection.score, 4)
    known = notes["score"]
    assert isinstance(known, float)
    if score > known:
        notes["score"] = score
    if found.disguises:
        _add(notes, "disguises", found.disguises)


def _add(notes: dict[str, object], key: str, values: Iterable[str]) -> None:
    known = notes.setdefault(key, [])
    assert isinstance(known, list)
    known += [one for one in values if one not in known]
