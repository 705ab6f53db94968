"""Coroutines that start at once and go on in the very call that brings what they wait for.

An asyncio task waits for the loop's next turn before its first step and before each further one, and a turn
is a system call. Knows asyncio only.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # for tasks that are not asyncio's own, as these are
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Signal(Struct, Generic[T], eq=False):
    """One value, or an error, for the one coroutine that waits for it; what is set first counts.

    A `Run` goes on inside `set` or `fail`, a task of asyncio in the loop's next turn.
    """

    _loop: asyncio.AbstractEventLoop
    _asyncio_future_blocking: bool = False
    _is_done: bool = False
    _value: T | None = None
    _error: BaseException | None = None
    wake: Callable[[], object] | None = None
    """Called once there is a value or an error; a `Run` puts its next step here."""

    def set(self, value: T) -> None:
        """Bring the value."""
        if not self._is_done:
            self._is_done = True
            self._value = value
            if self.wake is not None:
                self.wake()

    def fail(self, error: BaseException) -> None:
        """Have the one who waits raise this."""
        if not self._is_done:
            self._is_done = True
            self._error = error
            if self.wake is not None:
                self.wake()

    def __await__(self) -> Generator["Signal[T]", None, T]:
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    # what a task of asyncio asks of a future

    def result(self) -> T:
        """The value. Raises the error that came instead."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set, since it is done; `cast` is a call on this path

    def done(self) -> bool:
        """Whether there is a value or an error."""
        return self._is_done

    def cancel(self, msg: object = None) -> bool:
        """Have the one who waits raise CancelledError; False when it is too late."""
        if self._is_done:
            return False
        self.fail(asyncio.CancelledError())
        return True

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to."""
        return self._loop

    def add_done_callback(self, callback: Callable[["Signal[T]"], object], *, context: Any = None) -> None:
        """Have `callback` called in the loop's next turn after the value came."""  # Any: a Context or None
        self.wake = lambda: self._loop.call_soon(callback, self, context=context)
        if self._is_done:
            self.wake()


class Run(Struct, eq=False, weakref=True):
    """A coroutine at work. It may use what a task may: `asyncio.timeout`, `TaskGroup`, futures, threads.

    `ended` is called once when it is over, with what the coroutine raised or None.
    """

    _coroutine: Coroutine[Any, None, None]  # Any: signals and futures
    _loop: asyncio.AbstractEventLoop
    _ended: Callable[[BaseException | None], None]
    _waits_for: Any = None  # Any: a Signal or a future
    _cancels: int = 0
    _must_cancel: bool = False

    def step(self, _: object = None) -> None:
        """Go on until the coroutine waits again or is over."""
        loop = self._loop
        try:
            _enter_task(loop, self)  # type: ignore[arg-type]  # does what a task does, but is none
        except RuntimeError:  # some other task set the signal in its own step: after it
            loop.call_soon(self.step)
            return
        self._waits_for = None
        try:
            waits_for = self._coroutine.send(None)
        except BaseException as error:  # noqa: BLE001  # told to the one who started it
            _leave_task(loop, self)  # type: ignore[arg-type]  # as above
            self._ended(None if type(error) is StopIteration else error)
            return
        _leave_task(loop, self)  # type: ignore[arg-type]  # as above
        if waits_for is None:  # asyncio.sleep(0)
            loop.call_soon(self.step)
            return
        self._waits_for = waits_for
        waits_for._asyncio_future_blocking = False  # noqa: SLF001  # how a future knows that it is waited for
        if type(waits_for) is Signal:
            waits_for.wake = self.step
        else:
            waits_for.add_done_callback(self.step)
        if self._must_cancel:
            self._must_cancel = False
            waits_for.cancel()

    def cancel(self, msg: object = None) -> bool:
        """Have the coroutine raise CancelledError where it waits."""
        self._cancels += 1
        if self._waits_for is None or not self._waits_for.cancel():
            self._must_cancel = True
        return True

    def cancelling(self) -> int:
        """How many wishes to cancel are open."""
        return self._cancels

    def uncancel(self) -> int:
        """Take one wish back; what `asyncio.timeout` does with its own."""
        self._cancels -= 1
        return self._cancels

    def done(self) -> bool:
        """Whether it is over. Asked from within only, by groups of tasks, so it never is."""
        return False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it runs on."""
        return self._loop
