"""Rows as they come: a stream of server-sent events, or one answer at a time for who can't stream.

A page has `<gr-live src="/requests/live?…" target="#rows" data-after="ID">` and a route behind `doors.twin`
that returns `live(request, session, source)`. `source(after)` gets the id the browser has seen last ("" for
none) and returns the newest id and the rows since, rendered and escaped; it runs in a worker thread and must
be quick. Attributes of the element: `swap` (prepend, append, replace), `most` (how many rows stay); a button
inside it pauses and goes on.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from greenroom.errors import GreenroomError
from greenroom.server.pages.headers import HEADERS
from greenroom.server.pages.rendering import json_answer
from greenroom.server.pages.sessions import Session

Source = Callable[[str], tuple[str, Sequence[str]]]

LEAST_PAUSE_S = 0.25
"""At most four updates a second."""
MOST_STREAMS = 100
MOST_STREAMS_OF_A_SESSION = 6
"""As many connections as a browser opens to one server."""
LONGEST_S = 600.0
"""After this the browser opens a new one, so that none outlives what stands behind it."""
_BEAT_S = 15.0
_CHECK_S = 1.0
"""How soon a stream ends after its session."""

_open: Counter[str] = Counter()


async def live(request: Request, session: Session, source: Source, *, pause_s: float = 1.0) -> Response:
    """Answer what came since the last id: a stream for `Accept: text/event-stream`, else JSON, once.

    Over the bounds of streams the answer is a 503, and the page asks for JSON instead. `pause_s` is how long
    to wait between looks; never less than a quarter of a second.
    """
    after = request.headers.get("last-event-id") or request.query_params.get("after", "")
    is_stream = "text/event-stream" in request.headers.get("accept", "")
    if is_stream and _is_full(session):
        return Response(
            "Too many pages are being watched.", 503, {**HEADERS, "retry-after": "5"}, "text/plain"
        )
    first = await run_in_threadpool(source, after)  # what is wrong with the question is said before a stream
    if not is_stream:
        id, rows = first
        return json_answer({"id": id, "rows": list(rows)})
    events = _events(request, session, source, after, first, max(pause_s, LEAST_PAUSE_S))
    return StreamingResponse(events, 200, HEADERS, "text/event-stream")


def _is_full(session: Session) -> bool:
    return _open.total() >= MOST_STREAMS or _open[session.csrf] >= MOST_STREAMS_OF_A_SESSION


async def _events(
    request: Request,
    session: Session,
    source: Source,
    after: str,
    first: tuple[str, Sequence[str]],
    pause_s: float,
) -> AsyncIterator[bytes]:
    _open[session.csrf] += 1
    try:
        began = beat = checked = time.monotonic()
        found: tuple[str, Sequence[str]] | None = first
        yield b"retry: 1000\n\n"
        while True:
            now = time.monotonic()
            if now - checked >= _CHECK_S:
                checked = now
                if not await request.state.session_lives():
                    yield b"event: end\ndata: {}\n\n"
                    return
            if now - began > LONGEST_S or _is_draining(request) or await request.is_disconnected():
                return
            id, rows = await run_in_threadpool(source, after) if found is None else found
            found = None
            if rows or id != after:
                after, beat = id, now
                yield _event(id, rows)
            elif now - beat > _BEAT_S:
                beat = now
                yield b": still here\n\n"
            await asyncio.sleep(pause_s)
    except GreenroomError:
        return  # the store can't be read just now: the browser asks again, and is told so
    finally:
        _open[session.csrf] -= 1
        if _open[session.csrf] <= 0:
            del _open[session.csrf]


def _is_draining(request: Request) -> bool:
    """Whether the server is about to stop, and waits for what is open."""
    is_draining: Callable[[], bool] = getattr(request.app.state, "is_draining", bool)
    return is_draining()


def _event(id: str, rows: Sequence[str]) -> bytes:
    clean = id.replace("\n", "").replace("\r", "").replace("\0", "")
    return b"id: " + clean.encode() + b"\nevent: rows\ndata: " + msgspec.json.encode(list(rows)) + b"\n\n"
