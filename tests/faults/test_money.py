"""What requests cost, over real sockets: budgets hold, what came is paid, every upstream call is billed once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from greenroom.exchange import Caller
from greenroom.gateway.keys import Key
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.purse import Rule
from greenroom.models.dispatch import Patience
from greenroom.models.prices import Period, Price, Rates
from greenroom.server.messages import MESSAGES, Messages
from greenroom.server.ratelimits import duration
from greenroom.store.ledger import LedgerStore
from greenroom.store.lines import Scope
from greenroom.store.usage import Asked, usage
from tests.faults.rawclient import Answer, chat_bytes, request_bytes
from tests.faults.recipes import (
    Recipe,
    Stall,
    Wait,
    error,
    openai_events,
    openai_reply,
    recipe,
    streamed,
    whole,
)
from tests.faults.room import KEY, Room, code_of
from tests.faults.upstream import FaultUpstream

DOLLAR = 1_000_000_000
CALLER = Caller(key_id="key_1", project="p")
OF_KEY = (Scope("total", key="key_1"), 0)
FREE_IN = Price("m", [Period(Rates.plain(0, 0, 1_000_000_000))])
"""A tenth of a cent for a token of the answer, nothing for the prompt."""
BOTH = Price("m", [Period(Rates.plain(1_000_000, 1_000_000, 5_000_000))])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def books(path: Path) -> Iterator[LedgerStore]:
    store = LedgerStore(path)
    yield store
    store.close()


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    one = Ledger(LedgerStore(path))
    one.start()
    yield one
    one.stop()


def key_of(**limits: Any) -> Key:  # Any: fields of `Key`
    return Key(caller=CALLER, **limits)


def body(max_tokens: int | None = None, *, stream: bool = False) -> bytes:
    asked: dict[str, object] = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}
    if max_tokens is not None:
        asked["max_tokens"] = max_tokens
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return request_bytes(asked, key=KEY)


async def ask(room: Room, request: bytes) -> Answer:
    async with room.client(timeout_s=20.0) as client:
        await client.send(request)
        return await client.answer()


async def written(ledger: Ledger) -> None:
    async with asyncio.timeout(20):
        while ledger.has_work:  # noqa: ASYNC110  # a thread writes; it has no event for this
            await asyncio.sleep(0.005)


def said(tokens: int, pause_s: float = 0.0) -> Recipe:
    answer = json.loads(openai_reply())
    answer["usage"] = {"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens}
    sent = whole(json.dumps(answer).encode())
    return Recipe((Wait(pause_s), *sent.actions)) if pause_s else sent


@pytest.mark.early
@pytest.mark.parametrize("is_sync", [False, True], ids=["batched", "sync"])
async def test_a_hundred_at_once_never_pass_a_dollar_by_more_than_one_reservation(
    upstream: FaultUpstream, path: Path, books: LedgerStore, is_sync: bool
) -> None:
    ledger = Ledger(LedgerStore(path), is_sync=is_sync)
    ledger.start()
    upstream.script("m", said(40, pause_s=0.3))
    key = key_of(budget_nano_usd=DOLLAR)
    async with Room([upstream.base_url], key=key, ledger=ledger, price=FREE_IN, in_flight=200) as room:
        answers = await asyncio.gather(*(ask(room, body(max_tokens=40)) for _ in range(100)))
        await written(ledger)

    given = [one for one in answers if one.status == 200]
    refused = [one for one in answers if one.status == 429]
    settled, _, held = books.balance(OF_KEY)
    assert len(given) + len(refused) == 100
    assert len(given) == 25  # four cents are reserved for each: no one is refused while anything is left
    assert len(upstream.asked("m")) == len(given)
    assert settled == books.totals().lines == 40_000_000 * len(given) == DOLLAR
    assert held == 0
    assert {code_of(one) for one in refused} == {"insufficient_quota"}
    assert {one.header("x-should-retry") for one in refused} == {"false"}
    ledger.stop()


async def test_what_was_reserved_and_not_used_is_there_for_the_next(
    upstream: FaultUpstream, ledger: Ledger, books: LedgerStore
) -> None:
    upstream.script("m", said(1))
    key = key_of(budget_nano_usd=DOLLAR)
    async with Room([upstream.base_url], key=key, ledger=ledger, price=FREE_IN) as room:
        for _ in range(20):  # each reserves 0.9 dollars and costs a tenth of a cent
            assert (await ask(room, body(max_tokens=900))).status == 200
        await written(ledger)

    assert books.balance(OF_KEY)[0] == 20 * 1_000_000


async def test_a_budget_that_is_used_up_stays_so_after_a_restart(upstream: FaultUpstream, path: Path) -> None:
    upstream.script("m", said(1_000))
    key = key_of(budget_nano_usd=DOLLAR)
    answers = []
    for _ in range(2):
        ledger = Ledger(LedgerStore(path))
        ledger.start()
        async with Room([upstream.base_url], key=key, ledger=ledger, price=FREE_IN) as room:
            answers.append(await ask(room, body(max_tokens=1_000)))
        ledger.stop()

    assert [one.status for one in answers] == [200, 429]
    assert code_of(answers[1]) == "insufficient_quota"


async def test_b1_who_leaves_in_the_middle_pays_for_what_came(
    upstream: FaultUpstream, ledger: Ledger, books: LedgerStore
) -> None:
    upstream.script("m", streamed(openai_events(("So", " far"), usage=False, done=False), then=(Stall(),)))
    key = key_of(budget_nano_usd=DOLLAR)
    async with Room([upstream.base_url], key=key, ledger=ledger, price=BOTH) as room:
        async with room.client() as client:
            await client.send(chat_bytes("m", stream=True, key=KEY))
            await client.read_until(b" far")
            client.close()
        exchange = await room.kept.next()
        await written(ledger)

    (row,) = usage(books, Asked(()))
    assert exchange.cost_nano_usd is not None
    assert exchange.cost_nano_usd > 0
    assert books.balance(OF_KEY) == (exchange.cost_nano_usd, books.balance(OF_KEY)[1], 0)
    assert (row["calls"], row["estimated_calls"]) == (1, 1)


async def test_b1_who_leaves_before_the_first_word_pays_for_the_prompt(
    upstream: FaultUpstream, ledger: Ledger, books: LedgerStore
) -> None:
    upstream.script("m", recipe(Stall()))
    async with Room([upstream.base_url], key=key_of(), ledger=ledger, price=BOTH) as room:
        async with room.client() as client:
            await client.send(chat_bytes("m", "word " * 400, key=KEY))
            await asyncio.sleep(0.1)
            client.close()
        exchange = await room.kept.next()
        await written(ledger)

    assert exchange.outcome == "cancelled"
    assert exchange.usage is not None
    assert exchange.usage.input_tokens > 400
    assert exchange.usage.output_tokens == 0
    assert books.totals().lines == exchange.usage.input_tokens * 1_000


async def test_a7_an_answer_that_broke_off_is_paid_as_far_as_it_came(
    upstream: FaultUpstream, ledger: Ledger, books: LedgerStore
) -> None:
    upstream.script("m", streamed(openai_events(("So", " far"), finish=None, usage=False, done=False)))
    async with Room([upstream.base_url], key=key_of(), ledger=ledger, price=BOTH) as room:
        await ask(room, body(stream=True))
        exchange = await room.kept.next()
        await written(ledger)

    assert exchange.outcome == "failed"
    assert exchange.cost_nano_usd
    assert books.totals().lines == exchange.cost_nano_usd


async def test_b13_each_upstream_call_is_counted_once_whoever_asks_again(
    upstream: FaultUpstream, ledger: Ledger, books: LedgerStore
) -> None:
    upstream.script("m", error(500), said(7), said(7), error(400), said(7))
    key = key_of(budget_nano_usd=DOLLAR)
    async with Room(
        [upstream.base_url], key=key, ledger=ledger, price=FREE_IN, patience=Patience(retries=1)
    ) as room:
        answers = [await ask(room, body(max_tokens=10)) for _ in range(4)]
        await written(ledger)

    (row,) = usage(books, Asked(()))
    assert [one.status for one in answers] == [200, 200, 400, 200]
    assert len(upstream.asked("m")) == 5
    assert row["calls"] == 3  # what a provider refused is not paid for
    assert books.balance(OF_KEY)[0] == books.totals().lines == 3 * 7_000_000
    assert books.balance(OF_KEY)[2] == 0


async def test_a_hedge_that_lost_is_billed_beside_the_answer(
    upstream: FaultUpstream, ledger: Ledger, books: LedgerStore
) -> None:
    upstream.script("m", said(7, pause_s=3.0), said(7))
    key = key_of(budget_nano_usd=DOLLAR)
    patience = Patience(retries=0, hedge_s=0.05)
    urls = [upstream.base_url, upstream.base_url]
    async with Room(urls, key=key, ledger=ledger, price=BOTH, patience=patience) as room:
        answer = await ask(room, body(max_tokens=10))
        exchange = await room.kept.next()
        await written(ledger)

    (row,) = usage(books, Asked(()))
    costs = [one.cost_nano_usd for one in exchange.attempts]
    assert answer.status == 200
    assert len(upstream.asked("m")) == 2
    assert exchange.attempts[0].error == "hedge_lost"
    assert costs[1] == 5 * 1_000 + 7 * 5_000
    assert costs[0]
    assert exchange.cost_nano_usd == sum(cost or 0 for cost in costs)
    assert answer.header("x-greenroom-cost-usd") == exchange.cost_usd
    assert (row["requests"], row["calls"]) == (1, 2)
    assert books.balance(OF_KEY)[0] == books.totals().lines == exchange.cost_nano_usd


async def test_no_money_is_spent_on_a_model_without_a_price_where_a_budget_counts(
    upstream: FaultUpstream, ledger: Ledger
) -> None:
    key = key_of(budget_nano_usd=DOLLAR)
    async with Room([upstream.base_url], key=key, ledger=ledger) as room:
        answer = await ask(room, body())

    assert answer.status == 400
    assert code_of(answer) == "price_unknown"
    assert upstream.asked("m") == []


async def test_without_a_budget_an_unknown_price_is_let_through_and_never_nothing(
    upstream: FaultUpstream, ledger: Ledger, books: LedgerStore
) -> None:
    async with Room([upstream.base_url], key=key_of(), ledger=ledger) as room:
        answer = await ask(room, body())
        await written(ledger)

    (row,) = usage(books, Asked(()))
    assert answer.status == 200
    assert answer.header("x-greenroom-cost-usd") is None
    assert (row["calls"], row["unpriced_calls"], row["input_tokens"]) == (1, 1, 11)


async def test_users_and_tags_have_budgets_of_their_own(
    upstream: FaultUpstream, path: Path, books: LedgerStore
) -> None:
    each = [
        Rule("per user", 10_000_000, period="day", user="*"),
        Rule("search", 20_000_000, period="month", project="p", tag="team=search"),
    ]
    ledger = Ledger(LedgerStore(path), each)
    ledger.start()
    upstream.script("m", said(10))
    async with Room([upstream.base_url], key=key_of(), ledger=ledger, price=FREE_IN) as room:

        async def as_(user: str, tags: str = "") -> int:
            asked = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi."}]}
            headers = (("x-greenroom-user", user), *((("x-greenroom-tags", tags),) if tags else ()))
            return (await ask(room, request_bytes(asked, key=KEY, headers=headers))).status

        answers = [await as_("ana"), await as_("ana"), await as_("bea", "team=search")]
        answers += [
            await as_("cai", "team=search"),
            await as_("dom", "team=search"),
            await as_("eva", "team=ads"),
        ]
    ledger.stop()

    assert answers == [200, 429, 200, 200, 429, 200]
    rows = {row["user"]: row["cost_usd"] for row in usage(books, Asked(("user",)))}
    assert rows == {"ana": "0.01", "bea": "0.01", "cai": "0.01", "eva": "0.01"}


async def test_answers_say_where_the_key_stands(upstream: FaultUpstream, ledger: Ledger) -> None:
    upstream.script("m", said(7))
    key = key_of(requests_per_minute=2, tokens_per_minute=1_000, tokens_per_day=100_000)
    async with Room([upstream.base_url], key=key, ledger=ledger) as room:
        first = await ask(room, body())
        stream = await ask(room, body(stream=True))
        refused = await ask(room, body())

    assert first.header("x-ratelimit-limit-requests") == "2"
    assert first.header("x-ratelimit-remaining-requests") == "1"
    assert first.header("x-ratelimit-limit-tokens") == "1000"
    assert first.header("x-ratelimit-remaining-tokens") == "988"
    assert (first.header("x-ratelimit-reset-requests") or "").endswith("s")
    assert stream.header("x-ratelimit-remaining-requests") == "0"
    assert refused.status == 429
    assert code_of(refused) == "rate_limit_exceeded"
    assert refused.header("x-ratelimit-remaining-requests") == "0"
    assert int(refused.header("retry-after") or 0) in range(1, 62)


async def test_anthropics_route_says_it_in_anthropics_headers(
    upstream: FaultUpstream, ledger: Ledger
) -> None:
    key = key_of(requests_per_minute=1, tokens_per_day=100_000)
    asked = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi."}]}
    request = request_bytes(asked, path="/v1/messages", key=KEY)
    fronts = {MESSAGES: Messages()}
    async with Room([upstream.base_url], key=key, ledger=ledger, fronts=fronts) as room:
        answer, refused = await ask(room, request), await ask(room, request)

    name = "anthropic-ratelimit-"
    reset = datetime.fromisoformat(answer.header(name + "requests-reset") or "")
    assert answer.status == 200
    assert answer.header(name + "requests-limit") == "1"
    assert answer.header(name + "requests-remaining") == "0"
    assert answer.header(name + "tokens-remaining") == str(100_000 - 18)
    assert 0 < (reset - datetime.now(UTC)).total_seconds() <= 60
    assert refused.status == 429
    assert refused.header(name + "requests-remaining") == "0"
    assert answer.header("x-ratelimit-limit-requests") is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0ms"), (0.85, "850ms"), (1.5, "1.5s"), (59.9996, "1m0s"), (360, "6m0s"), (86_399, "23h59m59s")],
)
def test_durations_are_written_as_openai_does(seconds: float, said: str) -> None:
    assert duration(seconds) == said


async def test_keys_without_limits_have_no_such_headers(upstream: FaultUpstream, ledger: Ledger) -> None:
    async with Room([upstream.base_url], key=key_of(), ledger=ledger) as room:
        answer = await ask(room, body())

    assert [name for name, _ in answer.headers if "ratelimit" in name.lower()] == []


async def test_tokens_are_counted_before_they_are_used(upstream: FaultUpstream, ledger: Ledger) -> None:
    upstream.script("m", said(7, pause_s=0.2))
    key = key_of(tokens_per_minute=500)
    async with Room([upstream.base_url], key=key, ledger=ledger, in_flight=100) as room:
        answers = await asyncio.gather(*(ask(room, body(max_tokens=100)) for _ in range(20)))

    assert sum(one.status == 200 for one in answers) in range(4, 6)  # 100 and a prompt of some 25 tokens each
