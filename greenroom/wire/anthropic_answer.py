"""What Anthropic sends back: whole messages to `chat.completion` bodies, errors to a message and a type.

Sans-io. Knows nothing of requests. Blocks that chat completions have no place for (server tools, redacted
thinking, signatures) are left out; for an exchange that came through another front, thinking goes along as
`thinking_blocks`, what only Anthropic says under `native`, and what is left out is named.
"""

import json
import math
from typing import Final, NoReturn

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import UpstreamAuth, UpstreamProtocol, UpstreamRefused

MAX_USAGE_TOKENS: Final = 100_000_000
"""A count above this is a fault of the sender, as a negative one is: our own count is used then."""

FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Anthropic's stop_reason → finish_reason; one that is not listed counts as "stop"."""

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class OutputDetails(Struct):
    """What of the output tokens was thinking."""

    thinking_tokens: int | None = None


class CacheCreation(Struct):
    """For how long the tokens are kept that were written to the cache."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class WireUsage(Struct):
    """`usage` as Anthropic sends it; the three kinds of input tokens exclude each other."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    cache_creation: CacheCreation | None = None
    service_tier: str | None = None
    speed: str | None = None


class StopDetails(Struct):
    """Why the model declined."""

    explanation: str | None = None
    category: str | None = None
    type: str = "refusal"


class ErrorDetail(Struct):
    """The inner part of Anthropic's error envelope."""

    type: str | None = None
    message: str | None = None


class Block(Struct):
    """One block of content, as far as chat completions have a place for it."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")


class _Answer(Struct):
    id: str = ""
    type: str = ""
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: WireUsage | None = None
    error: ErrorDetail | None = None


class _Failure(Struct):
    error: ErrorDetail | str | None = None


_answer = Decoder(_Answer)
_failure = Decoder(_Failure)
_encode = Encoder().encode


_CARRIED = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


def from_message(
    body: bytes, *, asked: str, created: int, native: bool = False, lost: list[str] | None = None
) -> bytes:
    """Translate a whole Message to a `chat.completion`; `asked` is the model's name for the client.

    With `native` the neutral extensions are written, and kinds of blocks left out are added to `lost`.

    Usage that is missing or cannot be true is left out. Raises UpstreamRefused for an error envelope,
    UpstreamProtocol for everything else that is not a finished Message: broken or ambiguous JSON (NaN,
    a key twice, numbers out of range, nesting without end), no content, no stop reason.
    """
    _refuse_ambiguous(body)
    try:
        answer = _answer.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamProtocol("The answer is not an Anthropic message.") from error
    if answer.error is not None:
        raise_error(answer.error)
    if answer.type != "message" or answer.content is None or answer.stop_reason is None:
        raise UpstreamProtocol("The answer is not a finished Anthropic message.")
    text = "".join(block.text for block in answer.content if block.type == "text")
    thinking = "".join(block.thinking for block in answer.content if block.type == "thinking")
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": block.name, "arguments": bytes(block.input).decode()},
        }
        for block in answer.content
        if block.type == "tool_use"
    ]
    refusal = refusal_of(answer.stop_reason, answer.stop_details)
    message: dict[str, object] = {
        "role": "assistant",
        "content": text if text or not (calls or refusal) else None,
        "refusal": refusal,
    }
    if thinking:
        message["reasoning_content"] = thinking
    if calls:
        message["tool_calls"] = calls
    choice: dict[str, object] = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": FINISH_REASONS.get(answer.stop_reason, "stop"),
    }
    if native:
        choice["native"] = native_stop(answer.stop_reason, answer.stop_sequence, answer.stop_details)
        blocks = [block for one in answer.content if (block := thinking_block(one)) is not None]
        if blocks:
            message["thinking_blocks"] = blocks
        if lost is not None:
            lost += [f"content.{block.type[:40]}" for block in answer.content if block.type not in _CARRIED]
    completion: dict[str, object] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": created,
        "model": asked,
        "choices": [choice],
    }
    usage = openai_usage(answer.usage)
    if usage is not None:
        completion["usage"] = usage
    tier = tier_of(answer.usage)
    if tier is not None:
        completion["service_tier"] = tier
    return _encode(completion)


def openai_usage(usage: WireUsage | None) -> dict[str, object] | None:
    """The same counts in OpenAI's form, or None when they are missing or cannot be true.

    `prompt_tokens` is all three kinds of input added; those read from the cache stand apart once more.
    """
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    read = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    thinking = (usage.output_tokens_details and usage.output_tokens_details.thinking_tokens) or 0
    for_an_hour = (usage.cache_creation and usage.cache_creation.ephemeral_1h_input_tokens) or 0
    counts = (usage.input_tokens, read, written, for_an_hour, usage.output_tokens, thinking)
    if min(counts) < 0 or max(counts) > MAX_USAGE_TOKENS:
        return None
    prompt = usage.input_tokens + read + written
    given = {"cached_tokens": read, "cache_write_tokens": written}
    if for_an_hour:
        given["cache_write_1h_tokens"] = min(for_an_hour, written)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": given,
        "completion_tokens_details": {"reasoning_tokens": min(thinking, usage.output_tokens)},
    }


def thinking_block(block: Block) -> dict[str, object] | None:
    """A block of thinking as it has to come back in the next turn; None for any other."""
    if block.type == "thinking":
        return {"type": "thinking", "thinking": block.thinking, "signature": block.signature}
    return {"type": "redacted_thinking", "data": block.data} if block.type == "redacted_thinking" else None


def native_stop(reason: str, sequence: str | None, details: StopDetails | None) -> dict[str, object]:
    """Why the model stopped, in Anthropic's own words."""
    stop: dict[str, object] = {"stop_reason": reason}
    if sequence is not None:
        stop["stop_sequence"] = sequence
    if details is not None:
        stop["stop_details"] = details
    return stop


def tier_of(usage: WireUsage | None) -> str | None:
    """The service tier of an answer, where it is not the standard one; `fast` is a speed."""
    if usage is None:
        return None
    if usage.speed == "fast":
        return "fast"
    return None if usage.service_tier in {None, "standard"} else usage.service_tier


def refusal_of(stop_reason: str, details: StopDetails | None) -> str | None:
    """The model's own sentence for why it declined, if it did and said so."""
    return details.explanation or None if stop_reason == "refusal" and details is not None else None


def raise_error(error: ErrorDetail) -> NoReturn:
    """Raise what an error inside an answer with status 200 stands for."""
    kind = error.type or "api_error"
    status = _STATUS.get(kind, 500)
    if status in {401, 403}:
        raise UpstreamAuth("The provider does not accept the key it is configured with.")
    message = error.message or "The provider sent an error instead of an answer."
    raise UpstreamRefused(message, upstream_status=status, upstream_code=kind)


def error_from(status: int, body: bytes) -> tuple[str, str]:
    """Message and type of an error body, Anthropic's or OpenAI's form; empty strings where there are none."""
    try:
        error = _failure.decode(body).error
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    if isinstance(error, str):
        return error, ""
    if error is None:
        return "", ""
    return error.message or "", error.type or ""


def _refuse_ambiguous(body: bytes) -> None:
    """Hold the body to JSON that every reader understands alike; msgspec takes the last of two equal keys."""
    try:
        json.loads(body, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise UpstreamProtocol("The answer is not plain JSON.") from error


def _unique(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value
