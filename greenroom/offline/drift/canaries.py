"""Whether a model answers the canary prompts as it did: answers of today against those of its first runs.

A model never repeats itself to the letter, even at temperature 0, so what counts is whether today's answers
are less like the first ones than the first ones are like each other. Knows texts only.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import mean, median
from typing import Annotated, Literal

from msgspec import Meta, Struct

from greenroom.offline.drift.two_samples import signed_ranks

BASELINE_RUNS = 3
"""First runs of a model, which all later ones are held against."""
ALPHA = 0.01
LEAST_LOST = 0.1
"""Likeness that must be lost on average, of 1 for the same words in the same order."""
MOST_FAILED = 0.25
"""Share of prompts without an answer from which on a run says nothing."""


class CanariesConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[canaries]: models that are asked the same prompts every day, to notice when they are exchanged."""

    models: tuple[str, ...] = ()
    """Configured models or `provider/model`; each of their targets is asked. None without any."""
    usd_a_day: Annotated[float, Meta(gt=0, le=10_000)] = 0.25
    """What all of it may cost in a day (UTC), in US dollars: the worst case is set aside before each call."""
    hour: Annotated[int, Meta(ge=0, le=23)] = 4
    """From which hour on, UTC, the day's run is made."""


class Worst(Struct, frozen=True):
    """One prompt whose answer changed much."""

    place: int
    before: float
    now: float


class Report(Struct, kw_only=True, frozen=True):
    """What a run says."""

    state: Literal["baseline", "same", "changed", "failed"]
    answered: int
    asked: int
    p: float = 1.0
    before: float | None = None
    """How alike the first runs' answers are, on average over the prompts: 0 to 1."""
    now: float | None = None
    """How alike today's are to them."""
    slower: float | None = None
    """Median time of an answer today, as a factor of what it was."""
    models: tuple[str, ...] = ()
    """What the model called itself, where it says so; more than one when it changed."""
    worst: tuple[Worst, ...] = ()
    why: str = ""


Answer = tuple[str, str, float]
"""Text ("" where there was none), the model's own name for itself, milliseconds."""


def likeness(one: str, other: str) -> float:
    """How alike two texts are, 0 to 1: the share of words and pairs of words in common (Dice, 1945)."""
    if one == other:
        return 1.0
    first, second = _pieces(one), _pieces(other)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def compare(today: Sequence[Answer], baseline: Sequence[Sequence[Answer]]) -> Report:
    """Hold a run against the first ones, prompt by prompt: Wilcoxon's test, and how much likeness is lost.

    Prompts without an answer in any of them are left out; with too many of those the run has failed.
    """
    answered = sum(bool(one[0]) for one in today)
    whole = Report(state="same", answered=answered, asked=len(today))
    if answered < (1 - MOST_FAILED) * len(today):
        return _as(
            whole, state="failed", why=f"{len(today) - answered} of {len(today)} prompts had no answer"
        )
    if len(baseline) < BASELINE_RUNS:
        return _as(whole, state="baseline")
    before: list[float] = []
    now: list[float] = []
    places: list[int] = []
    for place, (text, _, _) in enumerate(today):
        earlier = [run[place][0] for run in baseline]
        if text and all(earlier):
            before.append(mean(likeness(*pair) for pair in combinations(earlier, 2)))
            now.append(mean(likeness(text, one) for one in earlier))
            places.append(place)
    if not places:
        return _as(whole, state="failed", why="no prompt has an answer in every run")
    changes = [after - was for after, was in zip(now, before, strict=True)]
    p, lost = signed_ranks(changes), -mean(changes)
    names = dict.fromkeys(one[1] for run in (*baseline, today) for one in run if one[1])
    worst = sorted(range(len(places)), key=changes.__getitem__)[:5]
    return _as(
        whole,
        state="changed" if p < ALPHA and lost >= LEAST_LOST else "same",
        p=p, before=mean(before), now=mean(now), models=tuple(names),
        slower=_factor([one[2] for one in today], [one[2] for run in baseline for one in run]),
        worst=tuple(Worst(places[one], before[one], now[one]) for one in worst if changes[one] < 0),
    )  # fmt: skip


def _as(report: Report, **changed: object) -> Report:
    return Report(**{name: getattr(report, name) for name in report.__struct_fields__} | changed)


def _pieces(text: str) -> Counter[str]:
    words = text.lower().split()
    return Counter(words) + Counter(f"{one} {two}" for one, two in pairwise(words))


def _factor(new: Sequence[float], old: Sequence[float]) -> float | None:
    was = median(old) if old else 0.0
    return median(new) / was if new and was else None
