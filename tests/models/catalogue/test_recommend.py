"""Conditions, three answers, and how scores of one's own outweigh what was expected."""

import json
import random
from datetime import date
from typing import Any

import pytest

from greenroom.models.catalogue.candidates import Here, LocalFile, known_as
from greenroom.models.catalogue.catalogue import Catalogue, open_catalogue
from greenroom.models.catalogue.facts import Fact, Model, Shape
from greenroom.models.catalogue.hardware import Hardware, parse_hardware
from greenroom.models.catalogue.quality import SPREAD, Seen, expect, learn
from greenroom.models.catalogue.recommend import recommend
from greenroom.models.catalogue.wish import TASKS, Wish
from greenroom.models.prices import PriceBook

TODAY = date(2026, 11, 26)
BIG = parse_hardware("ram=64GB,bandwidth=40GB")

Json = dict[str, Any]  # Any: JSON


def ask(
    wish: Wish | None = None,
    seen: dict[str, Seen] | None = None,
    here: Here | None = None,
    catalogue: Catalogue | None = None,
) -> Json:
    return recommend(
        wish or Wish(),
        catalogue or open_catalogue(),
        here or Here(hardware=BIG),
        seen or {},
        PriceBook.load(),
        TODAY,
    )


def why(found: Json, name: str) -> tuple[str, str] | None:
    return next(
        ((one["condition"], one["why"]) for one in found["filtered"]["models"] if one["name"] == name), None
    )


@pytest.mark.parametrize("task", TASKS)
def test_each_task_gets_three_answers_with_reasons_and_something_to_try(task: Any) -> None:  # Any: a literal
    found = ask(Wish(task=task))

    for key in ("best", "value", "private"):
        assert found[key]["reasons"]
        assert (
            0
            <= found[key]["quality"]["low"]
            <= found[key]["quality"]["mean"]
            <= found[key]["quality"]["high"]
            <= 1
        )
    assert found["private"]["model"].startswith("llama/")
    assert found["best"]["quality"]["mean"] >= found["value"]["quality"]["mean"]
    assert any("models compare --models" in line for line in found["try"])
    assert any("assumed" in line for line in found["assumed"])
    assert found["undecided"]
    json.dumps(found["filtered"])


@pytest.mark.parametrize(
    ("wish", "name", "condition"),
    [
        (Wish(private=True), "openai/gpt-5-mini", "private"),
        (Wish(licence="open"), "openai/gpt-5-mini", "licence"),
        (Wish(licence="permissive"), "llama-3.1-8b", "licence"),
        (Wish(context=200_000), "anthropic/claude-haiku-4-5", None),
        (Wish(context=200_001), "anthropic/claude-haiku-4-5", "context"),
        (Wish(context=300_000), "openai/gpt-5-mini", "context"),
        (Wish(input=("text", "image")), "deepseek/deepseek-v4-pro", "input"),
        (Wish(tools=True), "gemma-3-4b", "tools"),
        (Wish(task="agent"), "gemma-3-4b", "tools"),
        (Wish(languages=("pt-BR", "en")), "smollm2-1.7b", "languages"),
        (Wish(languages=("pt", "en")), "qwen2.5-7b", None),
        (Wish(languages=("pt",)), "openai/gpt-5-mini", None),
        (Wish(budget_usd=1.0), "openai/gpt-5.5", "budget"),
        (Wish(output_tokens=5_000), "cohere/command-r-08-2024", "context"),
        (Wish(), "openai/gpt-4", "end of life"),
        (Wish(), "llama-3.3-70b", None),
        (Wish(context=131_072), "llama-3.3-70b", "memory"),
        (Wish(quantisation="F16"), "qwen2.5-32b", "memory"),
    ],
)  # fmt: skip
def test_a_condition_is_hard(wish: Wish, name: str, condition: str | None) -> None:
    found = why(ask(wish), name)

    assert (None if found is None else found[0]) == condition


