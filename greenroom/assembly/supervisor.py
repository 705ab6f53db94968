"""Several processes of one server on one port: the parent, which answers nothing itself.

It holds the data folder's lock and the listening sockets, starts the workers, starts one that died again,
passes signals on, and ends when they have ended. A worker reads from it who it is, and that pipe's end tells
it that the parent is gone: no worker outlives it by more than the drain. On Linux each worker has a listening
socket of its own (SO_REUSEPORT), among which the system spreads connections; the parent keeps them open, so
that what waits for a worker that died is answered by the next. Elsewhere they share one.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from time import monotonic

import msgspec

from greenroom.assembly.house import House
from greenroom.assembly.listening import ENVIRONMENT, FINE, admin_key_of, bind, check_tls, greet
from greenroom.assembly.workers import Board, Worker, check_workers, fresh_folder, limits_path, remove_folder
from greenroom.errors import ConfigError
from greenroom.gateway.day_counts import DayCounts
from greenroom.gateway.meters import SharedMeters
from greenroom.stages.check.canary import Canary
from greenroom.store.database import FolderLock, lock_folder
from greenroom.store.soundness import refuse_damaged

log = logging.getLogger("greenroom.workers")

STEADY_S = 10.0
"""A worker that lived so long is started again at once; one that did not waits,"""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""twice as long each time, up to this."""
PATIENCE_S = 10.0
"""For so long after the drain a worker may take to end, before it is killed."""
_SPREADS = sys.platform == "linux"


def supervise(house: House, host: str | None, port: int | None) -> int:
    """Run the workers until told to stop. Returns the exit code: 0 fine, 3 the environment is at fault.

    Raises: ConfigError, StoreError before any worker is started.
    """
    check_tls(house)
    table = house.config.server
    check_workers(house.config, table.workers, house.source)
    with contextlib.ExitStack() as stack:
        listeners = _listeners(host or table.host, table.port if port is None else port, table.workers)
        stack.callback(_close, listeners)
        lock = lock_folder(house.folder())
        stack.callback(lock.release)
        refuse_damaged(house.folder())
        admin_key = admin_key_of(house, listeners[0])
        with _prepared(house):
            return asyncio.run(_Supervisor(house, listeners, lock, admin_key).run())


def _listeners(host: str, port: int, count: int) -> list[socket.socket]:
    """One for each worker, or one for all. Raises: ConfigError when anybody else listens there."""
    first = bind(host, port)
    if not _SPREADS:
        return [first]
    address = first.getsockname()
    first.close()  # it was alone there; sockets that share a port would not notice another server
    return [bind(host, address[1], shared=True) for _ in range(count)]


def _close(listeners: list[socket.socket]) -> None:
    for one in listeners:
        one.close()


@contextlib.contextmanager
def _prepared(house: House) -> Iterator[None]:
    """Bring the stores to their newest schema, count what an earlier run lost, and mark the run."""
    for name in ("keys", "documents", "turns", "responses", "books"):
        getattr(house, name)  # opened once here, not by all workers at the same moment
    house.traces.begin()
    house.close_stores()
    yield
    house.traces.end()
    house.close_stores()


