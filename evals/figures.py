"""What a measurement gives: rows with their interval, and the statistics behind them. Knows no step."""

import gzip
import json
import random
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from pathlib import Path
from time import thread_time_ns
from typing import Any, NamedTuple

Goal = tuple[str, float]
"""(">=" or "<=", value)."""


class Row(NamedTuple):
    """One figure of one step on one set."""

    step: str
    figure: str
    """For instance "precision", "AUROC", "CPU p50 µs"."""
    set: str
    """The file, and which of its rows."""
    language: str
    """"en", "pt", "es", or "all"."""
    value: float
    n: int
    """What `value` is a share or a mean of."""
    low: float | None = None
    high: float | None = None
    goal: Goal | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        sign, bound = self.goal
        return self.value >= bound if sign == ">=" else self.value <= bound


def share(
    step: str, figure: str, set: str, language: str, hits: int, n: int, goal: Goal | None = None
) -> Row:
    """A proportion with its 95 % interval. Source: Wilson, "Probable inference", JASA 1927."""
    if n == 0:
        return Row(step, figure, set, language, float("nan"), 0, goal=goal)
    z, p = 1.959964, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Row(step, figure, set, language, p, n, max(0.0, middle - half), min(1.0, middle + half), goal)


def resampled(
    step: str,
    figure: str,
    set: str,
    language: str,
    rows: Sequence[Any],  # Any: whatever `statistic` takes
    statistic: Callable[[Sequence[Any]], float],
    goal: Goal | None = None,
    rounds: int = 300,
) -> Row:
    """A statistic of rows with its 95 % bootstrap interval (percentiles, seed 1)."""
    value = statistic(rows)
    chance = random.Random(1)
    drawn = sorted(statistic(chance.choices(rows, k=len(rows))) for _ in range(rounds)) if rows else []
    low, high = (drawn[int(rounds * 0.025)], drawn[int(rounds * 0.975)]) if drawn else (None, None)
    return Row(step, figure, set, language, value, len(rows), low, high, goal)


def auroc(scored: Sequence[tuple[float, bool]]) -> float:
    """How often a positive scores above a negative; ties count half (Mann-Whitney)."""
    ordered = sorted(scored, key=lambda one: one[0])
    rank_sum, positives, at = 0.0, 0, 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        mean_rank = (at + end + 1) / 2
        here = sum(one[1] for one in ordered[at:end])
        rank_sum += mean_rank * here
        positives += here
        at = end
    negatives = len(ordered) - positives
    if not positives or not negatives:
        return float("nan")
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def f_score(hits: int, found: int, wanted: int, beta: float = 1.0) -> float:
    """F from counts: true positives, all that was found, all that should have been."""
    if not hits:
        return 0.0
    precision, recall, square = hits / found, hits / wanted, beta * beta
    return (1 + square) * precision * recall / (square * precision + recall)


def cpu(
    step: str,
    set: str,
    language: str,
    items: Sequence[Any],  # Any: whatever `call` takes
    call: Callable[[Any], object],
    goal: Goal | None = None,
) -> list[Row]:
    """CPU microseconds of this thread per item, median and 95th percentile; 20 go before unmeasured."""
    for item in items[:20]:
        call(item)
    taken: list[float] = []
    for item in items:
        before = thread_time_ns()
        call(item)
        taken.append((thread_time_ns() - before) / 1000)
    taken.sort()
    if not taken:
        return []
    return [
        Row(step, "CPU p50 µs", set, language, taken[len(taken) // 2], len(taken), goal=goal),
        Row(step, "CPU p95 µs", set, language, taken[int(len(taken) * 0.95)], len(taken)),
    ]


def read_rows(path: Path) -> list[dict[str, Any]]:  # Any: JSON
    """The objects of a JSON Lines file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def by_language(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows by their `lang`, English, Portuguese and Spanish first."""
    found: dict[str, list[dict[str, Any]]] = {"en": [], "pt": [], "es": []}
    for row in rows:
        found.setdefault(str(row.get("lang") or "all"), []).append(row)
    return {language: own for language, own in found.items() if own}
