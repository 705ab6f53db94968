"""Each kind of provider against a scripted upstream on a real socket: addresses, keys, answers, failures."""

import json
from collections.abc import Callable

import pytest

from greenroom.errors import (
    RequestError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.models.pool import Pool
from greenroom.models.providers import Anthropic, Azure, Bedrock, Cohere, Gemini, OpenAICompatible, Provider
from greenroom.testing import make_exchange
from greenroom.wire.quirks import Quirks
from tests.models.calling import CONVERSE, GEMINI, KEY, LIMITS, call, said
from tests.models.scripted import Answer, Scripted
from tests.wire import test_bedrock, test_cohere, test_gemini

CHAT = json.dumps(
    {
        "id": "c",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
).encode()
COHERE = json.dumps(
    {
        "id": "c",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        "usage": {"tokens": {"input_tokens": 1, "output_tokens": 2}},
    }
).encode()


def gemini(origin: str, pool: Pool) -> Provider:
    return Gemini("p", origin, KEY, pool, {"x-team": "a"})


def azure(origin: str, pool: Pool) -> Provider:
    return Azure("p", origin, KEY, pool, {}, "2024-10-21")


def azure_v1(origin: str, pool: Pool) -> Provider:
    return Azure("p", origin, KEY, pool, {})


def bedrock(origin: str, pool: Pool) -> Provider:
    return Bedrock("p", origin, KEY, pool, {})


def cohere(origin: str, pool: Pool) -> Provider:
    return Cohere("p", origin, KEY, pool, {})


def openai(origin: str, pool: Pool) -> Provider:
    return OpenAICompatible("p", origin, KEY, pool, {})


def anthropic(origin: str, pool: Pool) -> Provider:
    return Anthropic("p", origin, KEY, pool, {})


Make = Callable[[str, Pool], Provider]


@pytest.mark.parametrize(
    ("make", "model", "body", "path", "header", "value"),
    [
        (gemini, "gemini-3.5-flash", GEMINI, "/v1beta/models/gemini-3.5-flash:generateContent", "x-goog-api-key", KEY),
        (gemini, "tunedModels/x", GEMINI, "/v1beta/tunedModels/x:generateContent", "x-goog-api-key", KEY),
        (azure, "mine", CHAT, "/openai/deployments/mine/chat/completions?api-version=2024-10-21", "api-key", KEY),
        (azure_v1, "mine", CHAT, "/openai/v1/chat/completions", "api-key", KEY),
        (bedrock, "a.b-v1:0", CONVERSE, "/model/a.b-v1%3A0/converse", "authorization", f"Bearer {KEY}"),
        (bedrock, "arn:aws:x/y", CONVERSE, "/model/arn%3Aaws%3Ax%2Fy/converse", "authorization", f"Bearer {KEY}"),
        (cohere, "command-a", COHERE, "/v2/chat", "authorization", f"Bearer {KEY}"),
    ],
)  # fmt: skip
async def test_the_address_and_the_key_of_a_call(
    pool: Pool, make: Make, model: str, body: bytes, path: str, header: str, value: str
) -> None:
    async with Scripted(Answer(body)) as upstream:
        answer, _ = await call(make(upstream.origin, pool), model)

    (asked,) = upstream.asked
    assert (asked.method, asked.path, asked.headers[header]) == ("POST", path, value)
    assert KEY not in asked.path
    assert KEY not in asked.body.decode()
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (1, 2)


@pytest.mark.parametrize(
    ("make", "data", "media", "path", "text"),
    [
        (gemini, test_gemini.STREAM, "text/event-stream", "/v1beta/models/m:streamGenerateContent?alt=sse", "Olá, você 🙂"),
        (bedrock, test_bedrock.STREAM, "application/vnd.amazon.eventstream", "/model/m/converse-stream", "Olá 🙂"),
        (cohere, test_cohere.STREAM, "text/event-stream", "/v2/chat", "Olá 🙂"),
    ],
    ids=["gemini", "bedrock", "cohere"],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_stream_in_chunks_of_any_size(
    pool: Pool, make: Make, data: bytes, media: str, path: str, text: str, size: int
) -> None:
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    async with Scripted(Answer(media=media, chunks=chunks)) as upstream:
        provider = make(upstream.origin, pool)
        pieces, _ = await call(provider, "m", make_exchange(stream=True))
        again, _ = await call(provider, "m", make_exchange(stream=True))

    assert upstream.asked[0].path == path
    assert said(pieces) == said(again) == text
    assert pieces[-1]["usage"]["total_tokens"] > 0
    assert pool.in_use == 0


@pytest.mark.parametrize(
    ("make", "data", "media"),
    [
        (gemini, test_gemini.STREAM, "text/event-stream"),
        (bedrock, test_bedrock.STREAM, "application/vnd.amazon.eventstream"),
        (cohere, test_cohere.STREAM, "text/event-stream"),
    ],
    ids=["gemini", "bedrock", "cohere"],
)
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "clean end"])
async def test_a_stream_that_is_cut_is_never_an_answer(
    pool: Pool, make: Make, data: bytes, media: str, is_reset: bool
) -> None:
    cut = Answer(media=media, chunks=[data[: len(data) // 2]], cut=is_reset)
    async with Scripted(cut) as upstream:
        with pytest.raises(UpstreamDisconnected):
            await call(make(upstream.origin, pool), "m", make_exchange(stream=True))

    assert pool.in_use == 0


@pytest.mark.parametrize("make", [gemini, azure, bedrock, cohere])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, UpstreamRefused), (401, UpstreamAuth), (403, UpstreamAuth), (429, UpstreamRefused), (503, UpstreamRefused), (302, UpstreamProtocol)],
)  # fmt: skip
async def test_an_error_status_is_an_error_and_says_no_key(
    pool: Pool, make: Make, status: int, kind: type[UpstreamError]
) -> None:
    body = json.dumps({"message": "no", "error": {"code": status, "message": "no", "status": "S"}}).encode()
    async with Scripted(Answer(body, status, headers={"Retry-After": "3"})) as upstream:
        with pytest.raises(kind) as caught:
            await call(make(upstream.origin, pool), "m")

    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert upstream.origin not in str(caught.value)
    if isinstance(caught.value, UpstreamRefused):
        assert (caught.value.upstream_status, caught.value.retry_after_s) == (status, 3.0)


@pytest.mark.parametrize("make", [openai, anthropic, gemini, azure, bedrock, cohere])
async def test_headers_of_a_trace_go_with_the_call_they_are_for(pool: Pool, make: Make) -> None:
    exchange = make_exchange()
    async with Scripted(Answer(b"{}", 503)) as upstream:
        for lines in (b"traceparent: told\r\n", b""):
            exchange.onward = lines
            with pytest.raises(UpstreamRefused):
                await call(make(upstream.origin, pool), "m", exchange)

    assert [one.headers.get("traceparent") for one in upstream.asked] == ["told", None]
    assert upstream.asked[0].body == upstream.asked[1].body


async def test_gemini_names_the_wait_and_the_wrong_key_in_the_body(pool: Pool) -> None:
    wait = {
        "error": {
            "code": 429,
            "message": "slow down",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"retryDelay": "7s"}],
        }
    }
    wrong = {"error": {"code": 400, "message": "bad", "details": [{"reason": "API_KEY_INVALID"}]}}
    answers = [Answer(json.dumps(wait).encode(), 429), Answer(json.dumps(wrong).encode(), 400)]
    async with Scripted(*answers) as upstream:
        provider = gemini(upstream.origin, pool)
        with pytest.raises(UpstreamRefused) as caught:
            await call(provider, "m")
        with pytest.raises(UpstreamAuth):
            await call(provider, "m")

    assert (caught.value.retry_after_s, caught.value.upstream_code) == (7.0, "RESOURCE_EXHAUSTED")
    assert str(caught.value) == "slow down"


