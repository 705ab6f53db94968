"""`/v1/evals` of a house: its desk, and the runs that go on in the background."""

import logging

from greenroom.assembly.house import House
from greenroom.errors import GreenroomError
from greenroom.offline.evals.hosted import HostedRuns
from greenroom.offline.evals.openai_desk import EvalDesk, unasked
from greenroom.offline.evals.row import Means
from greenroom.store.openai_evals import OpenAIEvals

log = logging.getLogger("greenroom.evals")


class HostedEvals:
    """What answers for evals, and what does their runs. Raises: StoreError."""

    def __init__(self, house: House) -> None:
        kept = OpenAIEvals(house.evals)
        self.runs = HostedRuns(kept, lambda: house.gateway, house.encoder)
        self.desk = EvalDesk(
            kept,
            self.runs,
            lambda: house.gateway,
            house.documents.files,
            house.traces,
            Means(unasked, house.encoder),
        )

    async def start(self) -> None:
        """Go on with runs that processes before this one left."""
        try:
            count = await self.runs.take_up()
        except GreenroomError as error:
            log.error("evals not taken up", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
        else:
            if count:
                log.info("evals taken up", extra={"count": count})

    async def stop(self) -> None:
        """Leave runs as they stand."""
        await self.runs.stop()
