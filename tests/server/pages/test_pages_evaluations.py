"""The pages of evaluations over real runs: intervals, differences, cases, and people's word against a metric's."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from greenroom.assembly.evalpages import EvalPagesDesk
from greenroom.assembly.house import House
from greenroom.offline.evals.data import DataSet
from greenroom.offline.evals.kept import MetricKind, Settings, keep_data
from greenroom.offline.evals.runner import run
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.server.pages.doors import Room
from greenroom.server.pages.evaluations import EvaluationPages, bar
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score as Given
from tests.assembly.experiments import ask, until
from tests.faults.conftest import upstream
from tests.faults.upstream import FaultUpstream
from tests.server.pages.office import Office, office

__all__ = ["upstream"]
HOSTILE = "<img src=x onerror=hit()>"
SAMPLES = tuple(
    Sample(id=f"q{n}", messages=({"role": "user", "content": f"Question {n} {HOSTILE}"},), expected="yes")
    for n in range(12)
)


class Answers:
    """Right up to a place, wrong from there, failing at one."""

    def __init__(self, name: str, right: int, traces: Sequence[str] = ()) -> None:
        self.name = name
        self.fingerprint = name
        self._right = right
        self._traces = traces

    async def answer(self, sample: Sample) -> Output:
        place = int(sample.id[1:])
        if place == 11:
            return Output(outcome="failed", error="The model is gone.")
        trace = self._traces[place] if place < len(self._traces) else None
        return Output(
            text="yes" if place < self._right else f"no {HOSTILE}", cost_nano_usd=1000, trace_id=trace
        )


class Exact:
    name = "exact"
    higher_is_better = True

    async def score(self, sample: Sample, output: Output) -> Score:
        is_right = output.text == sample.expected
        return Score(name=self.name, value=float(is_right), passed=is_right, reason=f"because {HOSTILE}")


def rooms(house: House) -> Sequence[Room]:
    return (EvaluationPages(EvalPagesDesk(house)).routes,)


async def evaluated(house: House, name: str, right: int, traces: Sequence[str] = ()) -> str:
    keep_data(house.evals, "questions", DataSet.of(SAMPLES, "test"))
    settings = Settings(data="questions@1", metrics=(MetricKind(name="exact"),))
    done = await run(
        SAMPLES,
        Answers(name, right, traces),
        [Exact()],
        store=house.evals,
        name=name,
        settings=settings,
        concurrency=1,
    )
    return done.id


async def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        page = await one.get("/evaluations")
        missing = await one.get("/evaluations/run_1")
        there = (one.house.data / "evals.db").exists()

    assert "Nothing was evaluated yet" in page.text
    assert (missing.status_code, there) == (404, False)


async def test_a_run_is_held_against_another_case_by_case(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        old = await evaluated(one.house, "old", 2)
        new = await evaluated(one.house, "new", 10)
        listed = await one.see("/evaluations")
        alone = await one.see(f"/evaluations/{new}")
        page = await one.get(f"/evaluations/{new}?baseline={old}&show=won")
        lost = await one.get(f"/evaluations/{new}?baseline={old}&show=lost")
        failed = await one.get(f"/evaluations/{new}?show=failed")
        second = await one.see(f"/evaluations/{new}?from=5")
        twin = await one.json(f"/evaluations/{new}.json?baseline={old}")
        files = {
            form: await one.get(f"/evaluations/{new}/report.{form}?baseline={old}")
            for form in ("html", "md", "xml", "json", "exe")
        }
        unknown = await one.get(f"/evaluations/{new}?baseline=run_nobody")

    assert listed.all("a", href=f"/evaluations/{new}")
    assert alone.all("option", value=old)
    change = twin["report"]["comparisons"][0]["changes"][0]
    assert (change["difference"]["wins"], change["difference"]["losses"]) == (8, 0)
    assert change["p_holm"] < 0.05
    assert "better" in page.text
    assert page.text.count('class="case case-') == 8
    assert "There are none." in lost.text
    assert failed.text.count('class="case case-failed"') == 1
    assert "The model is gone." in failed.text
    assert len(second.all("details", **{"class": "case case-answered"})) == 6
    assert HOSTILE not in page.text + lost.text + failed.text
    assert [each.status_code for each in files.values()] == [200, 200, 200, 200, 404]
    assert all(
        "attachment" in files[form].headers["content-disposition"] for form in ("html", "md", "xml", "json")
    )
    assert unknown.status_code == 404


async def test_a_metric_is_held_to_what_people_said_of_the_same_answers(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with office(tmp_path, "", rooms, upstream) as one:
        asked = [(await ask(one.house, text=f"Hello {n}")).id for n in range(8)]
        await until(lambda: len(one.house.traces.list(TraceFilter()).rows) == 8)
        for place, id in enumerate(asked):
            one.house.traces.score(None, id, Given(name="helpful", value=float(place < 5)))
            one.house.traces.score(None, id, Given(name="helpful", value=0.0, source="judge"))
        run_id = await evaluated(one.house, "judged", 4, asked)
        page = await one.get(f"/evaluations/{run_id}")
        (held,) = (await one.json(f"/evaluations/{run_id}.json"))["agreement"]

    assert (held["both_pass"], held["judge_only"], held["human_only"], held["both_fail"]) == (4, 0, 1, 3)
    assert held["kappa"]["low"] < held["kappa"]["value"] == 0.75
    assert "Held against people" in page.text


async def test_nobody_sees_runs_without_signing_in_and_viewers_do(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        id = await evaluated(one.house, "new", 40)
        stranger = Office(one.house, rooms)
        for path in ("/evaluations", f"/evaluations/{id}"):
            assert (await stranger.get(path)).headers["location"].startswith("/login")
        for path in ("/evaluations.json", f"/evaluations/{id}.json", f"/evaluations/{id}/report.md"):
            assert (await stranger.get(path)).status_code == 401
        await one.sign_in("viewer")
        assert (await one.get(f"/evaluations/{id}")).status_code == 200


@pytest.mark.parametrize(
    ("low", "high", "left", "width"),
    [
        pytest.param(-0.5, 0.5, 25.0, 50.0, id="inside"),
        pytest.param(float("-inf"), float("inf"), 0.0, 100.0, id="without ends"),
        pytest.param(-9.0, -8.0, 0.0, 0.6, id="beyond the scale"),
    ],
)
def test_an_interval_stays_within_its_drawing(low: float, high: float, left: float, width: float) -> None:
    drawn = bar(low, high, 0.0, (-1.0, 1.0), "open")

    assert (drawn.left, drawn.width, drawn.zero) == (left, width, 50.0)
