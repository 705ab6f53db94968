"""The real `openai` client asks for vectors: of the embedded encoder, and of a scripted provider."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from greenroom.models.encoder import INSTALL
from tests.faults.recipes import error, whole
from tests.faults.upstream import FaultUpstream
from tests.server_process import ADMIN, ServerProcess, greenroom

pytest.importorskip("onnxruntime", reason=INSTALL)
pytestmark = pytest.mark.slow
with_others = pytest.mark.asyncio(loop_scope="module")
"""For tests that share a server and its clients."""

MODEL = "greenroom/minilm"
VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
    "model": "their-name",
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A client of a server that has the embedded encoder alone."""
    with (
        ServerProcess(tmp_path_factory.mktemp("local") / "data") as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0) as client,
    ):
        yield client


class Stage:
    """A server, clients of it, and the provider behind."""

    def __init__(self, server: ServerProcess, upstream: FaultUpstream) -> None:
        self.server = server
        self.upstream = upstream
        self.client = self.with_key(server.local_key)
        self.admin = openai.AsyncOpenAI(base_url=f"{server.url}/api", api_key=ADMIN)

    def with_key(self, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.server.url}/v1", api_key=key, max_retries=0)

    async def trace(self, id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while True:
            try:
                return await self.admin.get(f"/traces/{id}", cast_to=dict[str, Any])
            except openai.NotFoundError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
            '[models.vectors]\ntargets = ["up/embedder", "up/another"]\n'
            '[models.lost]\ntargets = ["up/failing", "up/another"]\n'
        )
        with ServerProcess(tmp_path_factory.mktemp("vectors") / "data", config) as server:
            made = Stage(server, upstream)
            yield made
            await made.client.close()
            await made.admin.close()


@pytest.fixture
def stage(running: Stage) -> Stage:
    """The same for a test that wants to know what the provider got of it."""
    running.upstream.forget()
    return running


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_become_unit_vectors_and_like_meanings_are_near(local: openai.OpenAI) -> None:
    # The client asks for base64 unless told otherwise, and decodes it itself.
    answer = local.embeddings.create(
        model=MODEL, input=["A cat sleeps.", "The kitten is asleep.", "Interest rates rose."], user="ana"
    )
    cat, kitten, rates = (one.embedding for one in answer.data)

    assert [one.index for one in answer.data] == [0, 1, 2]
    assert len(cat) == 384
    assert math.isclose(cosine(cat, cat), 1, abs_tol=1e-5)
    assert cosine(cat, kitten) > cosine(cat, rates) + 0.3
    assert answer.model == MODEL
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 10


def test_floats_and_base64_are_the_same_numbers(local: openai.OpenAI) -> None:
    coded = local.embeddings.create(model=MODEL, input="Good morning.")
    plain = local.embeddings.create(model=MODEL, input="Good morning.", encoding_format="float")

    assert plain.data[0].embedding == pytest.approx(coded.data[0].embedding, abs=1e-7)


def test_fewer_dimensions_are_unit_vectors_too(local: openai.OpenAI) -> None:
    answer = local.embeddings.create(model=MODEL, input="Good morning.", dimensions=64)

    assert len(answer.data[0].embedding) == 64
    assert math.isclose(cosine(answer.data[0].embedding, answer.data[0].embedding), 1, abs_tol=1e-5)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({"input": "a", "dimensions": 385}, "dimensions", id="more dimensions than there are"),
        pytest.param({"input": [101, 102]}, "input", id="tokens"),
        pytest.param({"input": [[101], [102]]}, "input", id="lists of tokens"),
        pytest.param({"input": []}, "input", id="nothing"),
        pytest.param({"input": ""}, "input", id="an empty text"),
        pytest.param({"input": ["a", ""]}, "input", id="an empty text among others"),
        pytest.param({"input": ["a", 1]}, "input", id="texts and numbers"),
        pytest.param({"input": ["a"] * 2049}, "input", id="too many"),
        pytest.param({"input": "word " * 9_000}, "input", id="too long"),
        pytest.param({"input": "x" * 200_000}, "input", id="too long in one word"),
        pytest.param({"input": "a", "encoding_format": "hex"}, "encoding_format", id="an unknown format"),
        pytest.param({"input": {"text": "a"}}, "input", id="an object"),
    ],
)
def test_what_can_not_be_embedded_is_refused_with_the_field(
    local: openai.OpenAI, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        local.post("/embeddings", body={"model": MODEL, **body}, cast_to=dict[str, Any])

    assert refused.value.param == param


def test_the_model_is_listed(local: openai.OpenAI) -> None:
    names = [model.id for model in local.models.list()]

    assert MODEL in names
    with pytest.raises(openai.NotFoundError) as unknown:
        local.embeddings.create(model="text-embedding-9", input="a")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        local.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "a"}])


