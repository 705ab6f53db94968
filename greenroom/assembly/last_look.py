"""When the server last looked for what is past its time, and whether the clock may be wrong.

A clock that is set far forward would have all that is kept erased at once. From within nobody can tell that
from a server that did not run for long, so both wait: things go once the clock has stood for a day.
"""

import logging
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import decode, encode
from msgspec.structs import replace

from greenroom.errors import StoreError
from greenroom.store.retention import DAY_NS

log = logging.getLogger("greenroom")

FILE = "last_look.json"
FAR_NS = 2 * DAY_NS
"""From one look to the next, which is a day later: the clock jumped, or nobody looked."""


class LastLook(Struct, kw_only=True, frozen=True):
    """Nanoseconds since 1970, by the clock of then."""

    at_ns: int
    doubted_ns: int | None = None
    """Since when the clock is doubted."""


def next_look(last: LastLook | None, now_ns: int) -> LastLook:
    """A look now. With none known from shortly before, the clock is doubted until it has stood for a day."""
    look = LastLook(at_ns=now_ns, doubted_ns=None if last is None else last.doubted_ns)
    if look.doubted_ns is not None and now_ns - look.doubted_ns >= DAY_NS:
        return replace(look, doubted_ns=None)
    is_near = last is not None and abs(now_ns - last.at_ns) <= FAR_NS
    return look if is_near else replace(look, doubted_ns=now_ns)


def look(folder: Path, now_ns: int) -> LastLook:
    """Look, and note it. Raises: StoreError where that can't be written."""
    path = folder / FILE
    try:
        last = decode(path.read_bytes(), type=LastLook)
    except (OSError, DecodeError, ValidationError):
        last = None
    made = next_look(last, now_ns)
    part = path.with_suffix(".part")
    try:
        part.write_bytes(encode(made))
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror or error}.") from error
    if last is not None and made.doubted_ns == now_ns:
        log.warning("the clock jumped, or no server ran: what is past its time is erased in a day")
    return made
