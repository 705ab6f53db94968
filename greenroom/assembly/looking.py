"""What looks at something again and again until it is told to stop: a thread, or a task of the event loop."""

import asyncio
import threading
from abc import ABC, abstractmethod


class Looking(ABC):
    """`start`, `stop`, and what goes on between: `_run`, of whoever is one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if it has not."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; waits for a look that goes on."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10.0)

    @abstractmethod
    def _run(self) -> None:
        """Look until `_stopping` is set."""


class LookingTask(ABC):
    """The same on the event loop. What it waits for at its end is given up."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def _run(self) -> None:
        """Look until it is cancelled."""
