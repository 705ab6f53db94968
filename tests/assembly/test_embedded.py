"""`Greenroom` in a Python program: the server's path in process, over a real socket to a scripted provider."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from greenroom import Greenroom
from greenroom.errors import (
    ContentRefused,
    MalformedRequest,
    ModelNotFound,
    StoreError,
    UpstreamDisconnected,
    UpstreamRefused,
    UpstreamUnreachable,
)
from greenroom.store.database import lock_folder
from greenroom.store.traces import TraceStore
from tests.faults.recipes import Reset, Stall, error, openai_events, openai_reply, streamed, whole
from tests.faults.upstream import FaultUpstream

CPF = "746.819.253-73"
"""Right check digits, and none of the numbers that stand in examples everywhere: those are let through."""


def said(text: str) -> list[dict[str, Any]]:  # Any: JSON
    return [{"role": "user", "content": text}]


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, upstream: FaultUpstream) -> Path:
    """A file whose app `support` is answered by the scripted provider; `strict` refuses personal data."""
    path = tmp_path / "greenroom.toml"
    path.write_text(
        f"""
        [store]
        url = "sqlite:{tmp_path}/data"
        [providers.up]
        kind = "openai_compatible"
        base_url = "{upstream.base_url}"
        [apps.support]
        model = "up/scripted"
        ground = ["history"]
        [apps.strict]
        model = "up/scripted"
        [apps.strict.steps.pii]
        action = "block"
        [apps.loud]
        model = "up/scripted"
        on_block = "error"
        [apps.loud.steps.pii]
        action = "block"
        """,
        encoding="utf-8",
    )
    return path


def room_of(config: Path) -> Greenroom:
    return Greenroom(config, environment={})


def record(config: Path, id: str) -> dict[str, Any]:  # Any: JSON
    store = TraceStore(config.parent / "data" / "traces.db")
    try:
        found = store.get(None, id)
        assert found is not None
        return found
    finally:
        store.close()


@pytest.mark.parametrize(
    ("question", "document"),
    [
        pytest.param("How do I add a provider?", "providers.md", id="en"),
        pytest.param("Como adiciono um provedor?", "providers.pt.md", id="pt"),
        pytest.param("¿Cómo añado un proveedor?", "providers.es.md", id="es"),
    ],
)
async def test_the_built_in_reader_answers_with_citations(
    tmp_path: Path, question: str, document: str
) -> None:
    async with Greenroom(data=tmp_path, environment={}) as room:
        answer = await room.chat(messages=said(question))

    cited = {one["document"] for one in answer.body["greenroom"]["passages"] if one["cited"]}
    assert document in cited
    assert "[1]" in answer.text
    assert (answer.model, answer.cost_usd, answer.finish_reason) == ("greenroom/reader", "0", "stop")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("My CPF is {}, please keep it.", id="en"),
        pytest.param("Meu CPF é {}, guarde-o, por favor.", id="pt"),
        pytest.param("Mi CPF es {}, guárdalo, por favor.", id="es"),
    ],
)
async def test_personal_data_is_masked_for_the_provider_and_put_back_for_the_caller(
    config: Path, upstream: FaultUpstream, text: str, stream: bool
) -> None:
    pieces = ("Anotado: <CP", "F_", "1>. ✓")
    upstream.script(
        "scripted", streamed(openai_events(pieces)) if stream else whole(openai_reply("".join(pieces)))
    )
    async with room_of(config) as room:
        if stream:
            found = await room.chat(model="support", messages=said(text.format(CPF)), stream=True)
            id, answer = found.id, "".join([piece.text async for piece in found])
        else:
            got = await room.chat(model="support", messages=said(text.format(CPF)))
            id, answer = got.id, got.text

    assert answer == f"Anotado: {CPF}. ✓"
    assert CPF.encode() not in upstream.log.bytes_received()
    kept = record(config, id)
    assert kept["outcome"] == "answered"
    assert kept["app"] == "support"
    assert CPF not in repr(kept)


async def test_session_user_tags_and_fields_of_the_dialect_go_where_they_belong(
    config: Path, upstream: FaultUpstream
) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    async with room_of(config) as room:
        answer = await room.chat(
            model="support",
            messages=said("Olá"),
            session="s-1",
            user="ana",
            tags={"team": "north, south=1"},
            tools=tools,
            temperature=0.25,
            x_unknown={"a": [1]},
        )
        await room.chat(model="support", messages=said("E agora?"), session="s-1", user="ana")

    sent, next_one = (seen.json() for seen in upstream.asked("scripted"))
    assert (sent["tools"], sent["temperature"], sent["x_unknown"]) == (tools, 0.25, {"a": [1]})
    assert "user" not in sent
    assert [one["content"] for one in next_one["messages"]] == ["Olá", "Good morning.", "E agora?"]  # type: ignore[attr-defined]  # JSON
    kept = record(config, answer.id)
    assert (kept["session"], kept["user"]) == ("s-1", "ana")
    assert kept["tags"] == {"team": "north, south=1"}


async def test_tool_calls_and_counts_are_at_hand(config: Path, upstream: FaultUpstream) -> None:
    call = '{"id":"c1","type":"function","function":{"name":"weather","arguments":"{}"}}'
    body = openai_reply("").replace(
        b'"content": ""', b'"content": null, "tool_calls": [' + call.encode() + b"]"
    )
    upstream.script("scripted", whole(body.replace(b'"stop"', b'"tool_calls"')))
    async with room_of(config) as room:
        answer = await room.chat(model="support", messages=said("Weather?"))

    assert answer.text == ""
    assert [one["function"]["name"] for one in answer.tool_calls] == ["weather"]
    assert answer.finish_reason == "tool_calls"
    assert answer.body["usage"]["total_tokens"] == 18


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refusal_is_an_answer_unless_the_app_wants_errors(config: Path, stream: bool) -> None:
    async with room_of(config) as room:
        if stream:
            pieces = [
                one async for one in await room.chat(model="strict", messages=said(f"CPF {CPF}"), stream=True)
            ]
            reason = pieces[-1].body["choices"][0]["finish_reason"]
            assert pieces[0].text
        else:
            answer = await room.chat(model="strict", messages=said(f"CPF {CPF}"))
            reason = answer.finish_reason
            assert answer.model is None
        with pytest.raises(ContentRefused):
            await room.chat(model="loud", messages=said(f"CPF {CPF}"))

    assert reason == "content_filter"


async def test_faults_are_typed_exceptions_and_recorded(config: Path, upstream: FaultUpstream) -> None:
    upstream.script(
        "scripted",
        error(500),
        error(500),
        streamed(openai_events(("So", " far"), finish=None), then=(Reset(),)),
    )
    async with room_of(config) as room:
        with pytest.raises(ModelNotFound, match="'nobody'"):
            await room.chat(model="nobody", messages=said("Hi"))
        with pytest.raises(MalformedRequest, match="messages"):
            await room.chat(messages="Hi")  # type: ignore[arg-type]  # what the test is about
        with pytest.raises(MalformedRequest, match="JSON"):
            await room.chat(messages=said("Hi"), metadata=object())
        with pytest.raises(MalformedRequest, match="x-greenroom-session"):
            await room.chat(messages=said("Hi"), session="a\nb")
        with pytest.raises(UpstreamRefused, match="up/scripted") as failed:
            await room.chat(model="support", messages=said("Hi"))
        assert failed.value.upstream_status == 500
        broken = await room.chat(model="support", messages=said("Hi"), stream=True)
        heard: list[str] = []
        with pytest.raises(UpstreamDisconnected):
            heard.extend([piece.text async for piece in broken])
        await upstream.stop_listening()
        with pytest.raises(UpstreamUnreachable):
            await room.chat(model="support", messages=said("Hi"))

    assert record(config, broken.id)["outcome"] == "failed"


@pytest.mark.parametrize("how", ["aclose", "async with", "close of the room", "never begun"])
async def test_leaving_a_stream_hangs_up_and_is_recorded(
    config: Path, upstream: FaultUpstream, how: str
) -> None:
    upstream.script(
        "scripted",
        streamed(openai_events(("So", " far"), finish=None, usage=False, done=False), then=(Stall(),)),
    )
    async with room_of(config) as room:
        stream = await room.chat(model="support", messages=said("Hi"), stream=True)
        if how != "never begun":
            assert "So" in (await anext(stream)).text + (await anext(stream)).text
        if how == "async with":
            async with stream:
                pass
        elif how != "close of the room":
            await stream.aclose()
        else:
            await room.close()
        await upstream.log.wait("gone")

    assert record(config, stream.id)["outcome"] == "cancelled"


async def test_a_data_folder_belongs_to_one_and_the_second_is_told_whose_it_is(config: Path) -> None:
    async with room_of(config):
        second = room_of(config)
        with pytest.raises(StoreError, match="in use by the Greenroom with process id"):
            await second.chat(model="support", messages=said("Hi"))

    async with second:
        assert (await second.chat(model="support", messages=said("Hi"))).text == "Good morning."


async def test_without_a_context_everything_ends_with_the_last_reference(config: Path) -> None:
    answers = [await room_of(config).chat(model="support", messages=said("Hi")) for _ in range(2)]
    gc.collect()
    lock_folder(config.parent / "data").release()

    assert [record(config, one.id)["outcome"] for one in answers] == ["answered", "answered"]


async def test_a_stream_keeps_its_room_open(config: Path) -> None:
    pieces = [
        one.text
        async for one in await room_of(config).chat(model="support", messages=said("Hi"), stream=True)
    ]

    assert "".join(pieces) == "Good morning."


async def test_first_questions_at_once_open_one_house(config: Path) -> None:
    room = room_of(config)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(room.chat(model="support", messages=said("Hi"))) for _ in range(5)]
    await room.close()
    await room.close()

    assert len({one.result().id for one in asked}) == 5
    assert {one.result().text for one in asked} == {"Good morning."}


def test_one_room_serves_one_loop_after_the_other(tmp_path: Path) -> None:
    room = Greenroom(data=tmp_path, environment={})

    first, second = (asyncio.run(room.chat(messages=said("How do I make a key?"))) for _ in range(2))

    assert first.text == second.text
    asyncio.run(room.close())


async def test_a_second_loop_beside_the_first_is_told_so(tmp_path: Path) -> None:
    async with Greenroom(data=tmp_path, environment={}) as room:
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, room.open())


@pytest.mark.slow
def test_a_program_that_just_ends_leaves_its_record(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from greenroom import Greenroom\n"
        "room = Greenroom(data=sys.argv[1], environment={})\n"
        "ask = room.chat(messages=[{'role': 'user', 'content': 'How do I make a key?'}])\n"
        "print(asyncio.run(ask).id)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "data")],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    assert done.stderr == ""
    assert record(tmp_path / "greenroom.toml", done.stdout.strip())["outcome"] == "answered"


def test_importing_the_package_loads_nothing_else(tmp_path: Path) -> None:
    code = "import sys, greenroom; print([n for n in sys.modules if n.startswith('greenroom.') or n == 'msgspec'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout.strip() == "[]"
