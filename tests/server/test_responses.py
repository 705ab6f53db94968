"""Responses when things go wrong: clients that leave, crashes, ends, limits, and what may not be kept."""

import asyncio
import json
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from greenroom.errors import Overloaded
from greenroom.server.responses.background import MOST_EVENT_BYTES, Background, Live
from greenroom.store.response_file import ROOMY_S, ResponseFile
from greenroom.store.responses import Kept, StoredResponses
from greenroom.wire.responses_answer import begun
from greenroom.wire.responses_chat import echo
from greenroom.wire.responses_draft import Draft
from greenroom.wire.responses_items import ItemIds
from greenroom.wire.responses_request import read_request
from tests.faults.recipes import Chunk, Head, Stall, openai_events, openai_reply, recipe, streamed, whole
from tests.faults.upstream import FaultUpstream
from tests.server.messages import ANSWER, SECRET_THOUGHT, THOUGHT, events_of
from tests.server_process import ServerProcess

JSON: Any = {"headers": {"content-type": "application/json"}}
PNG = "data:image/png;base64,iVBORw0KGgo="
WORDS = ("Half of it is", " done, and no more", " than that, for now")
HANGS = recipe(
    Head(headers=(("Content-Type", "text/event-stream"),), framing="chunked"),
    *(Chunk(one) for one in openai_events(WORDS, finish=None, done=False, usage=False)),
    Stall(),
)


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as made:
        yield made


def config(upstream: FaultUpstream, more: str = "") -> str:
    return (
        f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
        f'[models.main]\ntargets = ["up/scripted"]\n{more}'
    )


def client_of(server: ServerProcess) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0)


