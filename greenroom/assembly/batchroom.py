"""What does the work of a house's batches; loaded when there are any."""

from collections.abc import Mapping

from greenroom.assembly.batches import FOLDER
from greenroom.assembly.house import House
from greenroom.gateway.keys import Key
from greenroom.offline.batches.answer import Answer
from greenroom.offline.batches.hosted import Hosted
from greenroom.offline.batches.pace import Pace
from greenroom.offline.batches.run import Room
from greenroom.server.inside import answer_inside
from greenroom.server.v1 import V1
from greenroom.store.batches import BatchStore


def hosted_of(house: House, v1: V1, store: BatchStore, times: tuple[float, float]) -> Hosted:
    """Batches of a process, over `store`, asked through `v1`. `times`: first wait and grace in seconds."""

    async def ask(key: Key, path: str, body: bytes, headers: Mapping[bytes, bytes]) -> Answer:
        return Answer(*await answer_inside(v1, key, path, body, headers))

    pace = Pace(
        lambda: house.gateway.at_work,
        lambda: house.config.server.in_flight,
        lambda: house.config.batches.concurrency,
    )
    room = Room(
        store,
        house.documents.files,
        house.folder() / FOLDER,
        lambda: house.gateway,
        ask,
        pace,
        lambda: house.config.server.body_limit_mb << 20,
        *times,
    )
    return Hosted(room, lambda: house.config.store.retention_days)
