"""How each target has been doing: what the breaker, the limit on calls at once and routing go by.

One `Health` per target and process, shared by every model that names the target. Knows no provider and no
exchange; the clock is given.
"""

from asyncio import Future
from collections import deque
from collections.abc import Callable
from random import random

from msgspec import Struct, field

WINDOW = 10
"""The breaker looks at so many last calls,"""
TOO_MANY = 5
"""and opens when so many of them failed."""
FIRST_BREAK_S = 5.0
LONGEST_BREAK_S = 60.0
"""A breaker stays open so long, twice as long each time its probe fails, up to the longest."""
HALF_LIFE_S = 60.0
"""In which what was known of a target's latency loses half of its weight."""
MOST_TARGETS = 1000
"""Clients choose names of models: of more targets, those that were not named for longest are forgotten."""
_ALL = (1 << WINDOW) - 1


class Health(Struct, eq=False):
    """One target's last calls, breaker, and calls at work."""

    name: str
    parallel: int | None = None
    """How many calls may be at work at once; None means any number."""
    at_work: int = 0
    open_until: float = 0.0
    """Until when nothing is called, in seconds of the loop's clock; 0 while the breaker is closed."""
    is_probing: bool = False
    """Whether the one call that decides on an open breaker is at work."""
    back_at: float = 0.0
    """When the provider wants to be called again."""
    latency_s: float | None = None
    """To the first content: an average in which old calls fade."""
    measured_at: float = 0.0
    queue: deque["Future[None]"] = field(default_factory=deque)
    """Requests that wait for a place."""
    _failures: int = 0
    """The last calls as bits, the newest lowest: 1 is a failure."""
    _openings: int = 0

    def may_call(self, now: float) -> bool:
        """Whether the breaker lets a call through: always, or as the one probe after a break."""
        return not self.open_until or (now >= self.open_until and not self.is_probing)

    @property
    def is_full(self) -> bool:
        """Whether as many calls are at work as may be."""
        return self.parallel is not None and self.at_work >= self.parallel

    def begin(self, now: float) -> None:
        """A call goes out."""
        self.at_work += 1
        if self.open_until and now >= self.open_until:
            self.is_probing = True

    def end(self) -> None:
        """A call is over: the next that waits gets its place."""
        self.at_work -= 1
        if self.queue:
            self.wake()

    def wake(self) -> None:
        """Tell the next that waits, if there is a place."""
        while self.queue and not self.is_full:
            waiting = self.queue.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    def succeeded(self, now: float, latency_s: float) -> None:
        """Content came after so long."""
        self._failures = (self._failures << 1) & _ALL
        if self.open_until:
            self.open_until, self.is_probing, self._failures, self._openings = 0.0, False, 0, 0
        self.back_at = 0.0
        if self.latency_s is None:
            self.latency_s = latency_s
        else:
            kept = max(0.5, 0.9 * 0.5 ** ((now - self.measured_at) / HALF_LIFE_S))
            self.latency_s = kept * self.latency_s + (1 - kept) * latency_s
        self.measured_at = now

    def failed(self, now: float) -> None:
        """The call failed in a way that is the target's fault."""
        self._failures = (self._failures << 1 | 1) & _ALL
        if self.open_until and not self.is_probing:
            return  # begun before the break
        if self.is_probing or self._failures.bit_count() >= TOO_MANY:
            lasts = min(LONGEST_BREAK_S, FIRST_BREAK_S * 2**self._openings)
            self.open_until = now + lasts * (0.9 + 0.2 * random())  # noqa: S311  # spread, not secrecy
            self._openings = min(self._openings + 1, 10)
            self.is_probing = False

    def given_up(self) -> None:
        """The call was left before it told anything."""
        self.is_probing = False

    def expected_s(self, now: float) -> float:
        """The latency to reckon with: what is known fades, so that a slow target is tried again some time."""
        if self.latency_s is None:
            return 0.0
        return float(self.latency_s * 0.5 ** ((now - self.measured_at) / (10 * HALF_LIFE_S)))


class Healths:
    """The targets of one process by name, those asked last; outlives a reload of the configuration."""

    def __init__(self, share: Callable[[int | None], int | None] = lambda places: places) -> None:
        self._share = share
        """Which part of a target's places this process has."""
        self._by_name: dict[str, Health] = {}

    def of(self, name: str, parallel: int | None = None) -> Health:
        """The health of a target, under the limit that holds now."""
        health = self._by_name.pop(name, None) or Health(name)
        self._by_name[name] = health  # the newest at the end
        if len(self._by_name) > MOST_TARGETS:
            self._drop_oldest()
        health.parallel = self._share(parallel)
        return health

    def all(self) -> list[Health]:
        """Every target that is known."""
        return list(self._by_name.values())

    def _drop_oldest(self) -> None:
        """Forget the target that was not named for longest, of those that nobody waits for."""
        for name, one in self._by_name.items():
            if not one.at_work and not one.queue:
                del self._by_name[name]
                return


class RetryBudget:
    """Retries and hedges may add a tenth to the calls, so that a provider in trouble is not stormed."""

    SHARE = 0.1
    MOST = 10.0

    def __init__(self) -> None:
        self._held = self.MOST

    def earn(self) -> None:
        """A request came."""
        if self._held < self.MOST:
            self._held += self.SHARE

    def spend(self) -> bool:
        """Whether one more call is in the budget; if so it is spent."""
        if self._held < 1.0:
            return False
        self._held -= 1.0
        return True
