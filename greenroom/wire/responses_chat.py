"""A request of the Responses dialect: the chat body that asks for the same, and what its answer repeats."""

from collections.abc import Sequence

import msgspec
from msgspec.json import Encoder

from greenroom.errors import MalformedRequest
from greenroom.wire.responses_items import Item
from greenroom.wire.responses_request import (
    FileSearchTool,
    FunctionTool,
    ResponsesRequest,
    TextConfig,
    ToolChoice,
    is_given,
)

_encode = Encoder().encode


def chat_body(
    request: ResponsesRequest,
    messages: Sequence[Item],
    *,
    stream: bool,
    extra: dict[str, object] | None = None,
) -> bytes:
    """The chat body that asks for the same; `messages` are all of the conversation, oldest first.

    Raises: MalformedRequest for a choice of tools that is not served.
    """
    body = request.body
    said = [*messages]
    if body.instructions:
        said.insert(0, {"role": "system", "content": body.instructions})
    fills = is_given(body.prompt)
    if not said and not fills:
        raise MalformedRequest("'input' is empty, and nothing was said before it.", "input")
    chat: dict[str, object] = {"model": request.model, "messages": said}
    if fills:
        chat["prompt"] = body.prompt
    if stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    if body.max_output_tokens is not None:
        chat["max_completion_tokens"] = body.max_output_tokens
    for name in (
        "temperature", "top_p", "presence_penalty", "frequency_penalty", "user", "safety_identifier",
        "service_tier", "prompt_cache_key",
    ):  # fmt: skip
        value = getattr(body, name)
        if value is not None:
            chat[name] = value
    if body.top_logprobs or request.includes("message.output_text.logprobs"):
        chat |= {"logprobs": True, **({"top_logprobs": body.top_logprobs} if body.top_logprobs else {})}
    if body.reasoning is not None and body.reasoning.effort is not None:
        chat["reasoning_effort"] = body.reasoning.effort
    if body.text is not None:
        _put_format(chat, body.text)
    _put_tools(chat, request)
    return _encode(chat | (extra or {}))


def _put_format(chat: dict[str, object], text: TextConfig) -> None:
    if text.verbosity is not None:
        chat["verbosity"] = text.verbosity
    form = text.format
    if form is None or form.type == "text":
        return
    if form.type == "json_object":
        chat["response_format"] = {"type": "json_object"}
        return
    schema = {
        "name": form.name,
        "schema": form.schema,
        "strict": form.strict,
        "description": form.description,
    }
    chat["response_format"] = {
        "type": "json_schema",
        "json_schema": {name: value for name, value in schema.items() if value is not None},
    }


def _put_tools(chat: dict[str, object], request: ResponsesRequest) -> None:
    choice = _chat_choice(request)
    if not request.tools:
        return
    chat["tools"] = [{"type": "function", "function": _function(tool)} for tool in request.tools]
    if choice is not None:
        chat["tool_choice"] = choice
    if request.body.parallel_tool_calls is not None:
        chat["parallel_tool_calls"] = request.body.parallel_tool_calls


