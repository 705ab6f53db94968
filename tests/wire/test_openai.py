import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.exchange import Edit
from greenroom.wire import openai, openai_request


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}], **fields}).encode()


def test_an_unchanged_body_leaves_byte_for_byte() -> None:
    raw = b'{ "model" : "m","zzz":[1.0,  2],"messages":[{"role":"user","content":"\\u00e9"}] }'

    assert openai_request.render_chat(openai_request.parse_chat(raw)) is raw


def test_unknown_fields_survive_a_changed_message() -> None:
    raw = body(
        new_field={"deep": [1, 2.50]}, messages=[{"role": "user", "content": "a", "name": "Zé", "x": 1}]
    )
    request = openai_request.parse_chat(raw)
    request.texts[0].edit([Edit(start=0, end=1, text="b", reason="test")])

    rendered = json.loads(openai_request.render_chat(request, model="other"))

    assert rendered["model"] == "other"
    assert rendered["new_field"] == {"deep": [1, 2.50]}
    assert rendered["messages"] == [{"role": "user", "content": "b", "name": "Zé", "x": 1}]


def test_parts_arguments_and_added_messages_are_written_where_they_belong() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "t"}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "r"},
    ]
    request = openai_request.parse_chat(body(messages=messages))
    for text in request.texts:
        text.edit([Edit(start=0, end=len(text.value), text=text.value.upper() + "!", reason="test")])
    request.added.append((1, {"role": "system", "content": "added"}))

    rendered = json.loads(openai_request.render_chat(request, dropped=[0]))["messages"]

    assert [message["role"] for message in rendered] == ["system", "user", "assistant", "tool"]
    assert rendered[0]["content"] == "added"
    assert rendered[1]["content"][1]["text"] == "T!"
    assert rendered[2]["tool_calls"][0]["function"]["arguments"] == "{}!"
    assert rendered[3]["content"] == "R!"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(b"", "not valid JSON", id="empty"),
        pytest.param(b"{", "not valid JSON", id="cut"),
        pytest.param(b"\xef\xbb\xbf{}", "not valid JSON", id="byte order mark"),
        pytest.param('{"model":"m"}'.encode("utf-16"), "not valid JSON", id="utf-16"),
        pytest.param(b'{"model":"\xff","messages":[]}', "not valid JSON", id="invalid utf-8"),
        pytest.param(
            b'{"model":"\\ud800","messages":[{"role":"user"}]}', "not valid JSON", id="lone surrogate"
        ),
        pytest.param(b"[]", "Expected `object`", id="a list"),
        pytest.param(b'{"model":"m"}', "messages", id="no messages"),
        pytest.param(body(messages=[]), "messages", id="no message"),
        pytest.param(body(messages="x"), "messages", id="messages a string"),
        pytest.param(body(messages=[{"role": 1}]), "messages[0].role", id="role a number"),
        pytest.param(
            body(messages=[{"role": "user", "content": 5}]), "messages[0].content", id="content a number"
        ),
        pytest.param(body(n=0), "'n'", id="n zero"),
        pytest.param(body(model=""), "'model'", id="empty model"),
        pytest.param(b'{"messages":[{"role":"user","content":"x"}]}', "'model' is missing.", id="no model"),
        pytest.param(body(temperature=None)[:-1].replace(b"null", b"NaN") + b"}", "not valid JSON", id="NaN"),
        pytest.param(body().replace(b'"m"', b'"m","temperature":1e400'), "temperature", id="1e400"),
        pytest.param(
            b'{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}', "twice", id="model twice"
        ),
        pytest.param(
            b'{"model":"m","messages":[{"role":"user","content":"x","content":"y"}]}',
            "twice",
            id="content twice",
        ),
        pytest.param(
            b'{"model":"m","messages":[{"role":"user","content":"x","con\\u0074ent":"y"}]}',
            "twice",
            id="content twice, once in disguise",
        ),
        pytest.param(b'{"model":"m","messages":' + b"[" * 100_000, "", id="nested too deeply"),
    ],
)
def test_a_malformed_body_gets_a_sentence(raw: bytes, says: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        openai_request.parse_chat(raw)

    assert says in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_million_messages_are_refused_at_once() -> None:
    raw = b'{"model":"m","messages":[' + b",".join([b'{"role":"u"}'] * 1_000_000) + b"]}"

    with pytest.raises(TooLarge):
        openai_request.parse_chat(raw)


def test_usage_that_is_absurd_counts_as_none() -> None:
    assert openai.read_usage(openai.WireUsage(prompt_tokens=-1)) is None
    assert openai.read_usage(openai.WireUsage(prompt_tokens=10**12)) is None


@given(st.text(min_size=1), st.data())
def test_positions_lead_back_to_the_original(text: str, data: st.DataObject) -> None:
    request = openai_request.parse_chat(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
        if text.isprintable()
        else body(messages=[{"role": "user", "content": "abcdef"}])
    )
    slot = request.texts[0]
    original = slot.value
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, len(original)))
    slot.edit([Edit(start=start, end=end, text="<<>>", reason="test")])

    assert slot.to_original(start) == start
    assert slot.to_original(start + 4, is_end=True) == end
    assert slot.value[start + 4 :] == original[end:]
    for position in range(start + 4, len(slot.value)):
        assert original[slot.to_original(position)] == slot.value[position]
