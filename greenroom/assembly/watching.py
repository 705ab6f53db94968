"""What one process of a server looks at by itself, beside its requests: drift, canaries, quality."""

import asyncio

from greenroom.assembly.canary_runs import CanaryRuns
from greenroom.assembly.drifting import DriftWatch
from greenroom.assembly.house import House
from greenroom.assembly.quality import Scoring


class Watching:
    """All of it, from `start` to `stop`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._drift = DriftWatch(house)
        self._canaries = CanaryRuns(house)
        self._scoring = Scoring(house)

    def start(self) -> None:
        """Begin, on the event loop, where this process is the one that does."""
        if self._house.is_first:
            self._drift.start()
            self._canaries.start()
            self._scoring.start()

    async def stop(self) -> None:
        """End, before the stores close."""
        await self._scoring.stop()
        await self._canaries.stop()
        await asyncio.to_thread(self._drift.stop)  # it may be in the middle of a look
