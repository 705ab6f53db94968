"""What a server does by itself: taking a changed configuration, letting go of what is past its retention."""

import asyncio
import contextlib
import logging
import time
from hashlib import sha256

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.assembly.retaining import let_go_in_time
from greenroom.assembly.stores import SEALED
from greenroom.errors import GreenroomError

log = logging.getLogger("greenroom")

_DAY_S = 86_000.0


async def retain(house: House) -> None:
    """Soon after the start, then hourly: export days that have ended; daily: erase what is past its time.

    While the clock is doubted, whether it may be believed is looked at hourly.
    """
    wait_s, erased_at = 60.0, 0.0
    while True:
        await asyncio.sleep(wait_s)
        wait_s = 3_600.0
        if house.config.export.folder is not None:
            from greenroom.assembly.exporting import export_days  # noqa: PLC0415  # few need it

            await asyncio.to_thread(export_days, house)
        if not erased_at or time.monotonic() - erased_at > _DAY_S:
            is_done = await asyncio.to_thread(let_go_in_time, house, time.time_ns())
            erased_at = time.monotonic() if is_done else 0.0


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
