"""The waist: the one object that flows through Greenroom, and its parts.

Knows msgspec and what a stream's source promises. Steps read and change an `Exchange`; the recorder stores
it; pages show it. All offsets are code points, end excluded.
"""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from time import time_ns
from typing import Literal

from msgspec import Raw, Struct, field

from greenroom.wire.source import Source

Stage = Literal["preprocess", "ground", "check", "postprocess"]
StepOutcome = Literal["unchanged", "changed", "refused", "failed", "skipped"]
Outcome = Literal["open", "answered", "cached", "refused", "failed", "cancelled"]
Where = Literal["input", "passage", "tool", "output"]
Action = Literal["mask", "redact", "block", "warn", "log", "route"]


class Edit(Struct, kw_only=True):
    """One replacement in a text; `start` and `end` count in the text as it came."""

    start: int
    end: int
    text: str
    reason: str
    before: str = ""
    rule: str = ""
    confidence: float = 1.0
    applied: bool = True


class Change(Struct, kw_only=True):
    """What one step did to one text. `index` is the message's place in the request, -1 the reply."""

    role: str
    index: int
    before: str
    after: str
    edits: list[Edit]
    part: int | None = None


class Verdict(Struct, kw_only=True):
    """One finding of a judge; offsets count in the original text of message `index` (-1: the reply)."""

    step: str
    rule: str
    category: str
    severity: int
    score: float
    start: int
    end: int
    where: Where
    action: Action
    index: int = -1


class StepRecord(Struct):
    """What one step did in this exchange."""

    stage: Stage
    step: str
    ns: int = 0
    outcome: StepOutcome = "unchanged"
    changes: list[Change] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)


class Entity(Struct, kw_only=True):
    """A named thing in message `index`."""

    text: str
    type: str
    start: int
    end: int
    index: int = -1


class Passage(Struct, kw_only=True):
    """A piece of a document put before the model."""

    id: str
    document: str
    title: str
    text: str
    score: float
    cited: bool = False
    start: int = 0
    """Where the piece begins in the document's text."""