async def until(asked: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await asked():  # noqa: ASYNC110  # asks over the wire
            await asyncio.sleep(0.02)


async def is_at_work(client: openai.AsyncOpenAI, id: str) -> bool:
    return (await client.responses.retrieve(id)).status == "in_progress"


# with a process of its own


@pytest.mark.slow
async def test_a_client_that_leaves_leaves_what_was_said_as_cancelled(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("scripted", HANGS)
    with ServerProcess(tmp_path / "data", config(upstream)) as server:
        async with client_of(server) as client:
            stream = await client.responses.create(model="main", input="Tell.", stream=True)
            async for event in stream:
                if event.type == "response.created":
                    id = event.response.id
                if event.type == "response.output_text.delta":
                    break
            await stream.close()

            async def is_kept() -> bool:
                try:
                    return (await client.responses.retrieve(id)).status == "cancelled"
                except openai.NotFoundError:
                    return False

            await until(is_kept)
            kept = await client.responses.retrieve(id)

    assert kept.output_text.startswith("Half of it")
    assert kept.output[0].to_dict()["status"] == "incomplete"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_no_response_is_at_work_for_ever(
    tmp_path: Path, upstream: FaultUpstream, how: signal.Signals
) -> None:
    upstream.script("scripted", HANGS)
    table = config(upstream, "[server]\ndrain_s = 0.2\n")
    with ServerProcess(tmp_path / "data", table) as server:
        async with client_of(server) as client:
            id = (await client.responses.create(model="main", input="Tell.", background=True)).id
            await until(lambda: is_at_work(client, id))
            code = await asyncio.to_thread(server.stop, how)
    with ServerProcess(tmp_path / "data", table) as server:
        async with client_of(server) as client:
            kept = await client.responses.retrieve(id)
            again = [event async for event in await client.responses.retrieve(id, stream=True)]

    assert code == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    assert kept.status == "failed"
    assert kept.error is not None
    assert "stopped" in kept.error.message
    assert again[-1].type == "response.failed"


@pytest.mark.slow
async def test_a_deleted_response_stops_and_does_not_come_back(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("scripted", HANGS)
    with ServerProcess(tmp_path / "data", config(upstream)) as server:
        async with client_of(server) as client:
            id = (await client.responses.create(model="main", input="Tell of herons.", background=True)).id
            async with asyncio.timeout(20):
                while not upstream.requests:  # noqa: ASYNC110  # as below
                    await asyncio.sleep(0.02)
            await client.responses.delete(id)
            connection = upstream.requests[-1].connection
            async with asyncio.timeout(20):
                while not upstream.log.of("gone", connection=connection):  # noqa: ASYNC110  # the peer's log has no event for it
                    await asyncio.sleep(0.02)
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(id)
            with closing(sqlite3.connect(server.data / "responses.db")) as db:
                left = db.execute(
                    "SELECT (SELECT count(*) FROM responses), (SELECT count(*) FROM items)"
                ).fetchone()

    assert left == (0, 0)


@pytest.mark.slow
async def test_of_one_that_waits_nothing_is_stored_before_the_checks_have_seen_it(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("scripted", HANGS)
    secret = "390.533.447-05"
    with ServerProcess(tmp_path / "data", config(upstream)) as server:
        async with client_of(server) as client:
            asked: Any = {
                "model": "main",
                "input": f"CPF {secret}",
                "instructions": f"CPF {secret}",
                "background": True,
            }
            ids = [(await client.responses.create(**asked)).id for _ in range(40)]
            cancelled = await client.responses.cancel(ids[-1])
            waiting = await client.responses.retrieve(ids[-2])
            with closing(sqlite3.connect(server.data / "responses.db")) as db:
                stored = str(
                    db.execute("SELECT body FROM responses").fetchall()
                    + db.execute("SELECT body FROM items").fetchall()
                )

    assert (cancelled.status, waiting.status) == ("cancelled", "queued")
    assert stored
    assert secret not in stored


@pytest.mark.slow
async def test_several_processes_make_responses_beside_each_other(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("scripted", HANGS)
    with ServerProcess(tmp_path / "data", config(upstream)) as server:
        file = ResponseFile(server.data / "responses.db")  # this process is the other one
        mine = StoredResponses(file)

        def keep(id: str, status: str, *, is_update: bool) -> None:
            request = read_request(b'{"input": "x", "background": true}', ItemIds("in"))
            draft = Draft({**begun(id, int(time.time()), echo(request)), "status": status}, ItemIds(id))
            draft.begin(queued=True)
            if is_update:
                draft.work()
                draft.say("Made elsewhere.")
                draft.finish("completed" if status == "completed" else "cancelled", {})
            mine.keep(
                Kept(
                    id=id, project="default", key="k", session=id, status=status, created_at=int(time.time()),
                    body=draft.response, output=draft.items, queued=True, cuts=draft.cuts, is_update=is_update,
                )
            )  # fmt: skip
            file.flush()

        async with client_of(server) as client:
            theirs = (await client.responses.create(model="main", input="Tell.", background=True)).id
            await until(lambda: is_at_work(client, theirs))
            mine.end(theirs)

            async def is_cancelled() -> bool:
                return (await client.responses.retrieve(theirs)).status == "cancelled"

            await until(is_cancelled)

            keep("resp_a", "queued", is_update=False)
            assert (await client.responses.retrieve("resp_a")).status == "queued"
            stream = await client.responses.retrieve("resp_a", stream=True)
            keep("resp_a", "completed", is_update=True)
            events = [event async for event in stream]

            keep("resp_b", "queued", is_update=False)
            cancelling = asyncio.ensure_future(client.responses.cancel("resp_b"))
            await until(lambda: asyncio.to_thread(lambda: mine.unwanted(["resp_b"]) == ["resp_b"]))
            keep("resp_b", "cancelled", is_update=True)
            cancelled = await cancelling

            keep("resp_c", "queued", is_update=False)
            file.close()
            died = await client.responses.retrieve("resp_c")

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert cancelled.status == "cancelled"
    assert died.status == "failed"


@pytest.mark.slow
async def test_where_no_texts_are_kept_nothing_is_stored(tmp_path: Path, upstream: FaultUpstream) -> None:
    with ServerProcess(tmp_path / "data", config(upstream, '[store]\ncapture = "off"\n')) as server:
        async with client_of(server) as client:
            answer = await client.responses.create(model="main", input="Hello?")
            refused: list[Awaitable[object]] = [
                client.responses.create(model="main", input="x", background=True),
                client.responses.create(model="main", input="x", previous_response_id=answer.id),
                client.responses.create(model="main", input="x", conversation="conv_1"),
                client.conversations.create(),
            ]
            for one in refused:
                with pytest.raises(openai.PermissionDeniedError):
                    await one
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(answer.id)

    assert answer.output_text == "Good morning."
    assert answer.to_dict()["store"] is False


@pytest.mark.slow
async def test_a_project_that_is_full_is_told_so(tmp_path: Path, upstream: FaultUpstream) -> None:
    upstream.script("scripted", whole(openai_reply("x" * 1_100_000)), whole(openai_reply("Fine.")))
    with ServerProcess(
        tmp_path / "data",
        config(upstream, '[store]\nresponses_mb = 1\n[apps.raw]\nmodel = "main"\npipeline = "off"\n'),
    ) as server:
        async with client_of(server) as client:
            first = await client.responses.create(model="raw", input="Say much.")
            await asyncio.sleep(ROOMY_S)
            for full in (
                client.responses.create(model="main", input="More."),
                client.responses.create(model="main", input="More.", stream=True),
                client.conversations.create(),
            ):
                with pytest.raises(openai.APIStatusError) as error:
                    await full
                assert (error.value.status_code, error.value.code) == (413, "storage_quota_exceeded")
            assert (
                await client.responses.create(model="main", input="Less.", store=False)
            ).output_text == "Fine."
            await client.responses.delete(first.id)
            assert (await client.responses.create(model="main", input="Again.")).output_text == "Fine."


@pytest.mark.slow
async def test_an_app_without_documents_searches_none_and_one_with_few_only_those(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    table = config(
        upstream,
        '[apps.bare]\nmodel = "main"\nground = []\n[apps.off]\nmodel = "main"\npipeline = "off"\n'
        '[apps.few]\nmodel = "main"\ncollections = ["herons"]\n',
    )
    with ServerProcess(tmp_path / "data", table) as server:
        async with client_of(server) as client:
            herons = await client.vector_stores.create(name="herons")
            storks = await client.vector_stores.create(name="storks")

            async def ask(model: str, store: str) -> openai.types.responses.Response:
                tools: Any = [{"type": "file_search", "vector_store_ids": [store]}]
                return await client.responses.create(model=model, input="Who nests?", tools=tools)

            for model in ("bare", "off"):
                with pytest.raises(openai.BadRequestError) as error:
                    await ask(model, herons.id)
                assert error.value.param == "tools"
            with pytest.raises(openai.PermissionDeniedError):
                await ask("few", storks.id)
            allowed = await ask("few", herons.id)

    assert [item.type for item in allowed.output] == ["file_search_call", "message"]


@pytest.mark.slow
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_what_anthropic_thought_comes_back_to_it_with_its_signature(
    tmp_path: Path, upstream: FaultUpstream, is_streamed: bool
) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"at": "Natal"}}
    message = {**ANSWER, "content": [THOUGHT, SECRET_THOUGHT, {"type": "text", "text": "I look."}, call]}
    upstream.script(
        "scripted", streamed(events_of(message)) if is_streamed else whole(json.dumps(message).encode()),
        whole(json.dumps({**ANSWER, "content": [{"type": "text", "text": "Sun."}], "stop_reason": "end_turn"}).encode()),
    )  # fmt: skip
    table = f'[providers.claude]\nkind = "anthropic"\nbase_url = "{upstream.origin}"\n[apps.talk]\nmodel = "claude/scripted"\nground = []\n'
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]
    with ServerProcess(tmp_path / "data", table) as server:
        async with client_of(server) as client:
            asked: Any = {"model": "talk", "input": "How is it in Natal?", "tools": tools}
            if is_streamed:
                async with client.responses.stream(**asked) as stream:
                    answer: Any = await stream.get_final_response()
            else:
                answer = await client.responses.create(**asked)
            output: Any = [{
                "type": "function_call_output", "call_id": "toolu_1",
                "output": [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG}],
            }]  # fmt: skip
            then = await client.responses.create(
                model="talk", input=output, previous_response_id=answer.id, tools=tools
            )
            by_url: Any = [
                {"role": "user", "content": [{"type": "input_file", "file_url": "https://x.example/a.pdf"}]}
            ]
            await client.responses.create(model="talk", input=by_url)

    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call"]
    assert answer.output[0].content[0].text == THOUGHT["thinking"]
    assert then.output_text == "Sun."
    sent: Any = upstream.requests[1].json()["messages"]
    assert sent[1]["content"] == [THOUGHT, SECRET_THOUGHT, {"type": "text", "text": "I look."}, call]
    result = sent[2]["content"][0]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "toolu_1")
    assert [part["type"] for part in result["content"]] == ["text", "image"]
    last: Any = upstream.requests[2].json()["messages"]
    assert last[0]["content"] == [
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}}
    ]


