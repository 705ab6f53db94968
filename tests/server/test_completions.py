"""The real `openai` client against `/v1/completions`, in front of a provider that speaks chat."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai.types import Completion

from greenroom.exchange import Caller
from greenroom.gateway.keys import Key
from greenroom.server.completions import COMPLETIONS, Completions
from tests.faults.recipes import error, openai_events, openai_reply, streamed, whole
from tests.faults.room import KEY, Room
from tests.faults.upstream import FaultUpstream

# Bodies are JSON: Any stands for what the client's types would check anyway.
Body = dict[str, Any]


@asynccontextmanager
async def serving(upstream: FaultUpstream, **options: Any) -> AsyncIterator[tuple[Room, openai.AsyncOpenAI]]:
    """A room with the front, and a client of it."""
    async with (
        Room([upstream.base_url], fronts={COMPLETIONS: Completions()}, **options) as room,
        openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{room.port}/v1", api_key=KEY, max_retries=0) as client,
    ):
        yield room, client


def reply(*texts: str, finish: str = "stop", logprobs: list[list[tuple[str, float]]] | None = None) -> bytes:
    """A chat completion with a choice for each text."""
    made = json.loads(openai_reply())
    made["choices"] = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
            "logprobs": None
            if logprobs is None
            else {
                "content": [
                    {"token": token, "logprob": score, "top_logprobs": [{"token": token, "logprob": score}]}
                    for token, score in logprobs[index]
                ]
            },
        }
        for index, text in enumerate(texts)
    ]
    return json.dumps(made).encode()


async def gathered(client: openai.AsyncOpenAI, **body: Any) -> tuple[dict[int, str], list[Completion]]:
    """The text of each choice of a stream, and all its pieces."""
    pieces = [piece async for piece in await client.completions.create(stream=True, **body)]
    texts: dict[int, str] = {}
    for piece in pieces:
        for choice in piece.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
    return texts, pieces


async def test_a_prompt_goes_in_as_one_message_and_comes_back_as_a_text(upstream: FaultUpstream) -> None:
    async with serving(upstream) as (room, client):
        raw = await client.completions.with_raw_response.create(model="m", prompt="Once upon a time")
        answer = raw.parse()
        exchange = await room.kept.next()

    sent = upstream.requests[0].json()
    assert sent == {
        "model": "m",
        "max_completion_tokens": 16,
        "messages": [{"role": "user", "content": "Once upon a time"}],
    }
    assert answer.object == "text_completion"
    assert answer.id == f"cmpl-{exchange.id}"
    assert raw.headers["x-request-id"] == exchange.id
    assert [(one.text, one.index, one.finish_reason) for one in answer.choices] == [
        ("Good morning.", 0, "stop")
    ]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 7)
    assert exchange.surface == "completions"


async def test_parameters_go_through_and_what_a_chat_can_not_do_is_named(upstream: FaultUpstream) -> None:
    async with serving(upstream) as (_, client):
        raw = await client.completions.with_raw_response.create(
            model="m", prompt="x", max_tokens=5, temperature=0.5, top_p=0.9, seed=7, stop=["a", "b"],
            presence_penalty=1, frequency_penalty=-1, logit_bias={"50256": -100}, n=2, user="ana",
            suffix="the end", extra_body={"brand_new": {"a": 1.50}, "tools": []},
        )  # fmt: skip

    sent = upstream.requests[0].json()
    del sent["messages"]
    assert sent == {
        "model": "m", "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 7, "n": 2,
        "stop": ["a", "b"], "presence_penalty": 1, "frequency_penalty": -1, "user": "ana",
        "logit_bias": {"50256": -100}, "brand_new": {"a": 1.5},
    }  # fmt: skip
    assert set(raw.headers["x-greenroom-dropped"].split(", ")) == {"suffix", "tools"}


async def test_each_prompt_of_a_list_is_an_exchange_and_its_choices_count_on(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", whole(reply("a", "b")), whole(reply("c", "d", finish="length")))
    async with serving(upstream) as (room, client):
        answer = await client.completions.create(model="m", prompt=["one ", "two "], n=2, echo=True)
        await room.kept.next(2)

    assert [(one.index, one.text, one.finish_reason) for one in answer.choices] == [
        (0, "one a", "stop"), (1, "one b", "stop"), (2, "two c", "length"), (3, "two d", "length"),
    ]  # fmt: skip
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (22, 36)
    facts = answer.model_extra or {}
    assert [one["id"] for one in facts["greenroom"]["prompts"]] == [one.id for one in room.kept.exchanges]


async def test_several_prompts_stream_one_after_the_other_and_usage_counts_all(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", streamed(openai_events(("a", "b"))), streamed(openai_events(("c",))))
    key = Key(caller=Caller(key_id="k"), parallel=1)
    async with serving(upstream, key=key) as (_, client):
        texts, pieces = await gathered(
            client, model="m", prompt=["1 ", "2 "], echo=True, stream_options={"include_usage": True}
        )

    assert texts == {0: "1 ab", 1: "2 c"}
    assert {piece.id for piece in pieces} == {pieces[0].id}
    assert [one.finish_reason for piece in pieces for one in piece.choices if one.finish_reason] == [
        "stop", "stop",
    ]  # fmt: skip
    assert pieces[-1].choices == []
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.total_tokens == 36
    assert all(piece.usage is None for piece in pieces[:-1])


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(error(500), id="before its first word"),
        pytest.param(
            streamed(openai_events(("c",), finish=None, done=False, usage=False)), id="after its first word"
        ),
    ],
)
async def test_a_failure_at_the_second_prompt_ends_the_stream_with_an_error(
    upstream: FaultUpstream, second: Any
) -> None:
    upstream.script("m", streamed(openai_events(("a",))), second, streamed(openai_events(("never",))))
    said: list[str] = []

    async def read(client: openai.AsyncOpenAI) -> None:
        async for piece in await client.completions.create(model="m", prompt=["1", "2", "3"], stream=True):
            said.extend(one.text for one in piece.choices)

    async with serving(upstream) as (_, client):
        with pytest.raises(openai.APIError):
            await read(client)

    assert "a" in said
    assert "never" not in said
    assert len(upstream.requests) == 2


async def test_a_failure_at_the_second_prompt_fails_the_whole_and_is_recorded(
    upstream: FaultUpstream,
) -> None:
    upstream.script("m", whole(reply("a")), error(429))
    async with serving(upstream) as (room, client):
        with pytest.raises(openai.RateLimitError):
            await client.completions.create(model="m", prompt=["1", "2"])
        await room.kept.next(2)

    assert [one.outcome for one in room.kept.exchanges] == ["answered", "failed"]


async def test_log_probabilities_have_the_legacy_form(upstream: FaultUpstream) -> None:
    upstream.script("m", whole(reply("Oi é", logprobs=[[("Oi", -0.5), (" é", -1.0)]])))
    async with serving(upstream) as (_, client):
        answer = await client.completions.create(model="m", prompt="Diga: ", logprobs=1, echo=True)

    assert upstream.requests[0].json()["top_logprobs"] == 1
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["Oi", " é"]
    assert logprobs.token_logprobs == [-0.5, -1.0]
    assert logprobs.top_logprobs == [{"Oi": -0.5}, {" é": -1.0}]
    assert logprobs.text_offset == [6, 8]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(None, id="the provider gives none"),
        pytest.param([[("some", -0.5), ("thing else", -1.0)]], id="they spell another text"),
    ],
)
async def test_log_probabilities_of_no_or_another_text_are_left_out_and_named(
    upstream: FaultUpstream, found: Any
) -> None:
    upstream.script("m", whole(reply("Oi", logprobs=found)))
    async with serving(upstream) as (_, client):
        raw = await client.completions.with_raw_response.create(model="m", prompt="Diga", logprobs=0)

    assert raw.parse().choices[0].logprobs is None
    assert raw.headers["x-greenroom-dropped"] == "logprobs"


async def test_best_of_gives_the_likeliest(upstream: FaultUpstream) -> None:
    tokens = [[("low", -3.0)], [("high", -0.1), ("er", -0.1)], [("middle", -1.0)]]
    upstream.script("m", whole(reply("low", "higher", "middle", logprobs=tokens)))
    async with serving(upstream) as (_, client):
        answer = await client.completions.create(model="m", prompt="x", best_of=3, n=2)

    assert upstream.requests[0].json()["n"] == 3
    assert [(one.index, one.text, one.logprobs) for one in answer.choices] == [
        (0, "higher", None), (1, "middle", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({}, "prompt", id="no prompt"),
        pytest.param({"prompt": None}, "prompt", id="null"),
        pytest.param({"prompt": ""}, "prompt", id="empty"),
        pytest.param({"prompt": []}, "prompt", id="an empty list"),
        pytest.param({"prompt": ["a", ""]}, "prompt", id="an empty text in a list"),
        pytest.param({"prompt": [1, 2]}, "prompt", id="tokens"),
        pytest.param({"prompt": [[1], [2]]}, "prompt", id="lists of tokens"),
        pytest.param({"prompt": ["a", {"text": "b"}]}, "prompt", id="an object"),
        pytest.param({"prompt": ["a"] * 129}, "prompt", id="too many"),
        pytest.param({"prompt": "a", "n": 0}, "n", id="no choices"),
        pytest.param({"prompt": "a", "n": 3, "best_of": 2}, "best_of", id="best of fewer than given"),
        pytest.param({"prompt": "a", "best_of": 2, "stream": True}, "best_of", id="best of, streamed"),
        pytest.param({"prompt": "a", "logprobs": 6}, "logprobs", id="too many alternatives"),
        pytest.param({"prompt": "a", "max_tokens": 0, "echo": True}, "max_tokens", id="scoring"),
    ],
)
async def test_what_can_not_be_completed_is_refused_with_the_field(
    upstream: FaultUpstream, body: Body, param: str
) -> None:
    async with serving(upstream) as (_, client):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.post("/completions", body={"model": "m", **body}, cast_to=object)

    assert refused.value.param == param
    assert upstream.requests == []
