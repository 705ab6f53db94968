"""The real `openai` client's conversations and responses in the background, against a real server."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import openai
import pytest

from tests.clients.responses_stage import CPF, QUESTION, Stage, says, words
from tests.faults.recipes import Chunk, Head, LastChunk, Recipe, Stall, Wait, openai_events, recipe

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


def stalled(*pieces: str) -> Recipe:
    """Says these pieces and then nothing."""
    events = openai_events(pieces, finish=None, done=False, usage=False)
    head = Head(headers=(("Content-Type", "text/event-stream"),), framing="chunked")
    return recipe(head, *(Chunk(one) for one in events), Stall())


async def test_a_response_in_the_background_takes_a_place_of_its_key_until_it_ends(stage: Stage) -> None:
    stage.upstream.script("scripted", stalled("Half of it is", " done, and no more", " than that"))
    client = await stage.key(parallel=1)
    left = await client.responses.create(model="main", input="Tell.", background=True)
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError):
            await client.responses.create(model="main", input="x", stream=stream)
    await client.responses.cancel(left.id)

    stage.upstream.script("scripted", says("Free."))
    async with asyncio.timeout(20):
        while True:
            try:
                assert (await client.responses.create(model="main", input="x")).output_text == "Free."
            except openai.RateLimitError:
                await asyncio.sleep(0.02)
            else:
                break


async def test_background_is_polled_to_its_end(stage: Stage) -> None:
    stage.upstream.script("scripted", says("Done.", stream=True))
    answer = await stage.client.responses.create(model="main", input="Take your time.", background=True)
    assert answer.status == "queued"
    assert answer.background is True
    while answer.status in {"queued", "in_progress"}:
        await asyncio.sleep(0.02)
        answer = await stage.client.responses.retrieve(answer.id)

    assert answer.status == "completed"
    assert answer.output_text == "Done."
    assert words((await stage.client.responses.input_items.list(answer.id)).data) == ["Take your time."]
    assert (await stage.client.responses.cancel(answer.id)).status == "completed"


async def test_background_goes_on_without_its_client_and_is_resumed(stage: Stage) -> None:
    stage.upstream.script("scripted", recipe(
        Head(headers=(("Content-Type", "text/event-stream"),), framing="chunked"),
        *[action for one in openai_events([*"Slowly."]) for action in (Chunk(one), Wait(0.05))], LastChunk(),
    ))  # fmt: skip
    stream = await stage.client.responses.create(model="main", input="Tell.", background=True, stream=True)
    seen = await until_its_first_words(stream)
    id = seen[0].response.id
    assert [event.type for event in seen[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]

    rest = [
        event
        async for event in await stage.client.responses.retrieve(
            id, stream=True, starting_after=seen[-1].sequence_number
        )
    ]

    both = [*seen, *rest]
    assert [event.sequence_number for event in both] == list(range(len(both)))
    assert "".join(event.delta for event in both if event.type == "response.output_text.delta") == "Slowly."
    assert both[-1].type == "response.completed"
    again = [event async for event in await stage.client.responses.retrieve(id, stream=True)]
    assert [(event.type, event.sequence_number) for event in again] == [
        (event.type, event.sequence_number) for event in both
    ]


async def test_background_is_cancelled_where_it_stands(stage: Stage) -> None:
    stage.upstream.script("scripted", stalled("Half of it is", " done, and no more", " than that"))
    stream = await stage.client.responses.create(model="main", input="Tell.", background=True, stream=True)
    seen = await until_its_first_words(stream)
    cancelled = await stage.client.responses.cancel(seen[0].response.id)

    assert cancelled.status == "cancelled"
    assert cancelled.output_text.startswith("Half of it")
    assert (await stage.client.responses.retrieve(cancelled.id)).status == "cancelled"
    assert (await stage.client.responses.cancel(cancelled.id)).status == "cancelled"
    assert seen[0].response.id == cancelled.id
    again = [event async for event in await stage.client.responses.retrieve(cancelled.id, stream=True)]
    assert again[-1].type == "response.incomplete"
    assert again[-1].response.status == "cancelled"
    async with asyncio.timeout(20):
        connection = stage.upstream.requests[-1].connection
        while not stage.upstream.log.of("gone", connection=connection):  # noqa: ASYNC110  # the provider is hung up on
            await asyncio.sleep(0.02)


async def test_only_what_runs_in_the_background_is_cancelled(stage: Stage) -> None:
    stage.upstream.script("scripted", says("x"))
    answer = await stage.client.responses.create(model="main", input="Hello?")

    with pytest.raises(openai.BadRequestError) as error:
        await stage.client.responses.cancel(answer.id)
    assert error.value.param == "response_id"


async def test_input_tokens_and_compact(stage: Stage) -> None:
    count = await stage.client.responses.input_tokens.count(
        model="talk", input="How long is this text, in tokens?"
    )
    longer = await stage.client.responses.input_tokens.count(
        model="talk", input="How long is this text, in tokens? " * 10
    )
    assert 5 < count.input_tokens < longer.input_tokens

    stage.upstream.script("scripted", says("They spoke of <CPF_1>."), says("Fine."))
    talk: Any = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Dois dias."}]
    short = await stage.client.responses.compact(model="talk", input=talk)

    assert short.object == "response.compaction"
    assert [item.type for item in short.output] == ["message", "compaction"]
    assert short.usage.total_tokens == 18
    items: Any = [item.model_dump(exclude_none=True, warnings=False) for item in short.output]
    await stage.client.responses.create(
        model="talk", input=[*items, {"role": "user", "content": "And then?"}]
    )
    sent = json.dumps(stage.sent()["messages"], ensure_ascii=False)
    assert "They spoke of <CPF_1>." in sent
    assert CPF not in sent
    assert not stage.stored(CPF)


async def test_a_conversation_is_made_filled_read_and_deleted(stage: Stage) -> None:
    conversations = stage.client.conversations
    made = await conversations.create(
        metadata={"topic": "birds"}, items=[{"type": "message", "role": "user", "content": f"CPF {CPF}"}]
    )
    assert made.metadata == {"topic": "birds"}
    assert (await conversations.retrieve(made.id)).id == made.id
    assert (await conversations.update(made.id, metadata={"topic": "fish"})).metadata == {"topic": "fish"}
    added = await conversations.items.create(
        made.id, items=[{"type": "message", "role": "user", "content": str(n)} for n in range(5)]
    )
    assert len(added.data) == 5
    everything = [item async for item in conversations.items.list(made.id, limit=2, order="asc")]
    assert words(everything) == [f"CPF {CPF}", "0", "1", "2", "3", "4"]
    assert not stage.stored(CPF)
    newest = await conversations.items.list(made.id, limit=1)
    assert newest.data[0].id == everything[-1].id
    one = await conversations.items.retrieve(everything[1].id or "", conversation_id=made.id)
    assert one.id == everything[1].id
    assert (await conversations.items.delete(one.id or "", conversation_id=made.id)).id == made.id
    with pytest.raises(openai.NotFoundError):
        await conversations.items.retrieve(one.id or "", conversation_id=made.id)
    gone = await conversations.delete(made.id)
    assert (gone.object, gone.deleted) == ("conversation.deleted", True)
    with pytest.raises(openai.NotFoundError):
        await conversations.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as error:
        await conversations.create(items=[{"type": "message", "role": "user", "content": "x"}] * 21)
    assert error.value.param == "items"


async def test_a_response_in_a_conversation_builds_on_it_and_adds_to_it(stage: Stage) -> None:
    made = await stage.client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "I live by the sea."}]
    )
    stage.upstream.script("scripted", says("By the sea."), says("Four.", stream=True))
    one = await stage.client.responses.create(model="talk", input="Where do I live?", conversation=made.id)
    async with stage.client.responses.stream(
        model="talk", input="How long is it?", conversation={"id": made.id}
    ) as stream:
        await stream.get_final_response()

    assert one.conversation is not None
    assert one.conversation.id == made.id
    assert [(m["role"], m["content"]) for m in stage.sent()["messages"]] == [
        ("user", "I live by the sea."), ("user", "Where do I live?"), ("assistant", "By the sea."), ("user", "How long is it?"),
    ]  # fmt: skip
    items = [item async for item in stage.client.conversations.items.list(made.id, order="asc")]
    assert words(items) == [
        "I live by the sea.",
        "Where do I live?",
        "By the sea.",
        "How long is it?",
        "Four.",
    ]
    with pytest.raises(openai.BadRequestError) as error:
        await stage.client.responses.create(
            model="talk", input="x", conversation=made.id, previous_response_id=one.id
        )
    assert error.value.param == "previous_response_id"


def foreign(client: openai.AsyncOpenAI, answer: str, talk: str, item: str) -> list[Awaitable[object]]:
    """All that can be asked of another one's response and conversation."""
    responses, conversations = client.responses, client.conversations
    message: Any = [{"type": "message", "role": "user", "content": "x"}]
    reference: Any = [{"type": "item_reference", "id": item}]
    return [
        responses.retrieve(answer),
        responses.retrieve(answer, stream=True),
        responses.delete(answer),
        responses.cancel(answer),
        responses.input_items.list(answer),
        responses.create(model="main", input="x", previous_response_id=answer),
        responses.create(model="main", input="x", conversation=talk),
        responses.create(model="main", input=reference),
        responses.input_tokens.count(model="main", input="x", previous_response_id=answer),
        responses.compact(model="main", previous_response_id=answer),
        conversations.retrieve(talk),
        conversations.update(talk, metadata={}),
        conversations.delete(talk),
        conversations.items.list(talk),
        conversations.items.create(talk, items=message),
        conversations.items.retrieve(item, conversation_id=talk),
        conversations.items.delete(item, conversation_id=talk),
    ]


