"""The pages of optimisation: kept runs with their front, and processes begun, ended and gone on with."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import encode

from greenroom.assembly.house import House
from greenroom.assembly.launches import Launches, command_of
from greenroom.assembly.optimizations import OptimizationDesk
from greenroom.assembly.promptdesk import PromptDesk
from greenroom.errors import Conflict
from greenroom.offline.evals.data import DataSet
from greenroom.offline.evals.kept import keep_data
from greenroom.offline.evals.sample import Sample
from greenroom.prompts.version import Message, PromptVersion
from greenroom.server.pages.doors import Room
from greenroom.server.pages.optimizations import OptimizationPages, front_of
from greenroom.store.trials import Trials
from tests.assembly.experiments import until
from tests.server.pages.office import office

RUN = "opt_0123456789abcdef"
HOSTILE = "<script>hit()</script>"
_SAYS = f"import sys, time; print('Run {RUN}.\\n', *sys.argv[1:3], flush=True); time.sleep(30)"
STUB = [sys.executable, "-S", "-c", _SAYS]
ASKED = {"prompt": "greet", "metric": "exact", "method": "both", "budget_usd": "0.5"}


def rooms(house: House) -> Sequence[Room]:
    return (OptimizationPages(OptimizationDesk(house, STUB)).routes,)


def prepare(house: House) -> str:
    """A prompt and a data set; the key of the samples."""
    version = PromptVersion(name="greet", messages=(Message(role="system", text="Be kind."),))
    PromptDesk(house).add(version, force=False, by="me")
    house.refresh_prompts()
    samples = [Sample(id=str(n), messages=({"role": "user", "content": f"Hello {n}"},)) for n in range(3)]
    return keep_data(house.evals, "hellos", DataSet.of(samples, "test")).digest


def candidate(number: int, quality: float, cost: float, *, is_front: bool = False) -> dict[str, Any]:
    runs = [{"kind": "removed", "text": "kind"}, {"kind": "added", "text": f"kinder {HOSTILE}"}]
    change = {"place": "messages[0].text", "before": "kind", "after": "kinder", "runs": runs}
    return {
        "number": number, "parent": None if number == 0 else 0, "origin": "rewrite" if number else "current",
        "version": {"name": "greet"}, "diff": {"changes": [change]} if number else {}, "faults": [], "train": 0.5,
        "dev": [quality, cost, 100.0], "is_front": is_front,
    }  # fmt: skip


def keep_run(house: House) -> None:
    trials = Trials(house.data)
    try:
        trials.begin(RUN, "optimize", encode(("subject", "greet@1", "exact")))
        for one in (candidate(0, 0.5, 400.0), candidate(1, 0.8, 500.0, is_front=True)):
            trials.keep_candidate(RUN, one["number"], encode(one))
        result = {
            "decision": {"verdict": "better", "sentence": f"Better: {HOSTILE}"}, "winner": 1, "train": 4, "dev": 5,
            "held_back": 6, "calls": 70,
        }  # fmt: skip
        trials.end(RUN, encode(result))
    finally:
        trials.close()


async def test_a_run_shows_its_decision_its_front_and_what_candidates_change(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        nothing = await one.get("/optimizations")
        is_made = (one.house.data / "trials.db").exists()
        prepare(one.house)
        keep_run(one.house)
        adopted = PromptVersion(
            name="greet",
            messages=(Message(role="system", text="Be kinder."),),
            note=f"greenroom optimize {RUN}: Better",
        )
        PromptDesk(one.house).add(adopted, force=False, by="me")
        listed = await one.see("/optimizations")
        page = await one.see(f"/optimizations/{RUN}")
        text = (await one.get(f"/optimizations/{RUN}")).text
        twin = await one.json(f"/optimizations/{RUN}.json")
        missing = await one.get("/optimizations/opt_none")

    assert ("Nothing was optimised yet" in nothing.text, is_made) == (True, False)
    assert listed.all("a", href=f"/optimizations/{RUN}")
    assert len(page.all("circle")) == 2
    assert page.all("form", action="/prompts/greet?version=2")
    assert len(page.all("ins")) == 1
    assert HOSTILE not in text
    assert twin["saved"] == {"name": "greet", "number": 2}
    assert missing.status_code == 404


async def test_a_run_is_begun_once_stopped_and_gone_on_with(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        asked = {**ASKED, "data": prepare(one.house)}
        wrong = [
            await one.post("/optimizations", {**asked, **changed})
            for changed in (
                {"data": "/etc/passwd.jsonl"}, {"metric": "python"}, {"model": "--config"}, {"budget_usd": ""},
                {"budget_usd": "-1"}, {"prompt": "nobody"},
            )
        ]  # fmt: skip
        begun = await one.post("/optimizations", asked)
        address = begun.headers["location"]
        second = await one.post("/optimizations", asked)
        await until(lambda: OptimizationDesk(one.house).show(address.rpartition("/")[2])["run"])
        moved = await one.get(address)
        keep = f"/optimizations/{RUN}"
        running = await one.json(f"{keep}.json")
        stopped = await one.post(keep, {"do": "stop"})
        await until(lambda: OptimizationDesk(one.house).show(RUN)["state"] != "running")
        late = await one.post(keep, {"do": "stop"})
        again = await one.post(keep, {"do": "go_on"})
        elsewhere = await one.post(keep, {"do": "stop"}, origin="https://evil.example")
        last = await one.post(keep, {"do": "stop"})
        who, changes = one.key_id, one.changes()
        await one.sign_in("operator")
        refused = [
            await one.get("/optimizations"),
            await one.post("/optimizations", asked),
            await one.get(f"{keep}.json"),
        ]

    assert [each.status_code for each in wrong] == [400, 400, 400, 400, 400, 404]
    assert (begun.status_code, second.status_code) == (303, 409)
    assert moved.headers["location"] == keep
    assert (running["state"], running["prompt"]) == ("running", "greet@1")
    assert [each.status_code for each in (stopped, late, again, elsewhere, last)] == [303, 409, 303, 403, 303]
    assert [what for by, what in changes if by == who][:4] == [
        "optimize.stop", "optimize.start", "optimize.stop", "optimize.start",
    ]  # fmt: skip
    assert [each.status_code for each in refused] == [403, 403, 403]


async def test_who_begins_a_run_pays_and_who_goes_on_with_it_pays_for_the_rest(tmp_path: Path) -> None:
    async with office(tmp_path, "", rooms) as one:
        begun = await one.post("/optimizations", {**ASKED, "data": prepare(one.house)})
        first, address = one.key_id, begun.headers["location"]
        await until(lambda: paid_by(one.house) == [first])
        await one.post(address, {"do": "stop"})
        await until(lambda: OptimizationDesk(one.house).show(RUN)["state"] != "running")
        await one.sign_in("admin")
        await one.post(f"/optimizations/{RUN}", {"do": "go_on"})
        await until(lambda: len(paid_by(one.house)) > 1)
        paid, second = paid_by(one.house), one.key_id
        await one.post(f"/optimizations/{RUN}", {"do": "stop"})

    assert first != second
    assert paid == [second, first]


def paid_by(house: House) -> list[str]:
    """The keys that the processes were told, the newest first."""
    launches = Launches(house.data / "optimizing")
    said = [launches.said(launch)[-1:] for launch in launches.all()]
    return [line.strip().removeprefix("--key ") for lines in said for line in lines]


async def test_another_server_knows_who_is_at_work_and_what_died(tmp_path: Path) -> None:
    here, there = Launches(tmp_path / "runs"), Launches(tmp_path / "runs")
    begun = here.begin(STUB, ("--prompt", "greet"), "key_1", {})
    with pytest.raises(Conflict):
        there.begin(STUB, (), "key_2", {})
    await until(lambda: there.run_of(begun))
    (known,) = there.all()

    assert there.end(known)
    await until(lambda: not there.is_alive(known))
    assert not there.end(known)
    assert there.said(known) == [f"Run {RUN}.", " --prompt greet"]


def test_the_front_is_drawn_by_tokens_where_a_price_is_not_known() -> None:
    priced = front_of([candidate(0, 0.5, 400.0), candidate(1, 0.8, 500.0)], 1)
    unpriced = front_of([candidate(0, 0.5, 400.0), {**candidate(1, 0.8, 0), "dev": [0.8, None, 90.0]}], None)

    assert priced is not None
    assert unpriced is not None
    assert [(one.number, one.kind) for one in priced.dots] == [(0, "current"), (1, "tested")]
    assert priced.dots[0].y > priced.dots[1].y
    assert unpriced.across == "Tokens of an answer"
    assert front_of([candidate(0, 0.5, 400.0)], None) is None


@pytest.mark.slow
async def test_a_process_that_is_begun_is_greenroom_itself(tmp_path: Path) -> None:
    launches = Launches(tmp_path / "runs")

    begun = launches.begin(command_of(None, tmp_path), ("--prompt", "nobody"), "key_1", dict(os.environ))
    await until(lambda: not launches.is_alive(begun))

    assert "--samples" in " ".join(launches.said(begun))
