"""The page of drift: cards with test and effect, examples, canaries, and who may accept."""

from typing import Any

import pytest

from greenroom.server.pages.drift import DriftPage
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Seen, Visitor

AT = "2026-11-26T10:00:00Z"
LANGUAGE: dict[str, Any] = {
    "metric": "language", "kind": "h", "p": 1e-9, "effect": 0.45, "new": 0.41, "old": 0.2, "about": "pt",
    "is_over": True, "is_large": True, "told": "the share of the language 'pt' went from 20 % to 41 %",
    "was": "20.0 %", "now": "41.0 %", "open_since": AT,
}  # fmt: skip
TOPIC = {**LANGUAGE, "metric": "topic", "kind": "psi", "p": 0.4, "effect": 0.02, "about": "", "new": None,
    "old": None, "was": "", "now": "", "is_over": False, "open_since": None}  # fmt: skip
APP: dict[str, Any] = {
    "project": "default", "app": "<b>support", "state": "moved", "at": AT, "missing_h": 0,
    "readings": {"window": 700, "like": 690, "week": 5000}, "least": 50, "metrics": [LANGUAGE, TOPIC],
}  # fmt: skip
LEARNING = {**APP, "app": "new", "state": "learning", "missing_h": 70, "metrics": []}
RUN: dict[str, Any] = {
    "number": 7, "at": AT, "is_baseline": True, "cost_usd": 0.001, "state": "changed", "answered": 24,
    "asked": 24, "p": 1e-5, "before": 0.98, "now": 0.41, "slower": 1.5, "models": [], "worst": [], "why": "",
}  # fmt: skip


class Drift:
    """What moved, as the page asks for it."""

    def __init__(self, *apps: dict[str, Any]) -> None:
        self._apps = list(apps)
        self.accepted: list[tuple[str, ...]] = []

    def overview(self, project: str | None) -> dict[str, Any]:
        canaries = [{"target": "o/<i>m", "runs": [RUN]}] if self._apps else []
        return {"watch": True, "window_h": 24, "looks": 2, "alpha": 0.01, "pinned": None, "apps": self._apps,
            "canaries": canaries}  # fmt: skip

    def show(self, project: str, app: str, metric: str) -> dict[str, Any]:
        example = {"id": "t1", "at": AT, "language": "pt", "model": "o/m", "outcome": "answered",
            "asked": "<script>window.hit=1</script> Olá", "said": "Oi"}  # fmt: skip
        return {
            "project": project, "app": app, "metric": metric, "told": "the share went up",
            "history": [{"at_s": 1_790_000_000, "effect": 0.4, "new": 0.4, "old": 0.2, "p": 0.001}],
            "examples": {"new": [example], "old": []},
        }  # fmt: skip

    def accept(self, project: str, app: str, by: str, address: str) -> dict[str, Any]:
        self.accepted.append((project, app, by))
        return {}

    def canary(self, target: str, number: int) -> dict[str, Any]:
        return {"target": target, "number": number, "at": AT, "state": "changed",
            "answers": [{"prompt": "Why?", "now": "<u>so", "first": "thus"}]}  # fmt: skip

    def accept_canary(self, target: str, by: str, address: str) -> dict[str, Any]:
        self.accepted.append((target, by))
        return {}


def visit(drift: Drift) -> Visitor:
    """Somebody before the pages."""
    return Visitor(FakeBackend(), Clock(), more=(DriftPage(drift).routes,))


def test_a_move_stands_there_with_its_test_its_effect_and_requests_of_both_windows() -> None:
    with visit(Drift(APP, LEARNING)) as admin:
        admin.sign_in()
        page = admin.client.get("/drift?app=support&metric=language")
        twin = admin.client.get("/drift.json?app=support&metric=language").json()

    seen = Seen(page.text)
    assert page.status_code == 200
    assert "20.0 %" in seen.text
    assert "h 0.45" in seen.text
    assert "< 0.001" in seen.text
    assert "PSI 0.02" in seen.text
    assert "2 days are missing" in seen.text
    assert "<b>support" in seen.text
    assert "× 1.50" in seen.text
    assert 'href="/requests/t1"' in page.text
    assert all(one not in page.text for one in ("<b>support", "<script>window", "<i>m"))
    assert twin["history"][0]["effect"] == 0.4


def test_one_canary_run_shows_both_answers_as_text() -> None:
    with visit(Drift(APP)) as admin:
        admin.sign_in()
        page = admin.client.get("/drift/canary?target=o/m&run=7")
        wrong = admin.client.get("/drift/canary?target=o/m&run=x")

    assert "<u>so" in Seen(page.text).text
    assert "<u>so" not in page.text
    assert wrong.status_code == 400


@pytest.mark.parametrize("deed", [{"do": "accept", "app": "support", "project": "p"}, {"do": "accept-canary", "target": "o/m"}])  # fmt: skip
def test_accepting_needs_a_token_a_tick_and_a_role(deed: dict[str, str]) -> None:
    drift = Drift(APP)
    with visit(drift) as admin:
        admin.sign_in()
        token = admin.token("/drift")
        bare = admin.post("/drift", deed | {"sure": "yes"})
        unticked = admin.post("/drift", deed | {"csrf": token})
        with visit(drift) as viewer:
            viewer.sign_in(VIEWER_KEY)
            may = [one for one in viewer.see("/drift").all("input") if one.get("name") == "sure"]
            looking = viewer.post("/drift", deed | {"csrf": viewer.token("/drift"), "sure": "yes"})
        before = list(drift.accepted)
        done = admin.post("/drift", deed | {"csrf": token, "sure": "yes"})

    assert bare.status_code == 403
    assert unticked.status_code == 400
    assert looking.status_code == 403
    assert may == []
    assert before == []
    assert done.headers["location"] == "/drift"
    assert len(drift.accepted) == 1


def test_nothing_read_says_so_and_a_stranger_is_sent_to_the_door() -> None:
    with visit(Drift()) as visitor:
        turned = visitor.client.get("/drift")
        refused = visitor.client.get("/drift.json")
        visitor.sign_in()
        shown = visitor.client.get("/drift")

    assert turned.headers["location"].startswith("/login")
    assert refused.status_code == 401
    assert "Nothing was read yet" in shown.text
    assert "No model is asked" in shown.text
