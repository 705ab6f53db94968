"""Laws of the dialects: no text and no call is lost on its way there, nor on its way back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import GreenroomError
from greenroom.wire.bedrock_answer import from_converse
from greenroom.wire.bedrock_request import to_converse
from greenroom.wire.cohere_answer import from_chat
from greenroom.wire.cohere_request import to_chat
from greenroom.wire.gemini_answer import from_generate_content
from greenroom.wire.gemini_request import to_generate_content

Body = dict[str, Any]  # Any: JSON
WORDS = st.text(min_size=1, max_size=30).filter(str.strip)
ARGUMENTS = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8) | st.none(), max_size=3)
TURNS = st.lists(
    st.tuples(WORDS, st.none() | WORDS, st.lists(ARGUMENTS, max_size=2)), min_size=1, max_size=4
)  # what the user says, what the assistant says, what it calls with


def conversation(turns: list[tuple[str, str | None, list[Body]]]) -> list[Body]:
    messages: list[Body] = []
    for number, (asked, said, calls) in enumerate(turns):
        messages.append({"role": "user", "content": asked})
        made = [
            {
                "id": f"c{number}-{place}",
                "type": "function",
                "function": {"name": "f", "arguments": json.dumps(one)},
            }
            for place, one in enumerate(calls)
        ]
        if said or made:
            messages.append({"role": "assistant", "content": said, **({"tool_calls": made} if made else {})})
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": f"r {call['id']}"} for call in made
        ]
    return messages


def in_gemini(body: Body) -> tuple[list[str], list[Body]]:
    parts = [part for turn in body["contents"] for part in turn["parts"]]
    texts = [
        part["text"] if "text" in part else part["functionResponse"]["response"]["result"]
        for part in parts
        if "functionCall" not in part
    ]
    return texts, [part["functionCall"]["args"] for part in parts if "functionCall" in part]


def in_bedrock(body: Body) -> tuple[list[str], list[Body]]:
    blocks = [block for turn in body["messages"] for block in turn["content"]]
    texts = [
        block["text"] if "text" in block else block["toolResult"]["content"][0]["text"]
        for block in blocks
        if "toolUse" not in block
    ]
    return texts, [block["toolUse"]["input"] for block in blocks if "toolUse" in block]


def in_cohere(body: Body) -> tuple[list[str], list[Body]]:
    texts = [
        json.loads(one["content"])["result"] if one["role"] == "tool" else one["content"]
        for one in body["messages"]
        if one.get("content")
    ]
    calls = [call for one in body["messages"] for call in one.get("tool_calls", ())]
    return texts, [json.loads(call["function"]["arguments"]) for call in calls]


@pytest.mark.parametrize(
    ("translate", "read"),
    [(to_generate_content, in_gemini), (to_converse, in_bedrock), (to_chat, in_cohere)],
    ids=["gemini", "bedrock", "cohere"],
)
@settings(deadline=None, max_examples=60)
@given(turns=TURNS)
def test_every_text_and_call_arrives_in_its_order(translate: Any, read: Any, turns: Any) -> None:
    messages = conversation(turns)
    made, lost = translate(json.dumps({"messages": messages}).encode(), "gemini-2.5-flash")

    texts, calls = read(json.loads(made))

    assert texts == [one["content"] for one in messages if one["content"]]
    told = [call for one in messages for call in one.get("tool_calls", ())]
    assert calls == [json.loads(call["function"]["arguments"]) for call in told]
    assert lost == []


def of_gemini(text: str, calls: list[Body]) -> bytes:
    parts = [{"text": text}, *({"functionCall": {"name": "f", "args": one, "id": "c"}} for one in calls)]
    return json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}).encode()


def of_bedrock(text: str, calls: list[Body]) -> bytes:
    blocks = [{"text": text}, *({"toolUse": {"toolUseId": "c", "name": "f", "input": one}} for one in calls)]
    reason = "tool_use" if calls else "end_turn"
    return json.dumps({"output": {"message": {"content": blocks}}, "stopReason": reason}).encode()


def of_cohere(text: str, calls: list[Body]) -> bytes:
    made = [{"id": "c", "function": {"name": "f", "arguments": json.dumps(one)}} for one in calls]
    message = {"content": [{"type": "text", "text": text}], "tool_calls": made}
    reason = "TOOL_CALL" if calls else "COMPLETE"
    return json.dumps({"id": "r", "finish_reason": reason, "message": message}).encode()


@pytest.mark.parametrize(
    ("write", "translate"),
    [(of_gemini, from_generate_content), (of_bedrock, from_converse), (of_cohere, from_chat)],
    ids=["gemini", "bedrock", "cohere"],
)
@settings(deadline=None, max_examples=60)
@given(text=WORDS, calls=st.lists(ARGUMENTS, max_size=3))
def test_every_text_and_call_of_an_answer_comes_back(
    write: Any, translate: Any, text: str, calls: list[Body]
) -> None:
    made, lost = translate(write(text, calls), asked="app", created=1)

    choice = json.loads(made)["choices"][0]
    assert choice["message"]["content"] == text
    told = choice["message"].get("tool_calls", [])
    assert [json.loads(call["function"]["arguments"]) for call in told] == calls
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    assert lost == []


@pytest.mark.parametrize("translate", [from_generate_content, from_converse, from_chat])
@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=80) | st.recursive(
    st.none() | st.integers() | st.text(max_size=5), lambda one: st.lists(one, max_size=3) | st.dictionaries(
        st.sampled_from(["candidates", "content", "parts", "text", "output", "message", "finishReason", "stopReason",
                         "finish_reason", "usage", "error", "tool_calls"]), one, max_size=4), max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_else_is_an_error_of_ours(translate: Any, data: bytes) -> None:
    try:
        made, _ = translate(data, asked="app", created=1)
    except GreenroomError:
        return
    assert json.loads(made)["choices"]
