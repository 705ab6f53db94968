"""The targets of a model: call one, and the next when it fails before its first content.

After the first content there is never a second try: half an answer must not be repeated. One deadline holds
over all attempts; retries and hedges add at most a tenth to the calls. Knows providers by their contract.
"""

import asyncio
from collections.abc import Sequence
from random import random
from time import monotonic
from typing import NamedTuple

from greenroom.errors import Overloaded, QuotaExceeded, UpstreamError, UpstreamRefused, UpstreamUnavailable
from greenroom.exchange import Attempt, Exchange, Reply
from greenroom.models.attempt import Target, attempt, body_for, passes
from greenroom.models.health import RetryBudget
from greenroom.models.response import Limits
from greenroom.models.routing import Order, Router
from greenroom.usage import Usage

_CALLERS_FAULT = frozenset({400, 404, 405, 413, 415, 422})
_TOO_MANY = 429
BACKOFF_S = 0.1
"""Before the first retry, spread by half; twice as long before each further one."""
UNNAMED_WAIT_S = 1.0
"""How long a 429 that says nothing asks to wait."""
QUEUE_A_PLACE = 16
"""How many requests may wait for each place at a target; more are told to come back."""


class Patience(NamedTuple):
    """How much trouble a model takes with targets that fail."""

    retries: int = 1
    """How often one target is asked again for a failure that passes."""
    wait_s: float = 5.0
    """How long a request may wait for the time that a provider named, when no other target is left."""
    queue_s: float = 5.0
    """How long a request may wait for a place at a target that has all its calls at work."""
    hedge_s: float | None = None
    """After so long without content the next target is asked as well; the first to answer counts."""


class Dispatch:
    """Calls the targets of a model. Shared by all exchanges."""

    def __init__(
        self,
        targets: Sequence[Target],
        limits: Limits,
        first_token_s: float = 10.0,
        patience: Patience = Patience(),  # noqa: B008  # immutable
        router: Router | None = None,
    ) -> None:
        self.targets = tuple(targets)
        self.router = router
        self._by_name = {target.name: target for target in targets}
        self._limits = limits
        self._first_token_s = first_token_s
        self._patience = patience
        self._budget = RetryBudget()

    def order(self, exchange: Exchange, now: float) -> Order:
        """The targets as they would be asked now."""
        if self.router is None:
            return Order(tuple(self._by_name), "as configured", {})
        return self.router.order(exchange, now)

    async def foresee(self, exchange: Exchange) -> None:
        """What must be done before `order`: the route `learned` looks at the prompt."""
        if self.router is not None and self.router.learned is not None:
            await self.router.learned.foresee(exchange)

    async def __call__(self, exchange: Exchange) -> Reply:
        """Answer from the first target that can. Raises the last target's UpstreamError."""
        now = monotonic()
        if not exchange.deadline:
            exchange.deadline = now + self._limits.total_s
        self._budget.earn()
        targets = self.targets
        if self.router is not None:
            if self.router.learned is not None:
                await self.router.learned.foresee(exchange)
            order = self.router.order(exchange, now)
            exchange.why = f"{exchange.why}; {order}" if exchange.why else str(order)
            targets = tuple([self._by_name[name] for name in order.names])
        target, health = targets[0], targets[0].health
        failed = None
        if not (health.open_until or health.parallel or self._patience.hedge_s):
            try:
                reply = await attempt(exchange, target, self._limits, self._first_token_s)
            except UpstreamError as error:
                failed = error
            else:
                return taken(exchange, target, reply)
        call = _Call(exchange, self._limits, self._first_token_s, self._patience, self._budget)
        return await call.run(targets, failed)


def taken(exchange: Exchange, target: Target, reply: Reply) -> Reply:
    """Note whose answer counts."""
    exchange.target = target.name
    exchange.context["price"] = target.price
    return reply


