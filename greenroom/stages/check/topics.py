"""`topics`: what may be talked about, and what not, by words and by examples; names of others, too.

Looks at the newest message of the user, since earlier ones were checked when they came. Without a topic in
its table the step is left out. Says nothing of intent: a topic is there when its words are.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from greenroom.contracts import Decide, Decision, Finding, StepConfig, as_usual, verdict_of
from greenroom.errors import ConfigError
from greenroom.exchange import Action, Edit, Exchange, Reply, Stage, StepRecord, Text
from greenroom.stages.check.likeness import Examples, stems_of
from greenroom.stages.check.phrases import Entry, PhraseDetector
from greenroom.stages.check.refusal import SENTENCES, Refusals, refusal_language

_FOLLOWS_UP = 4
"""A message of so few words that say something is taken to go on with what was said before."""
_SMALL_TALK = 1

Direction = Literal["input", "output"]


class Topic(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A topic, or a list of names such as those of competitors."""

    words: tuple[str, ...] = ()
    """Words and phrases, on word edges, whatever their case and accents; `*` at the end for any ending."""
    examples: tuple[str, ...] = ()
    """Questions of this topic; a sentence like one of them is of it too. For prompts only."""
    severity: Annotated[int, Meta(ge=0, le=10)] = 2
    action: Action | None = None
    """Otherwise the step's."""
    direction: tuple[Direction, ...] = ("input", "output")
    """Prompts, answers, or both."""
    en: str = ""
    """What users are told that the topic is, by language; otherwise its name."""
    pt: str = ""
    es: str = ""


class TopicsConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.topics]: what may be talked about, and what not; without topics nothing is looked for."""

    deny: dict[str, Topic] = field(default_factory=dict)
    """Topics that are not talked about, and names that are not said."""
    allow: dict[str, Topic] = field(default_factory=dict)
    """If there are any, nothing else is talked about."""
    action: Action = "block"
    """What happens, where a topic does not say: block, redact (mask is the same here), warn, log, route."""
    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """How like an example a sentence must be: the share of words in common, 0 to 1."""
    on_error: Literal["allow", "refuse"] = "refuse"


class Topics:
    """Refuses, redacts or reports denied topics, and whatever is not of the allowed ones."""

    name = "topics"
    stage: Stage = "check"

    def __init__(
        self, config: TopicsConfig, decide: Decide = as_usual, refusals: Refusals = SENTENCES
    ) -> None:
        self._config = config
        self._decide = decide
        self._refusals = refusals
        self._applies = config.mode == "apply"
        self._denied = _detector(config, "input")
        self._denied_like = {
            name: Examples(topic.examples)
            for name, topic in config.deny.items()
            if topic.examples and "input" in topic.direction
        }
        self._allowed = PhraseDetector([
            Entry(word, f"topic.{name}", "", "topic")
            for name, topic in config.allow.items() for word in topic.words
        ])  # fmt: skip
        self._allowed_like = Examples([one for topic in config.allow.values() for one in topic.examples])
        self.output_detector = _detector(config, "output")
        """What `guard` looks for in answers."""

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Look at the newest message of the user; None, or the refusal."""
        record = exchange.steps[-1]
        record.notes["score"] = 0.0
        newest = exchange.request.newest_user
        if newest is None:
            return None
        refused: str | None = None
        for text in exchange.request.texts:
            if text.index == newest.index and text.kind == "content":
                name = self._look_at(exchange, record, text)
                refused = refused or name
        if refused is not None:
            topic = _said(self._config.deny[refused], refused, exchange)
            return self._refusal(exchange, "topic", topic)
        if self._config.allow and self._strays(exchange, record, newest):
            names = ", ".join(_said(topic, name, exchange) for name, topic in self._config.allow.items())
            return self._refusal(exchange, "off_topic", names)
        return None

    def _refusal(self, exchange: Exchange, category: str, topic: str) -> Reply:
        return Reply(refusal=self._refusals.sentence(exchange, category, topic), step=self.name)

    def _look_at(self, exchange: Exchange, record: StepRecord, text: Text) -> str | None:
        """Note what is denied, take out what is to be; the name of a topic to refuse for."""
        refused: str | None = None
        edits: list[Edit] = []
        for one in self._found(record, text.value):
            action = self._judge(exchange, record, text, one).action
            if action == "block":
                refused = refused or one.rule.removeprefix("topic.")
            elif action in ("redact", "mask"):
                edits.append(
                    Edit(start=one.start, end=one.end, text=f"[{one.label}]", rule=one.rule,
                         confidence=one.score, reason="is not talked about here", applied=self._applies)
                )  # fmt: skip
        if edits:
            record.changes.append(text.edit(edits))
        return refused if self._applies else None

    def _found(self, record: StepRecord, value: str) -> list[Finding]:
        """What words show, and sentences like an example where no word does."""
        findings = self._denied.find(value)
        stems = frozenset(stems_of(value)) if self._denied_like else frozenset()
        for name, examples in self._denied_like.items():
            like = examples.best(value, stems)
            if like.score < self._config.threshold:
                record.notes["score"] = max(float(str(record.notes["score"])), like.score)
                continue
            record.notes[f"like.{name}"] = {
                "example": like.example, "words": list(like.common), "score": round(like.score, 3),
            }  # fmt: skip
            if not any(one.start < like.end and like.start < one.end for one in findings):
                topic = self._config.deny[name]
                findings.append(_finding(name, topic, self._config, like.start, like.end, like.score))
        findings.sort(key=lambda one: one.start)
        return findings

    def _judge(self, exchange: Exchange, record: StepRecord, text: Text, one: Finding) -> Decision:
        usual = one.action or self._config.action
        decision = self._decide(exchange, self.name, one, "input", usual, text.value[one.start : one.end])
        start, end = text.to_original(one.start), text.to_original(one.end, is_end=True)
        record.verdicts.append(verdict_of(self.name, one, decision, "input", start, end, text.index))
        record.notes["score"] = max(float(str(record.notes["score"])), one.score)
        return decision

    def _strays(self, exchange: Exchange, record: StepRecord, newest: Text) -> bool:
        """Whether the message is of none of the allowed topics, and is to be refused for it.

        Greetings pass, and so do short messages that go on with an allowed topic.
        """
        said = len(stems_of(newest.value))
        if said <= _SMALL_TALK or self._is_allowed(newest.value):
            return False
        if said <= _FOLLOWS_UP and any(
            text.role == "user" and text.index != newest.index and self._is_allowed(text.value)
            for text in exchange.request.texts
        ):
            return False
        one = Finding(
            start=0, end=len(newest.value), rule="topic.off", label="OFF_TOPIC", category="topic", severity=1
        )
        return self._judge(exchange, record, newest, one).action == "block" and self._applies

    def _is_allowed(self, value: str) -> bool:
        if self._allowed.find(value):
            return True
        return self._allowed_like.best(value).score >= self._config.threshold


def _detector(config: TopicsConfig, direction: Direction) -> PhraseDetector:
    """The words of the denied topics of a direction. Raises: ConfigError."""
    for name, topic in {**config.deny, **config.allow}.items():
        if not topic.words and not topic.examples:
            raise ConfigError(f"[steps.topics] topic '{name}' has neither words nor examples.")
    try:
        return PhraseDetector([
            Entry(word, f"topic.{name}", _label(name), "topic", topic.severity, _usual(topic, config))
            for name, topic in config.deny.items() if direction in topic.direction for word in topic.words
        ])  # fmt: skip
    except ValueError as error:
        raise ConfigError(f"[steps.topics] {error}") from error


def _finding(name: str, topic: Topic, config: TopicsConfig, start: int, end: int, score: float) -> Finding:
    return Finding(
        start=start, end=end, rule=f"topic.{name}", label=_label(name), category="topic", score=score,
        severity=topic.severity, action=_usual(topic, config),
    )  # fmt: skip


def _usual(topic: Topic, config: TopicsConfig) -> Action:
    return topic.action or config.action


def _label(name: str) -> str:
    return name.upper().replace(" ", "_").replace("-", "_")


def _said(topic: Topic, name: str, exchange: Exchange) -> str:
    return str(getattr(topic, refusal_language(exchange))) or name.replace("_", " ")
