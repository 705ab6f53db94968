"""A canary of a model that runs on this machine: nobody waits for it to load, and nobody's request fails."""

import asyncio
from pathlib import Path

import pytest

from greenroom.models.engine import is_installed
from tests.assembly.experiments import ask, running
from tests.assembly.test_deployments import deploy, models
from tests.faults.upstream import FaultUpstream
from tests.models import tiny_gguf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="xllamacpp, the extra 'local', is not installed"),
]


async def test_traffic_moves_to_an_engine_once_it_has_loaded_and_no_request_fails(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    path = tiny_gguf.write(tmp_path / "tiny.gguf")
    local = f'[providers.tiny]\nkind = "llama"\nmodel_path = "{path}"\nthreads = 1\n'
    async with running(tmp_path, local, upstream) as house:
        desk = await deploy(house, "tiny/tiny", share=0.5)
        engine = next(one.engine for one in house.models.local())
        state, early = engine.state, await ask(house, "user-0")
        asked = []
        for n in range(1_000):
            asked.append(await ask(house, f"user-{n}"))
            if engine.state == "ready":
                break
        drawn = await models(house, 30)
        desk.promote("support", "", "a test", "me", "")
        await desk.follow()
        promoted = [await ask(house, f"user-{n}") for n in range(5)]
        desk.roll_back("support", "", "me", "")
        await desk.follow()
        back = [await ask(house, f"user-{n}") for n in range(5)]

    assert state == "starting"
    assert (early.target, early.tags) == ("box/sound", {})  # before it has loaded, nothing counts
    assert drawn == {"box/sound", "tiny/tiny"}
    assert {one.target for one in promoted} == {"tiny/tiny"}
    assert {one.target for one in back} == {"box/sound"}
    assert {one.outcome for one in (early, *asked, *promoted, *back)} == {"answered"}


async def test_an_engine_that_fell_idle_before_anybody_came_is_loaded_again(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    path = tiny_gguf.write(tmp_path / "tiny.gguf")
    local = f'[providers.tiny]\nkind = "llama"\nmodel_path = "{path}"\nthreads = 1\nidle_stop_s = 0.3\n'
    async with running(tmp_path, local, upstream) as house:
        await deploy(house, "tiny/tiny", share=0.5)
        engine = next(one.engine for one in house.models.local())
        for _ in range(1_000):
            await asyncio.sleep(0.02)
            if engine.state == "stopped":
                break
        starts, drawn = engine.starts, set()
        for n in range(1_000):
            drawn.add((await ask(house, f"user-{n}")).target)
            if len(drawn) > 1:
                break

    assert starts == 1
    assert drawn == {"box/sound", "tiny/tiny"}
