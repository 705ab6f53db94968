"""Serving: one process, one port, uvicorn's server with our protocol class, and an orderly end."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from greenroom import __version__
from greenroom.assembly.administration import Desk
from greenroom.assembly.audit import Audit
from greenroom.assembly.batches import HostedBatches
from greenroom.assembly.descriptors import limits_of, raise_limit
from greenroom.assembly.evals import HostedEvals
from greenroom.assembly.faces import Behind, docs_of
from greenroom.assembly.finetuning import Finetuning
from greenroom.assembly.fronts import FRONTS, counter
from greenroom.assembly.house import House
from greenroom.assembly.listening import ENVIRONMENT, FINE, admin_key_of, bind, check_tls, greet
from greenroom.assembly.responses import responses_desk
from greenroom.assembly.site import Site, page_of_trouble
from greenroom.assembly.supervisor import supervise
from greenroom.assembly.upkeep import changed_at, retain, take_configuration
from greenroom.assembly.watching import Watching
from greenroom.assembly.workers import remove_folder
from greenroom.errors import GreenroomError
from greenroom.gateway.record import to_record
from greenroom.logs import set_up
from greenroom.server import knowledge, responses
from greenroom.server.api import Api
from greenroom.server.protocol import HttpProtocol
from greenroom.server.shared import Shared
from greenroom.server.v1 import V1
from greenroom.stages.language import detect
from greenroom.store.database import lock_folder
from greenroom.store.soundness import refuse_damaged
from greenroom.wire import openai

log = logging.getLogger("greenroom")

FAREWELL_S = 1.0
"""How long a client may take to read the error that its cut answer ends with."""


def serve(config: Path | None, data: Path | None, host: str | None, port: int | None) -> int:
    """Run the server until told to stop. Returns the exit code: 0 fine, 3 the environment is at fault."""
    set_up()
    raise_limit()
    try:
        house = House.open(config, data, os.environ)
        if house.config.server.workers > 1:
            return supervise(house, host, port)
        check_tls(house)
        with contextlib.ExitStack() as stack:
            listener = bind(
                host or house.config.server.host, house.config.server.port if port is None else port
            )
            stack.callback(listener.close)
            stack.callback(lock_folder(house.folder()).release)
            refuse_damaged(house.folder())
            remove_folder(house.folder())  # of several processes that were killed
            admin_key = admin_key_of(house, listener)
            place = listener.getsockname()[:2]
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(
                    run(
                        house,
                        listener,
                        lambda: greet(house, place, admin_key, house.default_target, house.why),
                    )
                )
    except GreenroomError as error:
        print(error, file=sys.stderr)
        return ENVIRONMENT


async def run(house: House, listener: socket.socket, announce: Callable[[], None]) -> int:
    """Answer what comes in at a socket, from `announce` on, until a signal says to stop. The exit code."""
    before = changed_at(house)  # before the start, so that a change meanwhile is seen
    async with house.running():
        server = _Server(house, listener)
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(_watch(house, server, before))
            server.greeting = announce
            keeper = group.create_task(retain(house)) if house.is_first else None
            _spare_the_collector()
            await server.evals.start()
            server.finetuning.start()
            await server.batches.start()
            watching = Watching(house)
            watching.start()
            await server.serve(sockets=[listener])
            await server.background.stop()
            await watching.stop()
            await server.batches.stop()
            await server.evals.stop()
            await server.finetuning.stop()
            watcher.cancel()
            if keeper is not None:
                keeper.cancel()
    gc.unfreeze()  # what closes when it is collected, files among it, is to be closed in order
    return FINE


def _spare_the_collector() -> None:
    """Keep what lives as long as the process out of every collection, and collect more seldom.

    Requests leave next to no cycles: searching for them as often as Python does by default was a seventh of
    what a request cost. What the imports left is given back to the system, where its allocator can.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


