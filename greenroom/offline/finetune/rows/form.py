"""What a row of training must hold: a conversation, or two answers of which one is preferred.

The forms of OpenAI's fine-tuning: {"messages": […], "tools"?: […]} for `supervised`, {"input": {"messages"},
"preferred_output": […], "non_preferred_output": […]} for `dpo`. Knows no file.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from json import JSONDecodeError, dumps, loads
from typing import Any

from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.lines import Fault, Json, parsed

Told = Iterator[tuple[str, str]]
"""Kinds of `problems.KINDS`, and what is wrong in a sentence."""
ROLES = ("system", "developer", "user", "assistant", "tool")
KEPT = {
    "supervised": frozenset(("messages", "tools", "parallel_tool_calls", "metadata")),
    "dpo": frozenset(("input", "preferred_output", "non_preferred_output", "metadata")),
}
_MESSAGE = frozenset(
    ("role", "content", "name", "weight", "tool_calls", "tool_call_id", "refusal", "function_call")
)
_INPUT = frozenset(("messages", "tools", "parallel_tool_calls"))
_FOREIGN = {
    "conversations": "ShareGPT", "instruction": "Alpaca", "chosen": "TRL", "text": "plain text",
}  # fmt: skip
_FIRST = ("system", "developer")
_AS_IS = frozenset(("role", "type", "id", "tool_call_id", "weight"))
"""Fields whose words are the form's own, beside the parameters of a tool, whose names are the caller's."""


def method_of(row: Json) -> Method | None:
    """For which method a row is written; None where that can't be told."""
    if "preferred_output" in row or "non_preferred_output" in row or isinstance(row.get("input"), dict):
        return "dpo"
    return "supervised" if "messages" in row else None


def faults(row: Json, method: Method) -> Told:
    """What is wrong with a row written for this method."""
    for name in sorted(row.keys() - KEPT[method]):
        if name not in _FOREIGN and name not in ("prompt", "completion", "functions"):
            yield "unknown_field", f"There is a field {_shown(name)}, which training does not know."
    if not isinstance(row.get("metadata", {}), dict | None):
        yield "bad_metadata", "'metadata' is no object."
    yield from _supervised(row) if method == "supervised" else _preferences(row)


def _supervised(row: Json) -> Told:
    if "messages" not in row:
        yield _missing(row)
        return
    found = list(_talk(row["messages"], row))
    yield from found
    if any(kind in ("messages_not_list", "empty_messages", "message_not_object") for kind, _ in found):
        return
    messages = row["messages"]
    if messages[-1].get("role") != "assistant":
        yield "last_not_assistant", "The last message is not the assistant's."
    spoken = [one for one in messages if one.get("role") == "assistant"]
    if spoken and all(one.get("weight") == 0 for one in spoken):
        yield "nothing_to_learn", "All messages of the assistant have the weight 0."
    elif not spoken:
        yield "nothing_to_learn", "There is no message of the assistant."


def _missing(row: Json) -> tuple[str, str]:
    if "prompt" in row or "completion" in row:
        return "prompt_completion", "The row has 'prompt' and 'completion'."
    foreign = next((name for name in _FOREIGN if name in row), None)
    if foreign is not None:
        return "foreign_form", f"The row has '{foreign}': the form of {_FOREIGN[foreign]}."
    return "no_messages", "The row has no 'messages'."


def _preferences(row: Json) -> Told:
    given = row.get("input")
    if not isinstance(given, dict) or "messages" not in given:
        yield "no_input", "'input' is no object with 'messages'."
    else:
        for name in sorted(given.keys() - _INPUT):
            yield "unknown_field", f"'input' has a field {_shown(name)}, which training does not know."
        found = list(_talk(given["messages"], given))
        yield from found
        if not found and given["messages"][-1].get("role") not in ("user", "tool"):
            yield "answered_input", "'input' does not end with a message of the user or a tool."
    known = _names(given.get("tools")) if isinstance(given, dict) else None
    outputs = []
    for name, kind in (("preferred_output", "no_preferred"), ("non_preferred_output", "no_rejected")):
        if not row.get(name):
            yield kind, f"'{name}' is missing or empty."
            continue
        output = row[name]
        outputs.append(output)
        if not isinstance(output, list) or len(output) != 1 or not isinstance(output[0], dict):
            yield "bad_output", f"'{name}' is no list with one message."
        elif output[0].get("role") != "assistant":
            yield "bad_output", f"The message in '{name}' is not the assistant's."
        else:
            yield from _message(output[0], name, known)
    if len(outputs) == 2 and outputs[0] == outputs[1]:
        yield "same_outputs", "The two outputs are the same."


