"""Scores on the overview: what people, judges and code said of answers, each with its interval."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from greenroom.server.pages import figures
from greenroom.server.pages.tiles import Chart, Tile

DAY_S = 86_400
SOURCES = {
    "person": "by people", "code": "by code", "judge": "by a judge", "sample": "measured on a sample of all",
}  # fmt: skip
MOST = 6
_FIRST = ("grounded", "helpful", "refused")
"""Groundedness, thumbs and refusals come before other scores."""


class Known(Struct, frozen=True):
    """A mean with its interval (95 %), of how many; a bound is None where so few tell none."""

    mean: float
    low: float | None
    high: float | None
    n: int


class Scored(Struct, frozen=True):
    """One score of one source: of the days looked at, of as many before, and by time (Unix seconds)."""

    name: str
    source: str
    now: Known
    before: Known | None
    by_time: list[tuple[int, Known]]

    @property
    def is_share(self) -> bool:
        """Whether its means are all from 0 to 1."""
        means = [self.now.mean, *(one.mean for _, one in self.by_time)]
        return all(0 <= mean <= 1 for mean in means)


def days(since_s: int, until_s: int) -> tuple[int, int]:
    """Which whole days (UTC, since 1970) stand for a time: as many as it holds, the last among them."""
    until = -(-until_s // DAY_S)
    return until - max(1, (until_s - since_s) // DAY_S), until


def chosen(scored: Sequence[Scored]) -> list[Scored]:
    """Those that are shown: groundedness, thumbs and refusals first, then those with the most scores."""

    def place(one: Scored) -> tuple[int, int, str, str]:
        first = next((at for at, name in enumerate(_FIRST) if name in one.name.lower()), len(_FIRST))
        return first, -one.now.n, one.name, one.source

    return sorted(scored, key=place)[:MOST]


def tile(one: Scored) -> Tile:
    """Its mean, with its interval beside it; a change is told where the two intervals are apart."""
    return Tile(_title(one), _value(one, one.now.mean), _change(one), note=_between(one))


def chart(one: Scored, place: int, href: str) -> Chart:
    """Its means over time with a band of their intervals."""

    def line(pick: Callable[[Known], float | None]) -> list[list[float | None]]:
        return [[at, pick(known)] for at, known in one.by_time]

    series = {
        "label": one.name, "points": line(lambda known: known.mean), "low": line(lambda known: known.low),
        "high": line(lambda known: known.high),
    }  # fmt: skip
    unit = "share" if one.is_share else ""
    return Chart(
        f"score-{place}",
        _title(one),
        unit,
        [series],
        "days of UTC, with 95 % intervals",
        "" if one.source == "sample" else href,  # those stand at no request
    )


def _title(one: Scored) -> str:
    return f"{one.name}, {SOURCES.get(one.source, one.source)}"


def _value(one: Scored, mean: float) -> str:
    return figures.share(max(0.0, min(1.0, mean))) if one.is_share else f"{mean:.4g}"


def _between(one: Scored) -> str:
    known = one.now
    told = f"{figures.count(known.n)} {'score' if known.n == 1 else 'scores'}"
    if known.low is None or known.high is None:
        return told
    return f"{_value(one, known.low)} to {_value(one, known.high)} by {told}"


def _change(one: Scored) -> str:
    old, new = one.before, one.now
    if old is None or old.low is None or old.high is None or new.low is None or new.high is None:
        return ""
    if new.low <= old.high and old.low <= new.high:
        return ""
    moved = new.mean - old.mean
    return f"{100 * moved:+.1f} points" if one.is_share else f"{moved:+.3g}"
