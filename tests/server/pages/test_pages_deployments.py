"""The page of deployments: what is certain of both sides, who decided what, and nothing that is not text."""

from typing import Any

from greenroom.server.pages.deployments import DeploymentsPage
from tests.server.pages.backend import FakeBackend
from tests.server.pages.visitor import Clock, Seen, Visitor

AT = "2026-11-26T10:00:00.000000Z"
SIDE: dict[str, Any] = {
    "side": "current", "exchanges": 950, "units": 900, "failed": 2, "refused": 0, "cancelled": 0,
    "flaws": {"empty": 3}, "latency_ms": 812.4, "latency_p90_ms": 1500.0, "cost_usd": 0.00012, "tokens": 80.0,
}  # fmt: skip
METRIC: dict[str, Any] = {
    "metric": "failed", "margin": 0.01, "current": 0.002, "canary": 0.3, "difference": 0.298, "low": 0.2,
    "high": 0.4, "verdict": "harm",
}  # fmt: skip
OPEN: dict[str, Any] = {
    "id": 3, "kind": "model", "name": "o/<b>x", "state": "canary", "share": 0.05, "since": AT, "who": "key_1",
    "why": "a try", "gate": {}, "rules": {},
    "comparison": {
        "verdict": "harm", "reasons": ["failed: 30 %"], "sides": [SIDE, {**SIDE, "side": "canary", "cost_usd": None}],
        "metrics": [METRIC],
    },
}  # fmt: skip
EVENT: dict[str, Any] = {
    "deployment": 2, "app": "support", "kind": "prompt", "name": "greet@3", "state": "rolled_back",
    "share": 1.0, "at": AT, "who": "rule", "why": "flawed: 20 %", "evidence": {},
}  # fmt: skip


class Deployments:
    """What is deployed, as the page asks for it."""

    def __init__(self, *apps: dict[str, Any]) -> None:
        self._apps = list(apps)

    def deployments(self) -> list[dict[str, Any]]:
        return self._apps

    def history(self, app: str | None, limit: int = 100) -> list[dict[str, Any]]:
        return [EVENT] if self._apps else []


def visit(*apps: dict[str, Any]) -> Visitor:
    """Somebody before the pages."""
    return Visitor(FakeBackend(), Clock(), more=(DeploymentsPage(Deployments(*apps)).routes,))


def test_both_sides_stand_beside_each_other_with_what_is_certain() -> None:
    promoted = {**OPEN, "id": 1, "name": "greet@2", "kind": "prompt", "state": "promoted"}
    with visit({"app": "support", "promoted": [promoted], "open": OPEN, "last": EVENT}) as admin:
        admin.sign_in()
        page = admin.client.get("/deployments")
        twin = admin.client.get("/deployments.json").json()

    seen = Seen(page.text)
    assert page.status_code == 200
    assert "Answers with prompt greet@2" in seen.text
    assert "Canary 3: model o/<b>x" in seen.text
    assert "empty 3" in seen.text
    assert "20 % to 40 %" in seen.text
    assert "Harm: failed: 30 %." in seen.text
    assert "rolled back" in seen.text
    assert "<b>" not in page.text
    assert twin["history"] == [EVENT]


def test_nothing_deployed_says_so_and_a_stranger_is_sent_to_the_door() -> None:
    with visit() as visitor:
        turned = visitor.client.get("/deployments", follow_redirects=False)
        refused = visitor.client.get("/deployments.json")
        visitor.sign_in()
        shown = visitor.client.get("/deployments")

    assert turned.headers["location"].startswith("/login")
    assert refused.status_code == 401
    assert "Nothing was ever deployed here" in shown.text