def _talk(messages: Any, beside: Json) -> Told:  # Any: JSON
    """Messages in their order, and the tools beside them."""
    if not isinstance(messages, list):
        yield "messages_not_list", "'messages' is no list."
        return
    if not messages:
        yield "empty_messages", "'messages' is empty."
        return
    if "functions" in beside:
        yield "legacy_functions", "The row has 'functions'."
    yield from _tools(beside.get("tools"))
    known = _names(beside.get("tools"))
    open_calls: set[str] = set()
    has_begun = False
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if not isinstance(message, dict):
            yield "message_not_object", f"{place} is no object."
            return
        role = message.get("role")
        if open_calls and role != "tool":
            yield "no_tool_result", f"{place} comes before the results of all calls."
            open_calls = set()
        if role in _FIRST and has_begun:
            yield "late_system", f"{place} is a {role} message behind others."
        has_begun = has_begun or role not in _FIRST
        if role == "tool":
            answered = message.get("tool_call_id")
            if not isinstance(answered, str) or answered not in open_calls:
                yield "stray_tool_result", f"{place} answers no call that is open."
                open_calls = set()  # one mistake, told once
            else:
                open_calls.discard(answered)
        yield from _message(message, place, known)
        if role == "assistant":
            open_calls = _ids(message.get("tool_calls"))
            if open_calls and number == len(messages) - 1:
                open_calls = set()  # what is learnt is the call itself


def _message(message: Json, place: str, known: frozenset[str] | None) -> Told:
    role = message.get("role")
    if role not in ROLES:
        if role == "function":
            yield "legacy_functions", f"{place} has the role 'function'."
        else:
            yield "unknown_role", f"{place} has no role that is known."
        return
    if "function_call" in message:
        yield "legacy_functions", f"{place} has 'function_call'."
    for name in sorted(message.keys() - _MESSAGE):
        yield "unknown_field", f"{place} has a field {_shown(name)}, which training does not know."
    if "weight" in message:
        weight = message["weight"]
        if role != "assistant" or isinstance(weight, bool) or weight not in (0, 1):
            yield "bad_weight", f"The weight of {place} is not 0 or 1, or it is not the assistant's."
    if message.get("name") is not None and not isinstance(message["name"], str):
        yield "bad_name", f"The name of {place} is no text."
    if not isinstance(message.get("refusal"), str | None):
        yield "bad_content", f"The refusal of {place} is no text."
    calls = message.get("tool_calls")
    if calls is not None:
        yield from _calls(calls, place, known, is_assistant=role == "assistant")
    yield from _content(message, place, may_be_empty=bool(calls) or bool(message.get("refusal")))


def _content(message: Json, place: str, *, may_be_empty: bool) -> Told:
    content = message.get("content")
    if isinstance(content, list):
        texts = []
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind in ("image_url", "input_audio", "file", "input_image", "input_file"):
                yield "untrainable_part", f"{place} holds a part of type '{kind}'."
                return
            if kind not in ("text", "refusal") or not isinstance(part.get(kind), str):
                yield "bad_content", f"{place} holds a part that is no text."
                return
            texts.append(part[kind])
        content = "".join(texts)
    elif content is not None and not isinstance(content, str):
        yield "bad_content", f"The content of {place} is no text."
        return
    if not may_be_empty and message.get("role") != "tool" and not (content or "").strip():
        yield "empty_content", f"{place} has no content."


def _calls(calls: Any, place: str, known: frozenset[str] | None, *, is_assistant: bool) -> Told:  # Any: JSON
    if not is_assistant:
        yield "bad_tool_call", f"{place} has calls, but is not the assistant's."
        return
    if not isinstance(calls, list) or not all(map(_is_call, calls)) or len(_ids(calls)) < len(calls):
        yield "bad_tool_call", f"A call of {place} is not whole, or two have one id."
        return
    if known is not None:
        for one in calls:
            if one["function"]["name"] not in known:
                yield "unknown_tool", f"{place} calls a function that 'tools' does not describe."
                return