async def test_another_project_finds_nothing(stage: Stage) -> None:
    stage.upstream.script("scripted", says("Ours."))
    answer = await stage.client.responses.create(model="main", input="Whose?")
    talk = await stage.client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "Ours."}]
    )
    item = (await stage.client.conversations.items.list(talk.id)).data[0].id or ""
    stranger, limited = await stage.key(project="other"), await stage.key(apps=["main", "talk"])
    for client in (stranger, limited):
        for asking in foreign(client, answer.id, talk.id, item):
            with pytest.raises(openai.NotFoundError):
                await asking
    assert (await stage.client.responses.retrieve(answer.id)).output_text == "Ours."
    assert (await stage.client.conversations.items.list(talk.id)).data[0].id == item


async def test_all_of_a_user_is_erased(stage: Stage) -> None:
    stage.upstream.script("scripted", says("Noted."))
    talk = await stage.client.conversations.create()
    answer = await stage.client.responses.create(
        model="main", input="I keep bees in the attic.", user="bea", conversation=talk.id
    )
    assert stage.stored("bees in the attic")
    gone: Any = await stage.admin.delete("/users/bea", cast_to=dict[str, Any])

    assert gone["responses"] == 1
    assert not stage.stored("bees in the attic")
    with pytest.raises(openai.NotFoundError):
        await stage.client.responses.retrieve(answer.id)


async def until_its_first_words(stream: Any) -> list[Any]:  # Any: the client's stream and its events
    """What comes of a response until some of its text is there; then the client leaves."""
    seen: list[Any] = []
    async for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    return seen
