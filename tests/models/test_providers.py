"""Each kind of provider against a scripted upstream on a real socket: addresses, keys, answers, failures."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import pytest
from Crypto.PublicKey import RSA

from greenroom.errors import (
    RequestError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.exchange import Exchange
from greenroom.models.pool import Pool
from greenroom.models.providers import (
    Anthropic,
    Azure,
    Bedrock,
    Cohere,
    Gemini,
    OpenAICompatible,
    Provider,
    Vertex,
)
from greenroom.models.providers.google_token import Machine, source_of
from greenroom.models.providers.sigv4 import Signer
from greenroom.models.response import Limits
from greenroom.testing import make_exchange
from greenroom.wire.quirks import Quirks
from tests.models.scripted import Answer, Asked, Scripted
from tests.wire import test_bedrock, test_cohere, test_gemini

LIMITS = Limits(connect_s=1, first_byte_s=2, idle_s=2, total_s=5)
KEY = "canary-71c3"
CHAT = json.dumps(
    {
        "id": "c",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
).encode()
CONVERSE = json.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
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
CLAUDE = json.dumps(
    {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
).encode()
GEMINI = json.dumps(
    {
        "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2},
    }
).encode()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    made.start()
    yield made
    made.stop()


async def call(provider: Provider, model: str, exchange: Exchange | None = None) -> tuple[Any, Exchange]:
    """The whole answer, or the pieces of a stream."""
    exchange = exchange or make_exchange()
    reply = await provider.call(exchange, model, exchange.request.raw, LIMITS)
    if reply.chunks is None:
        return json.loads(reply.body), exchange
    pieces = [piece async for batch in reply.chunks for piece in batch]
    assert pieces[-1] == b"[DONE]"
    return [json.loads(piece) for piece in pieces[:-1]], exchange


def said(pieces: list[Any]) -> str:
    return "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces if piece["choices"])


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


# Google Cloud's tokens

RSA_KEY = RSA.generate(2048)


def account(token_uri: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "a@p.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": RSA_KEY.export_key().decode(),
            "token_uri": token_uri,
        }
    )


def token(life_s: int = 3600, name: str = "ya29.t") -> Answer:
    return Answer(json.dumps({"access_token": name, "expires_in": life_s, "token_type": "Bearer"}).encode())


def vertex(origin: str, pool: Pool, tokens: str) -> Vertex:
    return Vertex(
        "p", origin, source_of(account(tokens + "/token")), pool, {}, project="proj", region="global"
    )


@pytest.mark.parametrize(
    ("model", "body", "path"),
    [
        ("gemini-3.5-flash", GEMINI, "publishers/google/models/gemini-3.5-flash:generateContent"),
        (
            "claude-haiku-4-5@20251001",
            CLAUDE,
            "publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
        ),
        ("anthropic/claude-x", CLAUDE, "publishers/anthropic/models/claude-x:rawPredict"),
    ],
)
async def test_vertex_speaks_each_models_dialect_with_a_token(
    pool: Pool, model: str, body: bytes, path: str
) -> None:
    async with Scripted(Answer(body)) as upstream, Scripted(token()) as tokens:
        provider = vertex(upstream.origin, pool, tokens.origin)
        answer, _ = await call(provider, model)
        traced = make_exchange()
        traced.onward = b"traceparent: told\r\n"
        await call(provider, model, traced)

    asked = upstream.asked[0]
    assert [one.headers.get("traceparent") for one in upstream.asked] == [None, "told"]
    assert asked.path == f"/v1beta1/projects/proj/locations/global/{path}"
    assert asked.headers["authorization"] == "Bearer ya29.t"
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert len(tokens.asked) == 1
    assert tokens.asked[0].path == "/token"
    if "claude" in model:
        assert asked.json()["anthropic_version"] == "vertex-2023-10-16"
        assert "model" not in asked.json()


async def test_vertex_streams_claude(pool: Pool) -> None:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    data = b"".join(
        b"event: %b\ndata: %b\n\n" % (str(one["type"]).encode(), json.dumps(one).encode()) for one in events
    )
    answer = Answer(media="text/event-stream", chunks=[data])
    async with Scripted(answer) as upstream, Scripted(token()) as tokens:
        pieces, _ = await call(
            vertex(upstream.origin, pool, tokens.origin), "claude-x", make_exchange(stream=True)
        )

    assert upstream.asked[0].path.endswith("/claude-x:streamRawPredict")
    assert said(pieces) == "Hello"


async def test_a_token_is_asked_for_again_before_it_ends_and_when_it_is_refused(pool: Pool) -> None:
    answers = [Answer(GEMINI), Answer(GEMINI), Answer(b"{}", 401), Answer(GEMINI)]
    async with (
        Scripted(*answers) as upstream,
        Scripted(token(200), token(3600, "two"), token(3600, "three")) as tokens,
    ):
        provider = vertex(upstream.origin, pool, tokens.origin)
        await call(provider, "gemini-x")  # 200 s are less than a token must have left
        await call(provider, "gemini-x")
        with pytest.raises(UpstreamAuth):
            await call(provider, "gemini-x")
        await call(provider, "gemini-x")

    used = [asked.headers["authorization"] for asked in upstream.asked]
    assert used == ["Bearer ya29.t", "Bearer two", "Bearer two", "Bearer three"]


@pytest.mark.parametrize(
    "answer", [Answer(b"{}", 400), Answer(b"{}"), Answer(b'{"access_token":"a\\r\\nX: y"}')]
)
async def test_no_token_is_our_key_refused(pool: Pool, answer: Answer) -> None:
    async with Scripted(Answer(GEMINI)) as upstream, Scripted(answer) as tokens:
        with pytest.raises(UpstreamAuth) as caught:
            await call(vertex(upstream.origin, pool, tokens.origin), "gemini-x")

    assert upstream.asked == []
    assert "PRIVATE KEY" not in str(caught.value)


async def test_models_of_other_publishers_are_refused(pool: Pool) -> None:
    async with Scripted(Answer(GEMINI)) as upstream, Scripted(token()) as tokens:
        with pytest.raises(RequestError, match="meta"):
            await call(vertex(upstream.origin, pool, tokens.origin), "meta/llama")


async def test_the_machines_own_account_is_asked_of_the_metadata_server(pool: Pool) -> None:
    async with Scripted(Answer(GEMINI)) as upstream, Scripted(token()) as server:
        source = Machine(server.origin.removeprefix("http://"))
        provider = Vertex("p", upstream.origin, source, pool, {}, project="proj", region="global")
        await call(provider, "gemini-x")

    (asked,) = server.asked
    assert (asked.method, asked.headers["metadata-flavor"]) == ("GET", "Google")
    assert asked.path == "/computeMetadata/v1/instance/service-accounts/default/token"


async def test_a_persons_refresh_token_is_a_source_too(pool: Pool) -> None:
    async with Scripted(Answer(GEMINI)) as upstream, Scripted(token()) as tokens:
        key = json.dumps(
            {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r", "token_uri": tokens.origin}
        )  # fmt: skip
        provider = Vertex("p", upstream.origin, source_of(key), pool, {}, project="proj", region="global")
        await call(provider, "gemini-x")

    assert tokens.asked[0].body == b"grant_type=refresh_token&client_id=i&client_secret=s&refresh_token=r"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type":"external_account"}', '{"client_email":"a","private_key":"no"}', '{"private_key":"x"}', '{"client_email":"a","token_uri":"http://h/token"}']
)  # fmt: skip
def test_a_key_that_cannot_be_used_says_so_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError, match="key") as caught:
        source_of(text)

    assert "no" not in str(caught.value).split("'")[1::2]


# AWS's signatures


def signature(asked: Asked, secret: str, region: str) -> str:
    """Signature Version 4 of a request as it came, by AWS's published rules and not by any library."""
    stated = asked.headers["authorization"]
    signed = stated.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    canonical = "\n".join(
        [
            asked.method,
            quote(asked.path, safe="/-_.~"),
            "",
            *(f"{name}:{' '.join(asked.headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(asked.body).hexdigest(),
        ]
    )
    moment = asked.headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/bedrock/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(
        key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}".encode(), hashlib.sha256
    ).hexdigest()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_bedrock_calls_are_signed(pool: Pool, stream: bool) -> None:
    pytest.importorskip("botocore", reason="the extra bedrock is not installed")
    media = "application/vnd.amazon.eventstream"
    answer = Answer(media=media, chunks=[test_bedrock.STREAM]) if stream else Answer(CONVERSE)
    signer = Signer("us-east-1", access_key="AKIDEXAMPLE", secret_key=KEY, session_token="session")
    async with Scripted(answer) as upstream:
        provider = Bedrock("p", upstream.origin, None, pool, {"x-team": "a"}, signer)
        await call(provider, "anthropic.claude-x-v1:0", make_exchange("Olá", stream=stream))

    (asked,) = upstream.asked
    assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert asked.headers["authorization"].endswith(signature(asked, KEY, "us-east-1"))
    assert (asked.headers["x-amz-security-token"], asked.headers["x-team"]) == ("session", "a")
    assert KEY not in str(asked.headers)


async def test_no_aws_keys_anywhere_is_our_key_refused(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore", reason="the extra bedrock is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    async with Scripted(Answer(CONVERSE)) as upstream:
        with pytest.raises(UpstreamAuth, match="No AWS keys"):
            await call(Bedrock("p", upstream.origin, None, pool, {}, Signer("eu-west-1")), "m")

    assert upstream.asked == []
