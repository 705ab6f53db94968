"""Requests from within the process: answered by the fast routes as one from a socket is, whole."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from greenroom.gateway.keys import Key
from greenroom.server.head import Request
from greenroom.server.repeats import Answered, Tape
from greenroom.server.v1 import V1

if TYPE_CHECKING:
    from greenroom.server.outgoing import Outgoing


async def answer_inside(v1: V1, key: Key, path: str, body: bytes, headers: Mapping[bytes, bytes]) -> Answered:
    """The answer to a POST by a key: status, body and header lines. What fails is an answer too."""
    request = Request(b"POST", path.encode(), b"", dict(headers), [], True, body, context=key)
    tape = Tape()
    await v1.answer(request, cast("Outgoing", tape))  # of which it has what whole answers use
    assert tape.answered is not None, "whoever does not stream answers whole"
    return tape.answered