class _Supervisor:
    """The parent's loop."""

    def __init__(
        self, house: House, listeners: list[socket.socket], lock: FolderLock, admin_key: str | None
    ) -> None:
        self._house = house
        self._count = house.config.server.workers
        self._listeners = listeners
        self._host, self._port = listeners[0].getsockname()[:2]
        self._lock = lock
        self._admin_key = admin_key
        self._folder = fresh_folder(house.folder())
        self._meters = SharedMeters(limits_path(self._folder), 0)
        self._days = DayCounts(self._meters, house.folder())
        self._board = Board(self._folder, 0)
        self._secret = secrets.token_bytes(32)
        self._canary = Canary().mark
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._has_greeted = False
        self._restarts = 0
        self._stop = asyncio.Event()
        self._code = FINE

    async def run(self) -> int:
        """Until the last worker has ended; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._post()
        self._days.start()
        keepers = [asyncio.create_task(self._keep(number + 1)) for number in range(self._count)]
        await self._stop.wait()
        _, late = await asyncio.wait(keepers, timeout=self._house.config.server.drain_s + PATIENCE_S)
        for process in list(self._processes.values()) if late else ():
            process.kill()
        await asyncio.gather(*keepers)
        self._days.stop()
        self._meters.close()
        remove_folder(self._house.folder())
        return self._code

    # signals

    def _end(self) -> None:
        """First: let the workers drain. Second: they cut what still runs."""
        self._stop.set()
        _close(self._listeners)  # or connections would go on coming that nobody accepts
        self._signal(signal.SIGTERM)

    def _reload(self) -> None:
        for number in self._ready:
            self._send(number, signal.SIGHUP)

    def _signal(self, what: int) -> None:
        for number in self._processes:
            self._send(number, what)

    def _send(self, number: int, what: int) -> None:
        process = self._processes.get(number)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(what)

    # workers

    async def _keep(self, number: int) -> None:
        """Have one worker at work until the end."""
        failures = 0
        while not self._stop.is_set():
            began = monotonic()
            code = await self._live(number)
            if self._stop.is_set():
                return
            if not self._has_greeted:  # it said why; a second would say the same
                self._code = code if code > 0 else ENVIRONMENT
                self._end()
                return
            self._restarts += 1
            self._meters.free(number - 1)
            self._post()
            failures = 0 if monotonic() - began >= STEADY_S else failures + 1
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (failures - 2)) if failures > 1 else 0.0
            log.error("worker ended", extra={"worker": number, "code": code, "again_in_s": wait_s})
            if wait_s:
                await self._pause(number, wait_s)

    async def _pause(self, number: int, wait_s: float) -> None:
        """Wait, with this worker's share of connections going to the others."""
        place = number - 1
        if _SPREADS and self._count > 1:
            self._listeners[place].close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), wait_s)
        if _SPREADS and self._count > 1 and not self._stop.is_set():
            try:
                self._listeners[place] = bind(self._host, self._port, shared=True)
            except ConfigError as error:
                log.error("worker has no socket", extra={"worker": number, "reason": str(error)})  # noqa: TRY400  # no stack

    async def _live(self, number: int) -> int:
        """One worker's life; its exit code, negative for a signal."""
        listener = self._listeners[(number - 1) % len(self._listeners)]
        hears, tells = os.pipe()
        told = Worker(
            number=number,
            count=self._count,
            data=str(self._house.folder().absolute()),
            config=None if self._house.config_path is None else str(self._house.config_path),
            listener=listener.fileno(),
            lock=self._lock.descriptor,
            ready=tells,
            host=self._host,
            local_key=self._house.local_key,
            canary=self._canary,
            secret=self._secret,
        )
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "greenroom.assembly.worker",
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(listener.fileno(), self._lock.descriptor, tells),
                process_group=0,  # what a terminal sends goes to the parent alone, which passes it on
            )  # fmt: skip
        finally:
            os.close(tells)
        self._processes[number] = process
        if self._stop.is_set():
            process.terminate()
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(told) + b"\n")
        hearing = asyncio.create_task(self._hear(number, hears))
        code = await process.wait()
        await hearing
        process.stdin.close()
        del self._processes[number]
        self._ready.discard(number)
        return code

    async def _hear(self, number: int, hears: int) -> None:
        """Wait for the worker to say that it answers, or to end."""
        reader = asyncio.StreamReader()
        with os.fdopen(hears, "rb", buffering=0) as pipe:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), pipe
            )
            line = await reader.readline()
            transport.close()
        if not line:
            return
        self._ready.add(number)
        if not self._has_greeted:
            self._has_greeted = True
            model, why = msgspec.json.decode(line, type=tuple[str, str])
            greet(self._house, (self._host, self._port), self._admin_key, model, why)

    def _post(self) -> None:
        """The parent's own metrics, and a line for what they are."""
        with contextlib.suppress(OSError):  # a full disk must not end the server
            self._board.post(
                f"# TYPE greenroom_workers gauge\ngreenroom_workers {self._count}\n"
                "# TYPE greenroom_worker_restarts_total counter\n"
                f"greenroom_worker_restarts_total {self._restarts}\n"
            )
