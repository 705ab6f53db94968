"""Google's Gemini dialect: chat bodies to `generateContent` bodies.

Sans-io. Knows the two dialects and nothing of sockets, keys or prices. What Gemini has no field for is
reported by name; what would change the question itself is refused. Checked against the types of google-genai
3.6.1 (November 2026).

A thought signature is opaque and has to come back with its part. To a chat client it goes as
`extra_content.google.thought_signature`, as Google's own surface for OpenAI clients writes it; to other
fronts as the signature of a thinking block, marked as Gemini's so that no other provider's is taken for one.
"""

import re
from collections.abc import Collection
from mimetypes import guess_type
from typing import Final, NamedTuple

from msgspec import Raw
from msgspec.json import Encoder

from greenroom.errors import RequestError
from greenroom.wire.chat_body import (
    SIGNED,
    ChatBody,
    Message,
    Object,
    Part,
    arguments_of,
    choice_of,
    functions_of,
    object_in,
    parts_of,
    read_body,
    text_of,
)

MADE_ID: Final = "call_made_"
"""How ids begin that we gave to calls which came without one; they do not go back."""
UNSIGNED: Final = "skip_thought_signature_validator"
"""Google's documented stand-in for a signature that is not there, as with calls another model made."""

_WHO = "Gemini"
_GENERATION = re.compile(r"gemini-(\d+)")
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
"""Effort → tokens for models before Gemini 3, as Google's surface for OpenAI clients maps it."""
_LEVELS = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high"}
_NEAREST = {"xhigh": "high", "max": "high"}
_MOST_STOPS = 5
_CARRIED = frozenset({
    "n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed", "presence_penalty",
    "frequency_penalty", "stop", "tools", "tool_choice", "response_format", "reasoning_effort", "thinking",
    "extra_body", "parallel_tool_calls",
})  # fmt: skip
_OWN = {"safety_settings": "safetySettings", "cached_content": "cachedContent"}
_encode = Encoder().encode


class Translated(NamedTuple):
    """A body for Gemini, and the names of what it cannot carry."""

    body: bytes
    lost: list[str]


def to_generate_content(body: bytes, model: str, *, hidden: Collection[str] = ()) -> Translated:
    """Translate a chat body; thinking that holds one of the `hidden` values is left out.

    Raises MalformedRequest when it is none, RequestError for what no Gemini model can answer: a part of an
    unknown kind, a file by id, a message of an unknown role, nothing but system messages.
    """
    chat = read_body(body, hidden)
    lost = chat.not_in(_CARRIED)
    is_strict = _levels(model)
    system, contents = _contents(chat.messages, lost, needs_signature=is_strict)
    out: Object = {"contents": contents}
    if system:
        out["systemInstruction"] = {"parts": system}
    config = _generation(chat, lost)
    thinking = _thinking(chat, lost, has_levels=is_strict)
    if thinking:
        config["thinkingConfig"] = thinking
    if config:
        out["generationConfig"] = config
    _put_tools(out, chat, lost)
    _put_own(out, config, chat, lost)
    return Translated(_encode(out), list(dict.fromkeys(lost)))


def _levels(model: str) -> bool:
    """Whether the model takes levels of thinking and insists on signatures, as those since Gemini 3 do."""
    found = _GENERATION.search(model)
    return found is None or int(found[1]) >= 3


def _contents(
    messages: list[Message], lost: list[str], *, needs_signature: bool
) -> tuple[list[Object], list[Object]]:
    """Parts of the system prompt, and the turns with neighbours of one role merged."""
    system: list[Object] = []
    contents: list[Object] = []
    called: dict[str, str] = {}
    for index, message in enumerate(messages):
        place = f"messages[{index}].content"
        if message.name is not None and message.role != "tool":
            lost.append("messages.name")
        match message.role:
            case "system" | "developer":
                system += [{"text": part.text} for part in _said(message, place, lost) if part.kind == "text"]
                continue
            case "user":
                role, parts = "user", [_part(one, place) for one in _said(message, place, lost)]
            case "assistant":
                role, parts = "model", _spoken(message, place, lost, called, needs_signature=needs_signature)
            case "tool":
                role, parts = "user", _result(message, place, lost, called)
            case other:
                raise RequestError(f"Gemini has no role {other[:40]!r}.", f"messages[{index}].role")
        if not parts:
            continue
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    if not contents:
        raise RequestError("Gemini needs a message of a user; there are only system messages.", "messages")
    return system, contents


