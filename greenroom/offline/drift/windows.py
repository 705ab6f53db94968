"""Which hours are compared: the newest window, the last healthy week, and the same hours a week before.

Hours are whole ones since 1970, in UTC; an hour's place in the week is what remains of 168.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

WEEK_H = 168
FARTHEST_H = 5 * WEEK_H
"""How far back healthy hours are looked for, and readings are kept."""


class Span(NamedTuple):
    """Hours from `since` up to `until`, which is not among them."""

    since: int
    until: int

    def __contains__(self, hour: object) -> bool:
        return isinstance(hour, int) and self.since <= hour < self.until


class Hours(NamedTuple):
    """What is held against what."""

    window: list[int]
    like: list[int]
    """Those of the week that stand at the places of the window's hours: season for season."""
    whole: list[int]
    """A week: of each place in it the newest healthy hour before the window."""
    missing_h: int
    """Hours that must still pass until a week was seen before the window; 0 once it was."""


def choose(
    known: Collection[int], until: int, window_h: int, *, since: int = 0, sick: Sequence[Span] = (),
    pinned: int | None = None,
) -> Hours:  # fmt: skip
    """Choose among the `known` hours, those with readings. `until` ends the window.

    `since`: hours before do not count: a move was accepted then. `sick`: spans with an open alert, left out.
    `pinned`: the first hour of the week that is the reference whatever came after.
    """
    start = until - window_h
    window = sorted(hour for hour in known if start <= hour < until)
    if pinned is not None:
        usable: Iterable[int] = (hour for hour in known if pinned <= hour < min(pinned + WEEK_H, start))
        first = pinned if any(hour < pinned + WEEK_H for hour in known) else until
    else:
        oldest = max(since, until - FARTHEST_H)
        usable = (
            hour for hour in known
            if oldest <= hour < start and not any(hour in one for one in sick)
        )  # fmt: skip
        first = min((hour for hour in known if hour >= oldest), default=until)
    newest: dict[int, int] = {}
    for hour in sorted(usable):
        newest[hour % WEEK_H] = hour
    places = {hour % WEEK_H for hour in window}
    return Hours(
        window,
        sorted(hour for place, hour in newest.items() if place in places),
        sorted(newest.values()),
        max(0, first + WEEK_H + window_h - until),
    )
