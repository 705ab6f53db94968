"""`/v1/evals` of a house: its desk, and the runs that go on in the background.

Both are made when they are first needed: a server that nobody asks for evals neither loads nor opens them.
"""

import asyncio
import logging
from functools import cached_property
from typing import TYPE_CHECKING

from greenroom.assembly.house import House
from greenroom.errors import GreenroomError
from greenroom.store.openai_evals import OpenAIEvals

if TYPE_CHECKING:
    from greenroom.offline.evals.hosted import HostedRuns
    from greenroom.offline.evals.openai_desk import EvalDesk

log = logging.getLogger("greenroom.evals")


class HostedEvals:
    """What answers for evals, and what does their runs. Raises: StoreError."""

    def __init__(self, house: House) -> None:
        self._house = house

    @cached_property
    def _kept(self) -> OpenAIEvals:
        return OpenAIEvals(self._house.evals)

    @cached_property
    def runs(self) -> "HostedRuns":
        """The runs of this process."""
        from greenroom.offline.evals.hosted import HostedRuns  # noqa: PLC0415  # 30 ms that a start can do without

        house = self._house
        return HostedRuns(self._kept, lambda: house.gateway, house.encoder)

    @cached_property
    def desk(self) -> "EvalDesk":
        """What the routes ask."""
        from greenroom.offline.evals.openai_desk import EvalDesk, unasked  # noqa: PLC0415  # as above
        from greenroom.offline.evals.row import Means  # noqa: PLC0415  # as above

        house = self._house
        return EvalDesk(
            self._kept,
            self.runs,
            lambda: house.gateway,
            house.documents.files,
            house.traces,
            Means(unasked, house.encoder),
        )

    async def start(self) -> None:
        """Go on with runs that processes before this one left."""
        if not (self._house.data / "evals.db").exists():
            return
        try:
            left = await asyncio.to_thread(self._kept.unfinished)
            count = await self.runs.take_up() if left else 0
            if count:
                log.info("evals taken up", extra={"count": count})
        except GreenroomError as error:
            log.error("evals not taken up", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted

    async def stop(self) -> None:
        """Leave runs as they stand."""
        if "runs" in vars(self):
            await self.runs.stop()
