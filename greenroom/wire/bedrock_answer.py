"""What Bedrock's Converse sends back: whole answers and its event stream to chat completions, and errors.

Sans-io. Knows nothing of requests or framing (`eventstream`).
"""

from typing import Final
from uuid import uuid4

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.errors import UpstreamAuth, UpstreamDisconnected, UpstreamProtocol, UpstreamRefused
from greenroom.wire.chat_answer import Pieces, Said, call, usage_of, whole
from greenroom.wire.eventstream import Message

FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""Bedrock's stopReason → finish_reason; all others are "stop" with their name kept, and need content."""
_STATUS = {
    "throttlingException": 429,
    "validationException": 400,
    "modelStreamErrorException": 502,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}


class _ReasoningText(Struct):
    text: str = ""
    signature: str = ""


class _Reasoning(Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None
    text: str | None = None
    signature: str | None = None


class _ToolUse(Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")


class _Text(Struct):
    text: str = ""


class _Citations(Struct):
    content: list[_Text] | None = None


class _Block(Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Citations | None = None


class _Said(Struct):
    content: list[_Block] | None = None


class _Output(Struct):
    message: _Said | None = None


class _CacheDetail(Struct, rename="camel"):
    ttl: str = ""
    input_tokens: int = 0


class WireUsage(Struct, rename="camel"):
    """`usage`; the three kinds of input tokens exclude each other."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None


class _Answer(Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: WireUsage | None = None


class _Delta(Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citation: Raw = Raw()


class _Begun(Struct, rename="camel"):
    tool_use: _ToolUse | None = None


class _Event(Struct, rename="camel"):
    content_block_index: int = 0
    start: _Begun | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    usage: WireUsage | None = None
    message: str | None = None


class _Failure(Struct):
    message: str | None = None
    Message: str | None = None
    type: str | None = None


_answer = Decoder(_Answer)
_event = Decoder(_Event)
_failure = Decoder(_Failure)
_string = Decoder(str)


def from_converse(body: bytes, *, asked: str, created: int, native: bool = False) -> tuple[bytes, list[str]]:
    """Translate a whole answer to a `chat.completion`; also name the kinds of blocks that were left out.

    `asked` is the model's name for the client. With `native`, thinking goes along as `thinking_blocks`.
    Raises UpstreamProtocol for what is not a finished answer.
    """
    try:
        answer = _answer.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("The answer is not one of Bedrock's.") from None
    if answer.stop_reason is None or answer.output is None or answer.output.message is None:
        raise UpstreamProtocol("The answer is not a finished one of Bedrock's.")
    lost: list[str] = []
    said = Said("stop")
    for block in answer.output.message.content or ():
        reasoning, tool = block.reasoning_content, block.tool_use
        if block.text is not None:
            said.text += block.text
        elif block.citations_content is not None:
            said.text += "".join(one.text for one in block.citations_content.content or ())
            lost.append("content.citations")
        elif tool is not None:
            said.calls = [*said.calls, call(tool.tool_use_id, tool.name, bytes(tool.input).decode())]
        elif reasoning is not None:
            text = reasoning.reasoning_text
            said.reasoning += text.text if text is not None else ""
            if native:
                said.blocks = [*said.blocks, _thinking(reasoning)]
        else:
            lost.append("content.other")
    has_content = bool(said.text or said.calls)
    said.finish, said.native = _finish(answer.stop_reason, has_content=has_content)
    made = whole(
        [said], id=f"chatcmpl-{uuid4().hex}", created=created, asked=asked, usage=openai_usage(answer.usage)
    )
    return made, list(dict.fromkeys(lost))


def _thinking(reasoning: _Reasoning) -> dict[str, object]:
    if reasoning.redacted_content is not None:
        return {"type": "redacted_thinking", "data": reasoning.redacted_content}
    text = reasoning.reasoning_text or _ReasoningText()
    return {"type": "thinking", "thinking": text.text, "signature": text.signature}


def _finish(reason: str, *, has_content: bool) -> tuple[str, str | None]:
    known = FINISH_REASONS.get(reason)
    if known is None and not has_content:
        raise UpstreamProtocol(f"The model ended without an answer ({reason[:60]}).")
    return known or "stop", reason if known in {None, "content_filter"} else None


def openai_usage(usage: WireUsage | None) -> dict[str, object] | None:
    """The counts in OpenAI's form, or None when they are missing or cannot be true."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    read, written = usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0
    hour = sum(one.input_tokens for one in usage.cache_details or () if one.ttl == "1h")
    prompt = usage.input_tokens + read + written
    return usage_of(prompt, usage.output_tokens, cached=read, written=written, written_1h=hour)


def error_from(body: bytes) -> tuple[str, str]:
    """Message and code of an error body; empty strings where there are none."""
    try:
        failure = _failure.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    return failure.message or failure.Message or "", failure.type or ""


class ConverseStream:
    """Translates the messages of one stream.

    With `native`, each block of thinking is said once more, signed, at its end. An answer has ended when
    Bedrock said why it stopped; its counts come behind that.
    """

    __slots__ = (
        "_bare",
        "_has_content",
        "_native",
        "_pieces",
        "_stop",
        "_thoughts",
        "_tools",
        "_usage",
        "lost",
    )

    def __init__(self, asked: str, created: int, *, native: bool = False) -> None:
        self.lost: list[str] = []
        """Kinds of content that were left out."""
        self._native = native
        self._pieces = Pieces(f"chatcmpl-{uuid4().hex}", created, asked)
        self._tools: dict[int, int] = {}
        """Place of a block → place among the calls."""
        self._bare: set[int] = set()
        """Places of calls for which no arguments came yet."""
        self._thoughts: dict[int, _Reasoning] = {}
        self._has_content = False
        self._stop: str | None = None
        self._usage: WireUsage | None = None

    def feed(self, message: Message) -> list[bytes]:
        """The pieces that one message stands for.

        Raises UpstreamRefused for an exception that Bedrock sends, UpstreamProtocol for what is no event.
        """
        headers = message.headers
        kind = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code", "")
        try:
            event = _event.decode(message.payload or b"{}")
        except (DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamProtocol("The stream holds an event that is not Bedrock's.") from None
        if headers.get(":message-type", "event") != "event":
            if kind == "accessDeniedException":
                raise UpstreamAuth("The provider does not accept the key it is configured with.")
            raise UpstreamRefused(
                event.message
                or headers.get(":error-message")
                or "The provider sent an error inside its stream.",
                upstream_status=_STATUS.get(kind, 502),
                upstream_code=kind or None,
            )
        match kind:
            case "messageStart":
                return [self._pieces.delta({"role": "assistant", "content": ""})]
            case "contentBlockStart":
                return self._open(event)
            case "contentBlockDelta" if event.delta is not None:
                return self._delta(event.content_block_index, event.delta)
            case "contentBlockStop":
                if event.content_block_index in self._bare:
                    return self._arguments(event.content_block_index, "{}")
                thought = self._thoughts.pop(event.content_block_index, None)
                if thought is not None and self._native:
                    return [self._pieces.delta({"thinking_blocks": [_thinking(thought)]})]
            case "messageStop":
                self._stop = event.stop_reason or "end_turn"
            case "metadata":
                self._usage = event.usage
        return []

    def _open(self, event: _Event) -> list[bytes]:
        tool = event.start.tool_use if event.start is not None else None
        if tool is None or event.content_block_index in self._tools:
            return []
        index = self._tools[event.content_block_index] = len(self._tools)
        self._bare.add(event.content_block_index)
        self._has_content = True
        begun = {"index": index, **call(tool.tool_use_id, tool.name, "")}
        return [self._pieces.delta({"tool_calls": [begun]})]

    def _delta(self, place: int, delta: _Delta) -> list[bytes]:
        if delta.text is not None:
            self._has_content = self._has_content or bool(delta.text)
            return [self._pieces.text(delta.text)] if delta.text else []
        if delta.tool_use is not None:
            if place not in self._tools:
                raise UpstreamProtocol("The stream goes on with a tool call that it never began.")
            try:
                text = _string.decode(delta.tool_use.input)
            except DecodeError:
                raise UpstreamProtocol("The stream holds arguments that are no text.") from None
            return self._arguments(place, text) if text else []
        if delta.reasoning_content is not None:
            return self._think(place, delta.reasoning_content)
        if bytes(delta.citation) not in {b"", b"null"}:
            self.lost.append("content.citations")
        return []

    def _arguments(self, place: int, text: str) -> list[bytes]:
        self._bare.discard(place)
        more = {"index": self._tools[place], "function": {"arguments": text}}
        return [self._pieces.delta({"tool_calls": [more]})]

    def _think(self, place: int, piece: _Reasoning) -> list[bytes]:
        thought = self._thoughts.setdefault(place, _Reasoning(reasoning_text=_ReasoningText()))
        held = thought.reasoning_text
        assert held is not None
        if piece.redacted_content is not None:
            thought.redacted_content = (thought.redacted_content or "") + piece.redacted_content
        held.signature += piece.signature or ""
        if not piece.text:
            return []
        if self._native:
            held.text += piece.text
        return [self._pieces.delta({"reasoning_content": piece.text})]

    def finish(self) -> list[bytes]:
        """The last pieces. Raises UpstreamDisconnected when Bedrock did not say why it stopped."""
        if self._stop is None:
            raise UpstreamDisconnected("The stream ended before the answer did.")
        reason, native = _finish(self._stop, has_content=self._has_content)
        pieces = [self._pieces.delta({}, reason, native=native)]
        usage = openai_usage(self._usage)
        return pieces if usage is None else [*pieces, self._pieces.usage(usage)]
