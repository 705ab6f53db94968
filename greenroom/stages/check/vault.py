"""Keeps the numbers of masks stable while a conversation is kept by the server.

In memory only: a restart forgets. Knows labels, values and numbers; knows nothing of texts.
"""

from collections import OrderedDict
from collections.abc import Callable, Container
from time import monotonic
from typing import Protocol

from greenroom.contracts import mask

MAX_SESSIONS = 10_000
MAX_VALUES = 2_000
"""For each session; the least recently used goes first."""


class Vault(Protocol):
    """Remembers which value a mask stands for, by project and session."""

    def number(
        self, project: str, session: str, label: str, value: str, taken: Container[str] = frozenset()
    ) -> int:
        """The number of this value's mask; a new value gets the next one whose mask is not `taken`."""
        ...

    def known(self, project: str, session: str) -> dict[str, str]:
        """Mask → value, for all that is remembered of the session."""
        ...


class _Session:
    __slots__ = ("last", "masks", "numbers", "used_s")

    def __init__(self, used_s: float) -> None:
        self.used_s = used_s
        self.last: dict[str, int] = {}
        self.numbers: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.masks: dict[str, str] = {}


class MemoryVault:
    """A `Vault` in memory. What is not used for `lifetime_s` is forgotten; 10,000 sessions at most."""

    def __init__(self, lifetime_s: float = 86_400, now: Callable[[], float] = monotonic) -> None:
        self._lifetime_s = lifetime_s
        self._now = now
        self._sessions: OrderedDict[tuple[str, str], _Session] = OrderedDict()

    def number(
        self, project: str, session: str, label: str, value: str, taken: Container[str] = frozenset()
    ) -> int:
        """The number of this value's mask; a new value gets the next one whose mask is not `taken`."""
        own = self._session(project, session)
        number = own.numbers.get((label, value))
        if number is not None:
            own.numbers.move_to_end((label, value))
            return number
        number = own.last.get(label, 0) + 1
        while mask(label, number) in taken:
            number += 1
        own.last[label] = number
        own.numbers[label, value] = number
        own.masks[mask(label, number)] = value
        if len(own.numbers) > MAX_VALUES:
            (old_label, _), old_number = own.numbers.popitem(last=False)
            del own.masks[mask(old_label, old_number)]
        return number

    def known(self, project: str, session: str) -> dict[str, str]:
        """Mask → value, for all that is remembered of the session."""
        self._forget()
        own = self._sessions.get((project, session))
        return own.masks if own is not None else {}

    def _session(self, project: str, session: str) -> _Session:
        self._forget()
        own = self._sessions.get((project, session))
        if own is None:
            own = self._sessions[project, session] = _Session(self._now())
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        own.used_s = self._now()
        self._sessions.move_to_end((project, session))
        return own

    def _forget(self) -> None:
        oldest_s = self._now() - self._lifetime_s
        while self._sessions:
            key, session = next(iter(self._sessions.items()))
            if session.used_s > oldest_s:
                return
            del self._sessions[key]
