"""Deployments changed from the page: what answers, what stands in the audit log, and who was quicker."""

from pathlib import Path

from greenroom.assembly.deploying import DeployDesk
from greenroom.assembly.house import House
from greenroom.server.deployments import NewDeployment
from greenroom.server.pages.deployments import DeploymentsPage
from tests.assembly.experiments import ask, running
from tests.faults.upstream import FaultUpstream
from tests.server.pages.backend import FakeBackend
from tests.server.pages.visitor import Clock, Visitor


async def answers(house: House) -> str | None:
    """Which target answers the app now."""
    return (await ask(house)).target


async def test_a_canary_is_begun_widened_promoted_and_taken_back(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        page = DeploymentsPage(DeployDesk(house))
        with Visitor(FakeBackend(), Clock(), more=(page.routes,)) as admin:
            admin.sign_in()
            csrf = admin.token("/deployments")

            def press(**fields: str) -> int:
                return admin.post("/deployments", {"csrf": csrf, "app": "support", **fields}).status_code

            begun = press(do="begin", name="other", share="5", no_gate="a try", **{"as": "canary"})
            wider = press(do="share", name="other", kind="model", share="50", **{"as": "canary"})
            shown = admin.get("/deployments.json?app=support").json()["apps"][0]["open"]
            without = press(do="promote", deployment="1")
            promoted = press(do="promote", deployment="1", why="it is the last day of the old one")
            during = await answers(house)
            back = press(do="rollback", deployment="1")
            again = press(do="rollback", deployment="1")
            after = await answers(house)
        changes = [(one.what, one.who) for one in reversed(house.keys.audit_log(20)) if "deploy" in one.what]

    assert (begun, wider, promoted, back) == (303, 303, 303, 303)
    assert (without, again) == (409, 409)
    assert (shown["name"], shown["share"]) == ("other", 0.5)
    assert (during, after) == ("box/other", "box/sound")
    who = "key-admin"
    assert changes == [
        ("deployment.canary", who), ("deployment.share", who), ("deployment.promoted", who), ("deployment.rolled_back", who)
    ]  # fmt: skip


async def test_a_rollback_of_what_no_longer_stands_last_takes_back_nothing(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        desk = DeployDesk(house)
        with Visitor(FakeBackend(), Clock(), more=(DeploymentsPage(desk).routes,)) as admin:
            admin.sign_in()
            csrf = admin.token("/deployments")
            begin = {"csrf": csrf, "app": "support", "do": "begin", "name": "other", "no_gate": "a try"}
            admin.post("/deployments", begin)
            desk.roll_back("support", "", "rule", "")
            admin.post("/deployments", begin)
            late = admin.post(
                "/deployments", {"csrf": csrf, "app": "support", "do": "rollback", "deployment": "1"}
            )
        standing = desk.show("support")["open"]

    assert late.status_code == 409
    assert "Deployment 1 does not stand last on" in late.text
    assert standing["id"] == 2


async def test_the_share_of_a_policy_is_changed_without_saying_it_again(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        desk = DeployDesk(house)
        policy = {"policies": {"none": {"action": "block", "rule": "br.cpf"}}}
        wanted = NewDeployment(name="strict", app="support", kind="policy", policy=policy, no_gate="a try")
        await desk.begin(wanted, "me", "")
        with Visitor(FakeBackend(), Clock(), more=(DeploymentsPage(desk).routes,)) as admin:
            admin.sign_in()
            form = {"csrf": admin.token("/deployments"), "do": "share", "app": "support", "name": "strict"}
            sent = admin.post("/deployments", {**form, "kind": "policy", "as": "canary", "share": "25"})
        standing = desk.show("support")["open"]

    assert sent.status_code == 303
    assert (standing["share"], standing["policy"]["policies"]["none"]["rule"]) == (0.25, "br.cpf")
