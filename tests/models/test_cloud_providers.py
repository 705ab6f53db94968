"""Providers behind a cloud's own keys: tokens of Google Cloud, signatures of AWS."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote

import pytest
from Crypto.PublicKey import RSA

from greenroom.errors import RequestError, UpstreamAuth
from greenroom.models.pool import Pool
from greenroom.models.providers import Bedrock, Vertex
from greenroom.models.providers.google_token import Machine, source_of
from greenroom.models.providers.sigv4 import Signer
from greenroom.testing import make_exchange
from tests.models.calling import CONVERSE, GEMINI, KEY, call, said
from tests.models.scripted import Answer, Asked, Scripted
from tests.wire import test_bedrock

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
