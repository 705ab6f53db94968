"""An optimisation finds what there is to find, says so when there is nothing, and never pays too much or twice."""

import asyncio

import pytest

from greenroom.errors import Conflict, InfrastructureError, RequestError
from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.optimize.components import texts_of
from greenroom.prompts.version import PromptVersion
from tests.offline.optimize.conftest import Workshop
from tests.offline.optimize.scripted import PRICE_NANO, WORST_NANO, Exact, Model, prompt

RULES = {"Answer in one word.": 0.25, "Name the month.": 0.2}


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_gain_is_found_and_proven_within_the_budget(workshop: Workshop, seed: int) -> None:
    result = await workshop.run(rules=RULES, seed=seed)

    assert result.decision.verdict == "better"
    assert result.adopted is not None
    assert any(rule in result.adopted.messages[0].text for rule in RULES)
    assert result.spent_nano == workshop.paid_nano <= 1_000_000


async def test_where_nothing_helps_the_answer_is_no_better(workshop: Workshop) -> None:
    found = [await workshop.run(base=0.5, noise=True, seed=seed, count=80) for seed in range(2, 6)]

    assert [one.decision.verdict for one in found].count("better") <= 1  # by chance 1 in 40 is
    refused = [one for one in found if one.decision.verdict == "no better"]
    assert all(one.adopted is None for one in refused)
    assert all(one.decision.sentence.startswith("No better than what you have") for one in refused)
    assert all(len(one.candidates) > 5 for one in found)


async def test_a_prompt_that_is_always_right_is_left_alone(workshop: Workshop) -> None:
    result = await workshop.run(base=1.0, methods=("rewrite",))

    assert result.decision.verdict == "no better"
    assert len(result.candidates) == 1


@pytest.mark.parametrize("budget", [310_000, 555_000])
async def test_the_budget_is_never_passed_even_at_the_worst_price(workshop: Workshop, budget: int) -> None:
    result = await workshop.run(rules=RULES, budget=budget)

    assert workshop.paid_nano <= budget
    assert result.spent_nano == workshop.paid_nano
    assert result.is_out_of_money or budget - result.spent_nano > WORST_NANO


async def test_a_budget_that_leaves_nothing_to_search_with_is_undecided_at_once(workshop: Workshop) -> None:
    result = await workshop.run(budget=100_000)

    assert result.decision.verdict == "undecided"
    assert "The decision alone takes 96 calls" in result.decision.sentence
    assert len(workshop.asked) == result.dev


async def test_calls_can_be_capped_instead_of_money(workshop: Workshop) -> None:
    result = await workshop.run(rules=RULES, budget=None, max_calls=300)

    assert len(workshop.asked) == result.calls <= 300
    assert result.decision.verdict == "better"


async def test_an_unknown_price_is_refused_unless_calls_are_capped(workshop: Workshop) -> None:
    class Unpriced(Model):
        def worst_nano_usd(self, sample: Sample) -> int | None:
            return None

    workshop.make = lambda one: Unpriced(one, 0.4, RULES)

    with pytest.raises(RequestError, match=r"The price of 'scripted' is not known.*--max-calls"):
        await workshop.run()


