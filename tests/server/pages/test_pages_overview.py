"""The overview over real rollups: what changed, why something became dearer, and whose it is to see."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from greenroom.assembly.overviewing import OverviewDesk
from greenroom.exchange import Attempt, StepRecord, Verdict
from greenroom.server.pages.access import Person
from greenroom.server.pages.overview import RANGES, OverviewPages
from greenroom.server.pages.strips import Grid, strips
from greenroom.store.bucket import Bucket
from greenroom.store.deployments import PROMOTED, DeploymentStore
from greenroom.store.material import Body, Row
from greenroom.store.quality import Place, QualityStore
from greenroom.store.rollups import Rollups
from greenroom.usage import Usage
from tests.server.pages.backend import ADMIN_KEY, VIEWER_KEY, FakeBackend
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server.pages.serving import served
from tests.server.pages.visitor import Clock, Seen, Visitor
from tests.store.test_rollups import row

DAY_S = 86_400
HOSTILE = "<script>window.hit=1</script>"


def exchange(
    ago_s: float, app: str, *, output: int = 100, cost: int = 2_000_000, **changed: Any
) -> tuple[Row, Body]:
    """One exchange (Any: columns of its row)."""
    found = Verdict(
        step="pii", rule="email", category="personal_data", severity=2, score=1.0, start=0, end=1,
        where="input", action="mask",
    )  # fmt: skip
    told = Body(
        steps=[StepRecord("check", "pii", ns=400_000, verdicts=[found])],
        attempts=[Attempt(target="there/quick", status=200)],
        usage=Usage(input_tokens=100, output_tokens=output),
    )
    at_s = time.time() - ago_s
    return row(at_s, app=app, used="there/quick", output_tokens=output, cost_nano=cost, **changed), told


@pytest.fixture
def rollups(tmp_path: Path) -> Iterator[Rollups]:
    """Two weeks: one app became dearer by its answers, another stayed as it was."""
    store = Rollups(tmp_path / "rollups.db")
    for day in range(14):
        is_new = day < 7
        at_s = (day + 0.5) * DAY_S
        store.add(
            [
                exchange(
                    at_s, "support", output=300 if is_new else 100, cost=5_200_000 if is_new else 2_000_000
                )
            ]
            * 60
        )
        store.add([exchange(at_s, "tutor", project="school")] * 20)
    yield store
    store.close()


@pytest.fixture
def desk(rollups: Rollups, tmp_path: Path) -> Iterator[OverviewDesk]:
    deploys = DeploymentStore(tmp_path / "deployments.db")
    house = SimpleNamespace(
        rollups=rollups, deploys=deploys, has_deployed=True, data=tmp_path,
        models=SimpleNamespace(target=lambda _: None), quality=QualityStore(tmp_path / "quality.db"),
    )  # fmt: skip
    yield OverviewDesk(cast("Any", house))
    deploys.close()
    house.quality.close()


class Backend(FakeBackend):
    """Where the viewer's key is one of the project `school`."""

    def verify_key(self, key: str, /) -> Person | None:
        found = super().verify_key(key)
        return found if found is None or key != VIEWER_KEY else found._replace(project="school")


@pytest.fixture
def admin(desk: OverviewDesk) -> Iterator[Visitor]:
    with Visitor(Backend(), Clock(), more=(OverviewPages(desk).routes,)) as one:
        one.sign_in()
        yield one


def test_which_app_became_dearer_this_week_and_why_in_two_clicks(admin: Visitor) -> None:
    assert admin.see("/").all("a", href="/overview")
    overview = admin.see("/overview")
    leads = [one["href"] for one in overview.all("a") if one.get("href", "").startswith("/overview/why?app=")]
    assert leads == ["/overview/why?app=support"]
    page = admin.see(leads[0])
    assert "Why support costs more" in page.text
    assert "It costs $2.18, 160 % more than the time before ($0.84)." in page.text
    assert "Nearly all of the change: tokens answered, per call (+$1.34" in page.text
    assert "100 tokens300 tokens" in "".join(page.text.split("\n")).replace("  ", "")
    told = admin.get("/overview/why.json?app=support").json()
    assert told["change_nano_usd"] == 420 * 3_200_000
    assert sum(told["parts"].values()) == pytest.approx(told["change_nano_usd"], abs=10)
    assert told["main"] == "output"


