"""Shadows in a running house: masked, billed apart, recorded, and never in a client's way."""

import asyncio
import json
from pathlib import Path
from time import perf_counter_ns

from greenroom.assembly.house import House
from greenroom.gateway.shadows import AT_ONCE, MOST_WAITING, shadow_id
from greenroom.store.usage import Asked, usage
from tests.assembly.experiments import arm_of, ask, house_of, running, stored, until
from tests.faults.recipes import Stall, recipe
from tests.faults.upstream import FaultUpstream

SHADOW = """
[experiments.next]
app = "support"
metric = "helpful"
unit = "request"
[experiments.next.arms.watched]
model = "other"
share = 1.0
shadow = true
"""


async def idle(house: House) -> None:
    assert house.trials.shadows is not None
    async with asyncio.timeout(10):
        await house.trials.shadows.idle()


async def test_a_shadow_gets_what_the_model_got_and_is_recorded_and_billed(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    async with running(tmp_path, SHADOW, upstream) as house:
        exchange = await ask(house, "ana", "My number is 123.456.789-09, thanks.", tags="team=x")
        await idle(house)
        shadow = await until(lambda: house.traces.get(None, shadow_id(exchange.id, "watched")))
        await until(lambda: house.ledger.counts().lines == 2)
        by_tag = {row["tag"]: row for row in usage(house.books, Asked(("tag",)))}

    original, copied = (json.loads(upstream.asked(name)[0].body) for name in ("sound", "other"))
    assert copied["messages"] == original["messages"]
    assert "123.456.789-09" not in upstream.asked("other")[0].body.decode()
    assert arm_of(exchange) == "control"
    assert exchange.target == "box/sound"
    assert f"its shadow 'watched' is {shadow['id']}" in exchange.why
    assert f"shadow of {exchange.id}" in shadow["model"]["why"]
    assert shadow["tags"] == {"team": "x", "experiment": "next/watched"}
    assert shadow["user"] == "ana"
    assert "123.456.789-09" not in json.dumps(shadow)
    assert by_tag["experiment=next/watched"]["calls"] == by_tag["experiment=next/control"]["calls"] == 1


async def test_a_stream_is_shadowed_by_a_whole_answer(tmp_path: Path, upstream: FaultUpstream) -> None:
    async with running(tmp_path, SHADOW, upstream) as house:
        body = {
            "model": "support", "stream": True, "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": "Hello."}],
        }  # fmt: skip
        exchange, room, grant = house.begin(json.dumps(body).encode(), {})
        stream = await house.gateway.begin_stream(exchange, room, grant, perf_counter_ns())
        stream.finish()
        await idle(house)

    (seen,) = upstream.asked("other")
    assert not seen.stream
    assert "stream_options" not in seen.json()


async def test_a_silent_shadow_delays_nobody_and_what_finds_no_place_is_counted(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("other", recipe(Stall()))
    extra = 20
    async with running(tmp_path, SHADOW, upstream) as house:
        async with asyncio.timeout(10):
            asked = [await ask(house, "ana") for _ in range(AT_ONCE + MOST_WAITING + extra)]
        assert house.trials.shadows is not None
        dropped = house.trials.shadows.counts["next/watched", "dropped"]

    assert {exchange.outcome for exchange in asked} == {"answered"}
    assert dropped == extra
    assert len(upstream.asked("other")) <= AT_ONCE


async def test_shadows_wait_when_a_tenth_of_a_budget_is_left_and_clients_go_on(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    budget = "\n[budgets.all]\nusd = 0.01\n[money]\nreserve_tokens = 100\n"
    async with running(tmp_path, SHADOW + budget, upstream) as house:
        first = await ask(house, "ana")
        await idle(house)
        purse = house.ledger.purse(house.access.find(house.local_key.encode()), first)
        assert purse is not None
        house.ledger.take(purse, 9_100_000)
        second = await ask(house, "ana")
        await idle(house)
        third = await ask(house, "ana")
        assert house.trials.shadows is not None
        counts = house.trials.shadows.counts
        house.ledger.free(purse, 9_100_000)

    assert [exchange.outcome for exchange in (first, second, third)] == ["answered"] * 3
    assert counts["next/watched", "answered"] == 1
    assert counts["next/watched", "short"] == 2
    assert len(upstream.asked("other")) == 1


async def test_a_refused_prompt_has_no_shadow(tmp_path: Path, upstream: FaultUpstream) -> None:
    blocked = SHADOW + '\n[apps.support.steps.pii]\naction = "block"\n'
    async with running(tmp_path, blocked, upstream) as house:
        exchange = await ask(house, "ana", "My number is 123.456.789-09.")
        await stored(house, exchange)
        await idle(house)

    assert exchange.outcome == "refused"
    assert upstream.requests == []


async def test_a_shadow_cut_off_at_the_end_is_recorded_and_paid_for(
    tmp_path: Path, upstream: FaultUpstream
) -> None:
    upstream.script("other", recipe(Stall()))
    async with running(tmp_path, SHADOW, upstream) as house:
        exchange = await ask(house, "ana")
        await upstream.log.wait("request", count=2)

    again = house_of(tmp_path, SHADOW, upstream)
    shadow = again.traces.get(None, shadow_id(exchange.id, "watched"))
    rows = {row["tag"]: row for row in usage(again.books, Asked(("tag",)))}
    again.stop()

    assert shadow is not None
    assert (shadow["outcome"], shadow["usage"]["estimated"]) == ("cancelled", True)
    assert rows["experiment=next/watched"]["calls"] == 1