async def test_stopped_anywhere_it_goes_on_and_comes_to_the_same_end(
    workshop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = Workshop(tmp_path_factory.mktemp("whole"))
    expected = await whole.run(rules=RULES)
    whole.close()

    for patience in (40, 90, 260, 390):
        running = asyncio.create_task(workshop.run(rules=RULES))
        await workshop.until(patience)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    result = await workshop.run(rules=RULES)

    assert result.decision == expected.decision
    assert [one.version for one in result.candidates] == [one.version for one in expected.candidates]
    on_their_way = 4 * 8
    assert len(workshop.asked) - len(set(workshop.asked)) <= on_their_way


async def test_asked_again_it_answers_from_what_it_knows(workshop: Workshop) -> None:
    first = await workshop.run(rules=RULES)
    calls = len(workshop.asked)

    again = await workshop.run(rules=RULES)

    assert len(workshop.asked) == calls == len(set(workshop.asked))
    assert again.decision == first.decision
    assert again.adopted == first.adopted


async def test_two_at_once_do_not_spend_the_same_budget(workshop: Workshop) -> None:
    first = asyncio.create_task(workshop.run(rules=RULES))
    await asyncio.sleep(0.05)

    with pytest.raises(Conflict, match="Another process is at work on the run"):
        await workshop.run(rules=RULES)
    assert (await first).decision.verdict == "better"


async def test_all_candidates_are_kept_with_their_differences_and_scores(workshop: Workshop) -> None:
    result = await workshop.run(rules=RULES)

    assert len(workshop.trials.candidates(result.run)) == len(result.candidates)
    assert all(one.diff for one in result.candidates[1:])
    tried = [one for one in result.candidates if not one.faults]
    assert all(one.train is not None or one.dev is not None for one in tried)
    on_front = [one for one in result.candidates if one.is_front]
    assert result.winner in {one.number for one in on_front}


async def test_a_rewrite_with_an_error_of_lint_is_rejected_and_told_back(workshop: Workshop) -> None:
    def lint(version: PromptVersion) -> list[str]:
        return ["No months here."] if "month" in version.messages[0].text else []

    result = await workshop.run(rules=RULES, lint=lint)

    rejected = [one for one in result.candidates if one.faults]
    assert rejected
    assert all(one.dev is None and one.train is None for one in rejected)
    assert any("No months here." in asked for _, asked in workshop.asked)
    assert result.adopted is None or "month" not in result.adopted.messages[0].text


async def test_examples_are_found_where_they_help(workshop: Workshop) -> None:
    class Learner(Model):
        def __init__(self, version: PromptVersion) -> None:
            super().__init__(version, 0.3, {})
            self.skill += 0.2 * min(self.shown, 3)

    workshop.make = Learner

    result = await workshop.run(methods=("examples",))

    assert result.decision.verdict == "better"
    assert result.adopted is not None
    assert result.adopted.examples is not None
    shown = {one.variables["question"]: one.output for one in result.adopted.examples.items}
    assert all(output == f"right {asked.split()[-1].rstrip('?')}" for asked, output in shown.items())


async def test_models_that_do_not_answer_are_named_as_the_reason(workshop: Workshop) -> None:
    class Dead(Model):
        async def answer(self, sample: Sample) -> Output:
            return Output(outcome="failed", error="The key is not accepted.")

    workshop.make = lambda one: Dead(one, 0.4, {})

    with pytest.raises(InfrastructureError, match=r"36 of 36 calls failed: The key is not accepted\."):
        await workshop.run()


async def test_a_metric_that_is_better_low_is_no_goal(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exact, "higher_is_better", False)

    with pytest.raises(RequestError, match="Choose a metric of quality"):
        await workshop.run()


async def test_too_few_samples_are_refused_before_anything_is_paid(workshop: Workshop) -> None:
    with pytest.raises(RequestError, match="23 samples are too few"):
        await workshop.run(count=23)
    assert workshop.asked == []


async def test_the_reflection_is_asked_in_the_language_of_the_prompt(workshop: Workshop) -> None:
    version = prompt("Responda à pergunta.")
    await workshop.run(
        rules={"Responda em uma palavra.": 0.5}, version=msgspec_replace(version, language="pt")
    )

    asked = [text for name, text in workshop.asked if name == "reflector"]
    assert asked
    assert all(text.startswith("Você melhora um prompt.") for text in asked)


def msgspec_replace(version: PromptVersion, **changes: object) -> PromptVersion:
    from msgspec.structs import replace

    return replace(version, **changes)


def test_the_price_of_the_scripted_model_is_below_its_worst() -> None:
    assert PRICE_NANO < WORST_NANO
    assert texts_of(prompt()) == {"system 1": "Answer the question."}
