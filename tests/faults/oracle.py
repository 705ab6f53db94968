"""The eight invariants, looked at after every case that a `Room` serves: what must hold whatever broke.

I1 one outcome per request, the same in answer and trace. I2 the ledger balances. I3 what a provider said is
billed. I4 nothing is left at work. I5 no rejected word reached the client. I6 no secret is told. I7 a healthy
request is answered (asked by the cases themselves, and by each scenario on virtual time). I8 every answer has
its id.
"""

import asyncio
import json
from typing import TYPE_CHECKING

from greenroom.exchange import Exchange
from greenroom.gateway.meters import LocalMeters
from greenroom.gateway.record import to_record
from greenroom.stages.language import detect
from tests.faults.rawclient import Answer

if TYPE_CHECKING:
    from tests.faults.room import Room

SETTLE_S = 5.0
CANARY = "canary"
"""Part of the client's key and of the provider's in a `Room`."""
SAID = frozenset({"answered", "cached", "refused"})
TERMINAL = SAID | {"failed", "cancelled"}


async def hold(room: "Room") -> None:
    """Assert all of them. Call while the room still serves, after its clients are done."""
    await _nothing_is_left(room)
    await _books_balance(room)
    by_id = {one.id: one for one in room.kept.exchanges}
    assert len(by_id) == len(room.kept.exchanges), "I1: an exchange was recorded twice"
    for exchange in by_id.values():
        _trace_is_sound(exchange)
        record = json.dumps(to_record(exchange, detect), default=repr)
        assert CANARY not in record, "I6: a record holds a key"
        for withheld in room.withheld:
            assert not any(withheld in text for text in exchange.reply_text), "I5: a rejected text was sent"
    for answer in room.answers:
        _answer_is_sound(answer, by_id)
        for withheld in room.withheld:
            assert withheld.encode() not in answer.body, "I5: a rejected text was sent"


async def _nothing_is_left(room: "Room") -> None:
    """I4: within five seconds no call, place or connection is at work."""
    gateway, pool = room.gateway, room.pool
    try:
        async with asyncio.timeout(SETTLE_S):
            while (  # noqa: ASYNC110  # what is waited for is a handful of plain counters
                gateway.at_work
                or pool.in_use
                or any(one.at_work or one.queue for one in room.healths.all())
                or any(one._run is not None for one in room.shared.connections)
            ):
                await asyncio.sleep(0.005)
    except TimeoutError:
        left = {one.name: one.at_work for one in room.healths.all() if one.at_work}
        message = f"I4: left at work: {gateway.at_work} requests, {pool.in_use} calls, {left}"
        raise AssertionError(message) from None


async def _books_balance(room: "Room") -> None:
    """I2: no place is held under a key's limits, nothing is negative; with a ledger, nothing is reserved."""
    access = room.gateway.access
    assert isinstance(access._meters, LocalMeters)
    for meter in access._meters._meters.values():
        assert meter.at_work == 0, "I2: a place under a key's limits was not given back"
        assert meter.minute.tokens >= 0
        assert meter.day.tokens >= 0
    ledger = access.ledger
    if ledger is not None and ledger._thread is not None:
        async with asyncio.timeout(SETTLE_S):
            while ledger.has_work:  # noqa: ASYNC110  # a thread writes; it has no event for this
                await asyncio.sleep(0.005)
        for balance in ledger._balances.values():
            assert balance.used == 0, f"I2: {balance.used} nano-dollars are still reserved"


def _trace_is_sound(exchange: Exchange) -> None:
    assert exchange.outcome in TERMINAL, f"I1: the outcome is {exchange.outcome!r}"
    assert (exchange.outcome == "failed") <= (exchange.error is not None), "I1: a failure without its code"
    assert (exchange.outcome == "cancelled") <= (exchange.status == 499)
    said = sum(map(len, exchange.reply_raw))
    if said:
        usage = exchange.usage
        assert usage is not None, "I3: what was said is not counted"
        assert usage.output_tokens > 0, "I3: what was said is not counted"


def _answer_is_sound(answer: Answer, by_id: dict[str, Exchange]) -> None:
    id = answer.header("x-request-id")
    if answer.status == 100:
        return
    assert id, f"I8: a {answer.status} has no x-request-id"
    assert CANARY.encode() not in answer.body, "I6: an answer tells a key"
    assert not any(CANARY in value for _, value in answer.headers), "I6: a header tells a key"
    exchange = by_id.get(id)
    if exchange is None or not answer.whole:
        assert exchange is not None or answer.status != 200 or not _is_chat(answer), (
            "I1: no trace of an answer"
        )
        return
    assert exchange.status == answer.status, (
        f"I1: the trace says {exchange.status}, the answer {answer.status}"
    )
    is_told = exchange.outcome == "failed" and str(exchange.error).encode() in answer.body
    has_error = answer.status >= 400 or is_told or any(b'"error"' in one[:20] for one in answer.events())
    assert has_error == (exchange.outcome not in SAID) or (
        exchange.outcome == "refused" and answer.status >= 400
    ), f"I1: the trace says {exchange.outcome}, the answer {answer.status}: {answer.body[-200:]!r}"


def _is_chat(answer: Answer) -> bool:
    return b"chat.completion" in answer.body


__all__ = ["hold"]
