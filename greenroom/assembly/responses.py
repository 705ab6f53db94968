"""The stored responses and conversations of a house: what serves them."""

import logging

from greenroom.assembly.fronts import counter
from greenroom.assembly.house import House
from greenroom.server import responses

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