def test_every_range_shows_the_five_qualities_and_leads_to_requests(admin: Visitor) -> None:
    for one in RANGES[1:]:
        page = admin.see(f"/overview?range={one.name}")
        assert [title["id"] for title in page.all("section", **{"class": "strip"})] == [
            "speed", "accuracy", "scalability", "security", "cost",
        ]  # fmt: skip
        told = admin.get(f"/overview.json?range={one.name}").json()
        charts = [chart for strip in told["qualities"] for chart in strip["charts"]]
        assert len(charts) > 10
        assert all(len(series["points"]) <= 200 for chart in charts for series in chart["series"])
        assert {chart["href"].partition("?")[0] for chart in charts} == {"/requests"}
    week = admin.get("/overview.json").json()
    tiles = {tile["label"]: tile["value"] for strip in week["qualities"] for tile in strip["tiles"]}
    assert tiles["Requests"] == "560"
    assert tiles["Personal data found, per 100 requests"] == "100.0"


def test_who_is_no_admin_sees_the_project_of_their_key_alone(desk: OverviewDesk) -> None:
    with Visitor(Backend(), Clock(), more=(OverviewPages(desk).routes,)) as viewer:
        viewer.sign_in(VIEWER_KEY)
        told = viewer.get("/overview.json").json()
        assert viewer.get("/overview?project=p").status_code == 404
        why = viewer.get("/overview/why.json?app=support").json()
    tiles = {tile["label"]: tile["value"] for strip in told["qualities"] for tile in strip["tiles"]}
    assert tiles["Requests"] == "140"
    assert "support" not in str(told)
    assert (why["before_nano_usd"], why["after_nano_usd"]) == (0, 0)


def test_names_are_text_and_strange_questions_have_answers(admin: Visitor, rollups: Rollups) -> None:
    rollups.add([exchange(3_600, HOSTILE, cost=90_000_000, outcome="failed", status=503)] * 200)
    for path in (
        "/overview",
        f"/overview/why?app={HOSTILE}",
        f"/overview?app={HOSTILE}&range=%00",
        "/overview?model=x",
    ):
        page = admin.get(path)
        assert page.status_code == 200, path
        assert HOSTILE not in page.text
        assert not [one for one in Seen(page.text).all("script") if "window" in str(one)]
    assert "Nothing fits in this time." in admin.see("/overview?model=x").text


def test_steady_traffic_is_no_change_though_the_newest_step_is_not_over() -> None:
    grid = Grid(since_s=0, until_s=3_600, step_s=600, now_s=3_000.0)
    now, before = (Bucket(since_s=at, step_s=600, requests=count, cost_nano=count * 10**6, priced=count,
                          input_tokens=count) for at, count in ((0, 1_000), (-3_600, 1_200)))  # fmt: skip
    tiles = {one.label: one for strip in strips([now], [before], [], grid, {}) for one in strip.tiles}
    assert [tiles[one].change for one in ("Requests", "Tokens", "Cost")] == ["", "", ""]
    later = strips([now], [before], [], grid._replace(now_s=9_000.0), {})
    assert {one.label: one for strip in later for one in strip.tiles}["Requests"].change == "-17 %"


