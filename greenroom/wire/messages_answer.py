"""Chat answers as Anthropic's messages: blocks, stop reason, usage, citations.

Sans-io. Reads what the gateway writes, extensions included. Streams are in `messages_stream`.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.errors import UpstreamProtocol
from greenroom.exchange import Passage
from greenroom.wire.openai import ToolCall, ToolFunction, encode

STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""finish_reason → stop_reason; one that is not listed counts as "stop"."""
_TIERS = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
_Object = dict[str, Any]  # Any: JSON, looked at by name


class PromptDetails(Struct):
    """Parts of the input; those read from a cache and those written to it exclude each other."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None


class AnswerDetails(Struct):
    """Parts of the output."""

    reasoning_tokens: int | None = None


class ChatUsage(Struct):
    """`usage` of a chat answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: AnswerDetails | None = None


class Native(Struct):
    """What only Anthropic says, where it was Anthropic that answered."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = Raw(b"null")


class _Facts(Struct):
    outcome: str | None = None
    reason: str | None = None


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[Raw] | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: Raw = Raw(b"[]")


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None
    native: Native | None = None


class _Completion(Struct):
    choices: list[_Choice]
    id: str = ""
    model: str = ""
    usage: ChatUsage | None = None
    service_tier: str | None = None
    greenroom: Raw = Raw()


class Stop(NamedTuple):
    """Why an answer ended."""

    reason: str
    sequence: str | None = None
    details: object = None


_completion = Decoder(_Completion)
_facts = Decoder(_Facts)
_dict = Decoder(dict[str, Raw])
_any: Decoder[Any] = Decoder()  # Any: annotations, which other services write as well


def to_message(body: bytes, id: str, passages: Sequence[Passage] = ()) -> bytes:
    """A whole Message from a `chat.completion`; `id` is the exchange's, `passages` are what it could cite.

    Raises UpstreamProtocol for what a provider wrote in fields that nobody has looked at before.
    """
    try:
        answer = _completion.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("The provider's answer is not a chat completion.") from None
    choice = answer.choices[0]
    message = choice.message
    content: list[object] = list(message.thinking_blocks or ())
    if message.reasoning_content and not content:
        content.append({"type": "thinking", "thinking": message.reasoning_content, "signature": ""})
    text = message.content or ("" if choice.native is not None else message.refusal) or ""
    if text:
        cited = citations(message.annotations, passages)
        content.append({"type": "text", "text": text, **({"citations": cited} if cited else {})})
    content += [_tool_use(call.id, call.function) for call in message.tool_calls or () if call.function]
    stop = stop_of(
        choice.finish_reason, choice.native, refusal=message.refusal, calls=bool(message.tool_calls)
    )
    if stop.reason == "refusal" and stop.details is None:
        stop = stop._replace(details=refused(answer.greenroom, text))
    whole: _Object = {
        "id": message_id(answer.id, id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop.reason,
        "stop_sequence": stop.sequence,
        "stop_details": stop.details,
        "usage": usage_of(answer.usage or ChatUsage(), tier=answer.service_tier),
    }
    if bytes(answer.greenroom):
        whole["greenroom"] = answer.greenroom
    return encode(whole)


def _tool_use(id: str, function: ToolFunction) -> _Object:
    return {"type": "tool_use", "id": id, "name": function.name, "input": tool_input(function.arguments)}


def message_id(upstream: str, id: str) -> str:
    """The id of a message: Anthropic's own where it answered, else that of the exchange."""
    return upstream if upstream.startswith("msg_") else f"msg_{id}"


def stop_of(
    finish_reason: str | None, native: Native | None, *, refusal: str | None = None, calls: bool = False
) -> Stop:
    """Why the answer ended, in Anthropic's words: its own where it said them."""
    if native is not None and native.stop_reason is not None:
        details = None if bytes(native.stop_details) == b"null" else native.stop_details
        return Stop(native.stop_reason, native.stop_sequence, details)
    reason = STOP_REASONS.get(finish_reason or "", "end_turn")
    if reason == "end_turn":
        reason = "refusal" if refusal else "tool_use" if calls else reason
    return Stop(reason, None, _details(refusal) if refusal and reason == "refusal" else None)


def refused(greenroom: Raw, text: str) -> _Object:
    """`stop_details` of a refusal: the reason where it is ours, which is the text where nothing went before.

    Our categories are none of Anthropic's; they stand under `greenroom`.
    """
    facts = _facts_of(greenroom)
    return _details(facts.reason or text if facts.outcome == "refused" else None)


def _details(explanation: str | None) -> _Object:
    return {"type": "refusal", "category": None, "explanation": explanation}


def usage_of(usage: ChatUsage, *, tier: str | None = None) -> _Object:
    """The counts in Anthropic's form: input excludes what was read from a cache or written to it."""
    details = usage.prompt_tokens_details or PromptDetails()
    read, written = details.cached_tokens or 0, details.cache_write_tokens or 0
    given: _Object = {
        "input_tokens": max(0, (usage.prompt_tokens or 0) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.completion_tokens or 0,
    }
    if written:
        an_hour = min(details.cache_write_1h_tokens or 0, written)
        given["cache_creation"] = {
            "ephemeral_5m_input_tokens": written - an_hour,
            "ephemeral_1h_input_tokens": an_hour,
        }
    thinking = (usage.completion_tokens_details or AnswerDetails()).reasoning_tokens
    if thinking:
        given["output_tokens_details"] = {"thinking_tokens": thinking}
    if tier in _TIERS:
        given["service_tier"] = _TIERS[tier]
    return given


def tool_input(arguments: str) -> object:
    """The arguments as an object, number for number; text that is none stands under `_raw`."""
    if not arguments.strip():
        return {}
    try:
        _dict.decode(arguments)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return {"_raw": arguments}
    return Raw(arguments.encode())


def _facts_of(greenroom: Raw) -> _Facts:
    try:
        return _facts.decode(greenroom)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return _Facts()


def citations(annotations: Raw, passages: Sequence[Passage]) -> list[_Object]:
    """Our annotations as `char_location` citations: which words of which document bear the answer out.

    Characters count in the document's text; documents count as they were put before the model.
    """
    try:
        given = _any.decode(annotations)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return []
    documents = list(dict.fromkeys(one.document for one in passages))
    found = []
    for one in given if isinstance(given, list) else ():
        match one:
            case {
                "type": "file_citation",
                "file_citation": {"filename": str(name), "quote": str(quote)} as place,
            }:
                start = _start_of(name, quote, passages)
                found.append(
                    {
                        "type": "char_location",
                        "cited_text": quote,
                        "document_index": documents.index(name) if name in documents else 0,
                        "document_title": name,
                        "file_id": place.get("file_id"),
                        "start_char_index": start,
                        "end_char_index": start + len(quote),
                    }
                )
    return found


def _start_of(document: str, quote: str, passages: Sequence[Passage]) -> int:
    of_it = [one for one in passages if one.document == document]
    for one in of_it:
        at = one.text.find(quote)
        if at >= 0:
            return one.start + at
    return of_it[0].start if of_it else 0
