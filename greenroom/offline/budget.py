"""Money that a run may spend: the worst case is reserved before each call, what it did cost is settled after.

Knows no model and no price: both are handed in. One event loop.
"""

import asyncio
from typing import NamedTuple

from greenroom.errors import GreenroomError, RequestError

NANO = 1_000_000_000


class BudgetSpent(GreenroomError):
    """What is left does not cover the worst case of the next call; what was learnt until then stands."""

    code = "budget_spent"


class PriceMissing(RequestError):
    """A cap in money holds only where prices are known."""

    code = "price_unknown"


class Reservation(NamedTuple):
    """What one call may cost, in nano-dollars; `is_priced` says whether that is known."""

    amount: int
    is_priced: bool


class Budget:
    """A cap in nano-dollars, in calls, or in both.

    What is spent and reserved together never passes either, as long as no call costs more than its worst
    case. `spent` and `calls` are what earlier parts of the same run have used.
    """

    def __init__(
        self, limit_nano: int | None, max_calls: int | None = None, *, spent: int = 0, calls: int = 0
    ) -> None:
        if limit_nano is None and max_calls is None:
            raise RequestError("Say what may be spent: a budget in US dollars, or a number of calls.")
        if (limit_nano is not None and limit_nano <= 0) or (max_calls is not None and max_calls <= 0):
            raise RequestError("A budget must be greater than zero.")
        self.limit_nano = limit_nano
        self.max_calls = max_calls
        self.spent = spent
        self.calls = calls
        self.reserved = 0
        self.at_work = 0
        """Calls that are reserved and not settled."""
        self.kept_nano = 0
        """Set aside for later: not given out until it is set to 0."""
        self.kept_calls = 0
        self._settled = asyncio.Condition()

    async def reserve(self, worst_nano: int | None, target: str) -> Reservation:
        """Set aside what a call can cost at most. `worst_nano` None: the price of `target` is not known.

        Waits while calls at work may still give back what they do not use.
        Raises: BudgetSpent when it does not fit; PriceMissing when the price is unknown and calls are not
        capped either.
        """
        if worst_nano is None and self.max_calls is None:
            raise PriceMissing(
                f"The price of '{target}' is not known, so a budget in dollars can't be kept. Set it under "
                f'[prices."{target}"] in the configuration, or cap the calls with --max-calls.'
            )
        amount = worst_nano or 0
        async with self._settled:
            while not self._fits(amount):
                if not self.at_work:
                    raise BudgetSpent(f"The budget is used up: {self.told()}.")
                await self._settled.wait()
            self.reserved += amount
            self.at_work += 1
        return Reservation(amount, worst_nano is not None)

    def _fits(self, amount: int) -> bool:
        taken = self.spent + self.reserved + self.kept_nano
        calls = self.calls + self.at_work + self.kept_calls
        has_money = self.limit_nano is None or taken + amount <= self.limit_nano
        return has_money and (self.max_calls is None or calls + 1 <= self.max_calls)

    async def settle(self, reservation: Reservation, cost_nano: int | None, *, is_call: bool = True) -> None:
        """Give back what a call did not use. A cost that can't be known counts as the worst case.

        `is_call` False: nobody was asked after all.
        """
        self.reserved -= reservation.amount
        self.at_work -= 1
        cost = reservation.amount if cost_nano is None else cost_nano
        self.spent += cost
        self.calls += is_call
        async with self._settled:
            self._settled.notify_all()

    def keep(self, nano: int, calls: int) -> None:
        """Set aside for what comes last; `keep(0, 0)` gives it out."""
        self.kept_nano, self.kept_calls = nano, calls

    def told(self) -> str:
        """Spent of how much, for people."""
        parts = []
        if self.limit_nano is not None:
            parts.append(f"${dollars(self.spent)} of ${dollars(self.limit_nano)}")
        if self.max_calls is not None:
            parts.append(f"{self.calls} of {self.max_calls} calls")
        return ", ".join(parts)


def dollars(nano: int) -> str:
    """Nano-dollars as US dollars, without needless zeros: `0.0125`, `5`."""
    text = f"{nano / NANO:.9f}".rstrip("0").rstrip(".")
    return text or "0"