@pytest.mark.slow
async def test_bodies_that_are_none(tmp_path: Path, upstream: FaultUpstream) -> None:
    deep = b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    bodies = {
        b"": 400, b"{": 400, b"[]": 400, b"null": 400, b"\xff\xfe": 400, b'{"input": "\\ud800"}': 400,
        b'{"input": NaN}': 400, b'{"input": "x", "input": "y"}': 400, deep: 400,
        b'{"model": 3, "input": "x"}': 400, b'{"input": {"role": "user"}}': 400,
        json.dumps({"input": [{"role": "user", "content": "x"}] * 20_001}).encode(): 413,
    }  # fmt: skip
    with ServerProcess(tmp_path / "data", config(upstream)) as server:
        async with client_of(server) as client:
            for path in (
                "/responses",
                "/responses/input_tokens",
                "/responses/compact",
                "/conversations/none/items",
            ):
                for body, status in bodies.items():
                    with pytest.raises(openai.APIStatusError) as error:
                        await client.post(path, cast_to=object, content=body, options=JSON)
                    assert error.value.status_code in {status, 400}, (path, body[:40])
                    assert error.value.code in {"malformed_request", "request_too_large"}, (path, body[:40])
            assert (
                await client.responses.create(model="main", input="Hello?")
            ).output_text == "Good morning."


