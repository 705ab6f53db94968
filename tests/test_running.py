"""Runs start at once, go on inside `set`, and may use what tasks of asyncio may."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from greenroom.running import Run, Signal

Body = Callable[[], Awaitable[object]]


async def aside(deed: Callable[[], object]) -> None:
    """Do something as the loop's own callbacks do, outside of any task."""
    done = asyncio.Event()

    def call() -> None:
        deed()
        done.set()

    asyncio.get_running_loop().call_soon(call)
    await done.wait()


class Watched:
    """A run of `body`, what it returned and what it ended with. Begun with `step`."""

    def __init__(self, body: Body) -> None:
        self.result: object = None
        self.ends: list[BaseException | None] = []
        self.over = asyncio.Event()
        self._body = body
        self.run = Run(self._work(), asyncio.get_running_loop(), self._ended)

    async def _work(self) -> None:
        self.result = await self._body()

    def _ended(self, error: BaseException | None) -> None:
        self.ends.append(error)
        self.over.set()


def signal() -> Signal[str]:
    return Signal(asyncio.get_running_loop())


async def test_a_run_that_waits_for_nothing_is_over_at_once() -> None:
    async def body() -> int:
        return 3

    watched = Watched(body)
    await aside(watched.run.step)

    assert watched.result == 3
    assert watched.ends == [None]


async def test_a_run_goes_on_inside_set() -> None:
    one = signal()

    async def body() -> str:
        return await one

    watched = Watched(body)
    seen: list[object] = []

    def deed() -> None:
        watched.run.step()
        seen.append(watched.result)
        one.set("here")
        seen.append(watched.result)

    await aside(deed)

    assert seen == [None, "here"]
    assert watched.ends == [None]


async def test_what_is_set_first_counts() -> None:
    one = signal()
    one.set("first")
    one.set("second")
    one.fail(ValueError())

    assert await one == "first"
    assert not one.cancel()


async def test_a_failed_signal_raises_where_it_is_waited_for() -> None:
    one = signal()

    async def body() -> str:
        return await one

    watched = Watched(body)
    await aside(watched.run.step)
    await aside(lambda: one.fail(ValueError("no")))

    assert isinstance(watched.ends[0], ValueError)


@pytest.mark.parametrize("is_late", [False, True], ids=["before it waits", "while it waits"])
async def test_a_task_of_asyncio_may_wait_for_a_signal(is_late: bool) -> None:
    one = signal()

    async def body() -> str:
        return await one

    task = asyncio.get_running_loop().create_task(body())
    if is_late:
        await asyncio.sleep(0)
    one.set("here")

    assert await task == "here"


async def test_a_task_that_waits_for_a_signal_can_be_cancelled() -> None:
    one = signal()

    async def body() -> str:
        return await one

    task = asyncio.get_running_loop().create_task(body())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.done()


async def _sleep() -> str:
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return "slept"


async def _timeout() -> str:
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        return "late"
    return "never"


async def _group() -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sleep()) for _ in range(2)]
    return [task.result() for task in tasks]


async def _broken_group() -> str:
    async def breaks() -> None:
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(breaks())
            await asyncio.Event().wait()
    except ExceptionGroup:  # what a group raises where one of its tasks broke
        return "broken"
    return "never"


async def _thread() -> int:
    return await asyncio.to_thread(lambda: 7)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        pytest.param(_sleep, "slept", id="sleep"),
        pytest.param(_timeout, "late", id="timeout"),
        pytest.param(_group, ["slept", "slept"], id="task group"),
        pytest.param(_broken_group, "broken", id="task group with a failure"),
        pytest.param(_thread, 7, id="thread"),
    ],
)
async def test_a_run_may_use_what_a_task_may(body: Body, result: object) -> None:
    watched = Watched(body)
    await aside(watched.run.step)
    async with asyncio.timeout(5):
        await watched.over.wait()

    assert watched.result == result
    assert watched.ends == [None]


async def test_cancelling_raises_where_the_run_waits() -> None:
    seen: list[str] = []

    async def body() -> None:
        try:
            await signal()
        finally:
            seen.append("freed")

    watched = Watched(body)
    await aside(watched.run.step)
    await aside(watched.run.cancel)

    assert seen == ["freed"]
    assert isinstance(watched.ends[0], asyncio.CancelledError)


async def test_cancelling_a_run_from_within_ends_it_at_its_next_wait() -> None:
    runs: list[Run] = []
    start = signal()

    async def body() -> None:
        await start
        runs[0].cancel()
        await signal()

    watched = Watched(body)
    runs.append(watched.run)
    await aside(watched.run.step)
    await aside(lambda: start.set("go"))

    assert isinstance(watched.ends[0], asyncio.CancelledError)


async def test_a_signal_set_within_another_run_is_taken_up_after_it() -> None:
    one = signal()
    order: list[str] = []

    async def waits() -> None:
        await one
        order.append("waiter")

    async def sets() -> None:
        one.set("now")
        order.append("setter")

    waiter = Watched(waits)
    await aside(waiter.run.step)
    await aside(Watched(sets).run.step)
    async with asyncio.timeout(5):
        await waiter.over.wait()

    assert order == ["setter", "waiter"]