async def test_bedrock_names_the_kind_of_error_in_a_header(pool: Pool) -> None:
    told = Answer(b'{"message":"slow"}', 429, headers={"x-amzn-ErrorType": "ThrottlingException:http://aws"})
    async with Scripted(told) as upstream:
        with pytest.raises(UpstreamRefused) as caught:
            await call(bedrock(upstream.origin, pool), "m")

    assert (str(caught.value), caught.value.upstream_code) == ("slow", "ThrottlingException")


async def test_what_is_lost_there_and_back_is_named(pool: Pool) -> None:
    body = test_gemini.answer({"executableCode": {"code": "1"}}, {"text": "x"})
    async with Scripted(Answer(body)) as upstream:
        _, exchange = await call(gemini(upstream.origin, pool), "m", make_exchange(logit_bias={"1": 1}))

    assert exchange.context["dropped"] == ["logit_bias", "content.executableCode"]


async def test_what_is_lost_in_a_stream_is_named_at_its_end(pool: Pool) -> None:
    data = b"data: %b\n\n" % test_gemini.answer({"text": "x"}, {"executableCode": {"code": "1"}})
    async with Scripted(Answer(media="text/event-stream", chunks=[data])) as upstream:
        _, exchange = await call(gemini(upstream.origin, pool), "m", make_exchange(stream=True))

    assert exchange.context["dropped"] == ["content.executableCode"]