def test_a_language_that_nobody_names_is_said_and_costs_a_little() -> None:
    found = ask(Wish(languages=("pt",)))
    named, silent = (
        next(
            one
            for one in [found["best"], found["value"], *found["others"]]
            if bool(one["unknown"]) == unknown
        )
        for unknown in (False, True)
    )

    assert "pt" in silent["unknown"][0]
    assert named["unknown"] == []
    model = open_catalogue().find("openai/gpt-5-mini")
    assert model is not None
    assert expect(model, "chat", 2.0, "2026-01", ("pt",)).mean < expect(model, "chat", 2.0, "2026-01").mean


def test_nothing_local_is_offered_where_there_is_no_memory_and_the_reason_is_said() -> None:
    found = ask(here=Here(hardware=Hardware()))

    assert found["private"] is None
    assert "memory" in found["no_private"]


def test_no_answer_at_all_is_an_answer() -> None:
    found = ask(Wish(private=True), here=Here(hardware=Hardware()))

    assert (found["best"], found["value"], found["private"], found["undecided"]) == (None, None, None, None)
    assert found["try"] == []
    assert sum(found["filtered"]["by_condition"].values()) == len(open_catalogue().models)


def test_the_budget_and_the_cost_are_the_price_books() -> None:
    found = ask(Wish(requests=1_000, input_tokens=2_000, output_tokens=500, budget_usd=2.0))
    price = PriceBook.load().price("openai", "gpt-5-mini")
    assert price is not None
    rates = price.periods[0].rates
    by_hand = (2_000 * rates.input + 500 * rates.output) / 1e12 * 1_000

    names = [found["best"], found["value"], *found["others"]]
    assert all(one["usd_per_month"] <= 2.0 for one in names)
    assert (why(found, "openai/gpt-5-mini") is None) == (by_hand <= 2.0)
    assert why(found, "openai/gpt-5.5") is not None


def test_a_slow_machine_keeps_local_models_out_of_a_hurry() -> None:
    wish = Wish(latency_s=2, output_tokens=300)
    slow, fast = (
        ask(wish, here=Here(hardware=parse_hardware(f"ram=64GB,bandwidth={speed}GB")))
        for speed in (10, 2_000)
    )

    assert why(slow, "qwen2.5-32b") is not None
    assert "would take" in (why(slow, "qwen2.5-32b") or ("", ""))[1]
    assert why(fast, "qwen2.5-7b") is None


def test_times_that_were_measured_here_count() -> None:
    here = Here(hardware=BIG, latency_s={"openai/gpt-5-mini": 9.0, "openai/gpt-5-nano": 1.0})

    found = ask(Wish(latency_s=3), here=here)

    assert why(found, "openai/gpt-5-mini") == ("latency", "half of its answers took longer than 9.0 s here")
    assert why(found, "openai/gpt-5-nano") is None


def test_the_mix_of_tokens_is_that_of_the_traces_unless_it_is_said() -> None:
    here = Here(hardware=BIG, input_tokens=7_000, output_tokens=40)

    assert "7,000 tokens (seen in your traces)" in ask(here=here)["assumed"][0]
    assert "500 tokens (said)" in ask(Wish(input_tokens=500), here=here)["assumed"][0]


def test_scores_of_ones_own_overturn_the_expectation() -> None:
    seen = {
        "openai/gpt-5-nano": Seen(400, 396.0, "400 scored traces"),
        "openai/gpt-5.5": Seen(400, 120.0, "x"),
    }

    before, after = ask(), ask(seen=seen)

    assert before["best"]["model"] != "openai/gpt-5-nano"
    assert after["best"]["model"] == "openai/gpt-5-nano"
    assert after["best"]["quality"]["scored_answers"] == 400
    assert "400 scored answers of your own" in after["best"]["reasons"][0]


