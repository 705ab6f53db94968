"""What Cohere sends back: whole answers and event streams to chat completions, and errors.

Sans-io. Knows nothing of requests. Citations have no place in chat completions and are named.
"""

from typing import Final

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.errors import UpstreamDisconnected, UpstreamProtocol, UpstreamRefused
from greenroom.wire.chat_answer import Pieces, Said, call, usage_of, whole

FINISH_REASONS: Final = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
"""Cohere's finish_reason → OpenAI's. ERROR and TIMEOUT are failures; others "stop" with their name kept."""
_FAILED = frozenset({"ERROR", "ERROR_TOXIC", "ERROR_LIMIT", "TIMEOUT"})
_NOTHING = frozenset({b"", b"null", b"[]"})


class _Function(Struct):
    name: str = ""
    arguments: str = ""


class _Call(Struct):
    id: str = ""
    function: _Function | None = None


class _Block(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class _Counts(Struct):
    input_tokens: float | None = None
    output_tokens: float | None = None


class WireUsage(Struct):
    """`usage`: what was read and written, and what of it is billed."""

    tokens: _Counts | None = None
    billed_units: _Counts | None = None
    cached_tokens: float | None = None


class _Message(Struct):
    content: list[_Block] | None = None
    tool_calls: list[_Call] | None = None
    tool_plan: str | None = None
    citations: Raw = Raw()


class _Answer(Struct):
    id: str = ""
    finish_reason: str | None = None
    message: _Message | None = None
    usage: WireUsage | None = None


class _Piece(Struct):
    content: _Block | list[_Block] | None = None
    tool_calls: _Call | list[_Call] | None = None
    tool_plan: str | None = None


class _Delta(Struct):
    message: _Piece | None = None
    finish_reason: str | None = None
    usage: WireUsage | None = None
    error: str | None = None


class _Event(Struct):
    type: str = ""
    id: str = ""
    index: int = 0
    delta: _Delta | None = None


class _Failure(Struct):
    message: str = ""
    id: str = ""


_answer = Decoder(_Answer)
_event = Decoder(_Event)
_failure = Decoder(_Failure)


def from_chat(body: bytes, *, asked: str, created: int) -> tuple[bytes, list[str]]:
    """Translate a whole answer to a `chat.completion`; also name what was left out.

    `asked` is the model's name for the client. Raises UpstreamRefused where Cohere says that the model
    failed, UpstreamProtocol for what is not a finished answer.
    """
    try:
        answer = _answer.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("The answer is not one of Cohere's.") from None
    message, reason = answer.message, answer.finish_reason
    if message is None or reason is None:
        raise UpstreamProtocol("The answer is not a finished one of Cohere's.")
    if reason in _FAILED:
        raise _failed(reason, None)
    said = Said(FINISH_REASONS.get(reason, "stop"), native=None if reason in FINISH_REASONS else reason)
    said.reasoning = message.tool_plan or ""
    for block in message.content or ():
        said.text += block.text or ""
        said.reasoning += block.thinking or ""
    said.calls = [
        call(one.id, one.function.name, one.function.arguments or "{}")
        for one in message.tool_calls or ()
        if one.function is not None
    ]
    lost = [] if bytes(message.citations) in _NOTHING else ["content.citations"]
    made = whole([said], id=answer.id, created=created, asked=asked, usage=openai_usage(answer.usage))
    return made, lost


def _failed(reason: str, message: str | None) -> UpstreamRefused:
    return UpstreamRefused(
        message or f"The model failed ({reason}).",
        upstream_status=504 if reason == "TIMEOUT" else 502,
        upstream_code=reason,
    )


def openai_usage(usage: WireUsage | None) -> dict[str, object] | None:
    """The counts in OpenAI's form, or None when they are missing or cannot be true.

    The billed counts, which leave out what Cohere puts around a prompt by itself; all of them where none is
    billed.
    """
    if usage is None:
        return None
    counts = usage.billed_units or usage.tokens
    if counts is None or counts.input_tokens is None or counts.output_tokens is None:
        return None
    return usage_of(int(counts.input_tokens), int(counts.output_tokens), cached=int(usage.cached_tokens or 0))


def error_from(body: bytes) -> tuple[str, str]:
    """Message of an error body; Cohere gives no code."""
    try:
        return _failure.decode(body).message, ""
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""


class CohereStream:
    """Translates one stream. An answer has ended with `message-end` and never otherwise."""

    __slots__ = ("_asked", "_bare", "_created", "_delta_of_end", "_pieces", "_tools", "lost")

    def __init__(self, asked: str, created: int) -> None:
        self.lost: list[str] = []
        """Kinds of content that were left out."""
        self._asked = asked
        self._created = created
        self._pieces: Pieces | None = None
        self._tools: dict[int, int] = {}
        """Place at Cohere → place among the calls."""
        self._bare: set[int] = set()
        """Places of calls for which no arguments came yet."""
        self._delta_of_end: _Delta | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that one payload stands for.

        Raises UpstreamRefused where the model failed, UpstreamProtocol for what is no event.
        """
        if data == b"[DONE]":
            return []
        try:
            event = _event.decode(data)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamProtocol("The stream holds an event that is not Cohere's.") from None
        delta = event.delta or _Delta()
        if event.type == "message-start":
            if self._pieces is not None:
                return []
            self._pieces = Pieces(event.id, self._created, self._asked)
            return [self._pieces.delta({"role": "assistant", "content": ""})]
        write = self._pieces
        if write is None:
            raise UpstreamProtocol("The stream has content before its beginning.")
        piece = delta.message or _Piece()
        match event.type:
            case "content-start" | "content-delta":
                blocks = piece.content if isinstance(piece.content, list) else [piece.content]
                return [made for block in blocks if block is not None for made in _said(write, block)]
            case "tool-plan-delta":
                return [write.delta({"reasoning_content": piece.tool_plan})] if piece.tool_plan else []
            case "tool-call-start" | "tool-call-delta":
                calls = piece.tool_calls if isinstance(piece.tool_calls, list) else [piece.tool_calls]
                return [made for one in calls if one is not None for made in self._call(write, event, one)]
            case "tool-call-end" if event.index in self._bare:
                return self._arguments(write, event.index, "{}")
            case "citation-start":
                self.lost.append("content.citations")
            case "message-end":
                reason = delta.finish_reason or "COMPLETE"
                if reason in _FAILED or delta.error:
                    raise _failed(reason, delta.error)
                self._delta_of_end = delta
        return []

    def _call(self, write: Pieces, event: _Event, one: _Call) -> list[bytes]:
        function = one.function or _Function()
        if event.type == "tool-call-start":
            place = self._tools.setdefault(event.index, len(self._tools))
            begun = {"index": place, **call(one.id, function.name, function.arguments)}
            if not function.arguments:
                self._bare.add(event.index)
            return [write.delta({"tool_calls": [begun]})]
        if event.index not in self._tools:
            raise UpstreamProtocol("The stream goes on with a tool call that it never began.")
        return self._arguments(write, event.index, function.arguments) if function.arguments else []

    def _arguments(self, write: Pieces, index: int, text: str) -> list[bytes]:
        self._bare.discard(index)
        more = {"index": self._tools[index], "function": {"arguments": text}}
        return [write.delta({"tool_calls": [more]})]

    def finish(self) -> list[bytes]:
        """The last pieces. Raises UpstreamDisconnected when the answer had not ended."""
        end, write = self._delta_of_end, self._pieces
        if end is None or write is None:
            raise UpstreamDisconnected("The stream ended before the answer did.")
        reason = end.finish_reason or "COMPLETE"
        known = FINISH_REASONS.get(reason)
        pieces = [write.delta({}, known or "stop", native=None if known else reason)]
        usage = openai_usage(end.usage)
        return pieces if usage is None else [*pieces, write.usage(usage)]


def _said(write: Pieces, block: _Block) -> list[bytes]:
    if block.thinking:
        return [write.delta({"reasoning_content": block.thinking})]
    return [write.text(block.text)] if block.text else []
