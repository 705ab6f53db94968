"""Deployments in a running house: who answers, what ends one, and that going back leads to the state before."""

import asyncio
import json
from pathlib import Path

import pytest

from greenroom.assembly import furnishing
from greenroom.assembly.deploying import DeployDesk
from greenroom.assembly.house import House
from greenroom.assembly.prompts import new_version
from greenroom.errors import ConfigError, Conflict, MalformedRequest, NotFound
from greenroom.prompts.version import Message, PromptVersion
from greenroom.server.deployments import NewDeployment
from greenroom.store.listing import TraceFilter
from tests.assembly.experiments import BASE, HALF, ask, house_of, running, stored, until
from tests.faults.recipes import error, whole
from tests.faults.upstream import FaultUpstream


async def deploy(house: House, name: str = "other", **said: object) -> DeployDesk:
    """Put something before the app support, at once and without an evaluation."""
    desk = DeployDesk(house)
    wanted = {"no_gate": "a test", "share": 0.5, **said}
    await desk.begin(NewDeployment(name=name, app="support", **wanted), "me", "")  # type: ignore[arg-type]  # fields
    await desk.follow()
    return desk


async def models(house: House, count: int = 30) -> set[str | None]:
    """Who answers so many users."""
    return {(await ask(house, f"user-{n}")).target for n in range(count)}


async def test_a_canary_gets_its_share_the_same_users_always_and_stands_in_the_record(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        await deploy(house)
        first = {f"user-{n}": (await ask(house, f"user-{n}")).target for n in range(40)}
        record = await stored(house, await ask(house, next(u for u, t in first.items() if t == "box/other")))
        again = {f"user-{n}": (await ask(house, f"user-{n}")).target for n in range(40)}
        by_model = await ask(house, "ana", app="sound", tags="experiment=deploy:1/canary")
    async with running(tmp_path, "", upstream) as house:
        restarted = {f"user-{n}": (await ask(house, f"user-{n}")).target for n in range(40)}

    assert first == again == restarted
    assert set(first.values()) == {"box/sound", "box/other"}
    assert record["tags"] == {"experiment": "deploy:1/canary"}
    assert "the canary 1, 'other', was drawn" in record["model"]["why"]
    assert by_model.tags == {}


async def test_a_canary_that_fails_is_rolled_back_by_itself_with_its_evidence(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("other", error(400))
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house)
        for n in range(60):
            await ask(house, f"user-{n}")
        await until(lambda: house.deploys.get(1).state == "rolled_back")
        await desk.follow()
        after = await models(house)
        (event, begun) = desk.history("support")
        changes = [(one.who, one.what) for one in house.keys.audit_log(10)]

    assert after == {"box/sound"}
    assert (event["state"], event["who"]) == ("rolled_back", "rule")
    assert event["why"].startswith("failed: 100 % of the canary, 0 % of the current")
    assert event["evidence"]["verdict"] == "harm"
    assert begun["evidence"] == {"suite": None, "result": "none", "why": "a test", "reasons": []}
    assert changes == [("rule", "deployment.rolled_back"), ("me", "deployment.canary")]


async def test_empty_answers_are_noticed_without_a_label(tmp_path: Path, upstream: FaultUpstream) -> None:
    answer = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]
    }
    upstream.script("other", whole(json.dumps(answer).encode()))
    async with running(tmp_path, "", upstream) as house:
        await deploy(house)
        for n in range(80):
            await ask(house, f"user-{n}")
        await until(lambda: house.deploys.get(1).state == "rolled_back")
        why = house.deploys.get(1).why
        flawed = house.traces.list(TraceFilter(tag="deploy.flaw=1/empty")).rows

    assert why.startswith("flawed: 100 % of the canary")
    assert len(flawed) > 10


