"""What a server does by itself: taking a changed configuration, letting go of what is past its retention."""

import asyncio
import contextlib
import logging
import time
from hashlib import sha256

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.assembly.responses import purge_responses
from greenroom.assembly.stores import SEALED
from greenroom.errors import GreenroomError
from greenroom.store.spans import FILE as SPANS

log = logging.getLogger("greenroom")


async def retain(house: House) -> None:
    """Soon after the start and then daily: erase traces past their retention."""
    wait_s = 60.0
    while True:
        await asyncio.sleep(wait_s)
        wait_s = 86_400.0
        try:
            erased = await asyncio.to_thread(house.traces.purge, house.config.store.retention_days)
        except GreenroomError as error:
            log.error("old traces not erased", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
        else:
            if erased:
                log.info("old traces erased", extra={"count": erased})
        await purge_responses(house)
        await _let_go_of_spans(house)
        await _cut_audit(house)


async def _let_go_of_spans(house: House) -> None:
    if not (house.data / SPANS).exists():
        return
    before_ns = time.time_ns() - house.config.store.retention_days * 86_400_000_000_000
    try:
        await asyncio.to_thread(house.spans.purge, before_ns)
    except GreenroomError as error:
        log.error("old spans not erased", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted


async def _cut_audit(house: House) -> None:
    before_ns = time.time_ns() - house.config.store.audit_days * 86_400_000_000_000
    try:
        await asyncio.to_thread(Audit(house).cut, before_ns)
    except GreenroomError as error:
        log.error("old findings not let go", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted


async def take_configuration(house: House) -> None:
    """Read the configuration again; where it is wrong the old one goes on. Noted in the audit log."""
    try:
        await house.reload()
    except GreenroomError as error:
        reason = {"reason": str(error)}
        log.error("configuration not taken, the old one goes on", extra=reason)  # noqa: TRY400  # as above
        await _note_reload(house, "config.refused")
    else:
        log.info("configuration taken", extra={"file": house.source})
        await _note_reload(house, "config.reload")


async def _note_reload(house: House, what: str) -> None:
    """Which file it was by its digest: its words are the operator's own. Of several workers one writes it."""
    if not house.is_first:
        return
    found = b""
    with contextlib.suppress(OSError):  # it may be gone
        found = house.config_path.read_bytes() if house.config_path is not None else b""
    try:
        digest = sha256(found).hexdigest()
        await asyncio.to_thread(Audit(house).note, "server", what, {"sha256": digest})
    except GreenroomError as error:
        log.error("reload not noted", extra={"reason": str(error)})  # noqa: TRY400  # as above


def changed_at(house: House) -> tuple[int, int, int] | None:
    """What changes with the configuration file, or with the sealed keys of providers."""
    sealed = house.sealed.generation() if (house.data / SEALED).exists() else 0
    if house.config_path is None:
        return (0, 0, sealed) if sealed else None
    try:
        found = house.config_path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, sealed