def test_few_scores_shrink_to_the_expectation_and_many_do_not() -> None:
    model = open_catalogue().find("qwen3-8b")
    assert model is not None
    expected = expect(model, "chat", None, "2026-01")

    few, many = learn(expected, Seen(2, 2.0, "x")), learn(expected, Seen(1_000, 900.0, "x"))

    assert expected.mean < few.mean < 0.85
    assert abs(many.mean - 0.9) < 0.01
    assert many.high - many.low < 0.05 < few.high - few.low
    assert learn(expected, Seen(0, 0, "x")) == expected


@pytest.mark.parametrize("seen", [Seen(-1, 0, ""), Seen(1, 2, ""), Seen(1, -0.1, "")])
def test_scores_that_cannot_be_are_refused(seen: Seen) -> None:
    model = open_catalogue().models["qwen3-8b"]

    with pytest.raises(ValueError, match="from 0 to 1"):
        learn(expect(model, "chat", None, ""), seen)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = random.Random(11)
    expected = expect(open_catalogue().models["qwen3-8b"], "chat", None, "2026-01")
    held = 0
    for _ in range(2_000):
        truth = min(max(chance.gauss(expected.mean, SPREAD), 0.02), 0.98)
        good = sum(chance.random() < truth for _ in range(50))
        found = learn(expected, Seen(50, good, "x"))
        held += found.low <= truth <= found.high

    assert 0.93 <= held / 2_000 <= 0.98


def test_a_file_that_is_here_counts_with_its_own_size_and_shape() -> None:
    shape = Shape(layers=2, hidden=64, heads=2, kv_heads=2, head_dim=32, vocab=300)
    own = Model(name="mine", kind="open", shape=Fact(shape, "file"), parameters=Fact(10**9, "file"),
                context=Fact(8192, "file"))  # fmt: skip
    here = Here(hardware=BIG, files=(LocalFile("mine", own, 3 << 30, 3 << 30),))

    found = ask(Wish(private=True), {"llama/mine": Seen(500, 499.0, "x")}, here)

    assert found["best"]["model"] == "llama/mine"
    assert found["best"]["is_here"]
    assert found["best"]["memory"]["weights_bytes"] == 3 << 30
    assert found["best"]["memory"]["quantisation"] is None
    assert not any("pull" in line for line in found["try"])


def test_a_pulled_file_takes_the_place_of_the_model_of_its_name() -> None:
    known = open_catalogue().models["qwen3-4b"]
    own = Model(name="qwen3-4b", kind="open", shape=known.shape, parameters=Fact(1, "file"))
    made = known_as(own, known)
    here = Here(hardware=BIG, files=(LocalFile("qwen3-4b", made, 1 << 30, 1 << 30),))

    found = ask(Wish(private=True), {"llama/qwen3-4b": Seen(900, 899.0, "x")}, here)

    assert made.licence == known.licence
    assert made.parameters == Fact(1, "file")
    assert found["best"]["model"] == "llama/qwen3-4b"
    assert found["best"]["is_here"]


def test_keys_that_are_missing_are_asked_for() -> None:
    found = ask(here=Here(hardware=BIG, with_keys=frozenset({"mistral"})))
    provider = found["best"]["model"].partition("/")[0]

    assert f"greenroom providers set-key {provider}" in found["try"]


def test_of_equals_the_cheaper_is_the_better_value() -> None:
    models = [
        {"name": f"openai/{name}", "kind": "hosted", "context": [400_000, "us"]}
        for name in ("gpt-5", "gpt-5-nano")
    ]
    source = {"title": "x", "url": "", "date": "2026-11-26"}
    catalogue = Catalogue(
        json.dumps(
            {"edition": "2026-11-26", "notice": "", "sources": {"us": source}, "models": models}
        ).encode(),
        "x",
    )
    seen = {str(one["name"]): Seen(1_000, 900.0, "x") for one in models}

    found = ask(seen=seen, catalogue=catalogue)
    for_quality = ask(
        Wish(price_of_quality=0), {**seen, "openai/gpt-5": Seen(1_000, 930.0, "x")}, catalogue=catalogue
    )

    assert found["value"]["model"] == "openai/gpt-5-nano"
    assert for_quality["value"]["model"] == "openai/gpt-5"
