"""Routers trained in a world whose truth is known, and examples that carry none."""

from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from greenroom.models.learned.examples import Answer, gather
from greenroom.models.learned.features import DIMENSIONS
from greenroom.models.learned.file import Trained
from greenroom.models.learned.predictor import Predictor
from greenroom.models.learned.teaching import Unsupported, teach
from tests.models.learned.world import CHANCES, answers, prompt, taught, usual

SUM, TALK = prompt("sum", Random(99)), prompt("talk", Random(99))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return usual()


def test_each_kind_of_prompt_is_expected_to_go_well_where_it_does(trained: Trained) -> None:
    predictor = Predictor(trained, None)

    for text, kind in ((SUM, "sum"), (TALK, "talk")):
        guess = predictor.guess(text)
        assert guess.is_familiar
        for name, good in CHANCES.items():
            assert guess.chances[name] == pytest.approx(good[kind], abs=0.15)


def test_the_figures_say_what_is_gained_with_intervals(trained: Trained) -> None:
    figures = trained.header.figures

    assert (figures["aiq"] or 0) > (figures["aiq_alone"] or 1) + 0.1
    assert (figures["aiq_low"] or 0) < (figures["aiq"] or 0) < (figures["aiq_high"] or 0)
    assert (figures["saving_low"] or 0) > 0.2
    assert (figures["quality_low"] or -1) > 0
    assert (figures["ece"] or 1) < 0.08


def test_prompts_of_another_kind_are_unfamiliar(trained: Trained) -> None:
    predictor = Predictor(trained, None)

    assert not predictor.guess("zxqv wplfrob quuxity narl brunt emvelic").is_familiar
    assert not predictor.guess("").is_familiar
    assert not predictor.guess("Erkläre mir bitte ausführlich, weshalb Flugzeuge fliegen können.").is_familiar


@pytest.mark.parametrize("text", ["\0", "\ud800 half", "9" * 300_000, "🦀" * 5_000, "\n" * 9_000])
def test_a_hostile_prompt_gets_chances_like_any_other(trained: Trained, text: str) -> None:
    guess = Predictor(trained, None).guess(text)

    assert all(0 <= one <= 1 for one in guess.chances.values())


def glance(text: str) -> NDArray[np.float32]:
    """An encoder of a kind: what a text means lies in two directions, its letters hardly count."""
    found = np.zeros(DIMENSIONS, np.float32)
    found[0 if any(map(str.isdigit, text)) else 1] = 1.0
    found[2 + len(text) % 40] = 0.3
    if "zebra" in text:
        found[:] = 0
        found[300] = 1.0
    unit: NDArray[np.float32] = found / np.linalg.norm(found)
    return unit


def test_with_an_encoder_meaning_counts_and_without_it_the_same_router_goes_by_words() -> None:
    trained = teach(gather(answers(150)), glance, lambda _: "en")
    seeing, blind = Predictor(trained, glance), Predictor(trained, None)

    assert seeing.uses_meaning
    assert not blind.uses_meaning
    assert seeing.guess(SUM).known_meaning == pytest.approx(1.0, abs=0.15)
    assert blind.guess(SUM).known_meaning is None
    for predictor in (seeing, blind):
        chances = predictor.guess(SUM).chances
        assert chances["sums/strong"] > chances["talks/cheap"] + 0.3


def test_a_prompt_that_means_something_else_is_unfamiliar() -> None:
    predictor = Predictor(teach(gather(answers(150)), glance, lambda _: "en"), glance)

    assert predictor.guess(TALK).is_familiar
    assert not predictor.guess(f"{TALK} zebra").is_familiar
    assert Predictor(usual(), None).guess(f"{TALK} zebra").is_familiar


def test_training_twice_gives_the_same_router(trained: Trained) -> None:
    again = taught(answers(300))

    assert Predictor(again, None).guess(SUM) == Predictor(trained, None).guess(SUM)


def test_from_fifty_prompts_it_is_seen_that_one_target_dominates() -> None:
    better = {"a/good": {"sum": 0.9, "talk": 0.9}, "b/bad": {"sum": 0.4, "talk": 0.4}}

    header = taught(answers(50, chances=better, costs={"a/good": 0.001, "b/bad": 0.002})).header

    assert header.dominant == "a/good"


def test_a_better_target_that_is_dearer_does_not_dominate() -> None:
    better = {"a/good": {"sum": 0.9, "talk": 0.9}, "b/bad": {"sum": 0.4, "talk": 0.4}}

    with pytest.raises(Unsupported, match='route = "cheapest"'):
        taught(answers(60, chances=better, costs={"a/good": 0.003, "b/bad": 0.002}))


@pytest.mark.parametrize("seed", range(3))
def test_targets_that_differ_by_chance_alone_make_no_router(seed: int) -> None:
    same = {"a/x": {"sum": 0.6, "talk": 0.6}, "b/y": {"sum": 0.6, "talk": 0.6}}

    with pytest.raises(Unsupported, match="standard errors"):
        taught(answers(150, seed, same, {"a/x": 0.001, "b/y": 0.002}))


def test_too_few_labels_are_counted_out() -> None:
    with pytest.raises(Unsupported, match="sums/strong: 49, talks/cheap: 49"):
        taught(answers(49))


def test_a_target_with_few_labels_is_left_out_and_the_others_go_on() -> None:
    extra = [Answer(one.prompt, "c/new", 1.0) for one in answers(300)[:60:2]]

    header = taught(answers(300) + extra).header

    assert [one.name for one in header.targets] == list(CHANCES)


def test_a_new_target_is_routable_from_fifty_prompts_and_follows_the_others() -> None:
    known = {name: CHANCES[name] for name in CHANCES} | {"c/third": {"sum": 0.9, "talk": 0.5}}
    costs = dict.fromkeys(known, 0.001)
    new = list(answers(50, 7, {"d/new": {"sum": 0.2, "talk": 0.2}}, {"d/new": 0.001}))

    trained = taught(answers(400, 1, known, costs) + new)

    facts = {one.name: one for one in trained.header.targets}
    assert facts["d/new"].labels == 50
    assert facts["d/new"].follows
    assert Predictor(trained, None).guess(SUM).chances["d/new"] == pytest.approx(0.2, abs=0.15)


def test_answers_that_each_went_to_one_target_alone_are_enough() -> None:
    every = answers(600)
    alone = [one for number, one in enumerate(every) if (number // 4) % 2 == number % 2]

    predictor = Predictor(taught(alone), None)

    sums, talks = predictor.guess(SUM).chances, predictor.guess(TALK).chances
    assert sums["sums/strong"] > sums["talks/cheap"] + 0.3
    assert talks["talks/cheap"] > talks["sums/strong"] + 0.2
