"""The OpenAI chat dialect: answers in and out, stream pieces, errors. Requests are in `openai_request`.

Sans-io. Knows the waist; knows nothing of sockets, stages or providers. An answer is decoded once into a view
of the fields we use; what nobody changed leaves as it came, byte for byte.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import RequestError, UpstreamRefused
from greenroom.usage import Usage


class ToolFunction(Struct):
    """What a call calls."""

    name: str = ""
    arguments: str = ""


class ToolCall(Struct):
    """A call of a tool, in a request's message or an answer's."""

    id: str = ""
    function: ToolFunction | None = None


class Delta(Struct):
    """The part of a stream piece that carries something new."""

    role: str | None = None
    content: str | None = None
    tool_calls: list["ToolDelta"] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: Raw = Raw()
    """Blocks of thinking that are whole now: an extension, only where a front asks."""


class FunctionDelta(Struct):
    """A piece of a function call."""

    name: str | None = None
    arguments: str | None = None


class ToolDelta(Struct):
    """A piece of a tool call; `index` says of which."""

    index: int = 0
    id: str | None = None
    function: FunctionDelta | None = None


class ChunkChoice(Struct):
    """One choice of a stream piece."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    native: Raw = Raw()
    """Why the provider stopped, in its own words: an extension, only where a front asks."""


class _PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    audio_tokens: int | None = None
    cached_audio_tokens: int | None = None


class _CompletionDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class WireUsage(Struct):
    """`usage` as providers send it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class Chunk(Struct):
    """What we read of a `chat.completion.chunk`."""

    choices: list[ChunkChoice] = []
    usage: WireUsage | None = None
    id: str = ""
    created: int = 0
    model: str = ""
    error: Raw = Raw()
    service_tier: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether the provider says in-band that it failed."""
        return bytes(self.error) not in {b"", b"null"}


class ReplyMessage(Struct):
    """What we read of an answer's message."""

    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    refusal: str | None = None


class ReplyChoice(Struct):
    """One choice of a whole answer."""

    message: ReplyMessage
    index: int = 0
    finish_reason: str | None = None


class Completion(Struct):
    """What we read of a `chat.completion`."""

    choices: Annotated[list[ReplyChoice], Meta(min_length=1)]
    usage: WireUsage | None = None
    id: str = ""
    created: int = 0
    model: str = ""
    service_tier: str | None = None


_STANDARD = frozenset({None, "", "auto", "default", "standard", "on_demand"})
"""Names that providers have for the tier that costs what the price list says."""
_MOST_TOKENS = 1_000_000_000
_chunk = Decoder(Chunk)
_completion = Decoder(Completion)
encode = Encoder().encode
decode_chunk = _chunk.decode
decode_completion = _completion.decode


def read_usage(usage: WireUsage | None, service_tier: str | None = None) -> Usage | None:
    """Counts as billed, or None where the provider gave none or nonsense (negative, more than 10⁹).

    `service_tier` is the one that stands in the answer.
    """
    if usage is None or usage.prompt_tokens is None:
        return None
    asked, answered = usage.prompt_tokens, usage.completion_tokens or 0
    if not (0 <= asked <= _MOST_TOKENS and 0 <= answered <= _MOST_TOKENS):
        return None
    read = Usage(input_tokens=asked, output_tokens=answered)
    if service_tier not in _STANDARD:
        read.service_tier = str(service_tier)[:32]
    given, made = usage.prompt_tokens_details, usage.completion_tokens_details
    if given is not None and not _read_prompt(given, read):
        return None
    if made is not None and not _read_completion(made, read):
        return None
    return read


def _read_prompt(details: _PromptDetails, read: Usage) -> bool:
    """Note what of the input was cached, written or heard; False for nonsense."""
    cached = details.cached_tokens or 0
    if cached:
        if not 0 <= cached <= _MOST_TOKENS:
            return False
        read.cached_tokens = min(cached, read.input_tokens)
    written, audio = details.cache_write_tokens or 0, details.audio_tokens or 0
    if written or audio:
        for_an_hour, again = details.cache_write_1h_tokens or 0, details.cached_audio_tokens or 0
        counts = (written, for_an_hour, audio, again)
        if min(counts) < 0 or max(counts) > _MOST_TOKENS:
            return False
        read.cache_write_tokens = min(written, read.input_tokens - read.cached_tokens)
        read.cache_write_1h_tokens = min(for_an_hour, read.cache_write_tokens)
        read.input_audio_tokens = min(audio, read.input_tokens)
        read.cached_audio_tokens = min(again, read.cached_tokens, read.input_audio_tokens)
    return True


