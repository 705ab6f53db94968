"""Versions of a prompt against each other, and what promoting one does to its label."""

import json
from pathlib import Path

import pytest

from greenroom.assembly.experiments import ExperimentDesk
from greenroom.assembly.house import House
from greenroom.assembly.promptdesk import PromptDesk
from greenroom.prompts.version import Message, PromptVersion
from tests.assembly.experiments import HALF, arm_of, ask, running, stored
from tests.faults.upstream import FaultUpstream

PROMPTED = HALF.replace('model = "other"', 'prompt = "greet@2"')
APP = '[apps.support]\nmodel = "sound"\n'


def add_versions(house: House) -> None:
    for text in ("Be kind.", "Be brief."):
        version = PromptVersion(name="greet", messages=(Message(role="system", text=text),))
        PromptDesk(house).add(version, force=True, by="me")
    PromptDesk(house).promote("greet", 1, "production", by="me")
    house.refresh_prompts()


def sent(upstream: FaultUpstream) -> set[str]:
    return {json.loads(one.body)["messages"][0]["content"] for one in upstream.requests}


@pytest.fixture
def app_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app has a prompt."""
    import tests.assembly.experiments as shared  # its text is changed here

    monkeypatch.setattr(shared, "BASE", shared.BASE.replace(APP, f'{APP}prompt = "greet@production"\n'))


@pytest.mark.usefixtures("app_prompt")
async def test_each_arm_fills_its_own_version_and_promoting_moves_the_label(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, PROMPTED, upstream) as house:
        add_versions(house)
        asked = [await ask(house, f"user-{n}") for n in range(20)]
        records = [await stored(house, exchange) for exchange in asked]
        told = ExperimentDesk(house).promote("cheaper", "other", "me", "")
        label = PromptDesk(house).registry.find("greet@production").number
        upstream.requests.clear()
        await ask(house, None)

    versions = {
        (arm_of(one), record["prompt"]["version"]) for one, record in zip(asked, records, strict=True)
    }
    assert versions == {("control", 1), ("other", 2)}
    assert label == 2
    assert sent(upstream) == {"Be brief."}
    assert told["to_keep"] == (
        "The label 'production' stands for greet@2 now. Take [experiments.cheaper] out."
    )


async def test_an_arm_may_bring_a_prompt_to_an_app_without_one(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, PROMPTED, upstream) as house:
        add_versions(house)
        for n in range(20):
            await ask(house, f"user-{n}")
        told = ExperimentDesk(house).promote("cheaper", "other", "me", "")
        label = PromptDesk(house).registry.find("greet@production").number

    assert sent(upstream) == {"Hello.", "Be brief."}
    assert label == 1
    assert 'write prompt = "greet@2"' in told["to_keep"]
