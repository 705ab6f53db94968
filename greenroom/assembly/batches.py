"""`/v1/batches` of a house: its desk, and the batches that go on in the background.

Both are made when they are first needed: a server that nobody asks for batches neither loads nor opens them.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from greenroom.assembly.house import House
from greenroom.gateway.access import Key
from greenroom.server.inside import answer_inside
from greenroom.server.v1 import V1
from greenroom.store.batches import BatchStore

if TYPE_CHECKING:
    from greenroom.offline.batches.answer import Answer
    from greenroom.offline.batches.desk import BatchDesk
    from greenroom.offline.batches.hosted import Hosted
    from greenroom.offline.batches.run import Room

FILE = "batches.db"
FOLDER = "batches"


def open_batches(house: House) -> BatchStore:
    """The store of batches, made if it is not there. Raises: StoreError."""
    return BatchStore(house.folder() / FILE)


class HostedBatches:
    """What answers for batches, and what does their work. Raises: StoreError."""

    def __init__(self, house: House, v1: V1) -> None:
        self._house = house
        self._v1 = v1

    @cached_property
    def _store(self) -> BatchStore:
        return open_batches(self._house)

    @cached_property
    def _hosted(self) -> "Hosted":
        from greenroom.offline.batches.hosted import Hosted  # noqa: PLC0415  # a start can do without

        return Hosted(self._room, (self._house.data / FILE).exists)

    def _room(self) -> "Room":
        from greenroom.offline.batches.answer import Answer  # noqa: PLC0415  # as above
        from greenroom.offline.batches.pace import Pace  # noqa: PLC0415  # as above
        from greenroom.offline.batches.run import Room  # noqa: PLC0415  # as above

        house = self._house

        async def ask(key: Key, path: str, body: bytes, headers: Mapping[bytes, bytes]) -> "Answer":
            return Answer(*await answer_inside(self._v1, key, path, body, headers))

        return Room(
            self._store,
            house.documents.files,
            house.folder() / FOLDER,
            lambda: house.gateway,
            ask,
            Pace(lambda: house.gateway.at_work, lambda: house.config.server.in_flight),
            lambda: house.config.server.body_limit_mb << 20,
        )

    @cached_property
    def desk(self) -> "BatchDesk":
        """What the routes ask."""
        from greenroom.offline.batches.desk import BatchDesk  # noqa: PLC0415  # as above

        house, hosted = self._house, self._hosted
        folder = house.folder() / FOLDER
        return BatchDesk(self._store, house.documents.files, folder, hosted.begin, hosted.cancel)

    async def start(self) -> None:
        """Go on with batches that processes before this one left."""
        await self._hosted.start()

    async def stop(self) -> None:
        """Leave batches as they stand."""
        await self._hosted.stop()
        if "_store" in vars(self):
            self._store.close()
