"""What keys have used of their limits: in memory where one process serves, in a mapped file where several do.

A meter is taken, looked at, changed and put back; between the two nobody else has it. In the file each key
has a slot with a lock of its own (POSIX record locks, which the system frees when a process dies), so that
limits hold over all processes exactly as in one. Requests at work are counted by process: those of a dead one
can be taken out. Both clocks are the machine's monotonic one, which all its processes share.
"""

import fcntl
import mmap
import os
import struct
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from greenroom.errors import StoreError

MINUTE_S = 60.0
DAY_S = 86_400.0

MOST_WORKERS = 32
SLOTS = 16_384
"""Keys with limits that the file has room for. A further one shares the slot of another: never looser."""
_PROBES = 64
_HEAD = struct.Struct("=16s dqq dqq")
_CELL = struct.Struct("=I")
_SLOT_BYTES = _HEAD.size + MOST_WORKERS * _CELL.size
_CELLS = struct.Struct(f"={MOST_WORKERS}I")
_NOBODY = bytes(16)


def _digest(key_id: str) -> bytes:
    return blake2b(key_id.encode(), digest_size=16).digest()


class Span(Struct):
    """What a key has used in its current minute or day; both begin with the first request in them."""

    ends: float = float("-inf")
    """Monotonic seconds."""
    requests: int = 0
    tokens: int = 0
    """Counted, or expected of requests at work."""


class Meter(Struct):
    """What a key uses."""

    minute: Span
    day: Span
    at_work: int = 0
    """Requests of this process."""
    elsewhere: int = 0
    """Requests at work in other processes."""
    place: int = 0
    """Where a shared meter lies."""


class Meters(Protocol):
    """Gives out meters, one holder at a time. Belongs to the event loop."""

    def take(self, key_id: str) -> Meter:
        """A key's meter; `put` must follow, whatever happens, and nothing may be awaited in between."""
        ...

    def put(self, meter: Meter) -> None:
        """Give a meter back as it is now."""
        ...


class LocalMeters:
    """`Meters` of one process alone."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}
        self._restored: dict[bytes, Span] = {}

    def take(self, key_id: str) -> Meter:
        """A key's meter."""
        meter = self._meters.get(key_id)
        if meter is None:
            day = self._restored.pop(_digest(key_id), None) if self._restored else None
            meter = self._meters[key_id] = Meter(Span(), day or Span())
        return meter

    def put(self, meter: Meter) -> None:
        """Nothing is to be done: nobody else has it."""

    def days(self) -> dict[bytes, Span]:
        """Every key's day, by the digest of its id."""
        return self._restored | {_digest(id): meter.day for id, meter in list(self._meters.items())}

    def restore(self, digest: bytes, day: Span) -> None:
        """Go on with a day that was begun before."""
        self._restored[digest] = day


class SharedMeters:
    """`Meters` of the process `worker` (0 to 31) among several. Raises: StoreError without its file.

    A take and put cost two system calls for the lock and a few microseconds.
    """

    def __init__(self, path: Path, worker: int, slots: int = SLOTS) -> None:
        self._worker = worker
        self._slots = slots
        self._places: dict[str, int] = {}
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._descriptor, slots * _SLOT_BYTES)
            self._map = mmap.mmap(self._descriptor, slots * _SLOT_BYTES)
        except OSError as error:
            raise StoreError(f"The file '{path.name}' for the limits of keys cannot be used.") from error

    def take(self, key_id: str) -> Meter:
        """A key's meter, locked for all processes until it is put back."""
        place = self._places.get(key_id)
        if place is None:
            place = self._places[key_id] = self._find(_digest(key_id))
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, _SLOT_BYTES, place)
        found = _HEAD.unpack_from(self._map, place)
        cells = _CELLS.unpack_from(self._map, place + _HEAD.size)
        own = cells[self._worker]
        minute, day = Span(*found[1:4]), Span(*found[4:7])
        return Meter(minute, day, own, sum(cells) - own, place)

    def put(self, meter: Meter) -> None:
        """Write a meter back and let others have it."""
        place, minute, day = meter.place, meter.minute, meter.day
        digest = self._map[place : place + 16]
        _HEAD.pack_into(
            self._map, place, digest, minute.ends, minute.requests, minute.tokens, day.ends, day.requests,
            day.tokens,
        )  # fmt: skip
        _CELL.pack_into(self._map, place + _HEAD.size + self._worker * _CELL.size, max(0, meter.at_work))
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _SLOT_BYTES, place)

    def days(self) -> dict[bytes, Span]:
        """Every key's day, by the digest of its id. Without locks: a count may be that of a moment ago."""
        found: dict[bytes, Span] = {}
        for place in range(0, self._slots * _SLOT_BYTES, _SLOT_BYTES):
            if self._map[place : place + 16] != _NOBODY:
                head = _HEAD.unpack_from(self._map, place)
                found[head[0]] = Span(*head[4:7])
        return found

    def restore(self, digest: bytes, day: Span) -> None:
        """Go on with a day that was begun before. Before any other process has the file."""
        place = self._find(digest)
        _HEAD.pack_into(self._map, place, digest, float("-inf"), 0, 0, day.ends, day.requests, day.tokens)

    def free(self, worker: int) -> None:
        """Take out the requests at work of a process that is no more."""
        for slot in range(self._slots):
            place = slot * _SLOT_BYTES
            if self._map[place : place + 16] != _NOBODY:
                _CELL.pack_into(self._map, place + _HEAD.size + worker * _CELL.size, 0)

    def close(self) -> None:
        """Let the file go."""
        self._map.close()
        os.close(self._descriptor)

    def _find(self, digest: bytes) -> int:
        """The slot of a key, given to it now if it has none. One process at a time looks."""
        end = self._slots * _SLOT_BYTES
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, end)
        try:
            first = int.from_bytes(digest[:8], "big")
            for step in range(min(_PROBES, self._slots)):
                place = (first + step) % self._slots * _SLOT_BYTES
                found = self._map[place : place + 16]
                if found == digest:
                    return place
                if found == _NOBODY:
                    _HEAD.pack_into(self._map, place, digest, float("-inf"), 0, 0, float("-inf"), 0, 0)
                    return place
            return place
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, end)
