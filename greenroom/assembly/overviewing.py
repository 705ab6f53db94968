"""What the overview asks, answered from the rollups, the prices and what was deployed when."""

from collections.abc import Sequence
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from greenroom.assembly.stores import PROMPTS
from greenroom.offline.quality.estimates import Sums, estimate
from greenroom.server.pages.overview import Names
from greenroom.server.pages.scores import DAY_S, Known, Scored
from greenroom.store.bucket import Bucket
from greenroom.store.dearer import Ratios
from greenroom.store.deployments import said
from greenroom.store.prompts import Move

if TYPE_CHECKING:
    from greenroom.assembly.house import House

Json = dict[str, Any]  # Any: JSON
_MOST_MARKERS = 24
_MOST_PROMPTS = 200


class OverviewDesk:
    """Answers `overview.Backend`."""

    def __init__(self, house: "House") -> None:
        self._house = house

    def read(
        self, since_s: float, until_s: float, step_s: int, *, names: Names, by: Sequence[Any], detail: bool
    ) -> list[Bucket]:
        """Sums by step and group."""
        rollups, named = self._house.rollups, names._asdict()
        return rollups.read(since_s, until_s, step_s, **named, by=by, detail=detail, steps=False)

    def totals(
        self,
        since_s: float,
        until_s: float,
        step_s: int,
        *,
        names: Names,
        by: Sequence[Any],
        detail: bool = False,
    ) -> list[Bucket]:
        """Sums by group over all the time; with `detail` the steps too."""
        rollups = self._house.rollups
        named = names._asdict()
        return rollups.totals(since_s, until_s, step_s, **named, by=by, detail=detail, steps=detail)

    def markers(self, since_s: float, until_s: float, app: str | None) -> list[Json]:
        """What was deployed, and which versions of prompts were put to work, oldest first."""
        found = [*self._deployed(app), *self._moved()]
        shown = [one for one in found if since_s <= one["at"] < until_s]
        return sorted(shown, key=lambda one: float(one["at"]))[-_MOST_MARKERS:]

    def _deployed(self, app: str | None) -> list[Json]:
        if not self._house.has_deployed:
            return []
        return [
            {"at": one.at_ns / 1e9, "label": f"{one.app}: {one.name} {said(one.state)}"}
            for one in self._house.deploys.history(app)
        ]

    def _moved(self) -> list[Json]:
        if not (self._house.data / PROMPTS).exists():
            return []
        store = self._house.prompts
        return [
            {"at": _seconds(move), "label": _words(name, move)}
            for name in sorted(store.labels())[:_MOST_PROMPTS]
            for move in store.moves(name, 20)
        ]

    def scored(self, since_day: int, until_day: int, each: int, *, names: Names) -> list[Scored]:
        """Every score of these days with its interval, of as many days before, and of `each` so many days."""
        cells = self._house.quality.sums(2 * since_day - until_day, until_day, **names._asdict())
        now: dict[tuple[str, str], Sums] = {}
        before: dict[tuple[str, str], Sums] = {}
        by_time: dict[tuple[str, str], dict[int, Sums]] = {}
        for one in cells:
            day, key = one.place.day, (one.place.name, one.place.source)
            more = Sums(one.n, one.total, one.squares, one.odd)
            side = now if day >= since_day else before
            side[key] = side.get(key, Sums()).plus(more)
            if day >= since_day:
                steps, start = by_time.setdefault(key, {}), since_day + (day - since_day) // each * each
                steps[start] = steps.get(start, Sums()).plus(more)
        return [
            Scored(
                *key, known, _known(before.get(key, Sums())),
                [(day * DAY_S, told) for day, some in sorted(by_time[key].items()) if (told := _known(some))],
            )
            for key, sums in now.items()
            if (known := _known(sums))
        ]  # fmt: skip

    def ratios(self, model: str) -> Ratios:
        """What tokens of a model cost, as multiples of a new input token."""
        target = self._house.models.target(model)
        if target is None or target.price is None:
            return Ratios()
        rates = target.price.periods[0].rates
        if not rates.input:
            return Ratios()
        return Ratios(rates.cached / rates.input, rates.output / rates.input)


def _known(sums: Sums) -> Known | None:
    found = estimate(sums)
    if found is None:
        return None
    low, high = (bound if isfinite(bound) else None for bound in (found.low, found.high))
    return Known(found.mean, low, high, found.n)


def _seconds(move: Move) -> float:
    return datetime.fromisoformat(move.at).timestamp()


def _words(name: str, move: Move) -> str:
    if move.after is None:
        return f"prompt {name}: {move.label} taken away"
    return f"prompt {name}: version {move.after} is {move.label}"
