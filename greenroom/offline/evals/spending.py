"""The money of one run: what is spent, what calls on their way may still cost, and where it ends."""

import asyncio

from greenroom.errors import InfrastructureError
from greenroom.exchange import usd

MARGIN = 2
"""A call whose worst cost nobody knows is taken to cost at most so many times the dearest one so far."""


class Spending:
    """Amounts in nano-USD. Without a cap it only adds up."""

    def __init__(self, cap_nano: int | None) -> None:
        self.spent_nano = 0
        self._cap_nano = cap_nano
        self._held_nano = 0
        self._at_work = 0
        self._dearest_nano: int | None = None
        self._dearest_judged_nano: int | None = None
        self._settled = asyncio.Event()

    async def reserve(self, worst_nano: int | None) -> int | None:
        """Set aside what a case may cost, and say how much; None where that could pass the cap.

        `worst_nano` is of the call, without judges: None where nobody knows, 0 where the answer is there.
        Waits while cases on their way may leave something over. The first goes alone: it tells what judges
        cost, and calls whose worst cost nobody knows.
        """
        while True:
            amount = self._fitting(worst_nano)
            if amount is not None:
                self._held_nano += amount
                self._at_work += 1
                return amount
            if self._at_work == 0:
                return None
            self._settled.clear()
            await self._settled.wait()

    def settle(self, held_nano: int, cost_nano: int | None, judged_nano: int) -> None:
        """A case has ended: what was set aside is free again, what call and judges cost is spent."""
        self._held_nano -= held_nano
        self._at_work -= 1
        if cost_nano is not None:
            self._dearest_nano = max(self._dearest_nano or 0, cost_nano)
        self._dearest_judged_nano = max(self._dearest_judged_nano or 0, judged_nano)
        self.spent_nano += (cost_nano or 0) + judged_nano
        self._settled.set()

    def check_price(self, cost_nano: int | None) -> None:
        """Raise InfrastructureError where there is a cap and a call's price is not known."""
        if self._cap_nano is not None and cost_nano is None:
            raise InfrastructureError(
                "The budget can't be kept: the price of this model is not known. Add it under [prices] in "
                "greenroom.toml, or run without --budget-usd."
            )

    def refusal(self) -> str:
        """Why the next call is not made."""
        return (
            f"The budget of ${usd(self._cap_nano)} does not reach for another call: "
            f"${usd(self.spent_nano)} are spent."
        )

    def _fitting(self, worst_nano: int | None) -> int | None:
        if self._cap_nano is None:
            return 0
        left = self._cap_nano - self.spent_nano - self._held_nano
        if self._dearest_judged_nano is None and self._at_work:
            return None
        amount = worst_nano
        if amount is None and self._dearest_nano is not None:
            amount = MARGIN * self._dearest_nano
        if amount is None:
            return 0 if self._at_work == 0 and left > 0 else None
        amount += MARGIN * (self._dearest_judged_nano or 0)
        return amount if amount <= left else None
