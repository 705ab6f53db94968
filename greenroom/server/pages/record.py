"""The record as the pages read it: every field optional, so that traces of older versions open too.

Knows the record's JSON and nothing of how it is stored.
"""

from typing import Any

import msgspec
from msgspec import Struct, field

from greenroom.exchange import NOT_CALLED

_FOREIGN = frozenset({"request", "sent"})
"""Bodies of others, kept as they are."""


class EditView(Struct, kw_only=True):
    """One replacement; `start` and `end` count in the text as it came."""

    start: int = 0
    end: int = 0
    text: str = ""
    reason: str = ""
    before: str = ""
    rule: str = ""
    confidence: float = 1.0
    applied: bool = True


class ChangeView(Struct, kw_only=True):
    """What one step did to one text."""

    role: str = ""
    index: int = -1
    part: int | None = None
    before: str = ""
    after: str = ""
    edits: list[EditView] = field(default_factory=list)


class VerdictView(Struct, kw_only=True):
    """One finding of a judge."""

    step: str = ""
    rule: str = ""
    category: str = ""
    severity: int = 0
    score: float | None = None
    start: int = 0
    end: int = 0
    where: str = ""
    action: str = ""
    index: int | None = None
    policy: str = ""
    shadow: str = ""
    would: str | None = None


class StepView(Struct, kw_only=True):
    """What one step did; `ms` is its time in milliseconds."""

    stage: str = ""
    step: str = ""
    ms: float = 0.0
    outcome: str = "unchanged"
    changes: list[ChangeView] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)  # Any: each step notes what it likes
    verdicts: list[VerdictView] = field(default_factory=list)


class AttemptView(Struct, kw_only=True):
    """One call to one target."""

    target: str = ""
    status: int | None = None
    error: str | None = None
    ms: float = 0.0
    cost_usd: str | None = None
    """What was paid for it though its answer was not given."""

    @property
    def is_call(self) -> bool:
        """Whether anybody was called: a budget or an open circuit keeps an attempt at home."""
        return self.status is not None or self.error not in NOT_CALLED


class ModelView(Struct, kw_only=True):
    """Which model was asked for, which answered, and why."""

    asked: str | None = None
    used: str | None = None
    attempts: list[AttemptView] = field(default_factory=list)
    why: str | None = None

    @property
    def is_called(self) -> bool:
        """Whether a model was called at all."""
        return any(one.is_call for one in self.attempts)


class LanguageView(Struct, kw_only=True):
    """The language of the newest user text."""

    code: str = ""
    confidence: float = 0.0

    @property
    def told(self) -> str:
        """The code, "" where nothing told it."""
        return "" if self.code == "und" else self.code


class EntityView(Struct, kw_only=True):
    """A named thing in the prompt."""

    text: str = ""
    type: str = ""
    value: str = ""


class PassageView(Struct, kw_only=True):
    """A piece of a document put before the model."""

    id: str = ""
    document: str = ""
    title: str = ""
    text: str = ""
    score: float | None = None
    cited: bool = False


class RecalledView(Struct, kw_only=True):
    """An earlier turn or fact brought back."""

    session: str | None = None
    turn: int | None = None
    at: str | None = None
    text: str = ""
    score: float | None = None


class UsageView(Struct, kw_only=True):
    """Tokens as billed, or counted here when `estimated`."""

    input_tokens: int | None = None
    cached_tokens: int = 0
    output_tokens: int | None = None
    reasoning_tokens: int = 0
    estimated: bool = False


class TimingView(Struct, kw_only=True):
    """Milliseconds."""

    total: float | None = None
    overhead: float | None = None
    first_token: float | None = None
    per_output_token: float | None = None


class PromptView(Struct, kw_only=True):
    """The version of the prompt that was filled."""

    name: str | None = None
    version: str | int | None = None


class ScoreView(Struct, kw_only=True):
    """What somebody said of it."""

    name: str = ""
    value: float = 0.0
    comment: str = ""
    source: str = ""
    at: str = ""
    correction: str = ""


class TraceView(Struct, kw_only=True):
    """The trace it belongs to, and the caller's span in it."""

    id: str = ""
    parent: str | None = None


class ReplyView(Struct, kw_only=True):
    """What the model said and what went out."""

    raw: str | None = None
    text: str | None = None


class Record(Struct, kw_only=True):
    """One exchange, as `GET /api/traces/{id}` answers it; a list row is the same with fewer fields."""

    id: str
    created_at: str = ""
    project: str = ""
    key: str | None = None
    app: str = ""
    surface: str = "chat"
    session: str | None = None
    user: str | None = None
    tags: dict[str, Any] | None = None  # Any: shown as text whatever it is
    model: ModelView = field(default_factory=ModelView)
    language: LanguageView | None = None
    stages: list[StepView] = field(default_factory=list)
    entities: list[EntityView] = field(default_factory=list)
    passages: list[PassageView] = field(default_factory=list)
    recalled: list[RecalledView] = field(default_factory=list)
    verdicts: list[VerdictView] = field(default_factory=list)
    usage: UsageView | None = None
    cost_usd: str | None = None
    cache: str | None = None
    dropped: list[str] = field(default_factory=list)
    outcome: str = "open"
    error: str | None = None
    finish_reason: str | None = None
    timing_ms: TimingView = field(default_factory=TimingView)
    prompt: PromptView | None = None
    request: Any = None  # Any: the caller's own JSON
    sent: Any = None  # Any: what the model got, as JSON
    reply: ReplyView | None = None
    scores: list[ScoreView] = field(default_factory=list)
    trace: TraceView | None = None
    preview: str = ""

    @property
    def all_verdicts(self) -> list[VerdictView]:
        """The record's verdicts, or those of its steps where the list of all was not written."""
        return self.verdicts or [one for step in self.stages for one in step.verdicts]

    def newest_user(self) -> tuple[int, str]:
        """Return the place and text of the newest user message, or (-1, "")."""
        messages = _messages(self.request)
        for index in range(len(messages) - 1, -1, -1):
            message = messages[index]
            if isinstance(message, dict) and message.get("role") == "user":
                return index, message_text(message)
        return -1, ""

    def text_of(self, index: int) -> str:
        """Return the text of message `index`; -1 is what the model said."""
        if index < 0:
            return (self.reply.raw or self.reply.text or "") if self.reply else ""
        messages = _messages(self.request)
        return message_text(messages[index]) if index < len(messages) else ""


def read_record(row: dict[str, Any]) -> Record | None:
    """Return the record behind its JSON form, or None when its shape is one this version does not know."""
    kept = {
        name: value if name in _FOREIGN else _without_nulls(value)
        for name, value in row.items()
        if value is not None
    }
    if isinstance(kept.get("language"), str):
        kept["language"] = {"code": kept["language"]}
    try:
        return msgspec.convert(kept, Record, strict=False)
    except msgspec.ValidationError:
        return None


def _without_nulls(value: Any) -> Any:  # Any: JSON
    """Leave out what is null, so that it takes the default of its field."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value


def message_text(message: Any) -> str:  # Any: a message as the caller wrote it
    """Return the text of a chat message, its text parts joined by line ends."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _messages(body: Any) -> list[Any]:  # Any: the caller's own JSON
    messages = body.get("messages") if isinstance(body, dict) else None
    return messages if isinstance(messages, list) else []
