"""The page of deployments: what is certain of both sides, who decided what, and nothing that is not text."""

from typing import Any

import pytest

from greenroom.errors import NotFound
from greenroom.server.deployments import NewDeployment
from greenroom.server.pages.deployments import DeploymentsPage
from tests.server.pages.backend import OPERATOR_KEY, VIEWER_KEY, FakeBackend
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
        self.done: list[tuple[Any, ...]] = []

    def deployments(self) -> list[dict[str, Any]]:
        return self._apps

    def history(self, app: str | None, limit: int = 100) -> list[dict[str, Any]]:
        return [EVENT] if self._apps else []

    def choices(self) -> dict[str, Any]:
        return {
            "apps": ["default", "support"],
            "models": ["o/x"],
            "prompts": [],
            "suites": ["s"],
            "share": 0.05,
        }

    async def begin(self, wanted: NewDeployment, by: str, address: str) -> dict[str, Any]:
        raise NotFound(f"No model goes by '{wanted.name}'.")

    def promote(
        self, app: str, why: str, force: str | None, by: str, address: str, deployment: int | None = None
    ) -> dict[str, Any]:
        self.done.append(("promote", app, force, by, deployment))
        return {}

    def roll_back(
        self, app: str, why: str, by: str, address: str, deployment: int | None = None
    ) -> dict[str, Any]:
        self.done.append(("rollback", app, why, by, deployment))
        return {}

    async def follow(self) -> None:
        self.done.append(("follow",))


def visit(*apps: dict[str, Any], deployments: Deployments | None = None) -> Visitor:
    """Somebody before the pages."""
    backend = deployments or Deployments(*apps)
    return Visitor(FakeBackend(), Clock(), more=(DeploymentsPage(backend).routes,))


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


STANDING: dict[str, Any] = {"app": "support", "promoted": [], "open": OPEN, "last": EVENT}
ROLLBACK = {"do": "rollback", "app": "support", "deployment": "3"}


def test_one_click_takes_back_what_the_button_names() -> None:
    deployments = Deployments(STANDING)
    with visit(deployments=deployments) as admin:
        admin.sign_in()
        page = admin.see("/deployments")
        csrf = admin.token("/deployments")
        pressed = admin.post("/deployments", {"csrf": csrf, **ROLLBACK})
        vague = admin.post("/deployments", {"csrf": csrf, "do": "rollback", "app": "support"})

    assert page.all("input", name="deployment", value="3")
    assert "Roll back canary 3" in page.text
    assert pressed.headers["location"] == "/deployments?app=support"
    assert deployments.done == [("rollback", "support", "", "key-admin", 3), ("follow",)]
    assert vague.status_code == 400
    assert "does not say which deployment" in vague.text


def test_promoting_what_is_not_certain_asks_for_a_reason() -> None:
    certain = {**OPEN, "comparison": {**OPEN["comparison"], "verdict": "no harm"}}
    with visit(STANDING, {**STANDING, "app": "sure", "open": certain}) as admin:
        admin.sign_in()
        uncertain, sure = (admin.see(f"/deployments?app={app}") for app in ("support", "sure"))

    assert "It is not certain yet that it does no harm" in uncertain.text
    assert uncertain.all("input", name="why")
    assert not sure.all("input", name="why")


@pytest.mark.parametrize("key", [VIEWER_KEY, OPERATOR_KEY])
def test_who_is_no_admin_sees_and_presses_nothing(key: str) -> None:
    deployments = Deployments(STANDING)
    with visit(deployments=deployments) as visitor:
        visitor.sign_in(key)
        page = visitor.get("/deployments")
        csrf = Seen(page.text).all("input", name="csrf")[0]["value"]
        pressed = visitor.post("/deployments", {"csrf": csrf, **ROLLBACK})
        twin = visitor.get("/deployments.json")

    assert (page.status_code, pressed.status_code, twin.status_code) == (403, 403, 403)
    assert "Canary 3" not in page.text
    assert deployments.done == []


def test_a_form_without_its_token_or_from_elsewhere_changes_nothing() -> None:
    deployments = Deployments(STANDING)
    with visit(deployments=deployments) as admin:
        admin.sign_in()
        csrf = admin.token("/deployments")
        refused = [
            admin.post("/deployments", {"csrf": "guess", **ROLLBACK}),
            admin.post("/deployments", {"csrf": csrf, **ROLLBACK}, origin="https://elsewhere.example"),
        ]

    assert [one.status_code for one in refused] == [403, 403]
    assert deployments.done == []


def test_what_was_typed_stays_where_it_was_refused() -> None:
    with visit() as admin:
        admin.sign_in()
        csrf = admin.token("/deployments")
        fields = {
            "csrf": csrf,
            "do": "begin",
            "app": "support",
            "name": "<i>nope",
            "share": "7,5",
            "no_gate": "a try",
        }
        refused = admin.post("/deployments", fields)
        odd = admin.post("/deployments", {**fields, "share": "much"})
        whole = admin.post("/deployments", {**fields, "share": "100"})

    seen = Seen(refused.text)
    assert refused.status_code == 404
    assert "No model goes by '<i>nope'." in seen.text
    assert seen.all("input", name="name", value="<i>nope")
    assert "must be a number of percent" in Seen(odd.text).text
    assert whole.status_code == 400
    assert "'share'" in Seen(whole.text).text
