"""The verdict «should I train?» in constructed cases, whose right answer is known by how they are made."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from greenroom.errors import RequestError
from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.evals.scorers.registry import make_scorers
from greenroom.offline.evals.scorers.settings import Lent
from greenroom.offline.finetune.should.shown import EXAMPLES, Nearest, with_examples, with_retrieval
from greenroom.offline.finetune.should.verdict import Advice
from greenroom.offline.finetune.should.weighing import Weighed, Weighing, weigh
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials

Say = Callable[[Sample, str, list[str]], str]
"""What the scripted model answers: by the sample, the system message, and the answers of examples."""


def chance(*parts: object) -> float:
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8], "big") / 2**64


class Scripted:
    """A model in this process that answers by a rule; what it costs is a cent in ten."""

    def __init__(self, say: Say) -> None:
        self.name = self.fingerprint = "scripted"
        self.asked = 0
        self._say = say

    async def answer(self, sample: Sample) -> Output:
        self.asked += 1
        system = "\n".join(one["content"] for one in sample.messages if one["role"] == "system")
        examples = [one["content"] for one in sample.messages if one["role"] == "assistant"]
        text = self._say(sample, system, examples)
        return Output(text=text, cost_nano_usd=1_000_000, latency_ms=10.0)

    def worst_nano_usd(self, sample: Sample) -> int | None:
        return 1_000_000


WORDS = [
    "amber",
    "basalt",
    "cedar",
    "damson",
    "ember",
    "fennel",
    "garnet",
    "hazel",
    "indigo",
    "juniper",
    "kelp",
    "lilac",
    "maple",
    "nutmeg",
    "olive",
    "pepper",
    "quartz",
    "rosemary",
    "saffron",
    "thyme",
    "umber",
    "violet",
    "willow",
    "yarrow",
    "zinnia",
]


def sample(number: int, question: str, answer: str) -> Sample:
    return Sample(id=str(number), messages=({"role": "user", "content": question},), expected=answer)


def numbered(count: int) -> list[Sample]:
    """Answers that follow from the question by a rule, in a form of the house."""
    return [
        sample(at, f"What is the code of {WORDS[at % 25]} {WORDS[at // 25 % 25]}?", f"CODE-{at * 7}")
        for at in range(count)
    ]


def about(count: int, topics: int, *, is_constant: bool = True) -> list[Sample]:
    """Many questions on each of some topics, with the same answer to each."""
    return [
        sample(
            at,
            f"Please say who looks after {WORDS[at % topics]}, request {at}?",
            f"desk {WORDS[at % topics][::-1]}",
        )
        for at in range(count)
    ]


def coins(count: int) -> list[Sample]:
    return [
        sample(
            at,
            f"Which side has the {WORDS[at % 25]} coin number {at}?",
            "heads" if chance(at) < 0.5 else "tails",
        )
        for at in range(count)
    ]


def contradicting(count: int) -> list[Sample]:
    return [
        sample(
            at,
            f"How long does the {WORDS[at % 25]} {WORDS[at // 50]} last?",
            f"It lasts {chance(at):.3f} days.",
        )
        for at in range(count)
    ]


def knows(share: float) -> Say:
    """Right in this share of all questions, whatever it is shown."""
    return lambda one, _system, _examples: str(one.expected) if chance("k", one.id) < share else "no idea"


def needs_examples(before: float, after: float) -> Say:
    return lambda one, _, examples: (
        str(one.expected)
        if chance("e", one.id) < (after if len(examples) >= EXAMPLES else before)
        else "no idea"
    )


def reads(one: Sample, system: str, examples: list[str]) -> str:
    """Says what it finds in the system message; knows nothing itself."""
    return str(one.expected) if f"Answer: {one.expected}" in system else "no idea"


def guesses(one: Sample, system: str, examples: list[str]) -> str:
    return "heads" if chance("guess", one.id) < 0.5 else "tails"


class Case(NamedTuple):
    name: str
    rows: list[Sample]
    say: Say
    advice: Advice
    word: str
    """What one of the sentences says."""


CASES = (
    Case("right already", numbered(200), knows(1.0), "do not train", "The app as it is reaches"),
    Case("nearly always right", numbered(300), knows(0.96), "do not train", "The app as it is reaches"),
    Case(
        "examples do it",
        numbered(200),
        needs_examples(0.1, 1.0),
        "do not train",
        "The app with examples reaches",
    ),
    Case("retrieval does it", about(200, 8), reads, "do not train", "The app with retrieval reaches"),
    Case("nothing cheap helps", numbered(200), knows(0.3), "train", "Neither examples nor retrieval"),
    Case("knows nothing", numbered(300), knows(0.0), "train", "the metric can be met"),
    Case("examples help a little", numbered(200), needs_examples(0.1, 0.6), "train", "with examples first"),
    Case("a few rows only", numbered(66), knows(0.2), "cannot say", "rows are there to learn from"),
    Case("too few to measure", numbered(40), knows(0.2), "cannot say", "are the fewest that tell anything"),
    Case("near the target", numbered(300), knows(0.87), "cannot say", "may or may not"),
    Case("labels by chance", coins(300), guesses, "cannot say", "nothing shows that the answers follow"),
    Case("rows that contradict", contradicting(300), knows(0.2), "cannot say", "correct the rows first"),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[EvalStore, Trials]]:
    answers, trials = EvalStore(tmp_path / "evals.db"), Trials(tmp_path)
    yield answers, trials
    trials.close()
    answers.close()


async def ask(
    store: tuple[EvalStore, Trials], rows: list[Sample], model: Scripted, max_calls: int = 1_000
) -> Weighed:
    (metric,) = make_scorers({"exact": {}}, Lent(Path()))
    return await weigh(Weighing(samples=tuple(rows), metric=metric, max_calls=max_calls), model, *store)


@pytest.mark.parametrize("case", CASES, ids=[one.name for one in CASES])
async def test_the_advice_is_right_in_a_constructed_case(case: Case, store: tuple[EvalStore, Trials]) -> None:
    found = await ask(store, case.rows, Scripted(case.say))

    assert found.verdict.advice == case.advice, found.verdict.sentences
    assert case.word in " ".join(found.verdict.sentences)


async def test_the_same_call_again_asks_nobody(store: tuple[EvalStore, Trials]) -> None:
    model = Scripted(knows(0.3))

    first = await ask(store, numbered(100), model)
    asked = model.asked
    again = await ask(store, numbered(100), model)

    assert asked == 3 * first.rows.held > 0
    assert model.asked == asked
    assert again.verdict == first.verdict


async def test_when_the_money_ends_all_ways_have_the_same_rows(store: tuple[EvalStore, Trials]) -> None:
    found = await ask(store, numbered(300), Scripted(knows(0.3)), max_calls=100)

    assert found.is_out_of_money
    assert found.calls <= 100
    assert {one.quality.n for one in found.arms} == {32}
    with pytest.raises(RequestError, match="does not reach for the first 8 rows"):
        await ask(store, coins(100), Scripted(guesses), max_calls=5)


async def test_more_rows_are_asked_for_where_they_would_decide(store: tuple[EvalStore, Trials]) -> None:
    found = await ask(store, numbered(300), Scripted(knows(0.87)))

    assert found.verdict.needed is not None
    assert found.verdict.needed > found.rows.held


async def test_examples_stand_behind_system_messages_and_are_not_the_rows_that_are_held_back() -> None:
    rows = numbered(30)
    seen: list[Sample] = []

    class Looking(Scripted):
        async def answer(self, sample: Sample) -> Output:
            seen.append(sample)
            return await super().answer(sample)

    model = Looking(knows(1.0))
    asked = Sample(
        id="x", messages=({"role": "system", "content": "Be short."}, {"role": "user", "content": "Which code has amber cedar?"}),
    )  # fmt: skip

    await with_examples(model, rows).answer(asked)
    await with_retrieval(model, rows).answer(asked)

    assert [one["role"] for one in seen[0].messages] == ["system", *("user", "assistant") * EXAMPLES, "user"]
    assert seen[0].messages[-1] == asked.messages[-1]
    assert "Question: What is the code of cedar amber?\nAnswer: CODE-14" in seen[1].messages[1]["content"]
    assert with_examples(model, rows).fingerprint != with_examples(model, rows[:20]).fingerprint


def test_the_likest_rows_come_first() -> None:
    rows = [sample(at, question, "") for at, question in enumerate(
        ("How is the weather in Lima?", "How is the harvest in Cuzco?", "Wie ist das Wetter?"))]  # fmt: skip

    found = Nearest(rows)("the weather in lima, please", 2)

    assert [one.id for one in found] == ["0", "1"]
    assert Nearest(rows)("", 2) == []