class _Server(uvicorn.Server):
    """Uvicorn's server with our protocol, our signals and our drain."""

    def __init__(self, house: House, listener: socket.socket) -> None:
        table = house.config.server
        desk = Desk(house, self)
        kept = responses_desk(house)
        self.background = responses.Background(kept.responses.unwanted)
        self.evals = HostedEvals(house)
        self.finetuning = Finetuning(house)
        v1 = V1(
            house.gateway,
            lambda exchange: to_record(exchange, detect),
            int(desk.started_at),
            {**FRONTS, responses.PATH: responses.ResponsesFront(kept, self.background)},
            counter(lambda: house.config),
        )
        self.batches = HostedBatches(house, v1)
        host, port = listener.getsockname()[:2]
        self.house = house
        self._desk = desk
        self.shared = Shared(v1, limits_of(house.config.server), _hosts(house, host, port))
        audit = Audit(house)

        def note(who: str, what: str, about: object, address: str) -> None:
            audit.note(who, what, about, address=address)

        shelves = knowledge.Desk(
            house.access,
            house.documents,
            house.encoder,
            house.ingestion.wake,
            table.file_limit_mb * 1024 * 1024,
            note,
        )
        behind = Behind(
            house, desk, shelves, note, kept, self.background, self.evals, self.finetuning, self.batches
        )
        api = Api(house.access, desk, __version__, docs_of(behind))
        app = Starlette(
            routes=api.routes(),
            exception_handlers={
                HTTPException: _not_found,
                404: _not_found,
                405: _not_found,
                Exception: _broken,
            },
        )
        app.router.default = Site(behind)
        app.state.is_draining = lambda: self.shared.draining
        super().__init__(
            uvicorn.Config(
                _with_id(app, house),
                http=partial(HttpProtocol, self.shared),  # type: ignore[arg-type]  # a factory, called like the class it wants
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                ssl_certfile=table.tls_cert,
                ssl_keyfile=table.tls_key,
                timeout_graceful_shutdown=None,
            )
        )
        self._drain_s = table.drain_s
        self.reload_wanted = False
        self.greeting: Callable[[], None] = lambda: None
        """Said once signals are heard and requests answered, so that whoever reads it may send either."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then greet."""
        await super().startup(sockets)
        self.greeting()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """First SIGTERM or SIGINT: drain. Second: cut what still runs. SIGHUP: read the configuration."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._want_reload)
        try:
            yield
        finally:
            for number in (*signals, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self.should_exit:
            self._cut()
            return
        self.should_exit = True
        self.shared.draining = True
        asyncio.get_running_loop().call_later(self._drain_s, self._cut)

    def post_metrics(self) -> None:
        """Let other workers, if there are any, see what this one counts."""
        try:
            self._desk.post_metrics()
        except OSError as error:
            log.error("metrics not shared", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted

    def _want_reload(self) -> None:
        self.reload_wanted = True

    def _cut(self) -> None:
        for connection in list(self.shared.connections):
            connection.cut()
        asyncio.get_running_loop().call_later(FAREWELL_S, self._abort)

    def _abort(self) -> None:
        for connection in list(self.shared.connections):
            connection.abort()


def _hosts(house: House, host: str, port: int) -> frozenset[bytes]:
    """Host headers that are answered: loopback names, the address we listen on, and the configured ones."""
    names = {"localhost", "127.0.0.1", "[::1]", host, house.config.server.host, *house.config.server.hosts}
    return frozenset(form.lower().encode("latin-1") for name in names for form in (name, f"{name}:{port}"))


async def _watch(house: House, server: _Server, before: tuple[int, int, int] | None) -> None:
    """Twice a second: keys from the store, a changed configuration."""
    while True:
        await asyncio.sleep(0.5)
        try:
            house.refresh_keys()
            house.refresh_prompts()
            house.shelf.notice()
            house.forgetting.notice()
            house.trials.refresh()
            await house.redeploy()
            now = changed_at(house)
        except GreenroomError as error:
            log.error("keys not refreshed", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            continue
        if server.reload_wanted or now != before:
            server.reload_wanted = False
            before = now
            await take_configuration(house)
        server.post_metrics()


def _with_id(app: Any, house: House) -> Any:  # Any: ASGI applications
    """Put `x-request-id` and `nosniff` on every answer of the ASGI side."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        id = house.gateway.new_id().encode()

        async def sending(message: Any) -> None:  # Any: ASGI
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message.get("headers", ())]
                headers.append((b"x-request-id", id))
                if not any(name == b"x-content-type-options" for name, _ in headers):
                    headers.append((b"x-content-type-options", b"nosniff"))
                message["headers"] = headers
            await send(message)

        await app(scope, receive, sending)

    return wrapped


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    code = "method_not_allowed" if status == 405 else "not_found"
    message = "This route does not take that method." if status == 405 else "There is no such page or route."
    page = page_of_trouble(request, status, message)
    if page is not None:
        return page
    body = openai.error_body(message, "invalid_request_error", code)
    return Response(body, status, headers, media_type="application/json")


async def _broken(request: Request, error: Exception) -> Response:
    log.error("request failed", extra={"path": request.url.path}, exc_info=error)
    message = "Something went wrong here. Try again."
    page = page_of_trouble(request, 500, message)
    if page is not None:
        return page
    body = openai.error_body(message, "server_error", "internal_error")
    return Response(body, 500, media_type="application/json")
