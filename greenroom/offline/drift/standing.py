"""From what looks say to alerts: certain among all that was looked at, large, and so in several looks."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from greenroom.offline.drift.look import Finding
from greenroom.offline.drift.two_samples import benjamini_hochberg

Key = TypeVar("Key", bound=Hashable)


class Standing(Struct, frozen=True):
    """How one metric of one app stands after its last look."""

    streak: int = 0
    """Looks in a row that agreed there is a move."""
    calm: int = 0
    """Looks in a row that saw none."""
    open_since: int | None = None
    """The hour at which the move was called, None while there is none."""

    def after(self, *, is_over: bool, hour: int, looks: int) -> "Standing":
        """After one more look. What was called ends after as many looks that see nothing."""
        if is_over:
            streak = self.streak + 1
            called = self.open_since if self.open_since is not None or streak < looks else hour
            return Standing(streak, 0, called)
        calm = self.calm + 1
        return Standing(0, calm, None if calm >= looks else self.open_since)


def judged(found: Mapping[Key, Sequence[Finding]], alpha: float) -> dict[Key, list[tuple[Finding, bool]]]:
    """The findings of all apps in one look, their p adjusted together, and whether each is over the bar."""
    flat = [(key, one) for key, some in found.items() for one in some]
    adjusted = benjamini_hochberg([one.p for _, one in flat])
    result: dict[Key, list[tuple[Finding, bool]]] = {key: [] for key in found}
    for (key, one), p in zip(flat, adjusted, strict=True):
        result[key].append((replace(one, p=p), p < alpha and one.is_large))
    return result
