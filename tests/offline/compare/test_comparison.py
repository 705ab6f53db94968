"""Models compared: a difference is told where there is one, chance is called chance, the budget holds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.compare.comparison import COST, LATENCY, REFUSED, Comparison, Contest, compare
from greenroom.offline.compare.plot import axis, lines, points, svg
from greenroom.offline.compare.report import COLUMNS, html, rows
from greenroom.offline.evals.sample import Output, Sample
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials
from tests.offline.optimize.scripted import Exact, samples, share


class Rival:
    """Right as often as `skill`; `alike` answers right on the same samples as others with it."""

    def __init__(
        self, name: str, skill: float, cost: int | None = 1_000, *, luck: str | None = None,
        latency: float = 100.0, outcome: str = "answered",
    ) -> None:  # fmt: skip
        self.name = self.fingerprint = name
        self.skill, self.cost, self.latency, self.outcome = skill, cost, latency, outcome
        self.luck = name if luck is None else luck
        self.calls = 0

    def worst_nano_usd(self, sample: Sample) -> int | None:
        return None if self.cost is None else 2 * self.cost

    async def answer(self, sample: Sample) -> Output:
        self.calls += 1
        if self.outcome == "hopeless":
            raise InfrastructureError("There is no key.")
        asked = sample.variables["question"]
        is_right = share(self.luck, asked) < self.skill
        return Output(
            text=f"right {asked.split()[-1].rstrip('?')}" if is_right else "wrong", cost_nano_usd=self.cost,
            latency_ms=self.latency + 10 * share(asked), outcome=self.outcome, error=None,  # type: ignore[arg-type]  # one of the three
        )  # fmt: skip


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[EvalStore, Trials]]:
    answers, trials = EvalStore(tmp_path / "evals.db"), Trials(tmp_path)
    yield answers, trials
    answers.close()
    trials.close()


async def held(
    stores: tuple[EvalStore, Trials], rivals: Sequence[Rival], count: int = 100, budget: int | None = 10**9,
    max_calls: int | None = None, against: str | None = None,
) -> Comparison:  # fmt: skip
    contest = Contest(
        contenders=tuple(rivals), samples=samples(count), scorers=(Exact(),), budget_nano=budget,
        max_calls=max_calls, against=against,
    )  # fmt: skip
    return await compare(contest, *stores)


async def test_a_clear_winner_is_told_with_intervals(stores: tuple[EvalStore, Trials]) -> None:
    found = await held(stores, [Rival("weak", 0.4), Rival("strong", 0.9, 5_000), Rival("middle", 0.6)])

    assert found.verdict == "decided"
    assert found.against == "strong"
    weak, strong, middle = found.standings
    told = weak.measures[0]
    assert told.told == "worse"
    assert told.against is not None
    assert told.against.low < told.against.value < told.against.high < 0
    assert strong.measures[0].against is None
    assert middle.measures[0].p_holm is not None
    assert middle.measures[0].against is not None
    assert middle.measures[0].p_holm >= middle.measures[0].against.p


async def test_equal_models_are_not_told_apart_and_the_cheaper_one_is_named(
    stores: tuple[EvalStore, Trials],
) -> None:
    found = await held(stores, [Rival("dear", 0.62, 9_000), Rival("cheap", 0.6, 1_000)], count=60)

    assert found.verdict == "inconclusive"
    assert found.needed is None or found.needed > 60
    assert any("can't decide between" in one for one in found.sentences)
    assert any(one == "Until then cheap costs the least of these." for one in found.sentences)


async def test_models_that_answer_alike_need_no_more_samples(stores: tuple[EvalStore, Trials]) -> None:
    found = await held(stores, [Rival("a", 0.5, luck=""), Rival("b", 0.5, luck="")])

    assert found.verdict == "inconclusive"
    assert found.needed is None
    assert any("answered alike" in one for one in found.sentences)


async def test_chance_alone_decides_in_few_cases(tmp_path: Path) -> None:
    decided = 0
    for seed in range(8):
        stores = EvalStore(tmp_path / f"{seed}.db"), Trials(tmp_path / str(seed))
        found = await held(stores, [Rival(f"{name}{seed}", 0.6) for name in "abc"], count=48)
        decided += found.verdict == "decided"
        for store in stores:
            store.close()

    assert decided <= 2


async def test_latency_cost_and_refusals_are_compared_too(stores: tuple[EvalStore, Trials]) -> None:
    found = await held(stores, [Rival("a", 0.6, 1_000), Rival("b", 0.6, 4_000, latency=300.0)], against="a")

    other = found.standings[1]
    assert {one.name: one.told for one in other.measures if one.name in (LATENCY, COST, REFUSED)} == {
        LATENCY: "worse", COST: "worse", REFUSED: "not told apart",
    }  # fmt: skip
    assert other.latency_p50_ms == pytest.approx(305, abs=6)
    assert other.cost_nano == 400_000


async def test_when_the_money_ends_all_models_have_the_same_samples(stores: tuple[EvalStore, Trials]) -> None:
    rivals = [Rival("a", 0.9), Rival("b", 0.3)]

    found = await held(stores, rivals, budget=101_000)

    assert found.is_out_of_money
    assert found.spent_nano <= 101_000
    assert {one.asked for one in found.standings} == {found.compared}
    assert 40 <= found.compared < 51
    assert f"The budget ended at {found.compared} of 100 samples." in found.sentences


async def test_again_nothing_is_paid_twice_and_more_money_goes_on(stores: tuple[EvalStore, Trials]) -> None:
    rivals = [Rival("a", 0.9), Rival("b", 0.3)]
    await held(stores, rivals, budget=101_000)

    found = await held(stores, rivals)

    assert found.compared == 100
    assert [one.calls for one in rivals] == [100, 100]
    assert found.spent_nano == 200_000


async def test_a_model_that_can_not_be_asked_is_named_and_the_others_compared(
    stores: tuple[EvalStore, Trials],
) -> None:
    found = await held(stores, [Rival("a", 0.9), Rival("dead", 0.9, outcome="hopeless"), Rival("b", 0.3)])

    assert found.standings[1].problem == "There is no key."
    assert found.verdict == "decided"
    assert "dead could not be asked: There is no key." in found.sentences


async def test_one_model_alone_is_no_comparison(stores: tuple[EvalStore, Trials]) -> None:
    with pytest.raises(InfrastructureError, match=r"b: There is no key\."):
        await held(stores, [Rival("a", 0.9), Rival("b", 0.9, outcome="hopeless")])
    with pytest.raises(RequestError, match="Name at least two models"):
        await held(stores, [Rival("a", 0.9)])
    with pytest.raises(RequestError, match="'c' is not among the models: a, b"):
        await held(stores, [Rival("a", 0.9), Rival("b", 0.9)], against="c")


async def test_an_unknown_price_needs_a_cap_on_calls(stores: tuple[EvalStore, Trials]) -> None:
    rivals = [Rival("a", 0.9, None), Rival("b", 0.3, None)]

    with pytest.raises(RequestError, match="The price of 'a' is not known"):
        await held(stores, rivals)
    found = await held(stores, rivals, budget=None, max_calls=60)

    assert found.calls <= 60
    assert found.standings[0].cost_nano is None
    assert svg(found) == ""
    assert lines(found) == []


async def test_the_picture_labels_every_model_and_names_are_text(stores: tuple[EvalStore, Trials]) -> None:
    found = await held(
        stores, [Rival("a<b>&", 0.9, 4_000), Rival("b", 0.9, 4_000), Rival("c" * 40, 0.4, 4_000)]
    )

    root = ET.fromstring(svg(found))  # our own
    texts = {one.text: one for one in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"a<b>&", "b", "c" * 40, "US dollars per sample", "exact"} <= set(texts)
    assert abs(float(texts["a<b>&"].get("y", "0")) - float(texts["b"].get("y", "0"))) >= 14
    assert texts["c" * 40].get("text-anchor") == "end"  # beside its point there is no room
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 3
    page = html(found)
    assert "a&lt;b&gt;&amp;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    drawn = "\n".join(lines(found))
    assert all(
        f"{letter}  {name}" in drawn for letter, name in zip("ABC", ("a<b>&", "b", "c" * 40), strict=True)
    )
    assert all(len(one) == len(COLUMNS) for one in rows(found))
    assert len(points(found)) == 3


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 0), (0.5, 0.5), (-3, 5), (0, 1e-7), (0.2, 0.21), (0, 12345)]
)
def test_an_axis_has_round_marks_that_hold_the_range(low: float, high: float) -> None:
    found = axis(low, high)

    assert found.start <= low <= high <= found.end
    assert 2 <= len(found.marks) <= 12
    assert 0 <= found.share(low) <= found.share(high) <= 1
