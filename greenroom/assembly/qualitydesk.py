"""What is asked of quality: scores over time with their intervals, by app, model and prompt; the rules."""

import time
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from greenroom.assembly.feedback import score_trace
from greenroom.assembly.house import House
from greenroom.offline.quality.estimates import Sums, estimate
from greenroom.store.quality import Cell
from greenroom.store.scores import Score

Json = dict[str, Any]  # Any: JSON
_DAY_S = 86_400
_MOST_GROUPS = 50


class QualityDesk:
    """Answers the API, the page and the command line. `project` None sees all projects."""

    def __init__(self, house: House) -> None:
        self._house = house

    def quality(
        self, project: str | None, days: int, app: str | None = None, model: str | None = None,
        prompt: str | None = None,
    ) -> Json:  # fmt: skip
        """Scores of exchanges of the last days, today among them. Raises: StoreError."""
        today = int(time.time() // _DAY_S)
        since = today - days + 1
        cells = self._house.quality.cells(since, project=project, app=app, model=model, prompt=prompt)
        by_score: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            by_score.setdefault((cell.place.name, cell.place.source), []).append(cell)
        return {
            "days": days,
            "since_s": since * _DAY_S,
            "scores": [
                {
                    "name": name, "source": source, **_estimate(some),
                    "by_day": [
                        {"at_s": int(day) * _DAY_S, **one}
                        for day, one in _groups(some, lambda cell: f"{cell.place.day:09d}")
                    ],
                    "by": {
                        "app": _named(some, lambda cell: cell.place.app),
                        "model": _named(some, lambda cell: cell.place.model),
                        "prompt": _named(some, lambda cell: cell.place.prompt),
                    },
                }
                for (name, source), some in sorted(by_score.items())
            ],
            "rules": self.rules() if project is None else [],
        }  # fmt: skip

    def score(self, project: str | None, id: str, score: Score) -> Json | None:
        """Add a score to an exchange. Raises: MalformedRequest."""
        return score_trace(self._house, project, id, score)

    def rules(self) -> list[Json]:
        """The rules of the configuration, and what each did today (UTC)."""
        work = self._house.quality.work(int(time.time() // _DAY_S))
        return [
            {
                "name": name, "scorer": rule.scorer, "apps": list(rule.apps), "share": rule.share,
                "a_day": rule.a_day, "usd_a_day": rule.usd_a_day if rule.is_judge else None,
                "below": rule.below, "above": rule.above,
                "usd": work.get(name, {}).get("nano", 0) / 1e9,
                "today": {what: count for what, count in work.get(name, {}).items() if what != "nano"},
            }
            for name, rule in self._house.config.quality.items()
        ]  # fmt: skip


def _groups(cells: Iterable[Cell], of: Callable[[Cell], str]) -> list[tuple[str, Json]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(of(cell), []).append(cell)
    return [(name, _estimate(some)) for name, some in sorted(found.items())]


def _named(cells: Iterable[Cell], of: Callable[[Cell], str]) -> list[Json]:
    """Groups that have a name, those with the most scores first."""
    found = [{"name": name, **one} for name, one in _groups(cells, of) if name]
    found.sort(key=lambda one: -one["n"])
    return found[:_MOST_GROUPS]


def _estimate(cells: Iterable[Cell]) -> Json:
    """A mean that one number alone bounds nowhere has no bounds."""
    sums = Sums()
    for cell in cells:
        sums = sums.plus(Sums(cell.n, cell.total, cell.squares, cell.odd))
    found = estimate(sums)
    if found is None:
        return {"mean": None, "low": None, "high": None, "n": 0}
    low, high = (bound if isfinite(bound) else None for bound in (found.low, found.high))
    return {"mean": found.mean, "low": low, "high": high, "n": found.n}
