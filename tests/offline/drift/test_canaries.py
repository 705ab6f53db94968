"""Runs of canary prompts held against each other, without a model."""

from random import Random

import pytest

from greenroom.offline.drift.canaries import Answer, compare, likeness
from greenroom.offline.drift.canary_prompts import PROMPTS

WORDS = [f"w{n}" for n in range(60)]


def said(model: str, run: int, wobble: float) -> list[Answer]:
    """Answers of a model that words each anew with the chance `wobble`."""
    found: list[Answer] = []
    for place in range(len(PROMPTS)):
        anew = Random(f"{model} {run} {place}").random() < wobble
        text = Random(f"{model} {place} {run if anew else ''}").choices(WORDS, k=40)
        found.append((" ".join(text), model, 100.0))
    return found


@pytest.mark.parametrize("wobble", [0.0, 0.2, 0.5])
def test_a_model_that_stays_is_never_called_another(wobble: float) -> None:
    states = [
        compare(said(f"m{seed}", 9, wobble), [said(f"m{seed}", run, wobble) for run in range(3)]).state
        for seed in range(15)
    ]

    assert set(states) == {"same"}


@pytest.mark.parametrize("wobble", [0.0, 0.2, 0.35])
def test_another_model_is_found_at_once(wobble: float) -> None:
    reports = [
        compare(said(f"n{seed}", 9, wobble), [said(f"m{seed}", run, wobble) for run in range(3)])
        for seed in range(15)
    ]

    assert {one.state for one in reports} == {"changed"}
    assert all(one.worst for one in reports)


def test_few_answers_say_nothing() -> None:
    today = [("", "", 0.0)] * 10 + said("m", 1, 0)[10:]

    assert compare(today, [said("m", run, 0) for run in range(3)]).state == "failed"


def test_likeness_is_a_share_of_words_and_pairs() -> None:
    assert likeness("a b c", "a b c") == likeness("", "") == 1.0
    assert likeness("a b", "c d") == likeness("a", "") == 0.0
    assert likeness("a b", "b a") == pytest.approx(4 / 6)


def test_the_prompts_are_as_many_as_promised_and_all_different() -> None:
    assert 20 <= len(set(PROMPTS)) == len(PROMPTS) <= 50
