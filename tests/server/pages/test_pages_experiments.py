"""The pages of experiments over a real house: arms and intervals, start, stop and promote, and for whom."""

from collections.abc import Sequence
from pathlib import Path

from greenroom.assembly.experiments import ExperimentDesk
from greenroom.assembly.house import House
from greenroom.server.pages.doors import Room
from greenroom.server.pages.experiments import ExperimentPages, signed
from greenroom.store.scores import Score
from tests.assembly.experiments import HALF, arm_of, ask, stored
from tests.faults.conftest import upstream
from tests.faults.upstream import FaultUpstream
from tests.server.pages.office import office

__all__ = ["upstream"]
GUARDED = HALF.replace(
    'metric = "helpful"', 'metric = "helpful"\nguards = [{metric = "refused", limit = 0.1}]'
)
ONE = "/experiments/cheaper"


def rooms(house: House) -> Sequence[Room]:
    return (ExperimentPages(ExperimentDesk(house)).routes,)


async def test_an_experiment_shows_its_arms_against_each_other(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with office(tmp_path, GUARDED, rooms, upstream) as one:
        asked = [await ask(one.house, f"user-{n}") for n in range(60)]  # the arms are drawn anew each time
        for exchange in asked:
            await stored(one.house, exchange)
            better = float(arm_of(exchange) == "other")
            one.house.traces.score(None, exchange.id, Score(name="helpful", value=better))
        listed = await one.see("/experiments")
        page = await one.get(ONE)
        twin = await one.json(f"{ONE}.json")
        missing = await one.get("/experiments/nobody")

    assert listed.all("a", href=ONE)
    assert twin["winner"] == "other"
    assert sum(arm["units"] for arm in twin["arms"]) == 60
    assert "surely better" in page.text
    assert "holds so far" in page.text
    assert "bar-better" in page.text
    assert missing.status_code == 404


async def test_what_is_decided_holds_for_traffic_and_stands_in_the_audit_log(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with office(tmp_path, HALF, rooms, upstream) as one:
        early = await one.post(ONE, {"do": "start"})
        stopped = await one.post(ONE, {"do": "stop", "why": "<b>enough</b>"})
        page = await one.get(ONE)
        after_stop = {arm_of(await ask(one.house, f"user-{n}")) for n in range(8)}
        since = (await one.json(f"{ONE}.json"))["since"]
        started = await one.post(ONE, {"do": "start"})
        again = await one.json(f"{ONE}.json")
        after_start = {arm_of(await ask(one.house, f"user-{n}")) for n in range(16)}
        unsure = await one.post(ONE, {"do": "promote", "arm": "other"})
        unknown = await one.post(ONE, {"do": "promote", "arm": "none", "sure": "yes"})
        promoted = await one.post(ONE, {"do": "promote", "arm": "other", "sure": "yes"})
        targets = {(await ask(one.house, f"user-{n}")).target for n in range(6)}
        late = await one.post(ONE, {"do": "start"})
        elsewhere = await one.post(ONE, {"do": "stop"}, origin="https://evil.example")
        who, changes = one.key_id, one.changes()
        await one.sign_in("operator")
        refused = [
            await one.get(ONE),
            await one.get("/experiments.json"),
            await one.post(ONE, {"do": "stop"}),
        ]

    assert early.status_code == 409
    assert (stopped.status_code, started.status_code, promoted.status_code) == (303, 303, 303)
    assert "&lt;b&gt;enough" in page.text
    assert (after_stop, after_start) == ({None}, {"control", "other"})
    assert (again["state"], again["since"] > since) == ("running", True)
    assert [each.status_code for each in (unsure, unknown, late, elsewhere)] == [400, 400, 409, 403]
    assert targets == {"box/other"}
    assert [what for by, what in changes if by == who][:3] == [
        "experiment.promote",
        "experiment.start",
        "experiment.stop",
    ]
    assert [each.status_code for each in refused] == [403, 403, 403]


def test_differences_have_signs_and_units() -> None:
    assert signed("cost", -0.0025) == "−$0.0025"
    assert signed("latency", 12.0) == "+12.0\u202fms"
    assert signed("refused", 0.05) == "+5.0 %"
    assert signed("helpful", None) == "open"
