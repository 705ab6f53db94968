"""What keys have used of their limits a day, kept through restarts in a small file beside the stores.

Written behind the requests, at most once a second and only when something changed: a process that is killed
forgets its last second. Minutes are not kept. Knows meters; nothing of keys but a digest of their id.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import DecodeError, Struct, ValidationError, json

from greenroom.gateway.meters import DAY_S, Span

NAME = "limits.json"
PERIOD_S = 1.0
log = logging.getLogger("greenroom")


class Days(Protocol):
    """Meters whose days can be read and put back."""

    def days(self) -> dict[bytes, Span]:
        """The day of each key that has one, by the digest of its id. From any thread."""
        ...

    def restore(self, digest: bytes, day: Span) -> None:
        """Have a key go on with a day it began before. Before anything is served."""
        ...


class _Day(Struct, array_like=True):
    ends_at: float
    """Unix seconds: another process has another monotonic clock."""
    requests: int
    tokens: int


_decode = json.Decoder(dict[str, _Day]).decode


class DayCounts:
    """Keeps the days of `meters` in a folder, from `start` to `stop`."""

    def __init__(
        self,
        meters: Days,
        folder: Path,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._meters = meters
        self._path = folder / NAME
        self._now, self._wall = now, wall
        self._written = b"{}"
        self._is_failing = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="greenroom-limits", daemon=True)

    def start(self) -> None:
        """Take up what was kept, and keep what is used. A file that says nothing is passed over."""
        with contextlib.suppress(OSError, DecodeError, ValidationError, ValueError):
            now, wall = self._now(), self._wall()
            for digest, day in _decode(self._path.read_bytes()).items():
                left = min(day.ends_at - wall, DAY_S)
                if left > 0:
                    self._meters.restore(bytes.fromhex(digest), Span(now + left, day.requests, day.tokens))
        self._thread.start()

    def stop(self) -> None:
        """Write what is new and end. Safe to call twice."""
        if not self._ending.is_set():
            self._ending.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(PERIOD_S):
            self._write()
        self._write()

    def _write(self) -> None:
        now, wall = self._now(), self._wall()
        days = {
            digest.hex(): _Day(round(wall + day.ends - now), day.requests, day.tokens)
            for digest, day in self._meters.days().items()
            if day.ends > now and (day.requests or day.tokens)
        }
        data = json.encode(days)
        if data == self._written:
            return
        part = self._path.with_name(f"{NAME}.part")
        try:
            part.write_bytes(data)
            part.replace(self._path)
        except OSError as error:
            if not self._is_failing:
                log.warning("limits of a day are not kept", extra={"reason": str(error.strerror)})
            self._is_failing = True
        else:
            self._written, self._is_failing = data, False
