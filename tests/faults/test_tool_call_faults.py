"""FAULTS A20 and A14: tool calls that are cut, counted wrongly or said twice; keys that stand twice."""

import json
from typing import Any

import pytest

from greenroom.assembly.fronts import FRONTS
from greenroom.gateway import tool_calls
from greenroom.gateway.chain import PostEntry
from greenroom.stages.postprocess.decode import Decode, DecodeConfig
from tests.faults.rawclient import Answer, request_bytes
from tests.faults.recipes import openai_events, openai_reply, streamed, whole
from tests.faults.room import KEY, Room
from tests.faults.upstream import FaultUpstream

Call = dict[str, Any]  # Any: JSON
WEATHER = '{"city": "São Paulo", "days": 3}'


def call(index: int, arguments: str | None = None, *, id: str | None = None, name: str | None = None) -> Call:
    """A piece of a tool call, as a stream has it."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"index": index, "function": function} | ({"id": id, "type": "function"} if id else {})


def begin(index: int, id: str, name: str = "weather") -> Call:
    return call(index, "", id=id, name=name)


def events(*pieces: Call, finish: str = "tool_calls", usage: bool = True) -> list[bytes]:
    head, end = openai_events(("",), usage=False)[:2], openai_events((), usage=usage)[1:]
    made = [
        head[0].replace(b'"content": ""', b'"tool_calls": ' + json.dumps([one]).encode()) for one in pieces
    ]
    return [*made, head[1].replace(b'"stop"', json.dumps(finish).encode()), *end]


def calls_of(answer: Answer) -> list[tuple[str, str, str]]:
    """The tool calls that a client puts together: id, name, arguments."""
    found: dict[int, list[str]] = {}
    for data in answer.events():
        if data == b"[DONE]":
            continue
        for choice in json.loads(data).get("choices", ()):
            for piece in choice["delta"].get("tool_calls") or ():
                one = found.setdefault(piece["index"], ["", "", ""])
                one[0] += piece.get("id") or ""
                one[1] += piece["function"].get("name") or ""
                one[2] += piece["function"].get("arguments") or ""
    return [(one[0], one[1], one[2]) for _, one in sorted(found.items())]


def finish_of(answer: Answer) -> list[str]:
    chunks = [json.loads(data) for data in answer.events() if data != b"[DONE]"]
    return [one["finish_reason"] for chunk in chunks for one in chunk["choices"] if one["finish_reason"]]


GOOD = [begin(0, "a"), call(0, WEATHER[:9]), call(0, WEATHER[9:])]
FILTERS = {"bare": (), "filtered": (PostEntry(Decode(DecodeConfig()), refuse_on_error=True),)}


@pytest.mark.parametrize("post", FILTERS.values(), ids=FILTERS.keys())
@pytest.mark.parametrize(
    ("pieces", "calls", "lost"),
    [
        pytest.param(GOOD, ["a"], [], id="A20 whole"),
        pytest.param([*GOOD, begin(1, "b"), call(1, WEATHER)], ["a", "b"], [], id="A20 two whole ones"),
        pytest.param(GOOD[:2], [], ["arguments are not whole"], id="A20 arguments cut"),
        pytest.param([*GOOD, begin(1, "b"), call(1, '{"city"')], ["a"], ["not whole"], id="A20 the second cut"),
        pytest.param([begin(0, "b"), call(0, '{"x": ['), begin(1, "a"), call(1, WEATHER)], ["a"],
                     ["tool_calls[0]"], id="A20 the first cut"),
        pytest.param([GOOD[0], GOOD[1], call(1, WEATHER[9:])], [], ["not whole", "no id"], id="A20 wrong index"),
        pytest.param([begin(3, "a"), call(3, WEATHER)], ["a"], [], id="A20 an index that skips"),
        pytest.param([*GOOD, begin(1, "a"), call(1, WEATHER)], ["a"], ["another has its id"], id="A20 same id"),
        pytest.param([call(0, WEATHER, name="weather")], [], ["no id"], id="A20 no id"),
        pytest.param([call(0, WEATHER, id="a")], [], ["no name"], id="A20 no name"),
        pytest.param([begin(0, "a"), call(0, WEATHER + "}")], [], ["not whole"], id="A20 a brace too many"),
        pytest.param([begin(0, "a"), call(0, "[" * 100_000)], [], ["not whole"], id="A20 deep"),
    ],
)  # fmt: skip
async def test_a20_only_whole_calls_of_a_stream_go_out(
    upstream: FaultUpstream,
    post: tuple[PostEntry, ...],
    pieces: list[Call],
    calls: list[str],
    lost: list[str],
) -> None:
    upstream.script("m", streamed(events(*pieces)))
    async with Room([upstream.base_url], post=post) as room:
        answer = await room.ask(stream=True)
        exchange = await room.kept.next()

    assert calls_of(answer) == [(id, "weather", WEATHER) for id in calls]
    assert finish_of(answer) == ["tool_calls"]
    assert exchange.outcome == "answered"
    assert exchange.error == (tool_calls.BROKEN if lost else None)
    told = [json.loads(data).get("greenroom", {}).get("dropped", []) for data in answer.events()[:-1]]
    said = " ".join(one for many in told for one in many)
    assert all(one in said for one in lost)


async def test_a20_a_stream_cut_within_a_call_gives_none_of_it_and_bills_it(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(events(*GOOD)[:3]))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)
        exchange = await room.kept.next()

    assert calls_of(answer) == []
    assert json.loads(answer.events()[-1])["error"]["code"] == "upstream_disconnected"
    assert exchange.usage is not None
    assert exchange.usage.output_tokens >= len(WEATHER) // 4


async def test_a20_whole_calls_without_counts_are_billed_by_their_length(upstream: FaultUpstream) -> None:
    upstream.script("m", streamed(events(*GOOD, usage=False)))
    async with Room([upstream.base_url]) as room:
        await room.ask(stream=True)
        exchange = await room.kept.next()

    assert exchange.usage is not None
    assert exchange.usage.estimated
    assert exchange.usage.output_tokens >= len(WEATHER) // 4


async def test_a20_a_client_that_waits_for_a_long_call_is_kept_with_comments(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_calls, "KEEP_ALIVE_NS", 50_000_000)
    upstream.script("m", streamed(events(*GOOD), pace_s=0.06))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask(stream=True)

    assert answer.body.count(b": ka\n\n") in {1, 2, 3}
    assert calls_of(answer) == [("a", "weather", WEATHER)]


def whole_calls(arguments: str) -> bytes:
    return json.dumps([{"id": "z", "function": {"name": "f", "arguments": arguments}}]).encode()


def whole_reply(*calls: tuple[str, str, str]) -> bytes:
    body = json.loads(openai_reply())
    body["choices"][0]["finish_reason"] = "tool_calls"
    body["choices"][0]["message"] |= {
        "content": None,
        "tool_calls": [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, name, arguments in calls
        ],
    }
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("calls", "left"),
    [
        pytest.param([("a", "f", WEATHER), ("b", "f", "")], ["a", "b"], id="A20 whole"),
        pytest.param([("a", "f", WEATHER[:-3]), ("b", "f", "{}")], ["b"], id="A20 cut"),
        pytest.param([("a", "f", "{}"), ("a", "g", "{}")], ["a"], id="A20 same id"),
        pytest.param([("a", "", "{}")], None, id="A20 no name"),
    ],
)
async def test_a20_only_whole_calls_of_a_whole_answer_go_out(
    upstream: FaultUpstream, calls: list[tuple[str, str, str]], left: list[str] | None
) -> None:
    sent = whole_reply(*calls)
    upstream.script("m", whole(sent))
    async with Room([upstream.base_url]) as room:
        answer = await room.ask()
        exchange = await room.kept.next()

    choice: Any = answer.json()["choices"]
    message = choice[0]["message"]
    given = [one["id"] for one in message["tool_calls"]] if "tool_calls" in message else None
    assert given == left
    assert choice[0]["finish_reason"] == "tool_calls"
    is_whole = left is not None and len(left) == len(calls)
    assert (answer.body == sent) == is_whole  # byte for byte where nothing is wrong
    assert (answer.header("x-greenroom-dropped") is None) == is_whole
    assert exchange.error == (None if is_whole else tool_calls.BROKEN)


# keys that stand twice


def twice(data: bytes, key: bytes, first: bytes) -> bytes:
    """The same with `key` said before, as something else."""
    at = data.index(b'"%b"' % key)
    return data[:at] + b'"%b": %b, ' % (key, first) + data[at:]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(twice(openai_reply(), b"content", b'"evil"'), id="A14 content twice"),
        pytest.param(twice(openai_reply(), b"choices", b"[]"), id="A14 choices twice"),
        pytest.param(twice(whole_reply(("a", "f", "{}")), b"arguments", b'"evil"'), id="A14 arguments twice"),
        pytest.param(
            twice(whole_reply(("a", "f", "{}")), b"tool_calls", whole_calls("evil")), id="A14 calls twice"
        ),
    ],
)
async def test_a14_an_answer_that_says_twice_what_is_looked_at_is_none(
    upstream: FaultUpstream, answer: bytes
) -> None:
    async with FaultUpstream() as good:
        upstream.script("m", whole(answer))
        async with Room([upstream.base_url, good.base_url]) as room:
            given = await room.ask()
            exchange = await room.kept.next()

    assert exchange.attempts[0].error == "upstream_protocol"
    assert b"evil" not in given.body


@pytest.mark.parametrize("at", [1, 2], ids=["A14 second event", "A14 third event"])
async def test_a14_a_streams_event_that_says_two_things_ends_it(upstream: FaultUpstream, at: int) -> None:
    said = openai_events(("So", " far", " so", " good"))
    said[at] = twice(said[at], b"content", b'"evil"')
    upstream.script("m", streamed(said))
    async with Room([upstream.base_url], withheld=["evil"]) as room:
        answer = await room.ask(stream=True)

    assert json.loads(answer.events()[-1])["error"]["code"] == "upstream_protocol"


@pytest.mark.parametrize(
    "field",
    [
        pytest.param('"temperature": 0, "temperature": 2', id="B3 a number twice"),
        pytest.param('"stream":false,"stream":false', id="B3 stream twice"),
        pytest.param('"tools":[{"a":{"b":1}}],"user":"x","tools":[]', id="B3 tools twice"),
        pytest.param('"x" : 1, "x" : 2', id="B3 spaces before colons"),
        pytest.param('"user":"a\\":b","user":"c"', id="B3 a colon in a text"),
    ],
)
async def test_b3_a_key_that_stands_twice_is_refused_though_nobody_here_reads_it(
    upstream: FaultUpstream, field: str
) -> None:
    body = '{"model":"m","messages":[{"role":"user","content":"x"}],' + field + "}"
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(request_bytes(body.encode(), key=KEY))
        answer = await client.answer()

    assert answer.status == 400
    assert "stands twice" in answer.body.decode()
    assert upstream.requests == []


async def test_b3_a_body_with_many_different_keys_goes_on_as_it_came(upstream: FaultUpstream) -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"user":"a\\":b:\\"c", "metadata" : {"k":"v"},'
        b'"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"n":1}'
    )
    async with Room([upstream.base_url]) as room, room.client() as client:
        await client.send(request_bytes(body, key=KEY))
        answer = await client.answer()

    assert answer.status == 200
    assert upstream.requests[0].body == body


async def test_a20_calls_that_are_held_reach_anthropics_clients_whole_and_with_signs_of_life(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_calls, "KEEP_ALIVE_NS", 50_000_000)
    upstream.script(
        "m", streamed(events(*GOOD, begin(1, "b"), call(1, '{"cut'), finish="tool_calls"), pace_s=0.06)
    )
    body: dict[str, object] = {
        "model": "m", "max_tokens": 99, "stream": True, "messages": [{"role": "user", "content": "x"}],
    }  # fmt: skip
    async with Room([upstream.base_url], fronts=FRONTS) as room, room.client() as client:
        await client.send(request_bytes(body, path="/v1/messages", key=KEY))
        answer = await client.answer()

    said = [json.loads(one) for one in answer.events()]
    given = "".join(
        one["delta"].get("partial_json", "") for one in said if one["type"] == "content_block_delta"
    )
    assert json.loads(given) == json.loads(WEATHER)
    assert [one["content_block"]["id"] for one in said if one["type"] == "content_block_start"] == ["a"]
    assert any(one["type"] == "ping" for one in said)
    assert said[-1]["type"] == "message_stop"
