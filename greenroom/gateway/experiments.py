"""Which arm of an experiment answers: a keyed hash of who is asked for, and a look at how it stands.

Nothing is kept of any unit: the same one meets the same arm in every process and after every start. Knows
apps; what an experiment shows, and what is decided, is others' business.
"""

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from greenroom.exchange import Exchange
from greenroom.gateway.pipeline import App
from greenroom.store.observations import TAG, Unit

_WHOLE = 1 << 64


class Arm(NamedTuple):
    """One arm that answers: its name, the app it is, and the part of the units it gets."""

    name: str
    app: App
    share: float


class Trial:
    """One experiment as the requests of its app meet it."""

    __slots__ = ("_arms", "_bounds", "_key", "_prefix", "_promoted", "_reasons", "_unit", "is_over", "name")

    def __init__(self, name: str, unit: Unit, arms: Sequence[Arm], key: bytes) -> None:
        """`arms`: the control first; shares that make 1. `key`: the same wherever this experiment runs."""
        self.name = name
        self.is_over = False
        """Whether it was stopped or promoted: then nothing is drawn, and nothing counts."""
        self._promoted: Arm | None = None
        self._unit = unit
        self._arms = tuple(arms)
        self._key = key
        self._prefix = f"{name}\0".encode()
        bounds = []
        sum_of_shares = 0.0
        for arm in arms[:-1]:
            sum_of_shares += arm.share
            bounds.append(round(sum_of_shares * _WHOLE))
        self._bounds = bounds
        """Where the part of each next arm begins, of all 64-bit numbers."""
        self._reasons = [f"the experiment '{name}' draws its arm '{arm.name}'; {arm.app.why}" for arm in arms]

    def stand(self, state: str, promoted: str) -> None:
        """Take over what was decided."""
        self._promoted = next(
            (arm for arm in self._arms if state == "promoted" and arm.name == promoted), None
        )
        self.is_over = state != "running"

    def __call__(self, exchange: Exchange) -> App | None:
        """The app that answers this exchange, which is noted in it; None: the one it came to."""
        exchange.tags.pop(TAG, None)  # a client's own would count as one of ours
        if self.is_over:
            arm = self._promoted
            if arm is None:
                return None
            exchange.why = f"the experiment '{self.name}' promoted its arm '{arm.name}'; {arm.app.why}"
            return arm.app
        unit = self._unit_of(exchange)
        if unit is None:
            return None
        place = bisect_right(self._bounds, draw(self._key, self._prefix, unit))
        arm = self._arms[place]
        exchange.tags[TAG] = f"{self.name}/{arm.name}"
        exchange.why = self._reasons[place]
        return arm.app

    def _unit_of(self, exchange: Exchange) -> str | None:
        if self._unit == "request":
            return exchange.id
        named = exchange.user if self._unit == "user" else exchange.session
        return None if named is None else f"{exchange.caller.project}\0{named}"


def draw(key: bytes, prefix: bytes, unit: str) -> int:
    """A number below 2^64 that looks drawn by lot to whoever lacks the key, and is the same each time."""
    digest = blake2b(prefix + unit.encode("utf-8", "surrogatepass"), digest_size=8, key=key)
    return int.from_bytes(digest.digest(), "big")
