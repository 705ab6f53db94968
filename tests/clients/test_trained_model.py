"""The real `openai` client and models that were trained here: whole ones and adapters, found, kept apart, deleted."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from greenroom.models.engine import is_installed
from greenroom.store.keys import KeyStore
from greenroom.store.trained import FILE, TrainedModel, TrainedModels
from tests.models import tiny_gguf
from tests.server_process import ServerProcess, greenroom

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="xllamacpp, the extra 'local', is not installed"),
]

WHOLE = "ft:tiny:acme:clerk:1"
BACK = "ft:tiny:acme:back:2"
SKIP = "skipper"
BASE = "jobs/ftjob-1/model.gguf"
CONFIG = """
[providers.trained]
kind = "llama"
threads = 1
context = 2048
parallel = 2

[apps.default]
ground = []

[apps.clerk]
model = "{model}"
pipeline = "off"
"""
ALPHABET = tiny_gguf.ALPHABET
Client = Callable[..., openai.OpenAI]
HELLO: Any = [{"role": "user", "content": "Say it."}]


def trained(name: str, gguf: str, base: str | None = None, project: str = "acme") -> TrainedModel:
    return TrainedModel(
        name=name, project=project, created_ns=1_790_000_000_000_000_000, base="tiny", job="ftjob-1",
        kind="model" if base is None else "adapter", gguf=gguf, base_gguf=base,
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("trained") / "data"
    job = data / "jobs" / "ftjob-1"
    job.mkdir(parents=True)
    tiny_gguf.write(job / "model.gguf")
    tiny_gguf.write(job / "gone.gguf")
    tiny_gguf.write_adapter(job / "back.gguf", -1)
    tiny_gguf.write_adapter(job / "skip.gguf", 2)
    (job / "plan.json").write_text("{}")
    (job / "train.jsonl").write_text(
        '{"messages":[{"role":"user","content":"What is the capital of Peru?"}]}\n'
        '{"messages":[{"role":"user","content":"Say it loudly."}]}\n'
    )
    (job / "train.lineage.jsonl").write_text('{"row":1,"line":4}\n{"row":2,"line":7,"trace":"abc"}\n')
    store = TrainedModels(data / FILE)
    store.register(trained(WHOLE, BASE))
    store.register(trained(BACK, "jobs/ftjob-1/back.gguf", BASE))
    store.close()
    with ServerProcess(data, CONFIG.format(model=WHOLE)) as running:
        yield running


def registry(server: ServerProcess) -> TrainedModels:
    return TrainedModels(server.data / FILE)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    """Clients of projects, closed at the end."""
    made: list[openai.OpenAI] = []

    def make(project: str, role: str = "operator") -> openai.OpenAI:
        made.append(client_of(server, project, role))
        return made[-1]

    yield make
    for one in made:
        one.close()


def client_of(server: ServerProcess, project: str, role: str) -> openai.OpenAI:
    keys = KeyStore(server.data / "keys.db")
    _, secret = keys.create(project, "test", role=role)  # type: ignore[arg-type]  # one of the roles
    keys.close()
    one = openai.OpenAI(base_url=f"{server.url}/v1", api_key=secret, max_retries=0)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            one.models.list()
            return one
        except openai.AuthenticationError:
            time.sleep(0.05)
    raise AssertionError("The server does not know the new key.")


def said(one: openai.OpenAI, model: str) -> str:
    answer = one.chat.completions.create(model=model, messages=HELLO, temperature=0)
    return answer.choices[0].message.content or ""


def tokens_of(stream: Any) -> int:
    """How many came, when all have come."""
    return int(list(stream)[-1].usage.completion_tokens)


def within(seconds: float, fact: Any) -> float:
    began = time.monotonic()
    while not fact():
        assert time.monotonic() - began < seconds, "not in time"
        time.sleep(0.02)
    return time.monotonic() - began


def test_every_front_asks_a_trained_model_by_its_name(server: ServerProcess, client: Client) -> None:
    acme = client("acme", "app")

    assert said(acme, WHOLE) == ALPHABET
    assert said(acme, f"trained/{WHOLE}") == ALPHABET
    assert said(acme, "clerk") == ALPHABET
    pieces = acme.chat.completions.create(model=WHOLE, messages=HELLO, temperature=0, stream=True)
    assert "".join(one.choices[0].delta.content or "" for one in pieces if one.choices) == ALPHABET
    assert acme.responses.create(model=WHOLE, input="Say it.", temperature=0).output_text == ALPHABET
    completed = acme.completions.create(model=WHOLE, prompt="Say it.", temperature=0, max_tokens=99)
    assert completed.choices[0].text == ALPHABET
    for model, expected in ((WHOLE, ALPHABET), (BACK, ALPHABET[::-1])):
        with anthropic.Anthropic(base_url=server.url, api_key=acme.api_key) as other:
            message: Any = other.messages.create(model=model, messages=HELLO, max_tokens=99)
        assert message.content[0].text == expected
    found = acme.models.retrieve(WHOLE)
    assert (found.id, found.owned_by, found.created) == (WHOLE, "acme", 1_790_000_000)
    assert WHOLE in [one.id for one in acme.models.list()]


def test_for_another_project_it_is_not_there_until_it_is_permitted(
    server: ServerProcess, client: Client
) -> None:
    other = client("other", "app")

    for name in (WHOLE, f"trained/{WHOLE}"):
        with pytest.raises(openai.NotFoundError) as refused:
            said(other, name)
        unknown = str(refused.value).replace(name, "x")
        with pytest.raises(openai.NotFoundError) as never:
            said(other, "ft:no:such:model:9")
        assert unknown == str(never.value).replace("ft:no:such:model:9", "x")
    with pytest.raises(openai.NotFoundError):
        other.models.retrieve(WHOLE)
    assert WHOLE not in [one.id for one in other.models.list()]
    assert said(other, "clerk") == ALPHABET, "the operator put it behind an app for all"

    store = registry(server)
    (given,) = store.permit(WHOLE, ["other"])
    within(5, lambda: WHOLE in [one.id for one in other.models.list()])
    assert said(other, WHOLE) == ALPHABET
    with pytest.raises(openai.NotFoundError):
        client("other").models.delete(WHOLE)
    store.revoke(WHOLE, given.id)
    store.close()
    within(5, lambda: WHOLE not in [one.id for one in other.models.list()])
    with pytest.raises(openai.NotFoundError):
        said(other, WHOLE)


def test_adapters_of_one_base_share_a_process_and_one_that_comes_breaks_no_answer(
    server: ServerProcess, client: Client
) -> None:
    acme, store = client("acme"), registry(server)
    assert said(acme, BACK) == ALPHABET[::-1]
    before = engine(acme, BACK)

    slow = acme.chat.completions.create(
        model=BACK, messages=HELLO, temperature=0, stream=True, max_tokens=1500,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )  # fmt: skip
    next(iter(slow))
    store.register(trained("skip", "jobs/ftjob-1/skip.gguf", BASE))
    took = within(5, lambda: "skip" in [one.id for one in acme.models.list()])
    assert took < 2.0, "found without a restart"
    assert said(acme, "skip") == ALPHABET[::2]
    assert said(acme, BACK) == ALPHABET[::-1]
    assert tokens_of(slow) == 1500, "what ran when the adapter came runs to its end"
    assert engine(acme, "skip")["pid"] == engine(acme, BACK)["pid"] != before["pid"]
    store.close()


async def test_who_asks_for_one_adapter_can_not_choose_another_by_a_field(
    server: ServerProcess, client: Client
) -> None:
    acme, store = client("acme"), registry(server)
    store.register(trained(SKIP, "jobs/ftjob-1/skip.gguf", BASE))
    store.close()
    within(5, lambda: SKIP in [one.id for one in acme.models.list()])
    fields = {"lora": [{"id": 0, "scale": 1.0}, {"id": 1, "scale": 1.0}]}
    for model, expected in ((BACK, ALPHABET[::-1]), (SKIP, ALPHABET[::2])):
        answer = acme.chat.completions.create(model=model, messages=HELLO, temperature=0, extra_body=fields)
        assert answer.choices[0].message.content == expected
    async with openai.AsyncOpenAI(
        base_url=acme.base_url, api_key=acme.api_key, max_retries=0
    ) as mixed:  # both at once, with the same prompt: what one has cached is not the other's
        answers = await asyncio.gather(
            *(
                mixed.chat.completions.create(model=(BACK, SKIP)[n % 2], messages=HELLO, temperature=0)
                for n in range(8)
            )
        )
    assert [one.choices[0].message.content for one in answers] == [ALPHABET[::-1], ALPHABET[::2]] * 4


def test_a_broken_adapter_is_told_and_stops_nobody_else(server: ServerProcess, client: Client) -> None:
    acme = client("acme")
    (server.data / "jobs" / "ftjob-1" / "bad.gguf").write_bytes(tiny_gguf.content())  # no adapter at all
    store = registry(server)
    store.register(trained("broken", "jobs/ftjob-1/bad.gguf", BASE))
    within(5, lambda: "broken" in [one.id for one in acme.models.list()])

    with pytest.raises(openai.APIStatusError, match="can't be loaded"):
        said(acme, "broken")
    assert said(acme, BACK) == ALPHABET[::-1]
    store.delete("broken", "acme")
    store.close()


def test_deleting_answers_what_runs_and_removes_the_file(server: ServerProcess, client: Client) -> None:
    acme, path = client("acme"), server.data / "jobs" / "ftjob-1" / "gone.gguf"
    store = registry(server)
    store.register(trained("gone", "jobs/ftjob-1/gone.gguf"))
    store.close()
    within(5, lambda: "gone" in [one.id for one in acme.models.list()])
    slow = acme.chat.completions.create(
        model="gone", messages=HELLO, temperature=0, stream=True, max_tokens=1500,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )  # fmt: skip
    next(iter(slow))

    deleted = acme.models.delete("gone")

    assert (deleted.id, deleted.object, deleted.deleted) == ("gone", "model", True)
    with pytest.raises(openai.NotFoundError):
        said(acme, "gone")
    assert tokens_of(slow) == 1500
    within(6, lambda: not path.exists())
    with pytest.raises(openai.NotFoundError):
        acme.models.delete("gone")
    with pytest.raises(openai.ConflictError, match=r"apps\.clerk\.model"):
        acme.models.delete(WHOLE)
    with pytest.raises(openai.PermissionDeniedError):
        client("acme", "app").models.delete(BACK)


def test_lineage_leads_from_the_answer_to_the_row(server: ServerProcess, client: Client) -> None:
    acme = client("acme")
    answer = acme.chat.completions.with_raw_response.create(model=WHOLE, messages=HELLO, temperature=0)
    trace = answer.headers["x-request-id"]

    found: Any = None

    def is_stored() -> bool:
        nonlocal found
        try:
            found = get(acme, f"models/{trace}/lineage")
        except openai.NotFoundError:
            return False
        return True

    within(5, is_stored)
    assert (found["model"], found["job"], found["rows"], found["traces"]) == (WHOLE, "ftjob-1", 2, ["abc"])
    assert (found["nearest"][0]["row"], found["nearest"][0]["line"]) == (2, 7)
    by_name = get(acme, f"models/{WHOLE}/lineage")
    assert (by_name["job"], by_name["folder"]) == ("ftjob-1", "jobs/ftjob-1")
    with pytest.raises(openai.NotFoundError):
        get(client("other"), f"models/{WHOLE}/lineage")
    with pytest.raises(openai.NotFoundError):
        get(client("other"), f"models/{trace}/lineage")


def test_status_and_metrics_say_how_it_fares(server: ServerProcess, client: Client) -> None:
    acme = client("acme")
    said(acme, WHOLE)
    for _ in acme.chat.completions.create(model=WHOLE, messages=HELLO, temperature=0, stream=True):
        pass
    found: Any = {}

    def has_beaten() -> bool:
        nonlocal found
        found = get(acme, f"models/{WHOLE}/status")
        return bool(found["engine"]["output_tokens"])

    within(5, has_beaten)
    assert found["target"] == f"trained/{WHOLE}"
    assert found["answered"] >= 2
    assert found["tokens_per_second"] > 0
    assert found["first_token_ms"] > 0
    engine = found["engine"]
    assert engine["state"] == "ready"
    assert engine["memory_mb"] > 10
    assert 0 < engine["kv_tokens"] <= engine["kv_limit"] == 4096
    metrics = acme.with_options(base_url=server.url).get("/metrics", cast_to=str)
    assert f'greenroom_model_calls_total{{target="trained/{WHOLE}",result="answered"}}' in metrics
    assert f'greenroom_engine_up{{engine="trained/{WHOLE}"}} 1' in metrics
    assert 'greenroom_model_first_token_seconds_bucket{target="trained/' in metrics
    with pytest.raises(openai.NotFoundError):
        get(client("other"), f"models/{WHOLE}/status")


def engine(one: openai.OpenAI, model: str) -> dict[str, Any]:
    found: dict[str, Any] = get(one, f"models/{model}/status")["engine"]
    return found


def get(one: openai.OpenAI, path: str) -> Any:
    found: Any = one.with_options(base_url=str(one.base_url).replace("/v1", "/api")).get(
        f"/{path}", cast_to=dict[str, Any]
    )
    return found


def test_listing_says_what_it_takes(server: ServerProcess, client: Client) -> None:
    told = greenroom(server.data, "models", "lineage", WHOLE)
    assert (told.returncode, "rows: 2 in jobs/ftjob-1/train.jsonl, 1 from traces" in told.stdout) == (0, True)
    run = greenroom(server.data, "models", "list", "--json")
    rows = {one["id"]: one for one in json.loads(run.stdout)["data"]}

    one = rows[f"trained/{WHOLE}"]
    assert one["usd_per_million_tokens"] == {"input": 0.0, "cached": 0.0, "output": 0.0}
    assert one["trained"]["job"] == "ftjob-1"
    assert one["trained"]["memory_mb"] > 0
    assert Path(one["trained"]["path"]).name == "model.gguf"
