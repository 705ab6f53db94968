import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette

from greenroom.server.pages import pages
from tests.server.pages.backend import FakeBackend
from tests.server.pages.visitor import Clock, Visitor


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def visitor(backend: FakeBackend, clock: Clock) -> Iterator[Visitor]:
    with Visitor(backend, clock) as one:
        yield one


@pytest.fixture
def admin(visitor: Visitor) -> Visitor:
    visitor.sign_in()
    return visitor


@pytest.fixture
def origin(backend: FakeBackend) -> Iterator[str]:
    """The address of a real server over the fake backend, on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            Starlette(routes=pages(backend)), log_level="warning", ws="none", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