async def test_no_harm_that_is_certain_promotes_and_a_rollback_restores_the_state_before(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    margins = {"failed": 0.2, "refused": 0.2, "flawed": 0.2, "slow": 1.0, "dear": 1.0, "short": 1.0}
    rules = f"[deploy]\nmargins = {{ {', '.join(f'{k} = {v}' for k, v in margins.items())} }}\n"
    async with running(tmp_path, rules, upstream) as house:
        desk = await deploy(house, promote_after_s=0.0, units=50)
        with pytest.raises(Conflict, match="It is not certain that 'other' does no harm: 0 of 50 units"):
            desk.promote("support", "", None, "me", "")
        for n in range(160):
            await ask(house, f"user-{n}")
        await until(lambda: house.deploys.get(1).state == "promoted")
        await desk.follow()
        promoted, shown = await models(house), desk.show("support")
        desk.roll_back("support", "it was dear", "me", "")
        await desk.follow()
        back, history = await models(house), desk.history("support")
        with pytest.raises(Conflict, match="answers as the configuration says"):
            desk.roll_back("support", "", "me", "")

    assert promoted == {"box/other"}
    assert [one["name"] for one in shown["promoted"]] == ["other"]
    assert shown["open"] is None
    assert back == {"box/sound"}
    assert [(one["state"], one["who"]) for one in history] == [
        ("rolled_back", "me"), ("promoted", "rule"), ("canary", "me"),
    ]  # fmt: skip


async def test_promotions_stand_on_each_other_through_restarts_and_go_back_one_by_one(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        house.prompts.add(
            [new_version(PromptVersion(name="greet", messages=(Message(role="system", text="Be kind."),)))],
            who="me",
        )
        house.refresh_prompts()
        desk = await deploy(house)
        desk.promote("support", "", "a test", "me", "")
        await desk.follow()
        await deploy(house, "greet@1")
        desk.promote("support", "", "a test", "me", "")
    async with running(tmp_path, "", upstream) as house:
        both = await ask(house)
        desk = DeployDesk(house)
        names = [one["name"] for one in desk.show("support")["promoted"]]
        desk.roll_back("support", "", "me", "")
        await desk.follow()
        first = await ask(house)

    assert names == ["other", "greet@1"]
    sent = [json.loads(one.body)["messages"][0]["content"] for one in upstream.requests[-2:]]
    assert sent == ["Be kind.", "Hello."]
    assert (both.target, first.target) == ("box/other", "box/other")


async def test_a_policy_changes_steps_and_findings_of_its_app_alone(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    policy = {
        "check": ["pii", "topics"],
        "steps": {"topics": {"deny": {"sports": {"words": ["football"]}}}},
        "policies": {"no_mail": {"action": "block", "rule": "email"}},
    }
    more = "[apps.sales]\nmodel = 'sound'\n"
    async with running(tmp_path, more, upstream) as house:
        desk = await deploy(house, "strict", policy=policy)
        desk.promote("support", "", "a test", "me", "")
        await desk.follow()
        outcomes = [
            (await ask(house, "ana", text, app=app)).outcome
            for app in ("support", "sales")
            for text in ("Who won the football?", "Write to ana@example.com.", "Hello.")
        ]

    assert outcomes == ["refused", "refused", "answered", "answered", "answered", "answered"]


async def test_what_can_not_stand_is_refused_and_says_why(tmp_path: Path, upstream: FaultUpstream) -> None:
    wrong: dict[str, object] = {"steps": {"topics": {"denny": []}}}
    async with running(tmp_path, "", upstream) as house:
        for said, kind, why in (
            ({"name": "nothing/here"}, MalformedRequest, "neither a configured model"),
            ({"name": "greet@9"}, NotFound, "greet"),
            ({"name": "sound"}, Conflict, "answers with 'sound' already"),
            ({"name": "bad", "policy": wrong}, MalformedRequest, "did you mean 'deny'"),
            ({"name": "bad", "policy": {}, "shadow": True}, MalformedRequest, "only a model can be one"),
            ({"name": "other", "no_gate": None}, MalformedRequest, "Nothing was evaluated"),
        ):  # fmt: skip
            with pytest.raises(kind, match=why):
                await deploy(house, **said)
        await deploy(house)
        with pytest.raises(Conflict, match="deployment 1 of the app 'support'"):
            house.shelf.check_unused("other")
        with pytest.raises(Conflict, match="'other' is a canary of the app 'support'"):
            await deploy(house, "box/third")
        await deploy(house, share=0.7)
        with pytest.raises(Conflict, match="has 70 % of the app 'support' already"):
            await deploy(house, share=0.7)
    (tmp_path / "tried").mkdir()
    async with running(tmp_path / "tried", HALF, upstream) as house:
        with pytest.raises(Conflict, match=r"take \[experiments.cheaper\] out"):
            await deploy(house)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('[models.other]\ntargets = ["box/other"]\nretries = 0\n', ""), "neither a configured model"),
        (("[apps.support]", "[apps.renamed]"), "There is no app 'support'"),
    ],
    ids=["model", "app"],
)
@pytest.mark.parametrize("state", ["canary", "promoted"])
async def test_a_configuration_in_which_it_can_not_stand_rolls_it_back(
    tmp_path: Path, upstream: FaultUpstream, change: tuple[str, str], said: str, state: str
) -> None:
    path = tmp_path / "greenroom.toml"
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house)
        if state == "promoted":
            desk.promote("support", "", "a test", "me", "")
            await desk.follow()
        await house.reload()
        kept = await models(house)
        path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
        await house.reload()
        event = desk.history("support")[0]
        answers = (await ask(house, app="sound")).outcome

    assert "box/other" in kept
    assert (event["state"], event["who"]) == ("rolled_back", "server")
    assert said in event["why"]
    assert answers == "answered"