class Usage(Struct, kw_only=True):
    """Tokens as billed; `estimated` when we counted, because the provider did not."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


class Attempt(Struct, kw_only=True):
    """One call to one target."""

    target: str
    status: int | None = None
    error: str | None = None
    ns: int = 0


class Caller(Struct, kw_only=True, frozen=True):
    """Who asks. Never holds the key itself."""

    key_id: str
    project: str = "default"
    role: Literal["app", "viewer", "operator", "admin"] = "app"
    apps: tuple[str, ...] = ()
    """Apps and models this key may ask for; empty means all."""
    pipeline_off: bool = False


class Text:
    """One piece of prose in a request that steps may read and rewrite, with its way back to the original.

    `part` is the place in a content list, or None for a plain string. `kind` "arguments" is the JSON text of
    a tool call: masks may be put in, prose rules must leave it alone.
    """

    __slots__ = ("_layers", "index", "kind", "original", "part", "role", "value")

    def __init__(
        self,
        index: int,
        role: str,
        value: str,
        part: int | None = None,
        kind: Literal["content", "arguments"] = "content",
    ) -> None:
        self.index = index
        self.role = role
        self.value = value
        self.original = value
        self.part = part
        self.kind = kind
        self._layers: list[list[tuple[int, int, int]]] = []

    def to_original(self, position: int, *, is_end: bool = False) -> int:
        """Map a position in `value` to one in `original`.

        Inside a replaced stretch the answer is the stretch's start, or its end with `is_end`.
        """
        for layer in reversed(self._layers):
            position = _step_back(layer, position, is_end)
        return position

    def edit(self, edits: list[Edit]) -> Change:
        """Apply `edits` (sorted, not overlapping, counted in the current `value`) and say what changed.

        The edits of the returned `Change` count in `original`. Edits with `applied=False` are only recorded.
        """
        before = self.value
        pieces: list[str] = []
        layer: list[tuple[int, int, int]] = []
        noted: list[Edit] = []
        at = 0
        for one in edits:
            noted.append(
                Edit(
                    start=self.to_original(one.start),
                    end=self.to_original(one.end, is_end=True),
                    text=one.text,
                    reason=one.reason,
                    before=one.before or before[one.start : one.end],
                    rule=one.rule,
                    confidence=one.confidence,
                    applied=one.applied,
                )
            )
            if one.applied:
                pieces.append(before[at : one.start])
                pieces.append(one.text)
                layer.append((one.start, one.end, len(one.text)))
                at = one.end
        if layer:
            pieces.append(before[at:])
            self.value = "".join(pieces)
            self._layers.append(layer)
        return Change(
            role=self.role, index=self.index, part=self.part, before=before, after=self.value, edits=noted
        )


def _step_back(layer: list[tuple[int, int, int]], position: int, is_end: bool) -> int:
    shift = 0
    for start, end, length in layer:
        new_start = start + shift
        if position <= new_start and not (is_end and position == new_start and length == 0):
            break
        if position < new_start + length or (is_end and position == new_start + length):
            return end if is_end else start
        shift += length - (end - start)
    return position - shift


class ChatRequest:
    """The body as it came, the parts that are looked at, and what was changed.

    Made by `greenroom.wire.openai.parse_chat`. `body()` answers `raw` itself while nothing was changed,
    otherwise the same fields with ours replaced and unknown ones kept byte for byte.
    """

    __slots__ = (
        "added",
        "fields",
        "has_tools",
        "include_usage",
        "max_tokens",
        "metadata",
        "model",
        "n",
        "raw",
        "response_format",
        "roles",
        "stream",
        "texts",
        "user",
    )

    def __init__(self, raw: bytes, model: str) -> None:
        self.raw = raw
        self.model = model
        self.stream = False
        self.include_usage = False
        self.n = 1
        self.max_tokens: int | None = None
        self.has_tools = False
        self.response_format: str | None = None
        self.user: str | None = None
        self.metadata: dict[str, object] | None = None
        self.roles: list[str] = []
        """The role of each message, in order."""
        self.texts: list[Text] = []
        self.added: list[tuple[int, dict[str, object]]] = []
        """Messages put in by ground steps: (before which original message, message)."""
        self.fields: dict[str, Raw | bytes] = {}
        """Top-level fields set by steps: name → encoded value; an empty value removes the field."""

    @property
    def newest_user(self) -> Text | None:
        """The last text of the newest user message."""
        for text in reversed(self.texts):
            if text.role == "user":
                return text
        return None


class Reply(Struct, kw_only=True):
    """What goes back: a whole body in the OpenAI chat dialect, or pieces of a stream of the same.

    `chunks` yields lists of encoded `chat.completion.chunk` objects as they arrived, without SSE framing
    and without `[DONE]`; it raises `UpstreamError` when the stream ends without its proper end. Where there
    is a `source`, the rest can be had from it without waiting for each piece.
    """

    body: bytes = b""
    chunks: AsyncIterator[list[bytes]] | None = None
    source: Source | None = None
    status: int = 200
    refusal: str | None = None
    """Set when a step answered instead of the model: the sentence for the user."""
    step: str | None = None
    """The step that refused."""
    first: list[bytes] = field(default_factory=list)
    """Pieces of a stream that were waited for already: they come before those of `chunks`."""
    view: object = None
    """The decoded body, by the dialect that read it, so that it is decoded once."""
    close: Callable[[], None] | None = None


class Exchange:
    """One call through the gateway, from the first byte read to the last byte sent."""

    __slots__ = (
        "app",
        "asked",
        "attempts",
        "caller",
        "context",
        "cost_nano_usd",
        "created_ns",
        "deadline",
        "documents",
        "entities",
        "error",
        "finish_reason",
        "first_token_ns",
        "id",
        "inspect",
        "language",
        "masks",
        "model_ns",
        "outcome",
        "passages",
        "recalled",
        "redactions",
        "reply_raw",
        "reply_text",
        "request",
        "sent",
        "session",
        "status",
        "steps",
        "tags",
        "target",
        "total_ns",
        "usage",
        "user",
        "why",
    )

    def __init__(self, id: str, caller: Caller, request: ChatRequest, app: str) -> None:
        self.id = id
        self.caller = caller
        self.request = request
        self.app = app
        self.asked = request.model
        self.created_ns = time_ns()
        self.deadline = 0.0
        """Monotonic loop time, in seconds, after which the whole request is given up."""
        self.session: str | None = None
        self.user: str | None = None
        self.tags: dict[str, str] = {}
        self.language: tuple[str, float] | None = None
        self.inspect = False
        self.documents: list[dict[str, str]] = []
        """Documents that came with the request itself (`/api/inspect`)."""
        self.steps: list[StepRecord] = []
        self.entities: list[Entity] = []
        self.passages: list[Passage] = []
        self.recalled: list[dict[str, object]] = []
        self.masks: dict[str, str] = {}
        """Mask → the caller's own value; put back by `unmask`."""
        self.redactions: dict[str, str] = {}
        """Sensitive value → what stands for it in anything stored (masks included)."""
        self.attempts: list[Attempt] = []
        self.target: str | None = None
        self.why = ""
        self.usage: Usage | None = None
        self.cost_nano_usd: int | None = None
        self.outcome: Outcome = "open"
        self.status = 200
        self.error: str | None = None
        self.finish_reason: str | None = None
        self.sent: bytes | None = None
        """The body the model got, or None if it got the request as it came."""
        self.reply_raw: list[str] = []
        self.reply_text: list[str] = []
        self.total_ns = 0
        self.model_ns = 0
        self.first_token_ns = 0
        self.context: dict[str, object] = {}
        """Scratch space of steps within this one exchange, keyed by step name."""

    @property
    def cost_usd(self) -> str | None:
        """Decimal string in US dollars, or None when the price is not known."""
        if self.cost_nano_usd is None:
            return None
        return format((Decimal(self.cost_nano_usd) / 1_000_000_000).normalize(), "f")
