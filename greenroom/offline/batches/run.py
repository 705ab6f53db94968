"""One batch from its file to its results: looked through, asked line by line, written into files.

What came of a line is written down before the next takes its turn. A run that is cut off at any point is
begun anew by whoever takes the batch up: lines that came to something are passed over, and one whose call
was on its way is asked again. Knows the store, files and a way to ask; no HTTP.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec.json import encode

from greenroom.errors import GreenroomError, StoreError, TooLarge
from greenroom.gateway.access import Access, may_use
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.keys import Key
from greenroom.gateway.purse import Rule
from greenroom.grounding.files import Files
from greenroom.offline.batches.answer import Answer, Ask
from greenroom.offline.batches.input import Checked, Json, check, input_of, numbered, some, take
from greenroom.offline.batches.pace import Pace
from greenroom.offline.batches.results import fill, request_id, write
from greenroom.store.batches import BatchRow, BatchStore, Ending, Result
from greenroom.wire.batch_lines import Line, answered_line, failed_line, read_line, tokens_of

log = logging.getLogger("greenroom.batches")
T = TypeVar("T")

TAG = "batch"
"""The tag of the exchanges of a batch, with its id."""
TRIES = 6
"""Calls for a line whose target fails."""
LONGEST_WAIT_S = 30.0
KEPT_BACK = 5
"""A fifth of what a key may ask in a minute or a day is left to live requests."""
_NO_BUDGET_WAITS = 3
"""How often a line waits for live requests to give back what they reserved of its budget."""


class Over(NamedTuple):
    """Why nothing more is asked."""

    ending: Ending
    code: str
    message: str


CANCELLED = Over("cancelled", "batch_cancelled", "The batch was cancelled before this line was asked.")
_EXPIRED = Over(
    "expired", "batch_expired", "The line could not be asked before the completion window was over."
)
_GONE = Over("failed", "invalid_file", "The input file is gone.")
_REVOKED = Over("failed", "invalid_api_key", "The key that this was asked with is revoked or has expired.")


class Room(NamedTuple):
    """What runs share: who answers, where things are kept."""

    store: BatchStore
    files: Files
    folder: Path
    """Of input files while they are needed."""
    gateway: Callable[[], Gateway]
    ask: Ask
    pace: Pace
    line_bytes: Callable[[], int]
    """The longest line."""
    first_wait_s: float
    """Before a line is asked again the first time; then twice as long each time."""
    grace_s: float
    """How long lines on their way may take to come to their end, once the batch has."""

    def input(self, id: str) -> Path:
        """Where a batch's input lies."""
        return input_of(self.folder, id)