async def test_an_experiment_in_the_file_takes_the_place_of_a_canary_and_stands_on_what_is_promoted(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    path = tmp_path / "greenroom.toml"
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house, "box/first")
        desk.promote("support", "", "a test", "me", "")
        await desk.follow()
        await deploy(house)
        path.write_text(path.read_text(encoding="utf-8") + HALF, encoding="utf-8")
        await house.reload()
        event = desk.history("support")[0]
        answered = await models(house)

    assert "takes part in the experiment 'cheaper' now" in event["why"]
    assert answered == {"box/first", "box/other"}


async def test_a_shadow_costs_is_recorded_and_answers_nobody(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house, shadow=True, share=0.9)
        answered = await models(house, 20)
        assert house.trials.shadows is not None
        await house.trials.shadows.idle()
        await until(
            lambda: (house.deploys.evidence(1).get("sides") or [{}, {"exchanges": 0}])[1]["exchanges"] > 9
        )
        sides = {one["side"]: one for one in house.deploys.evidence(1)["sides"]}
        with pytest.raises(Conflict, match="answers reached nobody"):
            desk.promote("support", "", None, "me", "")
        desk.roll_back("support", "", "me", "")
        await desk.follow()
        before = len(upstream.asked("other"))
        await models(house, 5)

    assert answered == {"box/sound"}
    assert sides["current"]["exchanges"] == 20
    assert sides["shadow"]["cost_usd"] > 0
    assert len(upstream.asked("other")) == before


