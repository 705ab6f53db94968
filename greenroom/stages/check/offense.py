"""`offense`: insults, hatred, threats and the like in what users write, with a category and a severity.

Lists and phrases (`insults`) and an n-gram classifier make one score from 0 to 1. Severity 1 is coarse, 2 an
insult, 3 hatred, a threat or a call to hurt oneself; 3 is refused, the rest recorded. A list word that is
quoted, spoken about or part of technical talk is no finding. Only what is new from users is looked at (see
`judging`): documents and tool results are data. Knows no irony and no reclaimed words beyond their context.
"""

from typing import Annotated, Literal

from msgspec import Meta

from greenroom.contracts import Decide, Finding, StepConfig, as_usual, verdict_of
from greenroom.exchange import Action, Edit, Exchange, Reply, Stage, StepRecord, Text
from greenroom.stages.check.insults import word_list
from greenroom.stages.check.judging import Assessment, Engine, assessed, fresh
from greenroom.stages.check.reading import fold
from greenroom.stages.check.refusal import SENTENCES, Refusals

_UNSURE = 0.8
"""Below this score a hateful word has severity 2 only: groups use some of them for themselves."""


class OffenseConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.offense]: from which score on a text is offensive, and what is refused."""

    engine: Engine = "full"
    """"full", or "rules": lists alone, no classifier, for the shortest path."""
    warn: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """From this score on a finding is recorded."""
    block: Literal[1, 2, 3, 4] = 3
    """From this severity on a message is refused; 4: none is."""
    on_error: Literal["allow", "refuse"] = "refuse"  # what could not be looked at is not let through


class Offense:
    """Refuses severity 3 and records the rest, unless a policy says otherwise."""

    name = "offense"
    stage: Stage = "check"

    def __init__(
        self, config: OffenseConfig, decide: Decide = as_usual, refusals: Refusals = SENTENCES
    ) -> None:
        self._refusals = refusals
        self._config = config
        self._decide = decide
        self._applies = config.mode == "apply"

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Look at what users newly wrote; None, or the refusal."""
        record = exchange.steps[-1]
        record.notes["score"] = 0.0
        texts = [text for text in fresh(exchange.request) if text.role == "user"]
        refused = ""
        if texts:
            values = [text.value for text in texts]
            for text, found in zip(texts, await assessed(exchange, values, self._config.engine), strict=True):
                refused = self._judge(exchange, record, text, found) or refused
        if refused and self._applies:
            return Reply(refusal=self._refusals.sentence(exchange, refused), step=self.name)
        return None

    def _judge(self, exchange: Exchange, record: StepRecord, text: Text, found: Assessment) -> str:
        """Write down what was found; the category to refuse for, or nothing."""
        judged = found.offense
        known = record.notes["score"]
        assert isinstance(known, float)
        record.notes["score"] = max(known, round(judged.score, 4))
        if judged.score < self._config.warn:
            return ""
        category, severity = self._kind(found)
        finding = Finding(
            start=judged.start, end=judged.end, rule=f"offense.{category}", label="OFFENSE",
            category=category, score=round(judged.score, 4), severity=severity,
        )  # fmt: skip
        usual: Action = "block" if severity >= self._config.block else "warn"
        value = text.value[judged.start : judged.end]
        decision = self._decide(exchange, self.name, finding, "input", usual, value)
        action = decision.action
        shown = decision if self._applies else decision._replace(action="log")
        start, end = text.to_original(judged.start), text.to_original(judged.end, is_end=True)
        record.verdicts.append(verdict_of(self.name, finding, shown, "input", start, end, text.index))
        if action in ("mask", "redact"):
            record.changes.append(text.edit(self._edits(text.value, found)))
        return category if action == "block" else ""

    def _kind(self, found: Assessment) -> tuple[str, int]:
        """Category and severity of the gravest word; where there is none, an insult by how sure it is."""
        if not found.words:
            return "insult", 2 if found.offense.score >= _UNSURE else 1
        gravest = max(found.words, key=lambda one: one.severity)
        if gravest.category == "hate" and found.offense.score < _UNSURE:
            return gravest.category, 2
        return gravest.category, gravest.severity

    def _edits(self, value: str, found: Assessment) -> list[Edit]:
        spans = [(one.start, one.end) for one in found.words] or [(found.offense.start, found.offense.end)]
        return [
            Edit(start=start, end=end, text="***", before=value[start:end], rule="offense",
                 reason="is offensive", confidence=found.offense.score, applied=self._applies)
            for start, end in _apart(spans)
        ]  # fmt: skip


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted and without overlap: words of a decoded stretch all stand where it stands."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


_LONGEST = 64
"""No phrase of the list is longer, its ending and what stands around it included."""


class OffenseDetector:
    """List words of severity 2 and 3 in an answer: a `Detector` for `guard`. Lists alone, no disguises."""

    passes_words = False

    def find(self, text: str) -> list[Finding]:
        """All list words, sorted."""
        return [
            Finding(start=one.start, end=one.end, rule=f"offense.{one.category}", label="OFFENSE",
                    category="offense", severity=one.severity)
            for one in word_list(2)(fold(text))
        ]  # fmt: skip

    def safe_end(self, text: str) -> int:
        """Where a word or phrase may still begin."""
        return max(0, len(text) - _LONGEST)