@pytest.mark.parametrize("make", [gemini, azure])
@pytest.mark.parametrize("model", ["../secrets", "a/../b", "a?key=1", "a b", "a\r\nb", "", "a#b", "a%2e"])
async def test_a_models_name_leads_nowhere_else(pool: Pool, make: Make, model: str) -> None:
    async with Scripted(Answer(GEMINI)) as upstream:
        with pytest.raises(RequestError):
            await call(make(upstream.origin, pool), model)

    assert upstream.asked == []


@pytest.mark.parametrize("make", [gemini, azure, bedrock, cohere])
async def test_a_stream_that_is_no_stream_is_not_the_protocol(pool: Pool, make: Make) -> None:
    async with Scripted(Answer(b"<html>", media="text/html")) as upstream:
        with pytest.raises(UpstreamProtocol):
            await call(make(upstream.origin, pool), "m", make_exchange(stream=True))


async def test_gemini_embeds_every_text(pool: Pool) -> None:
    vectors = json.dumps({"embeddings": [{"values": [0.5, 1]}, {"values": [0, 2]}]}).encode()
    async with Scripted(Answer(vectors)) as upstream:
        provider = Gemini("p", upstream.origin, KEY, pool, {})
        data = await provider.embed(
            b'{"model":"gemini-embedding-001","input":["a","b"],"dimensions":2}', LIMITS
        )

    (asked,) = upstream.asked
    assert asked.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert asked.json()["requests"][1] == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "b"}]},
        "outputDimensionality": 2,
    }
    assert [one["embedding"] for one in json.loads(data)["data"]] == [[0.5, 1.0], [0.0, 2.0]]


@pytest.mark.parametrize("body", [b'{"embeddings":[{"values":[1]}]}', b'{"embeddings":1}', b"x", b'{"embeddings":[{"values":[1e300]},{"values":[1]}]}'])  # fmt: skip
async def test_vectors_that_are_none_are_an_error(pool: Pool, body: bytes) -> None:
    async with Scripted(Answer(body)) as upstream:
        with pytest.raises(UpstreamProtocol):
            await Gemini("p", upstream.origin, KEY, pool, {}).embed(
                b'{"model":"m","input":["a","b"]}', LIMITS
            )


async def test_quirks_bend_a_body_and_name_the_loss(pool: Pool) -> None:
    async with Scripted(Answer(CHAT)) as upstream:
        provider = OpenAICompatible(
            "p", upstream.origin, KEY, pool, {}, quirks=Quirks(refused=frozenset({"seed"}))
        )
        _, exchange = await call(provider, "m", make_exchange(seed=1))

    assert "seed" not in upstream.asked[0].json()
    assert exchange.context["dropped"] == ["seed"]