def _is_call(call: Any) -> bool:  # Any: JSON
    if not isinstance(call, dict) or not isinstance(call.get("id"), str) or not call["id"]:
        return False
    function = call.get("function")
    return (
        call.get("type", "function") == "function"
        and isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and bool(function["name"])
        and isinstance(function.get("arguments"), str)
        and _is_json_object(function["arguments"])
    )


def _ids(calls: Any) -> set[str]:  # Any: JSON
    if not isinstance(calls, list):
        return set()
    return {one["id"] for one in calls if isinstance(one, dict) and isinstance(one.get("id"), str)}


def _tools(tools: Any) -> Told:  # Any: JSON
    if tools is None:
        return
    if not isinstance(tools, list) or not all(map(_is_tool, tools)):
        yield "bad_tools", "A tool is not described as it should be."


def _is_tool(tool: Any) -> bool:  # Any: JSON
    function = tool.get("function") if isinstance(tool, dict) else None
    return (
        isinstance(function, dict)
        and tool.get("type") == "function"
        and isinstance(function.get("name"), str)
        and bool(function["name"])
        and isinstance(function.get("parameters", {}), dict)
    )


def _names(tools: Any) -> frozenset[str] | None:  # Any: JSON
    """Functions that are described; None where none are, and calls are taken as they are."""
    if not isinstance(tools, list) or not tools or not all(map(_is_tool, tools)):
        return None
    return frozenset(one["function"]["name"] for one in tools)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(parsed(text), dict)
    except (Fault, JSONDecodeError):
        return False


def _shown(name: str) -> str:
    """A field's name, short and printable: it is a stranger's."""
    return ascii(name if len(name) <= 40 else name[:39] + "…")


def texts_of(value: Any) -> Iterator[str]:  # Any: JSON
    """Every text of a row that a model would read or learn, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            if name not in _AS_IS:
                yield from texts_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_of(one)


def mapped(value: Any, change: Callable[[str], str], as_is: AbstractSet[str] = _AS_IS) -> Any:  # Any: JSON
    """The same with each such text changed, but for fields that stay `as_is`.

    Within a call's arguments, which stay JSON, and a tool's parameters, names and numbers are changed, too.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            name: one if name in as_is else _field(name, one, change, as_is) for name, one in value.items()
        }
    if isinstance(value, list):
        return [mapped(one, change, as_is) for one in value]
    return value


def _field(name: str, value: Any, change: Callable[[str], str], as_is: AbstractSet[str]) -> Any:  # Any: JSON
    if name == "parameters":
        return _argument(value, change)
    may_be_json = isinstance(value, str) and (name == "arguments" or "\\u" in value)  # @ as \u0040
    if not may_be_json or not _is_json_object(value):
        return mapped(value, change, as_is)
    given = loads(value)
    changed = _argument(given, change)
    return value if changed == given else dumps(changed, ensure_ascii=False)


def _argument(value: Any, change: Callable[[str], str]) -> Any:  # Any: JSON
    """A part of arguments or parameters: keys and numbers may be personal data there."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _argument(one, change) for name, one in value.items()}
    if isinstance(value, list):
        return [_argument(one, change) for one in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = str(value)
        hidden = change(number)
        return value if hidden == number else hidden
    return value


def said(content: Any) -> str:  # Any: JSON
    """The text of a message's content, of all its parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def only_known(row: Json, method: Method) -> Json:
    """The row without what training does not know; `metadata`, our own, is left out too."""
    kept = {name: one for name, one in row.items() if name in KEPT[method] and name != "metadata"}
    if method == "supervised":
        kept["messages"] = _clean(kept["messages"])
    else:
        kept["input"] = {name: one for name, one in kept["input"].items() if name in _INPUT}
        kept["input"]["messages"] = _clean(kept["input"]["messages"])
        for name in ("preferred_output", "non_preferred_output"):
            kept[name] = _clean(kept[name])
    return kept


def _clean(messages: Sequence[Json]) -> list[Json]:
    return [{name: one for name, one in message.items() if name in _MESSAGE} for message in messages]
