"""The stored responses and conversations of a house: what serves them, and how they go."""

import asyncio
import logging

from greenroom.assembly.fronts import counter
from greenroom.assembly.house import House
from greenroom.errors import GreenroomError
from greenroom.server import responses
from greenroom.store.responses import StoredResponses

log = logging.getLogger("greenroom.responses")


def responses_desk(house: House) -> responses.Desk:
    """What serves them. Those that a crash left at work have failed. Raises StoreError."""
    desk = responses.Desk(
        house.gateway,
        house.responses,
        house.documents,
        house.vault.known,
        house.config.store.capture,
        counter(lambda: house.config),
    )
    failed = desk.responses.fail_unfinished(responses.STOPPED)
    if failed:
        log.warning("responses were left unfinished", extra={"count": failed})
    return desk


async def purge_responses(house: House) -> None:
    """Erase those past their retention."""
    stored = StoredResponses(house.responses)
    try:
        erased = await asyncio.to_thread(stored.purge, house.config.store.retention_days)
    except GreenroomError as error:
        log.error("old responses not erased", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
    else:
        if erased:
            log.info("old responses erased", extra={"count": erased})
