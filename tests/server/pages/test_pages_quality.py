"""The page of quality: means with intervals, what a rule did, and thumbs that are taken from whoever may."""

from typing import Any

import pytest

from greenroom.server.pages.quality import QualityPage
from greenroom.store.scores import Score
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Seen, Visitor

FIGURES: dict[str, Any] = {"mean": 0.8, "low": 0.75, "high": 0.84, "n": 1500}
SCORE: dict[str, Any] = {
    "name": "helpful", "source": "person", **FIGURES, "by_day": [{"at_s": 1_790_035_200, **FIGURES}],
    "by": {"app": [{"name": "<b>support", **FIGURES}], "model": [], "prompt": [{"name": "greet@3", **FIGURES, "low": None, "high": None}]},
}  # fmt: skip
RULE: dict[str, Any] = {
    "name": "polite", "scorer": "judge", "apps": [], "share": 0.05, "a_day": 100, "usd_a_day": 2.0,
    "below": 0.5, "above": None, "usd": 0.25, "today": {"scored": 9, "unpaid": 3},
}  # fmt: skip


class Quality:
    """What was scored, as the page asks for it."""

    def __init__(self, *scores: dict[str, Any]) -> None:
        self._scores = list(scores)
        self.asked: list[tuple[Any, ...]] = []
        self.scored: list[tuple[str | None, str, Score]] = []

    def quality(
        self, project: str | None, days: int, app: str | None = None, model: str | None = None, prompt: str | None = None
    ) -> dict[str, Any]:  # fmt: skip
        self.asked.append((project, days, app, model, prompt))
        return {"days": days, "since_s": 0, "scores": self._scores, "rules": [RULE] if self._scores else []}

    def score(self, project: str | None, id: str, score: Score) -> dict[str, Any] | None:
        if id != "trace-1":
            return None
        self.scored.append((project, id, score))
        return {}


def visit(quality: Quality) -> Visitor:
    """Somebody before the pages."""
    return Visitor(FakeBackend(), Clock(), more=(QualityPage(quality).routes,))


def test_scores_stand_there_with_their_intervals_and_rules_with_their_money() -> None:
    quality = Quality(SCORE)
    with visit(quality) as admin:
        admin.sign_in()
        page = admin.get("/quality?app=support&days=7")
        twin = admin.get("/quality.json?model=o/m").json()

    seen = Seen(page.text)
    assert "80 %, surely 75 % to 84 %, of 1,500" in seen.text
    assert "<b>support" in seen.text
    assert "<b>support" not in page.text
    assert "$0.25 of $2.00" in seen.text
    assert "9 scored, 3 past the money" in seen.text
    assert "below 0.5" in seen.text
    assert quality.asked == [(None, 7, "support", None, None), (None, 30, None, "o/m", None)]
    assert any(one["href"] == "/quality?app=support&prompt=greet%403&days=7" for one in seen.all("a"))
    assert twin["scores"][0]["n"] == 1500


def test_a_viewer_sees_the_own_project_and_scores_nothing() -> None:
    quality = Quality(SCORE)
    with visit(quality) as viewer:
        viewer.sign_in(VIEWER_KEY)
        viewer.get("/quality")
        other = viewer.get("/quality?project=others")
        sent = viewer.post(
            "/quality/feedback", {"csrf": viewer.token("/quality"), "id": "trace-1", "value": "1"}
        )

    assert quality.asked[0][0] not in (None, "others")
    assert other.status_code == 404
    assert sent.status_code == 403
    assert quality.scored == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"id": "trace-1", "value": "1"}, 303),
        ({"id": "trace-1", "value": "0", "name": "right", "comment": "No.", "correction": "Yes."}, 303),
        ({"id": "trace-2", "value": "1"}, 404),
        ({"id": "trace-1", "value": "much"}, 400),
        ({"id": "trace-1", "value": "nan"}, 400),
        ({"id": "trace-1", "value": "1", "name": "latency"}, 400),
    ],
)
def test_a_thumb_is_a_score_of_a_person(fields: dict[str, str], status: int) -> None:
    quality = Quality(SCORE)
    with visit(quality) as admin:
        admin.sign_in()
        sent = admin.post("/quality/feedback", fields | {"csrf": admin.token("/quality")})
        without = admin.post("/quality/feedback", fields)

    assert sent.status_code == status
    assert without.status_code == 403
    assert [one[2].source for one in quality.scored] == (["person"] if status == 303 else [])


@pytest.mark.parametrize("days", ["0", "401", "x", "-3", "1e2"])
def test_days_that_are_none_are_refused(days: str) -> None:
    with visit(Quality()) as admin:
        admin.sign_in()

        assert admin.get(f"/quality?days={days}").status_code == 400


def test_nothing_scored_says_how_to_begin() -> None:
    with visit(Quality()) as admin:
        admin.sign_in()

        assert "POST /api/feedback" in admin.see("/quality").text
