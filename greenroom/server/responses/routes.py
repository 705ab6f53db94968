"""`/v1/responses/…`: kept ones read, told again, cancelled, deleted; tokens counted; a talk made short."""

import asyncio
import time
from collections.abc import AsyncIterator
from time import perf_counter_ns

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from greenroom.errors import MalformedRequest
from greenroom.exchange import Caller
from greenroom.gateway.access import Access
from greenroom.server.fronts import COMMENT
from greenroom.server.responses.background import KEEP_ALIVE_S, Background, Live
from greenroom.server.responses.desk import AT_WORK, Desk
from greenroom.server.responses.paging import page_of, paged, told_item
from greenroom.server.responses.shortening import Talk, compacted, counted
from greenroom.server.routing import Doc, json_answer
from greenroom.store.responses import Row
from greenroom.wire.responses_draft import Replay
from greenroom.wire.responses_items import Item

_ONE = "/v1/responses/{response_id}"
POLL_S = 0.1
CANCEL_S = 5.0
"""How long a cancelling client waits for another process to end a response."""
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class ResponseRoutes:
    """Answers for responses that were made before; each belongs to the project of the key that made it."""

    def __init__(self, desk: Desk, background: Background, access: Access) -> None:
        self._desk = desk
        self._background = background
        self._access = access

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc(
                "/v1/responses/input_tokens", "POST", "app", "Count the tokens of a request.", self._count,
                (), Talk,
            ),
            Doc(
                "/v1/responses/compact", "POST", "app", "Make a long conversation short.", self._compact, (),
                Talk,
            ),
            Doc(
                _ONE, "GET", "app", "Read a response, or its events.", self._get,
                ("include[]", "stream", "starting_after"),
            ),
            Doc(_ONE, "DELETE", "app", "Delete a response.", self._delete),
            Doc(_ONE + "/cancel", "POST", "app", "Cancel a response in the background.", self._cancel),
            Doc(
                _ONE + "/input_items", "GET", "app", "List what a response was made of.", self._input_items,
                ("limit", "order", "after", "include[]"),
            ),
        )  # fmt: skip

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = request.query_params
        row = await self._row(request, caller)
        live = self._background.find(row.id)
        if query.get("stream") in {"true", "1"}:
            return self._stream(row, caller, live, _after(query.get("starting_after")), _includes(request))
        if live is not None:
            return json_answer(live.snapshot())
        return json_answer(_told(await self._whole(row), _includes(request)))

    def _stream(
        self, row: Row, caller: Caller, live: Live | None, after: int, includes: frozenset[str]
    ) -> Response:
        events = live.follow(after) if live is not None else self._told_again(row, caller, after, includes)
        return StreamingResponse(events, 200, _HEADERS, "text/event-stream; charset=utf-8")

    async def _told_again(
        self, row: Row, caller: Caller, after: int, includes: frozenset[str]
    ) -> AsyncIterator[bytes]:
        """The events of one that has ended; of one that another process makes, once it has."""
        while row.status in AT_WORK:
            yield COMMENT
            row = await self._ended(row, caller, KEEP_ALIVE_S)
        response = _told(await self._whole(row), includes)
        beginning = {
            **response, "output": [], "usage": None, "completed_at": None, "error": None,
            "incomplete_details": None,
        }  # fmt: skip
        beginning.pop("greenroom", None)
        replay = Replay(response, beginning, row.cuts, queued=row.queued)
        for number, event in enumerate(replay.run().split(b"\n\n")):
            if event and number > after:
                yield event + b"\n\n"

    async def _ended(self, row: Row, caller: Caller, wait_s: float) -> Row:
        """A response that another process makes, as it is when it has ended or that time is over."""
        until = time.monotonic() + wait_s
        while row.status in AT_WORK and time.monotonic() < until:
            await asyncio.sleep(POLL_S)
            row = await run_in_threadpool(self._desk.find_ended, caller, row.id)
        return row

    async def _delete(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        row = await self._row(request, caller)
        live = self._background.find(row.id)
        await run_in_threadpool(self._desk.responses.delete, row.project, row.id)
        if live is not None:
            await live.cancel()
        return json_answer({"id": row.id, "object": "response.deleted", "deleted": True})

    async def _cancel(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        row = await self._row(request, caller)
        if not row.queued:
            raise MalformedRequest(
                "Only a response made with 'background': true can be cancelled. Of any other, close the "
                "connection.",
                "response_id",
            )
        live = self._background.find(row.id)
        if live is not None:
            await live.cancel()
            return json_answer(live.snapshot())
        if row.status in AT_WORK:
            await run_in_threadpool(self._desk.responses.end, row.id)
            row = await self._ended(row, caller, CANCEL_S)
        return json_answer(_told(await self._whole(row), frozenset()))

    async def _input_items(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        row = await self._row(request, caller)
        page = page_of(request.query_params)
        found = await run_in_threadpool(
            self._desk.responses.input_items,
            row.project, row.id, limit=page.limit, newest_first=page.newest_first, after=page.after,
        )  # fmt: skip
        return json_answer(paged(self._desk, row.project, row.session, found, page, _includes(request)))

    async def _count(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        headers = dict(request.scope["headers"])
        count = await counted(self._desk, caller, await request.body(), headers)
        return json_answer({"object": "response.input_tokens", "input_tokens": count})

    async def _compact(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        began = perf_counter_ns()
        headers = dict(request.scope["headers"])
        key = self._access.identify(headers)
        return json_answer(
            await compacted(self._desk, self._access, key, await request.body(), headers, began)
        )

    # looking up

    async def _row(self, request: Request, caller: Caller) -> Row:
        id = request.path_params["response_id"]
        find = self._desk.find if self._background.find(id) is not None else self._desk.find_ended
        return await run_in_threadpool(find, caller, id)

    async def _whole(self, row: Row) -> Item:
        output = await run_in_threadpool(self._desk.responses.output, row.id)
        return self._desk.revealed(row.project, row.session, {**row.body, "output": output})


def _after(text: str | None) -> int:
    if text is None or text == "":
        return -1
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise MalformedRequest("'starting_after' must be the sequence number of an event.", "starting_after")
    return int(text)


def _includes(request: Request) -> frozenset[str]:
    return frozenset((*request.query_params.getlist("include[]"), *request.query_params.getlist("include")))


def _told(response: Item, includes: frozenset[str]) -> Item:
    """A response with no more of its searches than was asked for."""
    return {**response, "output": [told_item(one, includes) for one in response["output"]]}
