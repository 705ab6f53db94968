"""The waist: the one object that flows through Greenroom, and its parts.

Knows msgspec and what a stream's source promises. Steps read and change an `Exchange`; the recorder stores
it; pages show it. All offsets are code points, end excluded.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from time import time_ns
from typing import Literal, Protocol, get_args

from msgspec import Raw, Struct, field

from greenroom.usage import Pricing, Usage
from greenroom.wire.source import Source

Stage = Literal["preprocess", "ground", "check", "postprocess"]
StepOutcome = Literal["unchanged", "changed", "refused", "failed", "skipped"]
Outcome = Literal["open", "answered", "cached", "refused", "failed", "cancelled"]
Where = Literal["input", "passage", "tool", "output"]
Surface = Literal["chat", "messages", "responses", "completions", "embeddings", "moderations"]
"""What an exchange came through."""
SURFACES: tuple[Surface, ...] = get_args(Surface)
"""All of them; their places are stored, so new ones go to the end."""
Action = Literal["mask", "redact", "block", "warn", "log", "route"]


class Edit(Struct, kw_only=True, omit_defaults=True):
    """One replacement in a text; `start` and `end` count in the text as it came."""

    start: int
    end: int
    text: str
    reason: str
    before: str = ""
    rule: str = ""
    confidence: float = 1.0
    applied: bool = True


class Change(Struct, kw_only=True, omit_defaults=True):
    """What one step did to one text. `index` is the message's place in the request, -1 the reply."""

    role: str
    index: int
    before: str
    after: str
    edits: list[Edit]
    part: int | None = None


class Verdict(Struct, kw_only=True, omit_defaults=True):
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
    policy: str = ""
    """The policy that decided on the action; empty where the step's own settings did."""
    shadow: str = ""
    """A policy in shadow mode that fits too, and would have done `would`."""
    would: Action | None = None


class StepRecord(Struct, omit_defaults=True):
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
    value: str = ""
    """The same in one normal form (`2024-03-15`, `1250.5 BRL`, `5000 m`); empty where there is none."""


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


NOT_CALLED = frozenset({"circuit_open", "no_place", "insufficient_quota", "price_unknown"})
"""Errors of attempts that called nobody: the target was left alone, or a budget would not have it."""


class Attempt(Struct, kw_only=True, omit_defaults=True):
    """One call to one target."""

    target: str
    status: int | None = None
    error: str | None = None
    ns: int = 0
    usage: Usage | None = None
    """What has to be paid for a call whose answer was not given (a hedge that lost, say)."""
    cost_nano_usd: int | None = None


class Money(Protocol):
    """What an exchange pays from, where a budget counts it."""

    def reserve(self, attempt: Attempt, price: Pricing | None, input_tokens: int | None = None) -> None:
        """Set aside what a call can cost at most, before it is made. Raises RequestError if it may not be.

        With `input_tokens` nothing but these is paid for, as for embeddings.
        """
        ...


class Caller(Struct, kw_only=True, frozen=True):
    """Who asks. Never holds the key itself."""

    key_id: str
    project: str = "default"
    role: Literal["app", "viewer", "operator", "admin"] = "app"
    apps: tuple[str, ...] = ()
    """Apps and models this key may ask for; empty means all."""
    pipeline_off: bool = False
    name: str = ""
    """What people call the key."""


class Text(Struct, eq=False):
    """One piece of prose in a request that steps may read and rewrite, with its way back to the original.

    `part` is the place in a content list, or None for a plain string. `kind` "arguments" is the JSON text of
    a tool call: masks may be put in, prose rules must leave it alone.
    """

    index: int
    role: str
    value: str
    part: int | None = None
    kind: Literal["content", "arguments"] = "content"
    before_edits: str | None = None
    """The text as it came, once it was changed."""
    _layers: list[list[tuple[int, int, int]]] = []

    @property
    def original(self) -> str:
        """The text as it came."""
        return self.value if self.before_edits is None else self.before_edits

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
            if self.before_edits is None:
                self.before_edits = before
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


class ChatRequest(Struct, eq=False):
    """The body as it came, the parts that are looked at, and what was changed.

    Made by `parse_chat` of `wire/openai_request.py`, written again by its `render_chat`: `raw` itself while
    nothing was changed, otherwise the same with ours in its place and unknown fields byte for byte.
    """

    raw: bytes
    model: str
    before: bytes = b""
    messages: bytes = b""
    """The bytes of the messages' list; `before` and `behind` it stands the rest of `raw`."""
    behind: bytes = b""
    is_odd: bool = False
    """The rest of `raw` has escapes or a key more than once: it is read as a whole to change it."""
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    max_tokens: int | None = None
    has_tools: bool = False
    response_format: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    roles: list[str] = []
    """The role of each message, in order."""
    texts: list[Text] = []
    added: list[tuple[int, dict[str, object]]] = []
    """Messages put in by ground steps: (before which original message, message)."""
    prompt: bytes = b""
    """The field `prompt`, where it came as an object: which prompt is to be filled, and with what."""
    filled: Sequence[dict[str, object]] = ()
    """Messages of a filled prompt: before all others."""
    filled_tokens: int = 0
    """About how many tokens these are, the caller's values aside."""
    fields: dict[str, Raw | bytes] = {}
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


class Exchange(Struct, eq=False):
    """One call through the gateway, from the first byte read to the last byte sent."""

    id: str
    caller: Caller
    request: ChatRequest
    app: str
    surface: Surface = "chat"
    created_ns: int = field(default_factory=time_ns)
    deadline: float = 0.0
    """Monotonic loop time, in seconds, after which the whole request is given up."""
    session: str | None = None
    user: str | None = None
    tags: dict[str, str] = {}
    trace: str = ""
    """The `traceparent` it came with, empty where there was none."""
    language: tuple[str, float] | None = None
    inspect: bool = False
    documents: list[dict[str, str]] = []
    """Documents that came with the request itself (`/api/inspect`)."""
    steps: list[StepRecord] = []
    entities: list[Entity] = []
    passages: list[Passage] = []
    recalled: list[dict[str, object]] = []
    route: str | None = None
    """The model that a policy sends this exchange to, instead of its app's."""
    masks: dict[str, str] = {}
    """Mask → the caller's own value; put back by `unmask`."""
    redactions: dict[str, str] = {}
    """Sensitive value → what stands for it in anything stored (masks included)."""
    attempts: list[Attempt] = []
    purse: Money | None = None
    target: str | None = None
    why: str = ""
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    outcome: Outcome = "open"
    status: int = 200
    error: str | None = None
    finish_reason: str | None = None
    sent: bytes | None = None
    """The body the model got, or None if it got the request as it came."""
    reply_raw: list[str] = []
    reply_text: list[str] = []
    total_ns: int = 0
    model_ns: int = 0
    first_token_ns: int = 0
    pieces: int = 0
    """In how many pieces a stream brought its texts."""
    context: dict[str, object] = {}
    """Scratch space of steps within this one exchange, keyed by step name."""

    @property
    def asked(self) -> str:
        """The name the client asked for."""
        return self.request.model

    @property
    def cost_usd(self) -> str | None:
        """Decimal string in US dollars, or None when the price is not known."""
        return usd(self.cost_nano_usd)


def usd(nano: int | None) -> str | None:
    """Billionths of a US dollar as a decimal string, or None for what is not known."""
    if nano is None:
        return None
    whole, rest = divmod(nano, 1_000_000_000)
    return f"{whole}.{rest:09d}".rstrip("0") if rest else str(whole)
