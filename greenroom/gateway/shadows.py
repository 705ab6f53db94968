"""Shadows: another model asked the same, after the checks and with their masks, whose answer goes to nobody.

No client waits for one: what does not fit a short queue is let go of and counted, as is what a model with a
limit on its calls has no free place for. It costs: lines of the ledger to the same project and key, under the
arm's tag; once a tenth of a budget is all that is left, shadows wait. Each is recorded as an exchange of its
own whose id follows from the one it is of.
"""

import asyncio
import copy
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from time import monotonic, perf_counter_ns
from typing import NamedTuple

from greenroom.contracts import Sink
from greenroom.errors import Overloaded, QuotaExceeded
from greenroom.exchange import Exchange, Reply, StepRecord
from greenroom.gateway import pipeline
from greenroom.gateway.experiments import draw
from greenroom.gateway.keys import Key
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.pipeline import App
from greenroom.gateway.settling import settle_unanswered
from greenroom.store.observations import TAG
from greenroom.wire import openai

MOST_WAITING = 64
AT_ONCE = 4
PAUSE_S = 60.0
"""So long no shadow is made after a budget was found short."""
LEAST_LEFT = 0.1
"""Shadows stop when no more than this share of a budget is left."""

Call = Callable[[Exchange], Awaitable[Reply]]


class _Waiting(NamedTuple):
    """One shadow to be made: the exchange, who pays, who answers, and under which name it is counted."""

    exchange: Exchange
    key: Key
    call: Call
    tag: str


class Shadows:
    """All shadows of one process: a queue, and a few that are asked at once. Belongs to the event loop."""

    def __init__(self, ledger: Ledger, sink: Sink) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """By (experiment/arm, what became of it): answered, failed, dropped (no place), short (no money)."""
        self._ledger = ledger
        self._sink = sink
        self._queue: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._paused_until = 0.0
        self._is_ending = False

    def put(self, waiting: _Waiting) -> None:
        """Take one, or let go of it. Never waits, never raises."""
        if monotonic() < self._paused_until:
            self.counts[waiting.tag, "short"] += 1
        elif len(self._queue) >= MOST_WAITING or self._is_ending:
            self.counts[waiting.tag, "dropped"] += 1
        else:
            self._queue.append(waiting)
            self._start()

    async def stop(self) -> None:
        """End those at work, whose cost so far is settled, and let go of those that wait."""
        self._is_ending = True
        for one in self._queue:
            self.counts[one.tag, "dropped"] += 1
        self._queue.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until none is waiting or at work."""
        while self._running:
            await asyncio.wait(list(self._running))

    def _start(self) -> None:
        while self._queue and len(self._running) < AT_ONCE and not self._is_ending:
            task = asyncio.get_running_loop().create_task(self._run(self._queue.popleft()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _run(self, one: _Waiting) -> None:
        exchange, began = one.exchange, perf_counter_ns()
        try:
            if not self._has_room(one):
                self._pause(one.tag)
                return
            reply = await one.call(exchange)
            exchange.model_ns = perf_counter_ns() - began
            exchange.first_token_ns = exchange.model_ns
            pipeline.finish_whole(exchange, _bare(exchange.app, one.call), reply)
        except (QuotaExceeded, Overloaded) as error:
            _failed(exchange, error)
            self._pause(one.tag)
        except Exception as error:  # noqa: BLE001  # the edge that must not die: it is recorded as failed
            _failed(exchange, error)
        finally:
            exchange.total_ns = perf_counter_ns() - began
            if exchange.attempts:
                self._finish(one)

    def _finish(self, one: _Waiting) -> None:
        exchange = one.exchange
        if exchange.usage is None:
            settle_unanswered(exchange)
        self._ledger.close(exchange)
        if exchange.outcome == "open":
            exchange.outcome, exchange.status = "cancelled", 499
        self.counts[one.tag, "answered" if exchange.outcome == "answered" else "failed"] += 1
        self._sink.put(exchange)

    def _has_room(self, one: _Waiting) -> bool:
        """Whether a tenth is left of every budget. Raises: BudgetExceeded, StoreError."""
        purse = self._ledger.purse(one.key, one.exchange)
        one.exchange.purse = purse
        return purse is None or self._ledger.least_left(purse) > LEAST_LEFT

    def _pause(self, tag: str) -> None:
        self._paused_until = monotonic() + PAUSE_S
        self.counts[tag, "short"] += 1


class Shadow:
    """One arm that gets copies of an app's exchanges."""

    def __init__(
        self, experiment: str, arm: str, share: float, call: Call, key: bytes, shadows: Shadows,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """`is_busy`: whether the arm's model has no place to spare for what nobody waits for."""
        self.is_over = False
        """Whether the experiment has ended."""
        self._tag = f"{experiment}/{arm}"
        self._experiment = experiment
        self._arm = arm
        self._below = round(share * (1 << 64))
        self._call = call
        self._key = key
        self._prefix = f"{experiment}\0{arm}\0".encode()
        self._shadows = shadows
        self._is_busy = is_busy

    def __call__(self, exchange: Exchange, key: Key) -> None:
        """Have a copy asked, if this exchange is drawn. After the checks, before the model is called."""
        if self.is_over or draw(self._key, self._prefix, exchange.id) >= self._below:
            return
        if self._is_busy():
            self._shadows.counts[self._tag, "dropped"] += 1
            return
        made = copy_of(exchange, shadow_id(exchange.id, self._arm), self._tag)
        made.why = f"shadow of {exchange.id} in the experiment '{self._experiment}'"
        exchange.why += f"; its shadow '{self._arm}' is {made.id}"
        self._shadows.put(_Waiting(made, key, self._call, self._tag))


def shadow_id(id: str, arm: str) -> str:
    """The id of an exchange's shadow: of the same moment, and known to whoever knows the exchange's."""
    return id[:12] + blake2b(f"{id}\0{arm}".encode(), digest_size=10).hexdigest()


def copy_of(exchange: Exchange, id: str, tag: str) -> Exchange:
    """The exchange as the model is about to get it, for a whole answer and no stream.

    Without findings, which are noted once.
    """
    request = copy.copy(exchange.request)
    request.added = list(request.added)
    request.fields = {**request.fields, "stream": b"", "stream_options": b""} if request.stream else {
        **request.fields
    }  # fmt: skip
    request.stream = request.include_usage = False
    made = Exchange(id, exchange.caller, request, exchange.app, exchange.surface)
    made.session, made.user, made.language = exchange.session, exchange.user, exchange.language
    made.tags = {**exchange.tags, TAG: tag}
    made.masks, made.redactions = dict(exchange.masks), dict(exchange.redactions)
    made.steps = [
        StepRecord(one.stage, one.step, 0, one.outcome, list(one.changes)) for one in exchange.steps
    ]
    for name in ("fit.dropped", "tool_pairs"):
        if name in exchange.context:
            made.context[name] = exchange.context[name]
    return made


def all_of(shadows: Mapping[str, Shadow]) -> Callable[[Exchange, Key], None] | None:
    """Several as one; None for none."""
    made = tuple(shadows.values())
    if len(made) <= 1:
        return made[0] if made else None

    def each(exchange: Exchange, key: Key) -> None:
        for one in made:
            one(exchange, key)

    return each


def _bare(name: str, call: Call) -> App:
    return App(name, "", (), (), call, "")


def _failed(exchange: Exchange, error: Exception) -> None:
    exchange.status, _, exchange.error, _ = openai.error_of(error)
    exchange.outcome = "failed"
