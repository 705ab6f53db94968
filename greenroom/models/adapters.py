"""Adapters over one base: a single engine has them all, and another takes over when there are others.

llama.cpp loads adapters with its model and can't add one later. So a newcomer starts a second engine with
the whole set beside the first, which goes on answering; once the second is ready it takes over, and the first
ends after its last answer. A file that can't be loaded holds up nobody but who asks for it. Everything runs
on the event loop's thread.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from greenroom.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from greenroom.models.engine import Engine

log = logging.getLogger("greenroom.engine")

TRY_AGAIN_S = 60.0
"""After so long an adapter that could not be loaded is tried again."""
_Loaded = tuple[tuple[str, Path], ...]


class Stand:
    """One base and the adapters that are wanted over it."""

    def __init__(self, make: Callable[[tuple[Path, ...]], Engine], let_go: Callable[[Engine], None]) -> None:
        """`make` gives the engine of the base with these adapters; `let_go` has one end when it is idle."""
        self._make = make
        self._let_go = let_go
        self._wanted: dict[str, Path] = {}
        self._loaded: _Loaded = ()
        self._bad: dict[tuple[str, Path], tuple[float, str]] = {}
        self._change: asyncio.Task[None] | None = None
        self._is_ended = False
        self.engine = make(())
        """What answers now."""

    def want(self, adapters: Mapping[str, Path]) -> None:
        """From now on these, by name. An engine that runs is followed by one that has them, at once."""
        self._wanted = dict(adapters)
        self._bad = {key: value for key, value in self._bad.items() if key in self._wanted.items()}
        if not self._is_settled() and self.engine.state != "stopped":
            self._begin()

    async def running(self, name: str, wait_s: float) -> tuple[Engine, int]:
        """The engine that has an adapter, and its place there.

        Raises: UpstreamUnreachable when it can't be loaded; UpstreamTimeout when it is still loading.
        """
        wanted = (name, self._wanted[name]) if name in self._wanted else None
        if wanted is not None and wanted not in self._loaded and not self._reason(wanted):
            changing = self._begin()
            done, _ = await asyncio.wait((changing,), timeout=wait_s)  # goes on when who waits leaves
            if not done:
                raise UpstreamTimeout("The engine is still loading the adapter.")
            changing.result()
        if wanted is not None and wanted in self._loaded:
            return self.engine, self._loaded.index(wanted)
        reason = self._reason(wanted) if wanted is not None else "it was deleted"
        raise UpstreamUnreachable(f"The adapter is not loaded: {reason or 'it was replaced'}.")

    def end(self) -> None:
        """Let the engine go once it is idle: nobody wants the base any more. Who is late is still served."""
        self._is_ended = True
        self._let_go(self.engine)

    def _begin(self) -> "asyncio.Task[None]":
        if self._change is None or self._change.done():
            self._change = asyncio.get_running_loop().create_task(self._follow())
        return self._change

    async def _follow(self) -> None:
        """Change over until the engine has what is wanted."""
        one_by_one = False
        while not self._is_settled():
            wanted = self._now_wanted()
            stay = tuple(one for one in self._loaded if one in wanted)
            new = tuple(one for one in wanted if one not in stay)[: 1 if one_by_one else None]
            engine = self._make(tuple(path for _, path in (*stay, *new)))
            try:
                await engine.address(engine.settings.start_s)
            except UpstreamError as error:
                self._let_go(engine)
                if not new:  # fewer than before, and they were loaded: the next who asks tries again
                    return
                if len(new) == 1:
                    told = {"model": new[0][0], "reason": engine.said}
                    log.error("adapter not loaded", extra=told)  # noqa: TRY400  # no stack wanted
                    self._bad[new[0]] = monotonic() + TRY_AGAIN_S, engine.said or str(error)
                one_by_one = True
                continue
            old, self.engine, self._loaded = self.engine, engine, (*stay, *new)
            if old is not engine:
                self._let_go(old)
            if self._is_ended:
                self._let_go(engine)

    def _now_wanted(self) -> _Loaded:
        return tuple(one for one in self._wanted.items() if not self._reason(one))

    def _is_settled(self) -> bool:
        return set(self._loaded) == set(self._now_wanted())

    def _reason(self, wanted: tuple[str, Path]) -> str:
        """Why it could not be loaded a moment ago; empty when it may be tried."""
        until, reason = self._bad.get(wanted, (0.0, ""))
        return reason if monotonic() < until else ""
