"""Live traffic scored in the background: by code, by a judge within its money, summed up with intervals."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly.feedback import score_trace
from greenroom.assembly.house import House
from greenroom.assembly.quality import Scoring, draws
from greenroom.errors import ConfigError
from greenroom.offline.quality.plan import QualityRule
from greenroom.store.fresh import Fresh
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import MOST_PER_TRACE, Score
from tests.assembly.experiments import ask, house_of, running, stored
from tests.assembly.talking import Talking

DECLINES = '[quality.declines]\nscorer = "refusal"\nshare = 1.0\n'
JUDGED = (
    '[quality.polite]\nscorer = "judge"\nshare = 1.0\n'
    '[quality.polite.settings]\nmodel = "other"\nrubric = "The answer is polite."\n'
)


@pytest.fixture
def talking() -> Iterator[Talking]:
    with Talking() as one:
        yield one


async def worked(house: House, scoring: Scoring) -> dict[str, dict[str, int]]:
    """What became of all exchanges there are."""
    while await scoring.turn(time.time()):
        pass
    return house.quality.work(int(time.time() // 86_400))


def means(house: House, name: str) -> dict[tuple[str, str, str], tuple[int, float]]:
    """By app, model and source."""
    return {
        (cell.place.app, cell.place.model, cell.place.source): (cell.n, cell.total)
        for cell in house.quality.cells(0)
        if cell.place.name == name
    }


async def test_what_a_rule_draws_is_scored_after_it_was_answered(tmp_path: Path, talking: Talking) -> None:
    async with running(tmp_path, DECLINES, talking) as house:
        scoring = Scoring(house)
        await stored(house, await ask(house, text="An old one."))
        await scoring.turn(time.time())
        for text in ("Hello.", "Please decline this.", "Bye."):
            await stored(house, await ask(house, text=text))
        work = await worked(house, scoring)
        rows = house.traces.list(TraceFilter(score="declines:1")).rows

        assert work == {"declines": {"scored": 3}}
        assert len(rows) == 1
        record = house.traces.get(None, rows[0]["id"])
        assert record is not None
        assert [(one["name"], one["source"], one["value"]) for one in record["scores"]] == [
            ("declines", "code", 1.0)
        ]
        assert means(house, "declines") == {("support", "box/sound", "code"): (3, 1.0)}


async def test_what_a_budget_refused_costs_nothing_and_is_not_scored(
    tmp_path: Path, talking: Talking
) -> None:
    spent = '[budgets.spent]\nusd = 0.00002\nproject = "default"\n'
    async with running(tmp_path, DECLINES + spent, talking) as house:
        scoring = Scoring(house)
        await scoring.turn(time.time())
        answered = await stored(house, await ask(house, text="Hello."))
        refused = await stored(house, await ask(house, text="And again."))
        work = await worked(house, scoring)

        assert work == {"declines": {"scored": 1}}
        assert answered["outcome"] == "answered"
        assert (refused["outcome"], refused["status"], refused["cost_usd"]) == ("refused", 429, "0")


async def test_a_judge_scores_within_its_money_and_is_not_judged_itself(
    tmp_path: Path, talking: Talking
) -> None:
    async with running(tmp_path, JUDGED, talking) as house:
        scoring = Scoring(house)
        await scoring.turn(time.time())
        await stored(house, await ask(house, text="Hello."))
        talking.verdict = "fail"
        work = await worked(house, scoring)
        again = await worked(house, scoring)

        assert work["polite"]["scored"] == 1
        assert work["polite"]["nano"] == 50_000  # 20 tokens in, 30 out, at 1 dollar a million
        assert again == work
        assert means(house, "polite") == {("support", "box/sound", "judge"): (1, 0.0)}
        judged = house.traces.list(TraceFilter(score="polite")).rows
        record = house.traces.get(None, judged[0]["id"])
        assert record is not None
        assert record["scores"][0]["comment"] == "by the script"


async def test_a_judge_is_not_asked_past_what_a_day_may_cost(tmp_path: Path, talking: Talking) -> None:
    plan = JUDGED.replace("share = 1.0", "share = 1.0\nusd_a_day = 0.0098")  # one worst case is some 0.0093
    async with running(tmp_path, plan, talking) as house:
        scoring = Scoring(house)
        await scoring.turn(time.time())
        for number in range(20):
            await stored(house, await ask(house, text=f"Hello {number}."))
        work = (await worked(house, scoring))["polite"]
        resumed = Scoring(house)
        await stored(house, await ask(house, text="After a restart."))
        after = (await worked(house, resumed))["polite"]

    assert work["nano"] <= 9_800_000
    assert work["scored"] >= 1
    assert work["unpaid"] >= 1
    assert work["scored"] + work["unpaid"] == 20
    assert after["scored"] + after["unpaid"] == 21


async def test_what_a_judge_cost_is_written_down_before_its_score(
    tmp_path: Path, talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    async with running(tmp_path, JUDGED, talking) as house:
        scoring = Scoring(house)
        await scoring.turn(time.time())
        for text in ("Hello.", "Bye."):
            await stored(house, await ask(house, text=text))

        def killed(*_: object) -> str:
            seen.append(house.quality.work(int(time.time() // 86_400))["polite"]["nano"])
            return "gone"

        monkeypatch.setattr(scoring, "_keep", killed)
        work = await worked(house, scoring)

    assert len(seen) == 2
    assert 0 < seen[0] < seen[1] + 1
    assert work["polite"]["nano"] == seen[1], "and not twice"


async def test_a_judge_that_fails_is_left_alone_for_a_while(tmp_path: Path, talking: Talking) -> None:
    async with running(tmp_path, JUDGED.replace('"other"', '"box/none"') + DECLINES, talking) as house:
        scoring = Scoring(house)
        await scoring.turn(time.time())
        await stored(house, await ask(house, text="Hello."))
        talking.dies_after = len(talking.asked)
        work = await worked(house, scoring)

    assert work["polite"].get("scored", 0) == 0
    assert work["declines"]["scored"] == 1


async def test_no_more_than_a_day_s_number_is_scored(tmp_path: Path, talking: Talking) -> None:
    async with running(tmp_path, DECLINES + "a_day = 2\n", talking) as house:
        scoring = Scoring(house)
        await scoring.turn(time.time())
        for _ in range(4):
            await stored(house, await ask(house))
        work = await worked(house, scoring)

    assert work == {"declines": {"scored": 2, "over": 2}}


async def test_the_newest_score_of_a_person_is_the_one_that_is_summed_up(
    tmp_path: Path, talking: Talking
) -> None:
    async with running(tmp_path, "", talking) as house:
        exchange = await ask(house)
        await stored(house, exchange)
        score_trace(house, None, exchange.id, Score(name="helpful", value=1.0))
        scoring = Scoring(house)
        await scoring.turn(time.time())
        first = means(house, "helpful")
        score_trace(house, None, exchange.id, Score(name="helpful", value=0.0))
        await scoring.turn(time.time())

        assert first == {("support", "box/sound", "person"): (1, 1.0)}
        assert means(house, "helpful") == {("support", "box/sound", "person"): (1, 0.0)}


async def test_an_exchange_that_takes_no_more_scores_holds_up_no_other(
    tmp_path: Path, talking: Talking
) -> None:
    async with running(tmp_path, DECLINES, talking) as house:
        scoring = Scoring(house)
        await scoring.turn(time.time())
        full, other = await ask(house), await ask(house)
        await stored(house, full)
        await stored(house, other)
        with sqlite3.connect(house.folder() / "traces.db") as file:
            file.executemany(
                "INSERT INTO scores (seq, at_ns, name, value, source)"
                " SELECT seq, ?, 'helpful', 1, 'person' FROM traces WHERE id = ?",
                [(number, full.id) for number in range(MOST_PER_TRACE)],
            )
        work = await worked(house, scoring)

    assert work == {"declines": {"failed": 1, "scored": 1}}


async def test_a_mean_that_surely_is_past_its_bound_is_told_and_taken_back(
    tmp_path: Path, talking: Talking
) -> None:
    async with running(tmp_path, DECLINES + "above = 0.2\n", talking) as house:
        scoring = Scoring(house)
        await scoring.turn(0.0)
        for _ in range(30):
            await ask(house, text="Please decline this.")
        await stored(house, await ask(house))
        await worked(house, scoring)
        await scoring.turn(time.time() + 120)
        (alert,) = house.alerts.opened()
        for _ in range(100):
            await ask(house)
        await stored(house, await ask(house))
        await worked(house, scoring)
        await scoring.turn(time.time() + 240)

        assert (alert.rule, alert.kind, alert.subject) == ("quality.declines", "quality", "support")
        assert alert.figures["low"] > 0.2
        assert house.alerts.opened() == []


def test_the_same_exchange_is_always_drawn_or_never() -> None:
    rule = QualityRule(scorer="refusal", share=0.3, apps=("support",))
    some = [Fresh(n, f"{n:032x}", "default", "support") for n in range(4_000)]
    drawn = [one for one in some if draws("declines", rule, one)]

    assert 0.27 < len(drawn) / 4_000 < 0.33
    assert [one for one in some if draws("declines", rule, one)] == drawn
    assert not any(draws("declines", rule, one._replace(app="other")) for one in some)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[quality.latency]\nscorer = "refusal"', "measured by Greenroom itself"),
        ('[quality.x]\nscorer = "bleu"', "no scorer 'bleu' for live traffic"),
        ('[quality.x]\nscorer = "regex"', r"needs its settings\.pattern"),
        ('[quality.x]\nscorer = "judge"', r"\[quality\.x\]: .*model"),
        ('[quality.x]\nscorer = "pii"\napps = ["nobody"]', "no app of this file"),
        ('[quality."X y"]\nscorer = "pii"', "quality"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_at_the_start(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        house_of(tmp_path, text)