def _said(message: Message, place: str, lost: list[str]) -> list[Part]:
    parts = parts_of(message.content, place, _WHO)
    if message.cache_control is not None or any(part.cached is not None for part in parts):
        lost.append("cache_control")
    if any(part.detail != "auto" for part in parts):
        lost.append("image_url.detail")
    return parts


def _part(part: Part, place: str) -> Object:
    if part.kind == "text":
        return {"text": part.text}
    if part.url:
        media = guess_type(part.url.partition("?")[0])[0]
        return {"fileData": {**({"mimeType": media} if media else {}), "fileUri": part.url}}
    media = part.media or guess_type(part.name)[0]
    if not media:
        raise RequestError("Gemini needs to know what kind of file this is: give its media type.", place)
    return {"inlineData": {"mimeType": media, "data": part.data}}


def _spoken(
    message: Message, place: str, lost: list[str], called: dict[str, str], *, needs_signature: bool
) -> list[Object]:
    parts = [_part(one, place) for one in _said(message, place, lost)]
    if message.refusal and message.refusal.strip():
        parts.append({"text": message.refusal})
    blocks = [str(block.get("signature")) for block in message.thinking_blocks or ()]
    ours = [one.removeprefix(SIGNED) for one in blocks if one.startswith(SIGNED)]
    signatures = [one for one in ours if one]
    if len(ours) < len(blocks):
        lost.append("thinking_blocks")  # signed by another provider
    elif message.reasoning_content and not message.thinking_blocks:
        lost.append("reasoning_content")
    own = _signature(message.extra_content)
    if not message.tool_calls and parts and (own or signatures):
        parts[-1]["thoughtSignature"] = own or signatures[-1]
    for number, call in enumerate(message.tool_calls or ()):
        name, arguments = arguments_of(call, place.replace("content", "tool_calls"), _WHO)
        called[call.id] = name
        function: Object = {"name": name, "args": arguments}
        if call.id and not call.id.startswith(MADE_ID):
            function["id"] = call.id
        part: Object = {"functionCall": function}
        signature = _signature(call.extra_content)
        if signature is None and number == 0:
            signature = signatures[0] if signatures else None
            if signature is None and needs_signature:
                signature = UNSIGNED
                lost.append("thought_signature")
        if signature is not None:
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts


def _signature(extra: Object | None) -> str | None:
    match extra:
        case {"google": {"thought_signature": str(signature)}}:
            return signature
    return None


def _result(message: Message, place: str, lost: list[str], called: dict[str, str]) -> list[Object]:
    """What a tool answered; images and files of it follow as parts of the same turn."""
    parts = _said(message, place, lost)
    id = message.tool_call_id
    name = message.name or called.get(id)
    if name is None:
        raise RequestError(
            "Gemini answers calls by name: no call of the conversation has this tool_call_id.",
            place.replace("content", "tool_call_id"),
        )
    text = text_of(parts)
    answer: Raw | Object
    if message.is_error:
        answer = {"error": text}
    elif object_in(text) is not None:
        answer = Raw(text.encode())
    else:
        answer = {"result": text}
    response: Object = {"name": name, "response": answer}
    if id and not id.startswith(MADE_ID):
        response["id"] = id
    return [{"functionResponse": response}, *(_part(one, place) for one in parts if one.kind != "text")]


