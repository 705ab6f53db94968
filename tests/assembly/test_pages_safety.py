"""The page of safety over a house that really found something: charts, policies, marks, and who may mark."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from greenroom.assembly.house import House
from greenroom.assembly.safety import SafetyDesk
from greenroom.server.pages.safety import SafetyPage
from tests.assembly.experiments import ask, house_of, until
from tests.faults.upstream import FaultUpstream
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICIES = """
[steps.pii]
action = "mask"
[policies.watch]
action = "block"
category = "personal_data"
shadow = true
[policies.cpf]
action = "mask"
rule = "br.cpf"
app = "support"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("safety")
    async with FaultUpstream() as upstream:
        house = house_of(folder, POLICIES, upstream)
        async with house.running():
            for text in (
                "My CPF is 529.982.247-25.",
                "Write to ana@example.org.",
                "CPF 529.982.247-25 again.",
            ):
                await ask(house, text=text)
            await until(lambda: len(SafetyDesk(house).findings(None, None, None, None, 9)) == 6)
            yield house


def visit(house: House) -> Visitor:
    return Visitor(FakeBackend(), Clock(), more=(SafetyPage(SafetyDesk(house)).routes,))


async def test_what_was_found_and_what_policies_did_is_told(house: House) -> None:
    with visit(house) as admin:
        admin.sign_in()
        page = admin.see("/safety?days=1")
        told = admin.get("/safety.json?days=1").json()
        narrow = admin.get("/safety.json?days=1&rule=br.cpf").json()
        other = admin.get("/safety.json?app=default&days=nonsense").json()

    assert told["by_category"] == {"personal_data": 3, "unsupported": 3}
    assert (told["found"], told["by_action"]) == (6, {"mask": 3, "warn": 3})
    assert [(one["name"], one["is_shadow"], one["decided"]) for one in told["policies"]] == [
        ("watch", True, 3), ("cpf", False, 2)
    ]  # fmt: skip
    assert "app support; rule br.cpf" in page.text
    assert "in shadow" in page.text
    assert page.all("a", href="/safety?days=1&rule=br.cpf#findings")
    assert {one["rule"] for one in narrow["findings"]} == {"br.cpf"}
    assert (other["days"], other["found"], other["findings"]) == (7, 0, [])


async def test_a_false_alarm_is_a_score_that_counts_and_is_taken_back(house: House) -> None:
    desk = SafetyDesk(house)
    newest = desk.findings("br.cpf", None, None, None, 1)[0]
    with visit(house) as admin:
        admin.sign_in()
        csrf = admin.token("/safety")
        form = {"csrf": csrf, "finding": str(newest["number"])}
        marked = admin.post("/safety?rule=br.cpf", {**form, "do": "false"})
        twice = admin.post("/safety?rule=br.cpf", {**form, "do": "false"})
        told = admin.get("/safety.json").json()
        page = admin.see("/safety?rule=br.cpf")
        score = (house.traces.get(None, newest["exchange"]) or {})["scores"][0]
        back = admin.post("/safety", {**form, "do": "true"})
        after = desk.over(7, None, None)["false_alarms"]
        wrong = [
            admin.post("/safety", {"csrf": csrf, "finding": number, "do": do}).status_code
            for number, do in (("x", "false"), ("1", "perhaps"), ("99999", "false"))
        ]
    changes = [one.what for one in reversed(house.keys.audit_log(10))]

    assert (marked.status_code, twice.status_code, back.status_code) == (303, 303, 303)
    assert marked.headers["location"] == "/safety?days=7&rule=br.cpf#findings"
    assert next(one for one in told["rules"] if one["rule"] == "br.cpf")["false_alarms"] == 1
    assert "Take back" in page.text
    assert (score["name"], score["value"], score["source"]) == ("false_alarm.br.cpf", 1.0, "person")
    assert after == 0
    assert wrong == [400, 400, 404]
    assert changes == ["finding.false_alarm", "finding.false_alarm", "finding.confirmed"]


async def test_who_may_only_look_marks_nothing(house: House) -> None:
    with visit(house) as visitor:
        visitor.sign_in(VIEWER_KEY)
        page = visitor.see("/safety")
        sent = visitor.post("/safety", {"csrf": visitor.token("/safety"), "finding": "1", "do": "false"})
    await asyncio.sleep(0)

    assert not page.all("input", name="finding")
    assert sent.status_code == 403