async def test_answers_of_before_are_not_given_again_after_a_promotion(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    cached = BASE.replace("[apps.support]", '[apps.support]\ncache = "exact"')
    house = house_of(tmp_path, "", upstream)
    (tmp_path / "greenroom.toml").write_text(
        cached.replace("{base_url}", upstream.base_url), encoding="utf-8"
    )
    house = House.open(tmp_path / "greenroom.toml", tmp_path / "data", {})
    async with house.running():
        await ask(house)
        again = await ask(house)
        desk = await deploy(house)
        desk.promote("support", "", "a test", "me", "")
        await desk.follow()
        new = await ask(house)
        desk.roll_back("support", "", "me", "")
        await desk.follow()
        old = await ask(house)

    assert [one.outcome for one in (again, new, old)] == ["cached", "answered", "cached"]
    assert new.target == "box/other"


async def test_of_two_who_decide_at_once_one_is_told_that_it_is_decided(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house)
        found = await asyncio.gather(
            asyncio.to_thread(desk.promote, "support", "", "first", "me", ""),
            asyncio.to_thread(desk.roll_back, "support", "", "you", ""),
            return_exceptions=True,
        )
        events = desk.history("support")

    assert len([one for one in found if isinstance(one, Conflict | NotFound)]) + len(events) in (3, 4)
    assert events[0]["state"] in ("promoted", "rolled_back")


async def test_a_configuration_that_is_refused_changes_nothing_and_holds_up_no_rollback(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    path = tmp_path / "greenroom.toml"
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house)
        sound = path.read_text(encoding="utf-8")
        broken = sound.replace('[models.other]\ntargets = ["box/other"]\nretries = 0\n', "")
        path.write_text(broken + '[apps.odd]\nmodel = "nowhere"\n', encoding="utf-8")
        with pytest.raises(ConfigError, match="nowhere"):
            await house.reload()
        state = house.deploys.get(1).state
        desk.roll_back("support", "", "me", "")
        await desk.follow()
        after = await models(house)

    assert state == "canary"
    assert after == {"box/sound"}


async def test_a_second_policy_of_the_same_name_takes_the_place_of_the_first(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        for rule in ("phone", "email"):
            policy = {"check": ["pii"], "policies": {"strict": {"action": "block", "rule": rule}}}
            desk = await deploy(house, f"no {rule}", policy=policy)
            desk.promote("support", "", "a test", "me", "")
            await desk.follow()
        second = (await ask(house, text="Write to ana@example.com.")).outcome
        desk.roll_back("support", "", "me", "")
        await desk.follow()
        first = (await ask(house, text="Write to ana@example.com.")).outcome

    assert (second, first) == ("refused", "answered")


async def test_another_share_counts_both_sides_from_then_on(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house, share=0.3)
        for n in range(10):
            await ask(house, f"before-{n}")
        await until(lambda: _exchanges(house) == 10)
        await deploy(house, share=0.6)
        for n in range(7):
            await ask(house, f"after-{n}")

        await until(lambda: _exchanges(house) == 7)
    assert [one["share"] for one in desk.history("support")] == [0.6, 0.3]


def _exchanges(house: House) -> int:
    return sum(side["exchanges"] for side in house.deploys.evidence(1).get("sides", ()))


async def test_a_deployment_taken_while_a_configuration_is_read_leaves_the_new_one_in_force(
    tmp_path: Path, upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, waiting, go_on = tmp_path / "greenroom.toml", asyncio.Event(), asyncio.Event()

    async def probe() -> None:
        waiting.set()
        await go_on.wait()

    monkeypatch.setattr(furnishing, "probe_loopback", probe)
    path.write_text("[apps.support]\n", encoding="utf-8")
    go_on.set()
    async with House.open(path, tmp_path / "data", {}).running() as house:
        go_on.clear()
        waiting.clear()
        taking = asyncio.create_task(deploy(house, "strict", policy={"check": ["pii"]}))
        await waiting.wait()  # it has the configuration of before in its hands
        house_of(tmp_path, "", upstream)
        reading = asyncio.create_task(house.reload())
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(taking, reading)
        target = (await ask(house, app="sound")).target

    assert target == "box/sound"
    assert "sound" in house.config.models


async def test_harm_that_is_certain_is_told_to_who_would_promote(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("other", error(400))
    async with running(tmp_path, "", upstream) as house:
        desk = await deploy(house, roll_back=False, units=5)
        for n in range(60):
            await ask(house, f"user-{n}")
        await until(lambda: house.deploys.evidence(1).get("verdict") == "harm")

        with pytest.raises(Conflict, match=r"'other' does harm: failed: 100 %.*Roll it back"):
            desk.promote("support", "", None, "me", "")


async def test_what_another_process_made_and_deployed_at_once_is_known_before_it_is_judged(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, "", upstream) as house:
        other = House.open(tmp_path / "greenroom.toml", tmp_path / "data", {})
        async with other.running(as_guest=True):
            other.prompts.add(
                [new_version(PromptVersion(name="greet", messages=(Message(role="system", text="Hi."),)))],
                who="me",
            )
            other.refresh_prompts()
            await deploy(other, "greet@1")
        await house.redeploy()

        assert house.deploys.get(1).state == "canary"
        DeployDesk(house).promote("support", "", "a test", "me", "")
        await house.redeploy()
        await asyncio.to_thread(house.deploys.change, 1, "rolled_back", was="promoted", who="they", why="")
        await deploy(house, "greet@1")  # which answered here until now

        assert house.deploys.get(2).state == "canary"
