"""Experiments in a running house: who gets which arm, what is kept of it, and how one ends by itself."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns

import pytest

from greenroom.assembly.experiments import ExperimentDesk
from greenroom.assembly.subjects import PipelineSubject
from greenroom.assembly.trials import Watcher
from greenroom.errors import ConfigError, NotFound, RequestError
from greenroom.gateway.experiments import draw
from greenroom.offline.evals.sample import Sample
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from tests.assembly.experiments import HALF, arm_of, ask, house_of, running, stored, until
from tests.faults.recipes import error
from tests.faults.upstream import FaultUpstream
from tests.server_process import environment_of

USERS = [f"user-{n}" for n in range(60)]


async def arms(folder: Path, text: str, upstream: FaultUpstream) -> dict[str, str | None]:
    async with running(folder, text, upstream) as house:
        return {user: arm_of(await ask(house, user)) for user in USERS}


async def test_a_user_meets_the_same_arm_again_and_after_a_restart(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    first = await arms(tmp_path, HALF, upstream)
    second = await arms(tmp_path, HALF, upstream)

    assert first == second
    assert {"control", "other"} == set(first.values())
    targets = [seen.model for seen in upstream.requests]
    assert targets == [{"control": "sound", "other": "other"}[str(arm)] for arm in first.values()] * 2


async def test_another_process_draws_the_same(tmp_path: Path, upstream: FaultUpstream) -> None:
    here = await arms(tmp_path, HALF, upstream)
    script = (
        "import sys, json, pathlib\n"
        "from greenroom.store.experiments import ExperimentStore\n"
        "from greenroom.gateway.experiments import Arm, Trial\n"
        "from greenroom.testing import EchoUpstream, make_app, make_exchange\n"
        "store = ExperimentStore(pathlib.Path(sys.argv[1]))\n"
        "app = make_app(EchoUpstream())\n"
        "trial = Trial('cheaper', 'user', [Arm('control', app, 0.5), Arm('other', app, 0.5)], store.key)\n"
        "def arm(user):\n"
        "    exchange = make_exchange(); exchange.user = user; trial(exchange)\n"
        "    return exchange.tags['experiment'].partition('/')[2]\n"
        "print(json.dumps({user: arm(user) for user in json.loads(sys.argv[2])}))\n"
    )

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, str(tmp_path / "data" / "experiments.db"), json.dumps(USERS)],
        capture_output=True, text=True, timeout=20, check=True, env=environment_of(),
    )  # fmt: skip

    assert json.loads(done.stdout) == here


def test_shares_are_exact_in_the_long_run() -> None:
    drawn = sum(draw(b"k" * 32, b"cheaper\0", f"user-{n}") < 0.3 * 2**64 for n in range(20_000))

    assert abs(drawn - 6_000) < 4 * (20_000 * 0.3 * 0.7) ** 0.5


async def test_the_arm_stands_in_the_record_and_lists_are_narrowed_by_it(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, HALF, upstream) as house:
        exchange = await ask(house, "ana")
        record = await stored(house, exchange)
        arm = arm_of(exchange)
        listed = house.traces.list(TraceFilter(tag=f"experiment=cheaper/{arm}")).rows

    assert record["tags"] == {"experiment": f"cheaper/{arm}"}
    assert f"'cheaper' draws its arm '{arm}'" in record["model"]["why"]
    assert [one["id"] for one in listed] == [exchange.id]


async def test_who_names_no_user_or_the_arm_himself_takes_no_part(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, HALF, upstream) as house:
        nameless = await ask(house, None)
        forged = await ask(house, None, tags="experiment=cheaper/other")
        named = [await ask(house, "ana", tags="experiment=cheaper/forged") for _ in range(2)]
        by_model = await ask(house, "ana", app="other", tags="experiment=cheaper/other,team=x")

    assert arm_of(nameless) is None
    assert arm_of(forged) is None
    assert arm_of(named[0]) in ("control", "other")
    assert by_model.tags == {"team": "x"}
    assert upstream.requests[0].model == "sound"


async def test_a_broken_arm_is_stopped_by_its_guard_and_traffic_goes_back(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("other", error(400))
    guarded = HALF.replace(
        'metric = "helpful"', 'metric = "helpful"\nguards = [{ metric = "failed", limit = 0.05 }]'
    )
    async with running(tmp_path, guarded, upstream) as house:
        for n in range(60):
            await ask(house, f"user-{n}")
        await until(lambda: house.experiments.all()["cheaper"].state == "stopped")
        for _ in range(500):  # the watcher's own last step
            if arm_of(await ask(house, "somebody else")) is None:
                break
        before = len(upstream.asked("other"))
        after = [await ask(house, f"user-{n}") for n in range(60)]
        shown = ExperimentDesk(house).show("cheaper")
        changes = [one for one in house.keys.audit_log(10) if one.what == "experiment.stop"]

    assert before > 10
    assert len(upstream.asked("other")) == before
    assert {exchange.outcome for exchange in after} == {"answered"}
    assert {arm_of(exchange) for exchange in after} == {None}
    assert (shown["state"], shown["decided_by"]) == ("stopped", "guard")
    assert "failed surely is worse" in shown["why"]
    assert [one.who for one in changes] == ["guard"]


async def test_an_arm_that_fails_no_more_than_the_control_is_not_stopped(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("other", error(400))
    upstream.script("sound", error(400))
    guarded = HALF.replace('metric = "helpful"', 'metric = "helpful"\nguards = [{ metric = "failed" }]')
    async with running(tmp_path, guarded, upstream) as house:
        last = [await ask(house, f"user-{n}") for n in range(40)][-1]
        await stored(house, last)
        Watcher(house).look()
        shown = ExperimentDesk(house).show("cheaper")

    assert shown["state"] == "running"
    assert [one["failed"] for one in shown["arms"]] == [1.0, 1.0]


async def test_late_scores_count_for_the_arm_that_answered_and_the_winner_is_promoted(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    ruled = HALF.replace('metric = "helpful"', 'metric = "helpful"\ndecide = "promote"')
    async with running(tmp_path, ruled, upstream) as house:
        asked = [await ask(house, f"user-{n}") for n in range(80)]
        await stored(house, asked[-1])
        early = ExperimentDesk(house).show("cheaper")
        for exchange in asked:
            value = float(arm_of(exchange) == "other")
            house.traces.score(None, exchange.id, Score(name="helpful", value=value))
        Watcher(house).look()
        shown = ExperimentDesk(house).show("cheaper")
        later = [await ask(house, user) for user in ("x", "y", None)]

    assert [one["valued"] for one in early["arms"]] == [0, 0]
    assert [one["mean"] for one in shown["arms"]] == [0.0, 1.0]
    assert shown["comparisons"][0]["verdict"] == "better"
    assert (shown["state"], shown["promoted"], shown["decided_by"]) == ("promoted", "other", "rule")
    assert 'model = "other"' in shown["to_keep"]
    assert {exchange.target for exchange in later} == {"box/other"}
    assert "promoted its arm 'other'" in later[0].why


async def test_promoting_and_stopping_by_hand(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with running(tmp_path, HALF, upstream) as house:
        desk = ExperimentDesk(house)
        with pytest.raises(RequestError, match="There are: other"):
            desk.promote("cheaper", "control", "me", "")
        with pytest.raises(NotFound):
            desk.stop("nothing", "", "me", "")
        desk.promote("cheaper", "other", "me", "")
        promoted = await ask(house, None)
        desk.stop("cheaper", "enough", "me", "")
        stopped = await ask(house, "ana")

    assert promoted.target == "box/other"
    assert stopped.target == "box/sound"


async def test_another_edition_begins_anew(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with running(tmp_path, HALF, upstream) as house:
        ExperimentDesk(house).stop("cheaper", "", "me", "")
    async with running(tmp_path, HALF, upstream) as house:
        stays = ExperimentDesk(house).show("cheaper")["state"]
    async with running(tmp_path, HALF.replace("0.5", "0.4"), upstream) as house:
        anew = ExperimentDesk(house).show("cheaper")

    assert (stays, anew["state"]) == ("stopped", "running")
    assert anew["arms"][0]["share"] == 0.6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('app = "support"', 'app = "none"'), "no app"),
        (('model = "other"', 'model = "none"'), "neither a configured model"),
        (('model = "other"', ""), "differs in nothing"),
        (("share = 0.5", "share = 1.0"), "leave something for the control"),
        (("arms.other", "arms.control"), "is the app as it is"),
        (('metric = "helpful"', 'metric = "failed"\nhigh = 5'), "takes no bounds"),
        (('metric = "helpful"', 'metric = "cost"\nlow = 5\nhigh = 5'), "must be less"),
        (('metric = "helpful"', 'metric = "Helpful!"'), "metric"),
        (('model = "other"', 'prompt = "greet@candidate"'), "name a version by its number, as greet@1"),
        (('model = "other"', 'prompt = "greet@2"\nshadow = true'), "takes a 'model' and no 'prompt'"),
    ],
)
async def test_a_table_that_makes_no_experiment_is_refused(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        async with running(tmp_path, HALF.replace(*change)):
            pass


def test_an_app_is_in_one_experiment_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes part in 'cheaper' already"):
        house_of(tmp_path, HALF + HALF.replace("cheaper", "second"))


async def test_an_evaluation_takes_no_part(tmp_path: Path, upstream: FaultUpstream) -> None:
    by_request = HALF.replace('metric = "helpful"', 'metric = "helpful"\nunit = "request"').replace(
        "0.5", "0.9"
    )
    async with running(tmp_path, by_request, upstream) as house:
        subject = PipelineSubject(house, app="support")
        for _ in range(10):
            await subject.answer(Sample(id="1", messages=({"role": "user", "content": "Hello."},)))
        live = [await ask(house, None) for _ in range(10)]

    assert {seen.model for seen in upstream.requests[:10]} == {"sound"}
    assert "box/other" in {exchange.target for exchange in live}


async def test_a_stream_meets_the_same_arm_as_a_whole_answer(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with running(tmp_path, HALF, upstream) as house:
        for user in USERS[:8]:
            whole = await ask(house, user)
            body = {"model": "support", "stream": True, "user": user}
            body["messages"] = [{"role": "user", "content": "Hello."}]
            exchange, room, grant = house.begin(json.dumps(body).encode(), {})
            stream = await house.gateway.begin_stream(exchange, room, grant, perf_counter_ns())
            stream.finish()
            assert (exchange.target, arm_of(exchange)) == (whole.target, arm_of(whole))

    assert {seen.model for seen in upstream.requests if seen.stream} == {"sound", "other"}
