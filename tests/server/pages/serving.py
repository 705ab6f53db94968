"""The pages on a real socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from greenroom.server.pages.backend import PagesBackend
from greenroom.server.pages.doors import Room
from greenroom.server.pages.site import pages


@contextmanager
def served(
    backend: PagesBackend,
    *,
    more: Sequence[Room] = (),
    now: Callable[[], float] = time.monotonic,
    is_draining: Callable[[], bool] = bool,
) -> Iterator[str]:
    """The address of a real server over a backend, on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = Starlette(routes=pages(backend, more=more, now=now))
        app.state.is_draining = is_draining
        config = uvicorn.Config(
            app, log_level="warning", ws="none", lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