def test_groundedness_thumbs_and_scores_stand_with_their_intervals(
    admin: Visitor, desk: OverviewDesk
) -> None:
    today = int(time.time() // DAY_S)

    def place(ago: int, name: str, source: str, **more: str) -> Place:
        return Place(today - ago, more.get("project", "p"), more.get("app", "support"), "m", "", name, source)

    desk._house.quality.add(
        {
            place(1, "grounded", "sample"): (50, 40.0, 40.0, 0),
            place(0, "grounded", "sample"): (50, 40.0, 40.0, 0),
            place(8, "grounded", "sample"): (1000, 990.0, 990.0, 0),
            place(2, "helpful", "person", app="tutor", project="school"): (3, 3.0, 3.0, 0),
            place(0, "tone", "judge"): (1, 7.0, 49.0, 1),
            place(40, "gone", "code"): (9, 9.0, 9.0, 0),
        }
    )
    accuracy = next(
        one for one in admin.get("/overview.json").json()["qualities"] if one["name"] == "accuracy"
    )
    tiles = {one["label"]: one for one in accuracy["tiles"]}
    grounded = tiles["grounded, measured on a sample of all"]
    assert (grounded["value"], grounded["change"]) == ("80 %", "-19.0 points")
    assert grounded["note"] == "71 % to 87 % by 100 scores"  # Wilson of 80 in 100, by scipy
    assert tiles["helpful, by people"]["note"] == "44 % to 100 % by 3 scores"
    assert (tiles["tone, by a judge"]["value"], tiles["tone, by a judge"]["note"]) == ("7", "1 score")
    assert not any("gone" in label for label in tiles)
    chart = next(one for one in accuracy["charts"] if one["title"].startswith("grounded"))
    assert [at for at, _ in chart["series"][0]["points"]] == [(today - 1) * DAY_S, today * DAY_S]
    assert chart["series"][0]["low"][0][1] == pytest.approx(0.6696, abs=1e-4)  # of 40 in 50
    page = admin.see("/overview?app=tutor")
    assert "helpful, by people" in page.text
    assert "grounded" not in page.text


def test_what_was_deployed_stands_in_the_charts(admin: Visitor, desk: OverviewDesk) -> None:
    store = cast("Any", desk)._house.deploys
    store.begin(
        "support", "prompt", {"name": "greet@3"}, state=PROMOTED, share=1.0, rules={}, gate={}, who="key_1"
    )
    assert [one["label"] for one in admin.get("/overview.json").json()["markers"]] == [
        "support: greet@3 promoted"
    ]
    assert "support: greet@3 promoted" in admin.see("/overview/why?app=support").text


def test_without_traffic_it_says_what_to_do(tmp_path: Path) -> None:
    house = SimpleNamespace(
        rollups=Rollups(tmp_path / "none.db"), quality=QualityStore(tmp_path / "quality.db"),
        has_deployed=False, data=tmp_path,
    )  # fmt: skip
    with Visitor(
        FakeBackend(), Clock(), more=(OverviewPages(OverviewDesk(cast("Any", house))).routes,)
    ) as one:
        one.sign_in()
        assert "Nothing came in this time." in one.see("/overview").text
        assert "It cost nothing in either time." in one.see("/overview/why").text


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
def test_a_stranger_finds_out_by_clicks_in_light_and_dark(desk: OverviewDesk, tmp_path: Path) -> None:
    with served(Backend(), more=(OverviewPages(desk).routes,)) as origin, Browser() as browser:
        sign_in(browser, origin, ADMIN_KEY)
        for link in ("nav a[href='/overview']", ".movers a[href*='/overview/why']"):
            browser.run_and_wait(f"document.querySelector({json.dumps(link)}).click()")
        assert browser.value("location.pathname + location.search") == "/overview/why?app=support"
        assert "tokens answered, per call" in browser.value("document.querySelector('.lead').textContent")
        until = time.monotonic() + 10
        while not browser.value("document.querySelector('gr-chart.drawn canvas') !== null"):
            assert time.monotonic() < until, "no chart was drawn"
            time.sleep(0.05)
        browser.look(tmp_path / "why.png", dark=True)
        browser.go(f"{origin}/overview")
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
        assert browser.problems == []
        assert [one for one in browser.requested if not one.startswith((origin, "data:"))] == []
