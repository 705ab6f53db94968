"""What all tests share: they run on the event loop that serves."""

import asyncio
import gc
from collections.abc import Callable, Generator, Mapping

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# Both go by the clock, which says nothing of a test on a machine that has other things to do.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Asynchronous tests run on uvloop, as the server does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Ten thousand tests and what they import stay to the end: no garbage is looked for among them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)  # after the tests were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What opens hundreds of connections at once goes first, while the process is young.

    Then what needs a browser or PyTorch: mostly in one process, which has them once; and no other waits for the longest
    tests at the end.
    """
    items.sort(
        key=lambda item: (_has(item, "early"), _has(item, "browser"), _has(item, "finetune")), reverse=True
    )


def _has(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None