# without a process


def none(ids: Sequence[str]) -> list[str]:
    """No other process wants any of these ended."""
    return []


async def hang(live: Live) -> None:
    live.add(b"event: a\ndata: {}\n\n")
    await asyncio.Event().wait()


def live_of(work: Callable[[Live], Awaitable[None]], cut: list[str]) -> Live:
    def cut_off() -> bytes:
        cut.append("cut")
        return b"event: end\ndata: {}\n\n" if len(cut) == 1 else b""

    return Live(work, cut_off, dict)


async def test_a_bounded_number_is_at_work_and_a_bounded_number_waits() -> None:
    background = Background(none, at_work=1, waiting=1)
    first, second = live_of(hang, []), live_of(hang, [])
    background.start("1", first)
    background.start("2", second)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [len(first.events), len(second.events)] == [1, 0]
    with pytest.raises(Overloaded):
        background.check_room()
    await first.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert background.find("1") is None
    assert len(second.events) == 1
    await background.stop()
    assert second.has_ended
    background.check_room()


async def test_one_that_waits_is_cancelled_before_it_began() -> None:
    background = Background(none, at_work=1, waiting=5)
    cut: list[str] = []
    waiting = live_of(hang, cut)
    background.start("1", live_of(hang, []))
    background.start("2", waiting)
    await asyncio.sleep(0)

    await waiting.cancel()

    assert waiting.events == [b"event: end\ndata: {}\n\n"]
    await background.stop()


async def test_any_number_of_readers_see_all_events_and_the_end() -> None:
    background = Background(none)
    going = asyncio.Event()

    async def work(live: Live) -> None:
        live.add(b"data: 0\n\ndata: 1\n\n")
        await going.wait()
        live.add(b"data: 2\n\n")

    live = live_of(work, [])
    background.start("1", live)

    async def read(after: int) -> bytes:
        return b"".join([data async for data in live.follow(after)])

    readers = [asyncio.ensure_future(read(after)) for after in (-1, 0, 1, 2, 9)]
    await asyncio.sleep(0.01)
    going.set()

    assert [await one for one in readers] == [
        b"data: 0\n\ndata: 1\n\ndata: 2\n\n", b"data: 1\n\ndata: 2\n\n", b"data: 2\n\n", b"", b"",
    ]  # fmt: skip
    assert await read(-1) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_work_that_breaks_ends_its_response() -> None:
    background = Background(none)
    cut: list[str] = []

    async def work(live: Live) -> None:
        raise ValueError

    live = live_of(work, cut)
    background.start("1", live)
    await live.ended()

    assert cut == ["cut"]
    assert live.events == [b"event: end\ndata: {}\n\n"]


async def test_a_response_that_says_too_much_is_cut_off() -> None:
    cut: list[str] = []

    async def work(live: Live) -> None:
        piece = b"data: " + b"x" * 1_000_000 + b"\n\n"
        while True:
            live.add(piece)
            await asyncio.sleep(0)

    live = live_of(work, cut)
    background = Background(none)
    began = time.monotonic()
    background.start("1", live)
    async with asyncio.timeout(10):
        await live.ended()

    assert cut
    assert sum(map(len, live.events)) < MOST_EVENT_BYTES + 2_000_000
    assert time.monotonic() - began < 10
