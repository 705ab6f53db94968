"""Graders of OpenAI's dialect: what they give, what they refuse, and what an error is."""

from collections.abc import Sequence
from typing import Any

import pytest

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.offline.evals.asking import Asked
from greenroom.offline.evals.formula import Formula
from greenroom.offline.evals.graders import read_criteria
from greenroom.offline.evals.row import Means
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.similarity import gleu, metric, rouge_l, rouge_n

Json = dict[str, Any]  # Any: JSON
CHECK: Json = {"type": "string_check", "name": "c", "input": "{{item.a}}", "reference": "{{item.b}}"}
ALIKE: Json = {"type": "text_similarity", "name": "s", "input": "{{item.a}}", "reference": "{{item.b}}"}
LABEL: Json = {
    "type": "label_model", "name": "l", "model": "m", "labels": ["good", "bad"], "passing_labels": ["good"],
    "input": [{"role": "user", "content": "Label: {{item.a}}"}],
}  # fmt: skip
SCORE: Json = {
    "type": "score_model", "name": "s", "model": "m", "range": [0, 10],
    "input": [{"role": "user", "content": "Score: {{item.a}}"}],
    "sampling_params": {"temperature": 0, "max_completions_tokens": 99},
}  # fmt: skip


class Scripted:
    """Answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.bodies: list[Json] = []
        self.attempts: list[int] = []

    async def __call__(self, body: Json, attempt: int = 0) -> Asked:
        self.bodies.append(body)
        self.attempts.append(attempt)
        text = self.answers.pop(0)
        if text.startswith("!"):
            return Asked(error=text[1:], cost_nano_usd=1)
        return Asked(text=text, cost_nano_usd=10)


async def graded(grader: Json, item: Json, ask: Scripted | None = None) -> Score:
    criteria = read_criteria([grader], Means(ask or Scripted(), None))
    return await criteria.scorers[0].score(Sample(id="0", item={"item": item}), Output())


@pytest.mark.parametrize(
    ("operation", "a", "b", "passed"),
    [
        ("eq", "São Paulo", "São Paulo", True),
        ("eq", "sim", "Sim", False),
        ("ne", "sim", "Sim", True),
        ("like", "O preço é R$ 10", "R$ 10", True),
        ("like", "SIM", "sim", False),
        ("ilike", "¿QUÉ? SÍ", "sí", True),
        ("ilike", "no", "sí", False),
    ],
)
async def test_a_string_check(operation: str, a: str, b: str, passed: bool) -> None:
    score = await graded({**CHECK, "operation": operation}, {"a": a, "b": b})

    assert (score.value, score.passed) == (float(passed), passed)


async def test_a_row_that_lacks_what_a_grader_needs_is_an_error_and_no_number() -> None:
    score = await graded({**CHECK, "operation": "eq"}, {"a": "x"})

    assert (score.value, score.passed, score.error) == (None, None, "This row has no 'item.b'.")


async def test_similarity_passes_from_its_threshold_on() -> None:
    item = {"a": "the cat sat on the mat", "b": "the cat is on the mat"}
    grader = {**ALIKE, "evaluation_metric": "rouge_l"}

    passing = await graded({**grader, "pass_threshold": 5 / 6}, item)
    failing = await graded({**grader, "pass_threshold": 0.84}, item)

    assert passing.value == failing.value == pytest.approx(5 / 6)
    assert (passing.passed, failing.passed) == (True, False)


def test_text_metrics_against_counts_by_hand() -> None:
    # 7 words each; 4 bigrams of 6 in common, 5 words in order.
    said, wanted = "a menina viu o cão na praça", "a menina vê o cão na rua"

    assert rouge_n(said, wanted, 1) == pytest.approx(5 / 7)
    assert rouge_n(said, wanted, 2) == pytest.approx(3 / 6)
    assert rouge_l(said, wanted) == pytest.approx(5 / 7)
    assert gleu(said, wanted) == pytest.approx((5 + 3 + 1 + 0) / (7 + 6 + 5 + 4))


@pytest.mark.parametrize("name", ["rouge_1", "rouge_5", "rouge_l", "gleu", "fuzzy_match", "bleu"])
def test_every_metric_tells_the_same_from_nothing_in_common(name: str) -> None:
    compare = metric(name, "m")
    text = "O café da manhã custa doze reais e cinquenta centavos"

    assert compare(text, text) == pytest.approx(1)
    assert compare("zzz yyy xxx www vvv", text) < 0.25
    assert 0 <= compare("", text) < 0.1


def test_word_order_matters_to_the_longest_common_subsequence_alone() -> None:
    assert rouge_n("c b a", "a b c", 1) == 1
    assert rouge_l("c b a", "a b c") == pytest.approx(1 / 3)


async def test_a_label_is_asked_for_in_a_strict_form_and_its_cost_counted() -> None:
    ask = Scripted('{"reason": "Kind.", "label": "good"}')

    score = await graded(LABEL, {"a": "olá"}, ask)

    assert (score.value, score.passed, score.reason, score.cost_nano_usd) == (1, True, "good: Kind.", 10)
    body = ask.bodies[0]
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["label"]["enum"] == ["good", "bad"]
    assert body["messages"][-1] == {"role": "user", "content": "Label: olá"}


@pytest.mark.parametrize("bad", ["good", '{"label": "great"}', '["good"]', "", '{"label": ["good"]}'])
async def test_what_is_out_of_form_is_asked_for_once_more_then_an_error(bad: str) -> None:
    mended, lost = Scripted(bad, '{"reason": "r", "label": "bad"}'), Scripted(bad, bad)

    second = await graded(LABEL, {"a": "x"}, mended)
    none = await graded(LABEL, {"a": "x"}, lost)

    assert (second.value, second.passed, second.cost_nano_usd) == (0, False, 20)
    assert mended.attempts == [0, 1]
    assert (none.value, none.passed) == (None, None)
    assert none.error == "The grader's model did not answer in the form asked for."


@pytest.mark.parametrize("answer", ["11", "-1", "NaN", '"7"', "true", "null", "1e999"])
async def test_a_score_outside_its_range_is_none(answer: str) -> None:
    score = await graded(SCORE, {"a": "x"}, Scripted(f'{{"score": {answer}}}', f'{{"score": {answer}}}'))

    assert (score.value, score.passed) == (None, None)
    assert score.error is not None


async def test_a_score_passes_from_the_middle_of_its_range_on() -> None:
    ask = Scripted('{"reason": "r", "score": 5}', '{"reason": "r", "score": 4.9}')

    first, second = await graded(SCORE, {"a": "x"}, ask), await graded(SCORE, {"a": "x"}, ask)

    assert (first.value, first.passed, second.passed) == (5, True, False)
    assert ask.bodies[0]["max_completion_tokens"] == 99
    assert ask.bodies[0]["temperature"] == 0


async def test_a_failure_of_the_model_is_the_graders_error() -> None:
    score = await graded(SCORE, {"a": "x"}, Scripted("!The model is away."))

    assert (score.value, score.error, score.cost_nano_usd) == (None, "The model is away.", 1)


async def test_a_formula_joins_graders() -> None:
    multi = {
        "type": "multi", "name": "m", "calculate_output": "0.25 * exact + 0.75 * max(label, 0)",
        "graders": {"exact": {**CHECK, "operation": "eq"}, "label": LABEL}, "pass_threshold": 0.7,
    }  # fmt: skip

    score = await graded(multi, {"a": "x", "b": "y"}, Scripted('{"reason": "r", "label": "good"}'))
    broken = await graded(multi, {"a": "x", "b": "y"}, Scripted("!Away."))

    assert (score.value, score.passed, score.cost_nano_usd) == (0.75, True, 10)
    assert (broken.value, broken.error) == (None, "label: Away.")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')", "a.real", "(lambda: 1)()", "[a][0]", "a if b else 1", "open('x')",
        "a == b", "min(*a, b)", "min(a, key=b)", "f'{a}'", "c", "True", "'a'", "1e999", "a;b", "", "a" * 2_000,
        "(" * 500 + "a" + ")" * 500, "+".join("a" * 400),
    ],
)  # fmt: skip
def test_a_formula_is_arithmetic_and_nothing_else(text: str) -> None:
    with pytest.raises(MalformedRequest, match=r"m\.calculate_output"):
        Formula(text, frozenset("ab"), "m.calculate_output")


@pytest.mark.parametrize(
    "text", ["a / 0", "9**9**9**9", "log(0 - 1)", "sqrt(0-a)", "exp(1000)", "(0-a)**0.5"]
)
def test_a_formula_without_a_result_gives_none(text: str) -> None:
    assert Formula(text, frozenset("a"), "m").value({"a": 1.0}) is None


@pytest.mark.parametrize(
    ("graders", "words"),
    [
        ([], "1 to 32 graders"),
        ([{"type": "python", "name": "p", "source": "import os"}], "runs no code"),
        (
            [{"type": "multi", "name": "m", "calculate_output": "p", "graders": {"p": {"type": "python"}}}],
            "no code",
        ),
        ([{"type": "vibes", "name": "v"}], "vibes"),
        ([{**CHECK, "operation": "regex"}], "operation"),
        ([{**ALIKE, "evaluation_metric": "rouge_l"}], "pass_threshold"),
        ([{**ALIKE, "evaluation_metric": "meteor", "pass_threshold": 1}], "synonyms"),
        ([{**ALIKE, "evaluation_metric": "cosine", "pass_threshold": 1}], "encoder"),
        ([{**LABEL, "passing_labels": ["great"]}], "passing_labels"),
        ([{**SCORE, "range": [1, 1]}], "range"),
        ([{**CHECK, "operation": "eq"}, {**CHECK, "operation": "ne"}], "names must differ"),
        (["x"], "Expected"),
    ],
)
def test_criteria_that_can_not_be_used_are_refused_with_the_reason(
    graders: Sequence[object], words: str
) -> None:
    with pytest.raises(GreenroomError, match=words) as caught:
        read_criteria(graders, Means(Scripted(), None))

    assert caught.value.status == 400
