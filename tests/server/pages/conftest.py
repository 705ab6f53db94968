from collections.abc import Iterator

import pytest

from tests.server.pages.backend import FakeBackend
from tests.server.pages.serving import served
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
    with served(backend) as address:
        yield address
