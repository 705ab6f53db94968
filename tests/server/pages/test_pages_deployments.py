"""The page of deployments: what is certain of both sides, who decided what, and nothing that is not text."""

from typing import Any

from tests.server.pages.backend import FakeBackend
from tests.server.pages.visitor import Seen, Visitor

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


def test_both_sides_stand_beside_each_other_with_what_is_certain(
    backend: FakeBackend, admin: Visitor
) -> None:
    promoted = {**OPEN, "id": 1, "name": "greet@2", "kind": "prompt", "state": "promoted"}
    backend.deployed = [{"app": "support", "promoted": [promoted], "open": OPEN, "last": EVENT}], [EVENT]

    page = admin.client.get("/deployments")

    seen = Seen(page.text)
    assert page.status_code == 200
    assert "Answers with prompt greet@2" in seen.text
    assert "Canary 3: model o/<b>x" in seen.text
    assert "empty 3" in seen.text
    assert "20 % to 40 %" in seen.text
    assert "Harm: failed: 30 %." in seen.text
    assert "rolled back" in seen.text
    assert "<b>" not in page.text
    assert admin.client.get("/deployments.json").json()["history"] == [EVENT]


def test_nothing_deployed_says_so_and_a_stranger_is_sent_to_the_door(
    backend: FakeBackend, admin: Visitor, visitor: Visitor
) -> None:
    assert "Nothing was ever deployed here" in admin.client.get("/deployments").text

    admin.client.cookies.clear()
    assert visitor.client.get("/deployments", follow_redirects=False).headers["location"].startswith("/login")
    assert visitor.client.get("/deployments.json").status_code == 401