class Run:
    """A batch at work in this process. `run` once; `end` and `leave` from the same loop."""

    def __init__(self, row: BatchRow, room: Room) -> None:
        self._row = row
        self._room = room
        self._over: Over | None = None
        self._is_left = False
        self._stopped = asyncio.Event()
        """Set when nothing more is to be asked."""
        self._asking = 0
        self._news = asyncio.Event()
        """Set, and made anew, when a call has ended."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: set[asyncio.Task[int]] = set()
        """Results that are being written down."""

    # from outside

    def end(self, over: Over) -> None:
        """Ask nothing more; write what is there into files."""
        self._over = self._over or over
        self._stopped.set()

    def leave(self) -> None:
        """Ask nothing more, and let it stand as it is: the process ends."""
        self._is_left = True
        self._stopped.set()

    # the run

    async def run(self, places: asyncio.Semaphore) -> None:
        """All of it. Raises: StoreError, OSError."""
        row = self._row
        if row.status == "cancelling":
            self.end(CANCELLED)
        await asyncio.to_thread(take, self._room.files, row, self._room.folder)
        wait_s = max(0.0, row.expires_at - time.time())
        timer = asyncio.get_running_loop().call_later(wait_s, lambda: self.end(_EXPIRED))
        try:
            if row.status == "validating" and not await self._check():
                return
            if not row.ending and await self._or_stopped(places.acquire()):
                try:
                    await self._ask_all()
                except FileNotFoundError:
                    self.end(_GONE)
                finally:
                    places.release()
        finally:
            timer.cancel()
        if self._is_left:
            return
        over = self._over or Over("completed", "not_answered", "The line was not asked.")
        await self._thread(
            lambda: self._room.store.begin_ending(row.id, over.ending, over.code, over.message)
        )
        await self._write()

    async def _check(self) -> bool:
        """Look through the file; whether it may be asked."""
        room, row = self._room, self._row
        try:
            found = await asyncio.to_thread(check, room.input(row.id), row.endpoint, room.line_bytes())
            found.errors.extend(self._unknown(found))
        except OSError:
            reason = "The input file is gone or can't be read. Upload it again."
            found = Checked(0, [_told("invalid_file", reason)], {})
        if found.errors:
            await self._complain(found.errors)
            await self._thread(lambda: room.store.begin_ending(row.id, "failed", "", ""))
            await self._write()
            return False
        model = next(iter(found.models)) if len(found.models) == 1 else None
        await self._thread(lambda: room.store.checked(row.id, found.total, model))
        if not await self._thread(lambda: room.store.move(row.id, "in_progress")):
            self.end(CANCELLED)
        return True

    def _unknown(self, found: Checked) -> Iterator[Json]:
        """Models that there are not, or that the key may not ask."""
        gateway, key = self._room.gateway(), self._key()
        for model, line in found.models.items():
            if model is None or key is None:
                continue
            try:
                may_use(key.caller, model)
                if self._row.endpoint == "/v1/embeddings":
                    gateway.rooms.embedder(model)
                elif self._row.endpoint != "/v1/moderations":
                    gateway.rooms.find(model)
            except GreenroomError as error:
                yield {"code": error.code, "line": line, "message": str(error), "param": "body.model"}

    async def _ask_all(self) -> None:
        self._cap(is_capped=True)
        ahead = asyncio.Semaphore(self._room.pace.concurrency())
        try:
            async for number, line in self._pending():
                if not await self._or_stopped(ahead.acquire()):
                    break
                task = asyncio.get_running_loop().create_task(self._one(number, line))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(lambda _: ahead.release())
            await self._settled()
        finally:
            for task in self._tasks:
                task.cancel()
            self._cap(is_capped=False)

    def _cap(self, *, is_capped: bool) -> None:
        """Have the ledger count the batch by itself, so that its lines together keep to its budget."""
        ledger = self._room.gateway().access.ledger
        row = self._row
        if ledger is None or row.budget_nano is None:
            return
        name = row.id
        rule = Rule(name, row.budget_nano, project=row.project, key=row.key, tag=f"{TAG}={row.id}")
        ledger.cap(name, rule if is_capped else None)

    async def _settled(self) -> None:
        """Wait for all lines on their way; once nothing more is to be asked, not for long."""
        while self._tasks and not self._stopped.is_set():
            await self._or_stopped(asyncio.wait(set(self._tasks)))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=self._room.grace_s)
        for task in self._tasks:
            task.cancel()
        for waited_for in (self._tasks, self._keeping):
            if waited_for:
                await asyncio.wait(set(waited_for))

    async def _pending(self) -> AsyncIterator[tuple[int, Line]]:
        """The lines that came to nothing yet, some read at a time."""
        room, row = self._room, self._row
        known = await self._thread(lambda: room.store.known(row.number))
        with closing(numbered(room.input(row.id))) as lines:
            while not self._stopped.is_set():
                found = await asyncio.to_thread(some, lines)
                if not found:
                    return
                for number, data in found:
                    if number not in known:
                        yield number, read_line(data, row.endpoint)

    # a line

    async def _one(self, number: int, line: Line) -> None:
        try:
            result = await self._asked(number, line)
            if result is not None:
                await self._keep(result)
        except StoreError:
            return  # the process ends; the line is asked again
        except Exception:  # the edge that must not die: the line is told as failed
            log.exception("line of a batch failed", extra={"batch": self._row.id, "line": number})
            failed = failed_line(request_id(), line.custom_id, "internal_error", "Something went wrong here.")
            await self._keep(Result(number, is_fine=False, body=failed))

    async def _asked(self, number: int, line: Line) -> Result | None:
        """What came of it; None where the batch ended before."""
        tries = refusals = 0
        while not self._stopped.is_set():
            key = self._key()
            if key is None:
                self.end(_REVOKED)
                return None
            if await self._leaves_room(key):
                continue
            answer = await self._call(key, line)
            if answer is None:
                return None
            verdict = answer.verdict
            if verdict == "budget":
                if self._asking:
                    await self._or_stopped(self._news.wait())
                elif refusals < _NO_BUDGET_WAITS:
                    refusals += 1
                    await self._pause(self._room.first_wait_s * refusals)
                else:
                    self.end(Over("completed", "budget_exceeded", answer.message))
                continue
            tries += verdict == "again"
            if verdict == "done" or tries == TRIES:
                return self._result(number, line, answer)
            wait_s = answer.wait_s
            backoff = min(self._room.first_wait_s * 2 ** max(0, tries - 1), LONGEST_WAIT_S)
            await self._pause(backoff if wait_s is None else wait_s)
        return None

    async def _call(self, key: Key, line: Line) -> Answer | None:
        """One call, in its place among live requests; None where the batch ended before there was one."""
        room = self._room
        async with room.pace.place():
            if self._stopped.is_set():
                return None
            self._asking += 1
            try:
                tags = {b"x-greenroom-tags": b"%b=%b" % (TAG.encode(), self._row.id.encode())}
                return await room.ask(key, self._row.endpoint, line.body, tags)
            finally:
                self._asking -= 1
                news, self._news = self._news, asyncio.Event()
                news.set()

    async def _leaves_room(self, key: Key) -> bool:
        """Wait where little is left of the key's limits; whether it waited."""
        limits = self._room.gateway().access.limits(key)
        for one in () if limits is None else (limits.requests, limits.tokens):
            if one is not None and one.remaining * KEPT_BACK < one.limit:
                await self._pause(one.reset_s)
                return True
        return False

    def _result(self, number: int, line: Line, answer: Answer) -> Result:
        is_fine = 200 <= answer.status < 300
        used = tokens_of(answer.body) if is_fine else tokens_of(b"{}")
        cost = answer.cost_nano
        is_free = not is_fine or self._row.endpoint == "/v1/moderations"
        live_id = answer.header(b"x-request-id") or ""
        body = answered_line(request_id(), line.custom_id, answer.status, live_id, answer.body)
        return Result(number, is_fine, body, *used, cost or 0, cost is None and not is_free)

    def _key(self) -> Key | None:
        access: Access = self._room.gateway().access
        found = access.find_id(self._row.key)
        return found if found is not None and found.caller.project == self._row.project else None

    # the end

    async def _write(self) -> None:
        """Files of what came of the lines, then the end; what can't be written now is tried again."""
        room = self._room
        row = await self._thread(lambda: room.store.get(self._row.id))
        if row is None:
            return
        if row.total and room.input(row.id).exists():
            await self._thread(lambda: fill(room.store, row, room.input(row.id)))
        output = await self._thread(lambda: write(room.store, room.files, row, is_fine=True))
        error = await self._thread(lambda: write(room.store, room.files, row, is_fine=False))
        if row.left_code in {"budget_exceeded", _REVOKED.code, _GONE.code}:
            await self._complain([_told(row.left_code, row.left_message)])
        elif row.ending != "failed":
            await self._complain([])
        await self._thread(lambda: room.store.end(row, output, error))
        await asyncio.to_thread(room.input(row.id).unlink, missing_ok=True)

    # keeping and waiting

    async def _keep(self, result: Result) -> None:
        """Write it down, also where the line's task is dropped meanwhile: the answer is paid for."""
        write_down = self._thread(lambda: self._room.store.keep(self._row.number, [result]))
        task = asyncio.get_running_loop().create_task(write_down)
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)
        await asyncio.shield(task)

    async def _complain(self, errors: list[Json]) -> None:
        await self._thread(lambda: self._room.store.complain(self._row.id, encode(errors)))

    async def _thread(self, work: Callable[[], T]) -> T:
        """Do what writes; where there is no room, wait for some: an answer that is paid for is not let go."""
        wait_s, is_told = self._room.first_wait_s, False
        while True:
            try:
                return await asyncio.to_thread(work)
            except (StoreError, TooLarge) as error:
                if self._is_left:
                    raise
                if not is_told:
                    is_told = True
                    if isinstance(error, TooLarge):
                        await self._complain([_told(error.code, str(error))])
                    told = {"batch": self._row.id, "reason": str(error)}
                    log.error("batch waits to be written", extra=told)  # noqa: TRY400  # no stack wanted
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _pause(self, seconds: float) -> None:
        await self._or_stopped(asyncio.sleep(seconds))

    async def _or_stopped(self, awaited: Coroutine[object, object, object]) -> bool:
        """Wait for it, or until nothing more is to be asked; whether it came about."""
        loop = asyncio.get_running_loop()
        wanted, stopped = loop.create_task(awaited), loop.create_task(self._stopped.wait())
        try:
            done, _ = await asyncio.wait((wanted, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            wanted.cancel()
        return wanted in done


def _told(code: str, message: str) -> Json:
    return {"code": code, "line": None, "message": message, "param": None}