@with_others
async def test_the_record_holds_what_was_asked_for_and_never_the_texts(stage: Stage) -> None:
    raw = await stage.client.embeddings.with_raw_response.create(
        model=MODEL, input=["My secret plan."], extra_headers={"x-greenroom-session": "s1"}
    )

    record = await stage.trace(raw.headers["x-request-id"])

    assert record["outcome"] == "answered"
    assert record["app"] == "embeddings"
    assert record["model"]["used"] == MODEL
    assert record["session"] == "s1"
    assert record["usage"]["input_tokens"] == 6
    assert record["cost_usd"] == "0"
    assert "secret plan" not in json.dumps(record)


@with_others
async def test_a_providers_answer_passes_as_it_came(stage: Stage) -> None:
    stage.upstream.script("embedder", whole(json.dumps(VECTORS).encode()))

    raw = await stage.client.embeddings.with_raw_response.create(
        model="vectors", input=[1, 2, 3], encoding_format="float", extra_body={"brand_new": 1}
    )

    assert json.loads(raw.content) == VECTORS
    seen = stage.upstream.requests[-1]
    assert seen.path.endswith("/embeddings")
    assert seen.json() == {
        "model": "embedder", "input": [1, 2, 3], "encoding_format": "float", "brand_new": 1,
    }  # fmt: skip
    record = await stage.trace(raw.headers["x-request-id"])
    assert record["model"]["used"] == "up/embedder"
    assert record["usage"]["input_tokens"] == 7


@with_others
async def test_vectors_of_another_model_never_stand_in(stage: Stage) -> None:
    stage.upstream.script("failing", error(500))

    with pytest.raises(openai.APIStatusError):
        await stage.client.embeddings.create(model="lost", input="a")

    assert stage.upstream.asked("another") == []


@with_others
async def test_an_answer_that_is_none_is_the_providers_fault(stage: Stage) -> None:
    stage.upstream.script("other", whole(b'{"hello": 1}'))

    with pytest.raises(openai.InternalServerError) as broken:
        await stage.client.embeddings.create(model="up/other", input="a")

    assert broken.value.code == "upstream_protocol"


@with_others
async def test_fewer_vectors_than_inputs_are_the_providers_fault(stage: Stage) -> None:
    stage.upstream.script("embedder", whole(json.dumps(VECTORS).encode()))

    with pytest.raises(openai.InternalServerError) as broken:
        await stage.client.embeddings.create(model="vectors", input=["a", "b"])

    assert broken.value.code == "upstream_protocol"


@with_others
async def test_fields_that_are_null_do_not_reach_the_provider(stage: Stage) -> None:
    stage.upstream.script("embedder", whole(json.dumps(VECTORS).encode()))

    await stage.client.post(
        "/embeddings",
        body={"model": "vectors", "input": "a", "dimensions": None, "encoding_format": None, "user": None},
        cast_to=dict[str, Any],
    )

    assert stage.upstream.requests[-1].json() == {"model": "embedder", "input": "a"}


@with_others
async def test_keys_and_their_limits_hold(stage: Stage) -> None:
    stranger = stage.with_key("gr-nobody")
    with pytest.raises(openai.AuthenticationError):
        await stranger.embeddings.create(model=MODEL, input="a")
    made = json.loads(
        greenroom(stage.server.data, "keys", "create", "once", "--requests-per-minute", "1", "--json").stdout
    )
    limited = stage.with_key(made["key"])
    deadline = time.monotonic() + 20
    while True:
        try:
            await limited.embeddings.create(model=MODEL, input="a")
            break
        except openai.AuthenticationError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    with pytest.raises(openai.RateLimitError):
        await limited.embeddings.create(model=MODEL, input="a")

    await stranger.close()
    await limited.close()


@with_others
async def test_a_long_request_lets_others_pass(stage: Stage) -> None:
    long = asyncio.ensure_future(
        stage.client.embeddings.create(model=MODEL, input=[f"passage {n} " * 100 for n in range(40)])
    )
    await asyncio.sleep(0.2)
    await stage.client.models.retrieve(MODEL)

    assert not long.done()
    assert len((await long).data) == 40
