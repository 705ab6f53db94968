"""`/v1/batches` of a house: its desk, and the batches that go on in the background.

Both are made when they are first needed: a server that nobody asks for batches neither loads nor opens them.
"""

import asyncio
import logging
from functools import cached_property
from typing import TYPE_CHECKING

from greenroom.assembly.house import House
from greenroom.errors import GreenroomError
from greenroom.server.v1 import V1

if TYPE_CHECKING:
    from greenroom.offline.batches.desk import BatchDesk
    from greenroom.offline.batches.hosted import Hosted
    from greenroom.store.batches import BatchStore

log = logging.getLogger("greenroom.batches")

FILE = "batches.db"
FOLDER = "batches"
"""Where input files lie while they are needed."""
_LOOK_S = 0.5


class HostedBatches:
    """What answers for batches, and what does their work. Raises: StoreError.

    `first_wait_s` is how long a line waits before it is asked again, twice as long each time; `grace_s` how
    long lines on their way may take once their batch is to end.
    """

    def __init__(self, house: House, v1: V1, first_wait_s: float = 1.0, grace_s: float = 5.0) -> None:
        self._house = house
        self._v1 = v1
        self._times = first_wait_s, grace_s
        self._starting: asyncio.Task[None] | None = None

    @cached_property
    def store(self) -> "BatchStore":
        """Opened, and made where it is not there."""
        from greenroom.store.batches import BatchStore  # noqa: PLC0415  # a start can do without

        return BatchStore(self._house.folder() / FILE)

    @cached_property
    def _hosted(self) -> "Hosted":
        from greenroom.assembly.batchroom import hosted_of  # noqa: PLC0415  # as above

        return hosted_of(self._house, self._v1, self.store, self._times)

    @cached_property
    def desk(self) -> "BatchDesk":
        """What the routes ask."""
        from greenroom.offline.batches.desk import BatchDesk  # noqa: PLC0415  # as above

        house, hosted = self._house, self._hosted
        files, most = house.documents.files, house.config.batches.waiting
        return BatchDesk(self.store, files, house.folder() / FOLDER, most, hosted.begin, hosted.cancel)

    async def start(self) -> None:
        """Go on with batches that processes before this one left, or the command line begins."""
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def _start(self) -> None:
        while not (self._house.data / FILE).exists():  # noqa: ASYNC110  # another process may make it
            await asyncio.sleep(_LOOK_S)
        try:
            await self._hosted.look()
        except GreenroomError as error:
            log.error("batches not taken up", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted

    async def stop(self) -> None:
        """Leave batches as they stand."""
        if self._starting is not None:
            self._starting.cancel()
        if "_hosted" in vars(self):
            await self._hosted.stop()
        if "store" in vars(self):
            self.store.close()
