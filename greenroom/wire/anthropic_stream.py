"""Anthropic's event stream as pieces of a chat completion.

Sans-io: events in, encoded `chat.completion.chunk` objects out, without framing and without `[DONE]`. The
state is what the pieces need and no more: of the answer's text only thinking is kept, and that only for an
exchange that came through another front, which gets each block of it once more at its end, signed.
"""

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import UpstreamDisconnected, UpstreamProtocol
from greenroom.wire.anthropic_answer import (
    FINISH_REASONS,
    Block,
    CacheCreation,
    ErrorDetail,
    OutputDetails,
    StopDetails,
    WireUsage,
    native_stop,
    openai_usage,
    raise_error,
    refusal_of,
    thinking_block,
    tier_of,
)


class _Delta(Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class _Start(Struct):
    id: str = ""
    usage: WireUsage | None = None


class _Event(Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: Block | None = None
    message: _Start | None = None
    usage: WireUsage | None = None
    error: ErrorDetail | None = None


class _Tool(Struct):
    """A tool call that is being written: its place among the calls, and the input it began with."""

    index: int
    whole: bytes
    has_pieces: bool = False


_event = Decoder(_Event)
_encode = Encoder().encode
_KNOWN = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_PLAIN_END = b'},"finish_reason":null}]}'


class StreamTranslator:
    """Translates one stream. `done` turns true with Anthropic's own end and never otherwise.

    Events after the end, pings and kinds we do not know are passed over. The finish reason is said at the end
    only, so that an answer that was cut never looks finished.
    """

    __slots__ = (
        "_asked",
        "_created",
        "_head",
        "_native",
        "_sequence",
        "_started",
        "_stop",
        "_thoughts",
        "_tools",
        "_usage",
        "_why",
        "_with_usage",
        "done",
        "lost",
    )

    def __init__(self, asked: str, created: int, include_usage: bool, *, native: bool = False) -> None:
        self.done = False
        self.lost: list[str] = []
        """With `native`: kinds of blocks that were left out."""
        self._native = native
        self._thoughts: dict[int, Block] = {}
        """With `native`: blocks of thinking that are being written, by their place."""
        self._sequence: str | None = None
        self._asked = asked
        self._created = created
        self._with_usage = include_usage
        self._started = False
        self._head = b""
        self._usage: WireUsage | None = None
        self._stop: str | None = None
        self._why: StopDetails | None = None
        self._tools: dict[int, _Tool] = {}

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the pieces one event stands for, often one, sometimes none.

        The type inside `data` decides; `event`, the line before it, only where there is none. Raises
        UpstreamRefused for an error event (overloaded_error: upstream_status 529), UpstreamProtocol for what
        is not an event, comes before its beginning, or belongs to a tool call that was never begun.
        """
        if self.done or data == b"[DONE]":
            return []
        try:
            one = _event.decode(data)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamProtocol("The stream holds an event that is not Anthropic's.") from error
        kind = one.type or event.decode("ascii", "replace")
        if kind == "content_block_delta":
            return self._delta(one)
        match kind:
            case "message_start":
                return self._start(one)
            case "content_block_start":
                return self._open(one)
            case "content_block_stop":
                return self._close(one)
            case "message_delta":
                self._note(one)
                return []
            case "message_stop":
                return self._stop_now()
            case "error":
                raise_error(one.error or ErrorDetail())
        return []

    def finish(self) -> None:
        """Say that the bytes have ended. Raises UpstreamDisconnected when the answer had not."""
        if not self.done:
            raise UpstreamDisconnected("The stream ended before the answer did.")

    def _start(self, one: _Event) -> list[bytes]:
        if self._started:
            return []
        self._started = True
        message = one.message or _Start()
        self._usage = message.usage
        self._head = b'{"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,' % (
            _encode(message.id), self._created, _encode(self._asked)
        )  # fmt: skip
        piece = self._piece(b'"role":"assistant","content":""')
        if self._native:
            usage = openai_usage(message.usage)
            if usage is not None:
                piece = b'%b,"native":{"usage":%b}}' % (piece[:-1], _encode(usage))
        return [piece]

    def _open(self, one: _Event) -> list[bytes]:
        block = one.content_block
        self._need_start()
        if block is None:
            raise UpstreamProtocol("A block of the stream begins without saying what it is.")
        if block.type == "text":
            return [self._piece(b'"content":%b' % _encode(block.text))] if block.text else []
        if self._native and block.type not in _KNOWN:
            self.lost.append(f"content.{block.type[:40]}")
        if self._native and block.type in {"thinking", "redacted_thinking"}:
            self._thoughts[one.index] = block
        if block.type == "thinking":
            return (
                [self._piece(b'"reasoning_content":%b' % _encode(block.thinking))] if block.thinking else []
            )
        if block.type != "tool_use" or one.index in self._tools:
            return []
        tool = self._tools[one.index] = _Tool(len(self._tools), bytes(block.input))
        return [
            self._piece(
                b'"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]'
                % (tool.index, _encode(block.id), _encode(block.name))
            )
        ]

    def _delta(self, one: _Event) -> list[bytes]:
        delta = one.delta
        if not self._started:
            self._need_start()
        if delta is None:
            raise UpstreamProtocol("The stream holds a change without content.")
        if delta.type == "text_delta":
            return [self._piece(b'"content":%b' % _encode(delta.text))] if delta.text else []
        if delta.type == "input_json_delta":
            tool = self._tools.get(one.index)
            if tool is None:
                raise UpstreamProtocol("The stream goes on with a tool call that it never began.")
            if not delta.partial_json:
                return []
            tool.has_pieces = True
            return [self._arguments(tool, delta.partial_json)]
        thought = self._thoughts.get(one.index)
        if thought is not None:
            thought.thinking += delta.thinking
            thought.signature += delta.signature
        if delta.type == "thinking_delta" and delta.thinking:
            return [self._piece(b'"reasoning_content":%b' % _encode(delta.thinking))]
        return []

    def _close(self, one: _Event) -> list[bytes]:
        tool = self._tools.get(one.index)
        if tool is not None:
            return self._whole(tool)
        thought = self._thoughts.pop(one.index, None)
        if thought is None:
            return []
        return [self._piece(b'"thinking_blocks":[%b]' % _encode(thinking_block(thought)))]

    def _whole(self, tool: _Tool) -> list[bytes]:
        """The arguments of a call for which no pieces came: a tool without any, or sent at once."""
        if tool.has_pieces:
            return []
        tool.has_pieces = True
        return [self._arguments(tool, tool.whole.decode())]

    def _note(self, one: _Event) -> None:
        self._need_start()
        if one.delta is not None and one.delta.stop_reason is not None:
            self._stop = one.delta.stop_reason
            self._sequence = one.delta.stop_sequence
            self._why = one.delta.stop_details
        if one.usage is not None:
            self._usage = _newer(self._usage or WireUsage(), one.usage)

    def _stop_now(self) -> list[bytes]:
        self._need_start()
        if self._stop is None:
            raise UpstreamProtocol("The stream ends without saying why.")
        self.done = True
        pieces = [piece for tool in self._tools.values() for piece in self._whole(tool)]
        refusal = refusal_of(self._stop, self._why)
        reason = FINISH_REASONS.get(self._stop, "stop")
        own = b""
        if self._native:
            own = b',"native":%b' % _encode(native_stop(self._stop, self._sequence, self._why))
        pieces.append(
            b'%b"choices":[{"index":0,"delta":{%b},"finish_reason":"%b"%b}]}'
            % (self._head, b'"refusal":%b' % _encode(refusal) if refusal else b"", reason.encode(), own)
        )
        usage = openai_usage(self._usage) if self._with_usage else None
        if usage is not None:
            tier = tier_of(self._usage)
            told = b'"service_tier":%b,' % _encode(tier) if tier is not None else b""
            pieces.append(b'%b%b"choices":[],"usage":%b}' % (self._head, told, _encode(usage)))
        return pieces

    def _need_start(self) -> None:
        if not self._started:
            raise UpstreamProtocol("The stream has content before its beginning.")

    def _piece(self, delta: bytes) -> bytes:
        return b'%b"choices":[{"index":0,"delta":{%b%b' % (self._head, delta, _PLAIN_END)

    def _arguments(self, tool: _Tool, text: str) -> bytes:
        return self._piece(
            b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]' % (tool.index, _encode(text))
        )


def _newer(before: WireUsage, after: WireUsage) -> WireUsage:
    """The totals after an event: a number that came overwrites, but no total ever shrinks."""
    thinking = _larger(_thinking(before), _thinking(after))
    for_an_hour = _larger(_for_an_hour(before), _for_an_hour(after))
    return WireUsage(
        input_tokens=_larger(before.input_tokens, after.input_tokens),
        output_tokens=_larger(before.output_tokens, after.output_tokens),
        cache_creation_input_tokens=_larger(
            before.cache_creation_input_tokens, after.cache_creation_input_tokens
        ),
        cache_read_input_tokens=_larger(before.cache_read_input_tokens, after.cache_read_input_tokens),
        output_tokens_details=None if thinking is None else OutputDetails(thinking),
        cache_creation=None if for_an_hour is None else CacheCreation(ephemeral_1h_input_tokens=for_an_hour),
        service_tier=after.service_tier or before.service_tier,
        speed=after.speed or before.speed,
    )


def _thinking(usage: WireUsage) -> int | None:
    return None if usage.output_tokens_details is None else usage.output_tokens_details.thinking_tokens


def _for_an_hour(usage: WireUsage) -> int | None:
    return None if usage.cache_creation is None else usage.cache_creation.ephemeral_1h_input_tokens


def _larger(before: int | None, after: int | None) -> int | None:
    if before is None or after is None:
        return before if after is None else after
    return max(before, after)
