"""Comparisons as they were kept, on their pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly.comparisons import KIND, ComparisonDesk
from greenroom.assembly.house import House
from greenroom.assembly.optimizing import Limits, compare_models, scorers_named
from greenroom.offline.evals.sample import Sample
from greenroom.server.pages.comparing import ComparisonPages
from greenroom.store.trials import FILE, Trials
from tests.offline.scripted_provider import RULES, ScriptedProvider, rows
from tests.server.pages.backend import FakeBackend
from tests.server.pages.visitor import Clock, Visitor


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as made:
        yield made


def visit(house: House) -> Visitor:
    return Visitor(FakeBackend(), Clock(), more=(ComparisonPages(ComparisonDesk(house)).routes,))


async def test_a_real_comparison_is_told_measure_by_measure(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    (tmp_path / "greenroom.toml").write_text(provider.config(), encoding="utf-8")
    house = House.open(tmp_path / "greenroom.toml", tmp_path / "data", {})
    asked = [
        Sample(
            id=str(place), expected=row["expected"],
            messages=({"role": "system", "content": RULES["en"]}, {"role": "user", "content": row["question"]}),
        )
        for place, row in enumerate(rows("dates", 24))
    ]  # fmt: skip
    async with house.running(as_guest=True):
        with visit(house) as admin:
            admin.sign_in()
            before = admin.see("/compare").text
            assert not (tmp_path / "data" / FILE).exists()
        found = await compare_models(
            house, ["lab/worker", "lab/novice"], asked, scorers_named(house, ["exact"], None),
            Limits(budget_usd=1.0, max_tokens=50),
        )  # fmt: skip
        trials = Trials(tmp_path / "data")
        trials.begin("cmp_open", KIND, b'["<b>x</b>"]')
        trials.begin("opt_1", "optimize", b"{}")
        trials.close()
        with visit(house) as admin:
            admin.sign_in()
            listed = admin.get("/compare.json").json()["data"]
            page, unfinished = admin.see(f"/compare/{found.run}"), admin.get("/compare/cmp_open")
            unknown = [admin.get(f"/compare/{id}").status_code for id in ("opt_1", "none")]

    assert "No models were compared yet" in before
    assert [one["id"] for one in listed] == ["cmp_open", found.run]
    assert (listed[1]["verdict"], listed[1]["compared"]) == ("decided", 24)
    quality = next(one for one in found.standings if one.model == "lab/novice").measures[0]
    assert quality.estimate is not None
    for said in (
        "lab/worker",
        f"{quality.estimate.value:.3f}",
        "worse",
        "Latency",
        "less is better",
        *found.sentences,
    ):
        assert said in page.text
    assert "at work, or was stopped" in unfinished.text
    assert "<b>x" not in unfinished.text
    assert unknown == [404, 404]