def _generation(chat: ChatBody, lost: list[str]) -> Object:
    config: Object = {}
    for name, value in (
        ("temperature", chat.temperature),
        ("topP", chat.top_p),
        ("topK", chat.top_k),
        ("maxOutputTokens", chat.max_completion_tokens or chat.max_tokens),
        ("candidateCount", chat.n if chat.n != 1 else None),
        ("seed", chat.seed),
        ("presencePenalty", chat.presence_penalty),
        ("frequencyPenalty", chat.frequency_penalty),
    ):
        if value is not None:
            config[name] = value
    if chat.stops:
        config["stopSequences"] = chat.stops[:_MOST_STOPS]
        if len(chat.stops) > _MOST_STOPS:
            lost.append("stop")
    wanted = chat.response_format
    if wanted is not None and wanted.type in {"json_object", "json_schema"}:
        config["responseMimeType"] = "application/json"
        if wanted.json_schema is not None and wanted.json_schema.schema is not None:
            config["responseJsonSchema"] = wanted.json_schema.schema
    elif wanted is not None and wanted.type != "text":
        lost.append("response_format")
    return config


def _thinking(chat: ChatBody, lost: list[str], *, has_levels: bool) -> Object:
    match chat.thinking:
        case {"type": "enabled", "budget_tokens": int(tokens)}:
            return {"thinkingBudget": tokens, "includeThoughts": True}
        case {"type": "adaptive"} if chat.reasoning_effort is None:
            return {"includeThoughts": True}
        case {"type": "disabled"}:
            effort: str | None = "none"
        case _:
            effort = chat.reasoning_effort
    if effort is None:
        return {}
    if effort in _NEAREST:
        lost.append("reasoning_effort")
        effort = _NEAREST[effort]
    if not has_levels:
        budget = _BUDGETS.get(effort)
        if budget is None:
            lost.append("reasoning_effort")
            return {}
        return {"thinkingBudget": budget, **({"includeThoughts": True} if budget else {})}
    if effort == "none":
        lost.append("reasoning_effort")  # these models can think little, not at all they can't
        return {"thinkingLevel": "minimal"}
    level = _LEVELS.get(effort)
    if level is None:
        lost.append("reasoning_effort")
        return {}
    return {"thinkingLevel": level, "includeThoughts": True}


def _put_tools(out: Object, chat: ChatBody, lost: list[str]) -> None:
    choice = choice_of(chat, lost)
    declared = []
    for function, mark in functions_of(chat, lost):
        if mark is not None:
            lost.append("cache_control")
        if function.strict:
            lost.append("tools.strict")
        if choice.names and choice.mode == "auto" and function.name not in choice.names:
            continue
        one: Object = {"name": function.name}
        if function.description:
            one["description"] = function.description
        if function.parameters:
            one["parametersJsonSchema"] = function.parameters
        declared.append(one)
    if not declared:
        return
    if chat.parallel_tool_calls is False:
        lost.append("parallel_tool_calls")
    out["tools"] = [{"functionDeclarations": declared}]
    if choice.is_said:
        calling: Object = {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice.mode]}
        if choice.names and choice.mode == "required":
            calling["allowedFunctionNames"] = list(choice.names)
        out["toolConfig"] = {"functionCallingConfig": calling}


def _put_own(out: Object, config: Object, chat: ChatBody, lost: list[str]) -> None:
    """What clients of Google's own OpenAI surface give under `extra_body.google`."""
    if chat.extra_body is None:
        return
    google = chat.extra_body.get("google")
    lost += [f"extra_body.{name}" for name in chat.extra_body if name != "google"]
    for name, value in google.items() if isinstance(google, dict) else ():
        if name in _OWN:
            out[_OWN[name]] = value
        elif name == "thinking_config" and isinstance(value, dict):
            config["thinkingConfig"] = {_camel(key): one for key, one in value.items()}
            out["generationConfig"] = config
        else:
            lost.append(f"extra_body.google.{name}")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