def _read_completion(details: _CompletionDetails, read: Usage) -> bool:
    """Note what of the output was thought or spoken; False for nonsense."""
    thought, spoken = details.reasoning_tokens or 0, details.audio_tokens or 0
    if thought or spoken:
        if min(thought, spoken) < 0 or max(thought, spoken) > _MOST_TOKENS:
            return False
        read.reasoning_tokens = min(thought, read.output_tokens)
        read.output_audio_tokens = min(spoken, read.output_tokens)
    return True


def usage_json(usage: Usage) -> dict[str, object]:
    """`usage` as clients expect it."""
    given: dict[str, object] = {"cached_tokens": usage.cached_tokens}
    made: dict[str, object] = {"reasoning_tokens": usage.reasoning_tokens}
    if not usage.is_plain:
        more = {
            "cache_write_tokens": usage.cache_write_tokens,
            "cache_write_1h_tokens": usage.cache_write_1h_tokens,
            "audio_tokens": usage.input_audio_tokens,
            "cached_audio_tokens": usage.cached_audio_tokens,
        }
        given |= {name: count for name, count in more.items() if count}
        if usage.output_audio_tokens:
            made["audio_tokens"] = usage.output_audio_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": given,
        "completion_tokens_details": made,
    }


def completion(
    *, id: str, created: int, model: str, content: str, finish_reason: str, usage: Usage | None,
    greenroom: dict[str, object] | None = None,
) -> bytes:  # fmt: skip
    """A whole answer written by ourselves (a refusal, say)."""
    body: dict[str, object] = {
        "id": f"chatcmpl-{id}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
        "usage": usage_json(usage or Usage()),
    }
    if greenroom:
        body["greenroom"] = greenroom
    return encode(body)


class ChunkWriter:
    """Writes stream pieces with one head: same id, time and model in each."""

    __slots__ = ("_head",)

    def __init__(self, id: str, created: int, model: str) -> None:
        head = encode({"id": id, "object": "chat.completion.chunk", "created": created, "model": model})
        self._head = head[:-1] + b',"choices":['

    def content(self, index: int, text: str) -> bytes:
        """A piece of prose."""
        return b'%b{"index":%d,"delta":{"content":%b},"finish_reason":null}]}' % (
            self._head, index, encode(text),
        )  # fmt: skip

    def delta(self, index: int, delta: dict[str, object], finish_reason: str | None = None) -> bytes:
        """Any piece."""
        choice = encode({"index": index, "delta": delta, "finish_reason": finish_reason})
        return self._head + choice + b"]}"

    def last(
        self, index: int, delta: dict[str, object], finish_reason: str, greenroom: bytes, native: bytes = b""
    ) -> bytes:
        """The finishing piece, with our own facts beside it."""
        choice = encode({"index": index, "delta": delta, "finish_reason": finish_reason})
        if native:
            choice = b'%b,"native":%b}' % (choice[:-1], native)
        return self._head + choice + b'],"greenroom":' + greenroom + b"}"

    def usage(self, usage: Usage) -> bytes:
        """The piece without choices that carries the counts."""
        return self._head + b'],"usage":' + encode(usage_json(usage)) + b"}"


def error_body(message: str, type: str, code: str | None, param: str | None = None) -> bytes:
    """OpenAI's error envelope, all four keys present."""
    return encode({"error": {"message": message, "type": type, "param": param, "code": code}})


def error_of(error: BaseException) -> tuple[int, str, str, str | None]:
    """Status, type, code and parameter that an error of ours shows to a client.

    What the provider says is the caller's fault keeps the provider's status, 429 and 5xx as well.
    """
    status = getattr(error, "status", 500)
    if isinstance(error, UpstreamRefused):
        told = error.upstream_status
        kind = "invalid_request_error" if told < 429 else error.type
        return (told if told >= 400 else 502), kind, error.upstream_code or error.code, None
    return (
        status,
        getattr(error, "type", "server_error"),
        getattr(error, "code", "internal_error"),
        error.param if isinstance(error, RequestError) else None,
    )