class _Call:
    """One request on its way through targets."""

    __slots__ = (
        "_budget", "_exchange", "_failure", "_first_token_s", "_limits", "_loop", "_patience", "_waits",
    )  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        limits: Limits,
        first_token_s: float,
        patience: Patience,
        budget: RetryBudget,
    ) -> None:
        self._exchange = exchange
        self._limits = limits
        self._first_token_s = first_token_s
        self._patience = patience
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._failure: UpstreamError | Overloaded | None = None
        self._waits: list[tuple[float, Target]] = []
        """Targets that said when they may be asked again, and in how many seconds."""

    async def run(self, targets: Sequence[Target], failed: UpstreamError | None = None) -> Reply:
        """The first answer; the first target may have `failed` already.

        Raises: UpstreamError, Overloaded, RequestError.
        """
        patience = self._patience
        left = list(targets)
        if failed is not None:
            reply = await self._persist(left.pop(0), failed)
            if reply is not None:
                return reply
        while left:
            target = left.pop(0)
            if not self._lets_call(target):
                continue
            if target.health.is_full and not await self._place(target, is_last=not left):
                continue
            if patience.hedge_s is not None and left:
                reply = await self._hedged(target, left, patience.hedge_s)
            else:
                reply = await self._persist(target)
            if reply is not None:
                return reply
        reply = await self._come_back()
        if reply is not None:
            return reply
        failure = self._failure
        assert failure is not None, "a model has at least one target"
        if self._waits and isinstance(failure, UpstreamRefused) and failure.upstream_status == _TOO_MANY:
            failure.retry_after_s = min(wait for wait, _ in self._waits)
        raise failure

    # who may be called

    def _lets_call(self, target: Target) -> bool:
        health = target.health
        if not health.open_until:
            return True
        now = monotonic()
        if health.may_call(now):
            return True
        wait = max(0.1, health.open_until - now)
        self._exchange.attempts.append(Attempt(target=target.name, error="circuit_open"))
        if self._failure is None:
            self._failure = UpstreamUnavailable(
                f"Model '{target.name}' failed again and again, and is left alone for {wait:.0f} s.",
                retry_after_s=wait,
            )
        return False

    async def _place(self, target: Target, *, is_last: bool) -> bool:
        """Wait for a place at a target that has all its calls at work, where no other target is left."""
        health = target.health
        if is_last and len(health.queue) < QUEUE_A_PLACE * (health.parallel or 1):
            waiting: asyncio.Future[None] = self._loop.create_future()
            health.queue.append(waiting)
            try:
                async with asyncio.timeout(min(self._patience.queue_s, self._left_s())):
                    while True:
                        await waiting
                        if not health.is_full:
                            return True
                        waiting = self._loop.create_future()
                        health.queue.appendleft(waiting)
            except TimeoutError:
                pass
            finally:
                if waiting in health.queue:
                    health.queue.remove(waiting)
                else:  # woken: where the place is not taken after all, the next one gets it
                    self._loop.call_soon(health.wake)
        self._exchange.attempts.append(Attempt(target=target.name, error="no_place"))
        if self._failure is None:
            self._failure = Overloaded(
                f"Model '{target.name}' has all {health.parallel} of its calls at work. Try again soon."
            )
        return False

    async def _ask(self, target: Target) -> Reply:
        return await attempt(self._exchange, target, self._limits, self._first_token_s)

    def _left_s(self) -> float:
        return max(0.0, self._exchange.deadline - monotonic())

    # calling

    async def _persist(self, target: Target, failed: UpstreamError | None = None) -> Reply | None:
        """Ask one target, and again where its failure passes. None when it failed."""
        retries, pause = self._patience.retries, BACKOFF_S
        while True:
            if failed is None:
                try:
                    return taken(self._exchange, target, await self._ask(target))
                except UpstreamError as error:
                    failed = error
            self._note(target, failed)
            if retries <= 0 or not passes(failed) or not self._budget.spend():
                return None
            failed = None
            retries -= 1
            wait = pause * (0.5 + random())  # noqa: S311  # spread, not secrecy
            pause *= 2
            if wait >= self._left_s() or not target.health.may_call(monotonic()):
                return None
            await asyncio.sleep(wait)

    async def _come_back(self) -> Reply | None:
        """Where every target failed and one said when to come back: wait, if that is soon, and ask it."""
        if not self._waits:
            return None
        wait, target = min(self._waits, key=lambda one: one[0])
        if wait > self._patience.wait_s or wait >= self._left_s() or self._patience.retries <= 0:
            return None
        if not self._budget.spend():
            return None
        await asyncio.sleep(wait)
        try:
            return taken(self._exchange, target, await self._ask(target))
        except UpstreamError as error:
            self._note(target, error)
            return None

    def _note(self, target: Target, error: UpstreamError) -> None:
        """Keep a failure. Raises it where another target would fail as well."""
        self._failure = error
        if isinstance(error, UpstreamRefused):
            if error.upstream_status in _CALLERS_FAULT:
                raise error
            if error.upstream_status == _TOO_MANY:
                wait = UNNAMED_WAIT_S if error.retry_after_s is None else error.retry_after_s
                target.health.back_at = monotonic() + wait
                self._waits.append((wait, target))

    # hedges

    async def _hedged(self, target: Target, left: list[Target], hedge_s: float) -> Reply | None:
        """Ask one target, and the next as well when it is slow; the first that answers counts.

        What the loser was asked may have to be paid: its prompt is put on the bill.
        """
        loop = self._loop
        first = loop.create_task(self._ask(target))
        running: dict[asyncio.Task[Reply], Target] = {first: target}
        try:
            done, _ = await asyncio.wait(running, timeout=hedge_s)
            if not done and self._may_hedge(left[0]) and self._budget.spend():
                other = left.pop(0)
                running[loop.create_task(self._ask(other))] = other
            while running:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    asked = running.pop(task)
                    try:
                        reply = task.result()
                    except UpstreamError as error:
                        self._note(asked, error)
                        continue
                    except QuotaExceeded:
                        if running:  # there is no money for both: the other goes on
                            continue
                        raise
                    return taken(self._exchange, asked, reply)
            return None
        finally:
            await self._leave(running)

    def _may_hedge(self, target: Target) -> bool:
        health = target.health
        return health.may_call(monotonic()) and not health.is_full

    async def _leave(self, running: dict[asyncio.Task[Reply], Target]) -> None:
        """End the calls that lost, and bill what they were asked."""
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for task, target in running.items():
            if not task.cancelled() and task.exception() is None:  # it answered in the same turn
                close = task.result().close
                if close is not None:
                    close()
            lost = next(one for one in reversed(self._exchange.attempts) if one.target == target.name)
            body = body_for(self._exchange, target)
            lost.error = "hedge_lost"
            lost.usage = Usage(input_tokens=len(body) // 4 + 1, estimated=True)
            lost.cost_nano_usd = target.price.cost_nano(lost.usage) if target.price is not None else None
