"""Choosing with what this installation has seen: evaluation runs, its own files, a catalogue put in by command."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.json import encode

from greenroom.assembly.audit import Audit, Wanted
from greenroom.assembly.house import House
from greenroom.assembly.recommendation import Recommender, as_wish
from greenroom.errors import MalformedRequest, NotFound, RequestError
from greenroom.models.catalogue.catalogue import SHIPPED
from greenroom.models.catalogue.wish import Wish
from greenroom.models.pulled import models_folder
from greenroom.store.evals import EvalStore, RunRow
from tests.models import tiny_gguf

HARDWARE = "ram=16GB"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House.open(None, tmp_path / "data", {}).running() as running:
        yield running


def evaluate(
    folder: Path,
    id: str,
    model: str,
    values: list[float],
    *,
    project: str = "default",
    data: str = "set",
    settings: bytes = b"{}",
) -> None:
    store = EvalStore(folder / "evals.db")
    store.begin(
        RunRow(
            id=id,
            project=project,
            name=id,
            subject=model,
            fingerprint=id,
            data=data,
            total=len(values),
            settings=settings,
        )
    )
    for place, value in enumerate(values):
        call = store.ask(id, f"{id}-{place}")
        store.answered(call, "answered", 1, encode({"model": model, "text": "x"}))
        scores = [
            {"name": "exact", "value": value},
            {"name": "latency", "value": 0.5},
            {"name": "cost", "value": None},
        ]
        store.add_item(id, place, 0, f"s{place}", call, encode(scores), 0)
    store.end(id, "finished")
    store.close()


async def test_evaluated_answers_decide_and_a_sample_counts_once(house: House) -> None:
    evaluate(house.data, "old", "openai/gpt-5-nano", [0.0] * 150)
    evaluate(house.data, "new", "openai/gpt-5-nano", [1.0] * 150)

    found = Recommender(house).recommend(Wish(hardware=HARDWARE))

    assert found["best"]["model"] == "openai/gpt-5-nano"
    assert found["best"]["quality"]["scored_answers"] == 150
    assert found["best"]["quality"]["mean"] > 0.95
    assert not found["best"]["is_here"]  # no key


async def test_a_score_that_is_better_low_is_no_quality(house: House) -> None:
    metrics = [{"name": "exact", "higher_is_better": False}, {"name": "latency", "unit": "ms"}]
    evaluate(house.data, "new", "openai/gpt-5-nano", [1.0] * 150, settings=encode({"metrics": metrics}))

    found = Recommender(house).recommend(Wish(hardware=HARDWARE))

    assert found["best"]["model"] != "openai/gpt-5-nano"


async def test_a_provider_of_another_name_is_asked_by_that_name(tmp_path: Path) -> None:
    file = tmp_path / "greenroom.toml"
    file.write_text('[providers.main]\nkind = "openai"\napi_key_env = "KEY"\n', encoding="utf-8")
    async with House.open(file, tmp_path / "data", {"KEY": "sk-x"}).running() as house:
        evaluate(house.data, "new", "main/gpt-5-nano", [1.0] * 150)
        recommender = Recommender(house)

        found = recommender.recommend(Wish(hardware=HARDWARE))

        assert found["best"]["model"] == "main/gpt-5-nano"
        assert found["best"]["is_here"]
        assert not any("set-key" in line and "main" in line for line in found["try"])
        brief = recommender.brief("main/gpt-5-nano")
        assert brief is not None
        assert brief["tools"] is True
        assert recommender.brief("main/no-such-model") is None


async def test_what_another_project_evaluated_is_not_seen(house: House) -> None:
    evaluate(house.data, "theirs", "openai/gpt-5-nano", [1.0] * 150, project="other")

    found = Recommender(house).recommend(Wish(hardware=HARDWARE), "default")

    assert found["best"]["model"] != "openai/gpt-5-nano"
    assert all(one["quality"]["scored_answers"] == 0 for one in found["others"])


async def test_a_file_that_was_pulled_is_read_by_its_own_head(house: House) -> None:
    models_folder(house.data).mkdir(parents=True)
    tiny_gguf.write(models_folder(house.data) / "mine.gguf")
    (models_folder(house.data) / "broken.gguf").write_bytes(b"GGUF nothing")
    recommender = Recommender(house)

    shown = recommender.show("llama/mine")
    found = recommender.recommend(Wish(private=True, hardware="ram=1GB", context=512))

    assert shown["facts"]["parameters"]["value"] == tiny_gguf.parameters()
    assert shown["facts"]["parameters"]["source"] == "the head of the file"
    assert shown["facts"]["languages"] is None
    mine = next(one for one in [found["best"], *found["others"]] if one["model"] == "llama/mine")
    assert mine["is_here"]
    assert mine["memory"]["need_bytes"] < 1 << 28


async def test_a_model_that_is_nowhere_is_told_with_some_that_are(house: House) -> None:
    with pytest.raises(NotFound, match="gpt-5-mini"):
        Recommender(house).show("gpt-5-mi")


@pytest.mark.parametrize(
    ("wish", "field"), [(Wish(hardware="ram"), "hardware"), (Wish(quantisation="Q9"), "quantisation")]
)
async def test_a_wrong_wish_names_its_field(house: House, wish: Wish, field: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        Recommender(house).recommend(wish)

    assert caught.value.param == field


def test_a_typed_wish_is_checked() -> None:
    assert as_wish({"task": "rag", "languages": ["pt-BR"]}).codes == ("pt",)
    for wrong in ({"task": "war"}, {"context": 0}, {"languages": ["portuguese"]}, {"more": 1}):
        with pytest.raises(MalformedRequest):
            as_wish(wrong)


async def test_another_catalogue_is_written_into_the_audit_log(house: House) -> None:
    content = SHIPPED.read_bytes() + b"\n"
    recommender = Recommender(house)

    with pytest.raises(RequestError, match="Nothing was changed"):
        recommender.replace(content, "0" * 64, "file", "ana")
    recommender.replace(content, hashlib.sha256(content).hexdigest(), "file", "ana")

    lines, _ = Audit(house).page(Wanted(kind="change"))
    changes = [one for one in lines if one["what"] == "models.update"]
    assert len(changes) == 1
    assert changes[0]["who"] == "ana"
    assert changes[0]["after"]["sha256"] == recommender.catalogue().sha256
