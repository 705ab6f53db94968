"""One exchange for a page: its two bodies byte for byte as they were stored, and what ended beside it."""

import sqlite3
from typing import NamedTuple

from greenroom.store import listing
from greenroom.store.blocks import body_at
from greenroom.store.material import whole_sent
from greenroom.store.names import Names

_NEWER = "SELECT id FROM traces WHERE (? IS NULL OR project = ?) AND seq > ? ORDER BY seq LIMIT 1"
_OLDER = "SELECT id FROM traces WHERE (? IS NULL OR project = ?) AND seq < ? ORDER BY seq DESC LIMIT 1"


class Bodies(NamedTuple):
    """What came, and what the model got; the second is empty where it got what came."""

    request: str
    sent: str


def bodies(connection: sqlite3.Connection, names: Names, project: str | None, id: str) -> Bodies | None:
    """The bodies of an exchange; None when there is none of this id, or its texts were not kept."""
    found = listing.find(connection, names, project, id)
    if found is None or found[-1] is None:
        return None
    body = body_at(found[-1], found[-2])
    if body is None:
        return None
    sent = whole_sent(body) if body.sent else b""
    return Bodies(body.request.decode("utf-8", "replace"), sent.decode("utf-8", "replace"))


class Neighbours(NamedTuple):
    """The ids of the exchanges that ended just after one and just before it; None at the ends."""

    newer: str | None
    older: str | None


def neighbours(connection: sqlite3.Connection, names: Names, project: str | None, id: str) -> Neighbours:
    """What ended beside an exchange, in the same project where one is named."""
    found = listing.find(connection, names, project, id)
    if found is None:
        return Neighbours(None, None)
    number = None if project is None else found[3]
    newer, older = (
        connection.execute(sql, (number, number, found[0])).fetchone() for sql in (_NEWER, _OLDER)
    )
    return Neighbours(newer and str(newer[0]), older and str(older[0]))
