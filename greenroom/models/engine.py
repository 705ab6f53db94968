"""The embedded engine's process: started when it is needed, watched, started again, stopped when idle.

Knows when there is a process; what is said to it is the provider's business (`models.llama`). Everything
runs on the event loop's thread.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from greenroom.errors import UpstreamTimeout, UpstreamUnreachable
from greenroom.models.engine_process import EngineProcess
from greenroom.models.llama_engine import Settings
from greenroom.models.pulse import beat_facts

log = logging.getLogger("greenroom.engine")

INSTALL = "pip install 'greenroom[local]'"
LONGEST_REST_S = 60.0
"""The longest wait between two starts of an engine that keeps ending."""
STEADY_S = 60.0
"""After so long at work an end counts as the first again."""
SETTLE_S = 2.0
"""How long the end of a process may take to be noticed after its socket broke."""
LOOK_S = 1.0
"""How often it is looked whether the process still lives."""
DRAIN_S = 30.0
"""How long the requests of a process that took too much memory may go on before it is ended."""
_ENDS_KEPT = 10


class EngineSettings(Struct, frozen=True, kw_only=True):
    """What one engine runs, and under which limits."""

    model_path: Path
    model: str
    """The name after the slash in `provider/model`."""
    context: int = 4096
    """Tokens of one request and its answer."""
    parallel: int = 2
    """Answers at once; more wait inside the engine."""
    threads: int | None = None
    gpu_layers: int | None = None
    memory_mb: int | None = None
    start_s: float = 120.0
    """How long loading may take."""
    idle_stop_s: float | None = 600.0
    """Without a request for so long the engine is stopped; None keeps it."""
    adapters: tuple[Path, ...] = ()
    """Laid over the model for requests that say so, by their place here."""

    def files(self) -> tuple[str, ...]:
        """What it loads."""
        return (str(self.model_path), *map(str, self.adapters))


class Address(NamedTuple):
    """Where an engine listens, and with which key."""

    url: str
    key: str


class End(NamedTuple):
    """An end that nobody asked for."""

    at: float
    """Seconds since 1970."""
    said: str


State = Literal["stopped", "starting", "ready", "draining", "resting"]


class Engine:
    """One model's process. `stop` ends it for good."""

    def __init__(self, settings: EngineSettings, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self.at_work = 0
        self.starts = 0
        self.failures = 0
        """Ends in a row that nobody asked for."""
        self.ends: deque[End] = deque(maxlen=_ENDS_KEPT)
        """The last of them."""
        self.restarts = 0
        """How many there were."""
        self.said = ""
        """Why it ended last, in words that clients may read."""
        self.detail = ""
        """What llama.cpp said of it, for people who look after the engine; it may name folders."""
        self._environment = environment
        self._process: EngineProcess | None = None
        self._address: Address | None = None
        self._starting: asyncio.Future[Address] | None = None
        self._back_at = 0.0
        self._ready_at = 0.0
        self._key = ""
        self._inside: dict[str, int] = {}
        """Requests that a process is answering, by its key."""
        self._draining = ""
        """The key of a process that takes no new requests; `_why` is the reason."""
        self._why = ""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_closing = self._is_retired = False
        self._loop: asyncio.AbstractEventLoop

    @property
    def state(self) -> State:
        """What it does now. Draining: it answers what it has, and is started again then. Resting: it ended by
        itself, and is not started again yet.
        """
        if self._draining:
            return "draining"
        if self._address is not None:
            return "ready"
        if self._starting is not None:
            return "starting"
        return "resting" if "restart" in self._timers or self._rest_s() > 0 else "stopped"

    @property
    def pid(self) -> int | None:
        """The process's id while there is one."""
        return self._process.pid if self._process is not None else None

    def facts(self, *, to_all: bool = False) -> dict[str, Any]:  # Any: JSON
        """State, process, memory and history, for people who look after it. Any thread may ask.

        `to_all`: without what may name folders of this machine.
        """
        process = self._process
        return {
            "state": self.state,
            "pid": process.pid if process is not None else None,
            "memory_mb": process.memory_mb() if process is not None else None,
            "starts": self.starts,
            "restarts": self.restarts,
            "failures": self.failures,
            "at_work": self.at_work,
            "memory_limit_mb": self.settings.memory_mb,
            **(beat_facts(process.pulse.beat) if process is not None else {}),
            "ends": [one._asdict() for one in list(self.ends)],
            "said": self.said or None,
            **({} if to_all else {"detail": self.detail or None}),
        }

    async def address(self, wait_s: float) -> Address:
        """Where it listens; started first where need be.

        Raises: UpstreamUnreachable when it can't be started, or rests after it ended; UpstreamTimeout when it
        is still loading after `wait_s`.
        """
        process = self._process
        if self._address is not None and process is not None and process.is_over:
            self._ended()
        if self._address is not None:
            return self._address
        if self._starting is None:
            self._loop = asyncio.get_running_loop()
            rest_s = self._rest_s()
            if rest_s > 0:
                raise UpstreamUnreachable(
                    f"The engine ended: {self.said}. It is started again in {rest_s:.1f} s.",
                    retry_after_s=rest_s,
                )
            self._start()
        assert self._starting is not None
        try:
            async with asyncio.timeout(wait_s):
                return await asyncio.shield(self._starting)
        except TimeoutError:
            raise UpstreamTimeout("The engine is still loading its model.") from None

    def start_now(self) -> None:
        """Begin to load without waiting for it. Needs the running loop."""
        self._loop = asyncio.get_running_loop()
        if self._process is None and self._rest_s() <= 0:
            self._start()

    async def settle(self, address: Address) -> bool:
        """After a broken connection to a process: wait a moment, so that its end is known if it was one.

        Returns whether it has ended, was let go, or another has taken its place.
        """
        broken = self._process
        for _ in range(100):
            if broken is None or broken.is_over or self._process is not broken or self._address != address:
                return True
            await asyncio.sleep(SETTLE_S / 100)
        return False

    def begin(self) -> None:
        """A request is at work."""
        self.at_work += 1
        self._cancel("idle")

    def enter(self, address: Address) -> None:
        """It has gone to a process."""
        self._inside[address.key] = self._inside.get(address.key, 0) + 1

    def end(self, address: Address | None = None) -> None:
        """A request is over, of this process where it had come to one."""
        self.at_work -= 1
        if address is not None:
            left = self._inside.pop(address.key) - 1
            if left:
                self._inside[address.key] = left
            elif self._draining == address.key:
                self._ended()
        self._wait_idle()

    def drain(self, said: str) -> None:
        """Have the process answer what it has, while others wait, and start another then. `said` is why."""
        if self._address is None:
            return
        log.warning("engine drains", extra={"model": self.settings.model, "reason": said})
        self._why = said
        self._draining, self._address = self._address.key, None
        self._starting = self._loop.create_future()
        self._starting.add_done_callback(_look_at)
        if self._draining in self._inside:
            self._after("drain", DRAIN_S, self._ended)
        else:
            self._ended()

    def retire(self) -> None:
        """End as soon as no request is at work. One that comes late is still served, by a new process."""
        self._is_retired = True
        self._wait_idle()

    def stop(self) -> None:
        """End the process, and start no other. Safe to call twice, and after the loop was closed."""
        self._is_closing = True
        self._let_go("it was stopped")

    # the process

    def _start(self) -> None:
        settings = self.settings
        self._cancel("restart")
        if self._is_closing:
            raise UpstreamUnreachable("The engine is being stopped.")
        if self._starting is None:  # else there are those who wait already
            self._starting = self._loop.create_future()
            self._starting.add_done_callback(_look_at)
        self.starts += 1
        self._key = token_urlsafe(32)
        orders = Settings(
            model_path=str(settings.model_path),
            model=settings.model,
            key=self._key,
            parent=os.getpid(),
            context=settings.context,
            parallel=settings.parallel,
            threads=settings.threads,
            gpu_layers=settings.gpu_layers,
            memory_mb=settings.memory_mb,
            adapters=tuple(map(str, settings.adapters)),
        )
        try:
            self._process = EngineProcess(
                orders, self._environment, self._loop, self._is_ready, self._ended, self.drain
            )
        except OSError as error:
            self._failed(f"it can't be started: {error.strerror}")
            return
        self._after("start", settings.start_s, self._too_late)

    def _is_ready(self, url: str) -> None:
        self._cancel("start")
        self._ready_at = self._loop.time()
        self.said = self.detail = ""
        address = self._address = Address(f"{url}/v1", self._key)
        starting, self._starting = self._starting, None
        if starting is not None and not starting.done():
            starting.set_result(address)
        log.debug("engine ready", extra={"model": self.settings.model, "pid": self.pid})
        self._after("look", LOOK_S, self._look)
        self._wait_idle()

    def _look(self) -> None:
        """End a process that hangs."""
        process = self._process
        hangs_s = process.pulse.hangs_s(self._loop.time(), process.computed_s()) if process is not None else 0
        if hangs_s:
            self._ended(f"it hung: no sign of work for {hangs_s:.0f} s")
        elif process is not None:
            self._after("look", LOOK_S, self._look)

    def _too_late(self) -> None:
        self._ended(f"loading took longer than start_s = {self.settings.start_s:g}")

    def _ended(self, said: str = "") -> None:
        """The process is over, or to be: say why, and start it again where it was of use."""
        was_ready, process = self._address is not None or bool(self._draining), self._process
        said = said or (self._why if self._draining else "")
        how = self._reap()
        if process is not None:
            said = said or process.said
            self.detail = process.detail
        self._failed(said or f"it ended with {how}", was_ready=was_ready)

    def _failed(self, said: str, *, was_ready: bool = False) -> None:
        now = self._loop.time()
        if was_ready and now - self._ready_at >= STEADY_S:
            self.failures = 0
        self.failures += 1
        self.restarts += 1
        self.said = said
        self.ends.append(End(time.time(), said))
        first_s = 0.0 if was_ready and self.failures == 1 else 1.0
        rest_s = min(LONGEST_REST_S, first_s * 2 ** min(max(self.failures - 2, 0), 10))
        self._back_at = now + rest_s
        told = {"model": self.settings.model, "reason": said, "detail": self.detail, "rest_s": rest_s}
        log.error("engine ended", extra=told)
        if was_ready and rest_s == 0 and not self._is_closing:
            self._start()  # who waits for it waits on
            return
        starting, self._starting = self._starting, None
        if starting is not None and not starting.done():
            starting.set_exception(UpstreamUnreachable(f"The engine could not be started: {said}."))
        if was_ready and not self._is_closing:
            self._after("restart", rest_s, self._restart)

    def _restart(self) -> None:
        self._cancel("restart")
        if self._process is None and not self._is_closing:
            self._start()

    def _stop_idle(self) -> None:
        self._cancel("idle")
        if self.at_work == 0:
            log.debug("engine stopped, nobody asked it", extra={"model": self.settings.model})
            self._let_go("")

    def _let_go(self, said: str) -> None:
        for name in list(self._timers):
            self._cancel(name)
        self.said = said
        self._reap()
        starting, self._starting = self._starting, None
        if starting is not None and not starting.done() and not self._loop.is_closed():
            starting.set_exception(UpstreamUnreachable("The engine was stopped."))

    def _reap(self) -> str:
        """End the process; how it ended."""
        self._address, self._draining = None, ""
        for name in ("start", "idle", "look", "drain"):
            self._cancel(name)
        process, self._process = self._process, None
        return process.end() if process is not None else ""

    # time

    def _wait_idle(self) -> None:
        idle_s = 0.0 if self._is_retired else self.settings.idle_stop_s
        if self.at_work == 0 and idle_s is not None and self._address is not None:
            self._after("idle", idle_s, self._stop_idle)

    def _rest_s(self) -> float:
        return self._back_at - self._loop.time() if self._back_at else 0.0

    def _after(self, name: str, wait_s: float, deed: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._loop.call_later(wait_s, deed)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def is_installed() -> bool:
    """Whether the extra `local` is there."""
    return find_spec("xllamacpp") is not None


def _look_at(starting: "asyncio.Future[Address]") -> None:
    """A start that fails while nobody waits for it is logged already."""
    if not starting.cancelled():
        starting.exception()
