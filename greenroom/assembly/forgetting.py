"""Answers kept for a user, let go of in every process of a server when the user's traces are erased."""

import secrets
from time import monotonic

import msgspec

from greenroom.models.cache import AnswerCache
from greenroom.store.shared import SharedFile, SharedThings

_MOST = 10_000
_OVERLAP_S = 2.0
"""So far back it is looked each time: what was noted while one looked is seen the next time."""


class Forgetting:
    """Lets go of answers here, and of those that other processes were told to; alone without `shared`."""

    def __init__(self, cache: AnswerCache, shared: SharedFile | None) -> None:
        self._cache = cache
        self._noted = None if shared is None else SharedThings(shared, "erased", _MOST)
        self._looked_s = monotonic()

    def forget(self, project: str | None, user: str) -> None:
        """Let go of the answers that this user was given. Raises: StoreError when others can't be told."""
        self._cache.forget(project, user)
        if self._noted is not None:
            text = msgspec.json.encode((project, user)).decode()
            self._noted.put(secrets.token_bytes(16), text, monotonic())

    def notice(self) -> None:
        """Do what others were told to do since the last look. Raises: StoreError."""
        if self._noted is None:
            return
        since_s, self._looked_s = self._looked_s - _OVERLAP_S, monotonic()
        for text in self._noted.since(since_s):
            self._cache.forget(*msgspec.json.decode(text, type=tuple[str | None, str]))