def _function(tool: FunctionTool) -> dict[str, object]:
    given = {
        "name": tool.name, "description": tool.description, "parameters": tool.parameters,
        "strict": tool.strict,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def _chat_choice(request: ResponsesRequest) -> object:
    """`tool_choice` in chat's words; None leaves it out."""
    choice = request.body.tool_choice
    if choice is None or isinstance(choice, str):
        return choice
    names = {tool.name for tool in request.tools}
    if choice.type == "function":
        if choice.name not in names:
            raise MalformedRequest(
                f"'tool_choice' names '{choice.name}', which is no tool.", "tool_choice.name"
            )
        return {"type": "function", "function": {"name": choice.name}}
    if choice.type == "file_search":
        if request.file_search is None:
            raise MalformedRequest("'tool_choice' names 'file_search', which is no tool.", "tool_choice.type")
        return "auto"
    if choice.type == "allowed_tools":
        allowed = [one.get("name") for one in choice.tools or () if one.get("type") == "function"]
        unknown = [name for name in allowed if name not in names]
        if unknown:
            raise MalformedRequest(
                f"'tool_choice' allows '{unknown[0]}', which is no tool.", "tool_choice.tools"
            )
        functions = [{"type": "function", "function": {"name": name}} for name in allowed]
        if not functions:
            return "none"
        return {
            "type": "allowed_tools",
            "allowed_tools": {"mode": choice.mode or "auto", "tools": functions},
        }
    raise MalformedRequest(
        f"'tool_choice.type' is '{choice.type[:64]}'. Served here: function, file_search, allowed_tools.",
        "tool_choice.type",
    )


def wants_search(request: ResponsesRequest) -> bool:
    """Whether the vector stores are to be searched."""
    choice = request.body.tool_choice
    if request.file_search is None or choice == "none":
        return False
    if isinstance(choice, ToolChoice) and choice.type == "allowed_tools":
        return any(one.get("type") == "file_search" for one in choice.tools or ())
    return True


def echo(request: ResponsesRequest) -> dict[str, object]:
    """What an answer repeats of its request, every key of it, with the dialect's defaults."""
    body = request.body
    choice = body.tool_choice
    reasoning = body.reasoning
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "model": request.model,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "conversation": None if request.conversation is None else {"id": request.conversation},
        "reasoning": None
        if reasoning is None
        else {"effort": reasoning.effort, "summary": reasoning.summary or reasoning.generate_summary},
        "service_tier": "default" if body.service_tier in {None, "auto"} else body.service_tier,
        "store": request.store,
        "background": request.background,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "presence_penalty": body.presence_penalty or 0.0,
        "frequency_penalty": body.frequency_penalty or 0.0,
        "top_logprobs": body.top_logprobs or 0,
        "text": _text_echo(body.text),
        "tool_choice": "auto"
        if choice is None
        else choice
        if isinstance(choice, str)
        else _choice_echo(choice),
        "tools": [_tool_echo(tool) for tool in _in_order(request)],
        "truncation": body.truncation or "disabled",
        "metadata": request.metadata,
        "user": body.user,
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
        **({"prompt": msgspec.json.decode(body.prompt)} if is_given(body.prompt) else {}),
    }


def _in_order(request: ResponsesRequest) -> list[FunctionTool | FileSearchTool]:
    return [*request.tools, *([request.file_search] if request.file_search is not None else [])]


def _text_echo(text: TextConfig | None) -> dict[str, object]:
    form = text.format if text is not None else None
    shown: dict[str, object] = {"type": "text" if form is None else form.type}
    if form is not None and form.type == "json_schema":
        shown |= {
            "name": form.name, "description": form.description, "schema": form.schema,
            "strict": bool(form.strict),
        }  # fmt: skip
    answer: dict[str, object] = {"format": shown}
    if text is not None and text.verbosity is not None:
        answer["verbosity"] = text.verbosity
    return answer


def _choice_echo(choice: ToolChoice) -> dict[str, object]:
    shown: dict[str, object] = msgspec.to_builtins(choice)
    if choice.type == "allowed_tools":
        shown["mode"] = choice.mode or "auto"
    return {name: value for name, value in shown.items() if value is not None}


def _tool_echo(tool: FunctionTool | FileSearchTool) -> dict[str, object]:
    if isinstance(tool, FunctionTool):
        return {
            "type": "function", "name": tool.name, "description": tool.description,
            "parameters": tool.parameters, "strict": bool(tool.strict),
        }  # fmt: skip
    shown: dict[str, object] = {"type": "file_search", "vector_store_ids": tool.vector_store_ids}
    if tool.max_num_results is not None:
        shown["max_num_results"] = tool.max_num_results
    if is_given(tool.filters):
        shown["filters"] = tool.filters
    if tool.ranking_options is not None:
        shown["ranking_options"] = msgspec.to_builtins(tool.ranking_options)
    return shown
