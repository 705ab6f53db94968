"""Drift: how often a stable week raises an alert, and how soon a move is found. Some minutes.

Nothing is read: traffic of one app is drawn by a seeded generator, with days, weeks, users who come again,
and days that are a little unlike each other. Two weeks go before; then every hour is looked at, with the
code that the server runs. Words are drawn from vocabularies that exist nowhere else.
"""

from collections.abc import Iterator
from itertools import accumulate
from math import exp, pi, sin
from pathlib import Path
from random import Random
from typing import NamedTuple

from evals.figures import Row, share
from greenroom.offline.drift.look import Sides, look
from greenroom.offline.drift.plan import DriftConfig
from greenroom.offline.drift.reading import BUCKETS, Reading
from greenroom.offline.drift.standing import Standing, judged
from greenroom.offline.drift.windows import WEEK_H, Span, choose

SEEDS = 20
PLAN = DriftConfig()
_BEGIN = 492_000 // WEEK_H * WEEK_H
"""The first hour: any Thursday's midnight does."""
_BEFORE_H = 2 * WEEK_H
_TOPICS = 12
_LANGUAGES = ("en", "es", "pt")
_ZIPF_OWN = [*accumulate(1 / (rank + 3) for rank in range(80))]
_ZIPF_COMMON = [*accumulate(1 / (rank + 2) for rank in range(150))]


class Move(NamedTuple):
    """What changes when, as factors of what was before."""

    portuguese: float = 1.0
    answer_length: float = 1.0
    price: float = 1.0
    seconds: float = 1.0
    refusals: float = 1.0
    manner: str = "old"
    """Whose stock of common words the answers have."""


STABLE = Move()
SWAPPED = Move(answer_length=1.35, price=0.5, seconds=1.6, refusals=1.5, manner="new")
ALIKE = Move(answer_length=1.1, seconds=1.1, manner="new")
"""A model of the same price and nearly the same speed and length: it words things differently."""
DOUBLED = Move(portuguese=2.0)


class Traffic:
    """One app's exchanges, hour by hour."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"drift {seed}")
        words = Random("words of no language")
        self._own = {
            (language, topic): words.sample(range(BUCKETS), 80)
            for language in _LANGUAGES
            for topic in range(_TOPICS)
        }
        self._common = {
            (language, manner): words.sample(range(BUCKETS), 150)
            for language in _LANGUAGES
            for manner in ("asks", "old", "new")
        }
        self._liked = [self._chance.gammavariate(2, 1) for _ in range(_TOPICS)]
        """How often each topic is asked about, by and large."""
        self._day = -1

    def hour(self, hour: int, move: Move) -> list[Reading]:
        """What is sampled of one hour: fewer at night and on weekends, at most `sample_per_hour`."""
        self._begin(hour // 24)
        of_day = hour % 24
        busy = exp(1.3 * sin((of_day - 8) / 24 * 2 * pi) - (0.9 if self._is_weekend else 0))
        count = min(PLAN.sample_per_hour, round(60 * busy * exp(self._chance.gauss(0, 0.15))))
        return [self._reading(hour, of_day, busy, move) for _ in range(count)]

    def _begin(self, day: int) -> None:
        if day == self._day:
            return
        self._day, chance = day, self._chance
        self._is_weekend = day % 7 in (2, 3)
        weekend = [1.8 if topic % 3 == 0 and self._is_weekend else 1.0 for topic in range(_TOPICS)]
        self._topics = [
            *accumulate(
                liked * more * exp(chance.gauss(0, 0.15))
                for liked, more in zip(self._liked, weekend, strict=True)
            )
        ]
        self._portuguese = 0.20 * exp(chance.gauss(0, 0.08)) * (1.25 if self._is_weekend else 1.0)
        self._slow = exp(chance.gauss(0, 0.08))

    def _reading(self, hour: int, of_day: int, busy: float, move: Move) -> Reading:
        chance = self._chance
        portuguese = self._portuguese * (1.3 if of_day >= 20 or of_day < 3 else 0.95) * move.portuguese
        drawn = chance.random()
        language = (
            "pt" if drawn < portuguese else "es" if drawn < portuguese + (1 - portuguese) * 0.3 else "en"
        )
        (topic,) = chance.choices(range(_TOPICS), cum_weights=self._topics)
        asked = int(exp(chance.gauss(4.4 + 0.05 * (topic % 5) + 0.1 * self._is_weekend, 0.8))) + 4
        said = int(exp(chance.gauss(5.6 + 0.06 * (topic % 4), 0.7)) * move.answer_length) + 4
        cost = (asked * 200 + said * 900) * move.price * exp(chance.gauss(0, 0.2))
        total = (300_000 + said * 2_500) * move.seconds * self._slow * (1 + 0.25 * busy / 3)
        return Reading(
            at_s=hour * 3_600 + chance.randrange(3_600), trace="", model="p/m", prompt="", language=language,
            asked=asked, said=said, is_refused=chance.random() < (0.02 + 0.004 * (topic % 5)) * move.refusals,
            has_personal=chance.random() < 0.08, grounded=None, cost_nano=int(cost),
            total_us=int(total * exp(chance.gauss(0, 0.35))),
            asked_words=self._words(language, topic, "asks", 12),
            said_words=self._words(language, topic, move.manner, 40),
        )  # fmt: skip

    def _words(self, language: str, topic: int, manner: str, count: int) -> bytes:
        chance, common = self._chance, self._common[language, "old"]
        own = chance.choices(self._own[language, topic], cum_weights=_ZIPF_OWN, k=count // 2)
        if manner == "new":  # a third of its common words are others, frequent and rare ones
            others = self._common[language, "new"]
            common = [
                new if rank % 3 == 1 else old
                for rank, (old, new) in enumerate(zip(common, others, strict=True))
            ]
        elif manner == "asks":
            common = self._common[language, "asks"]
        found = {*own, *chance.choices(common, cum_weights=_ZIPF_COMMON, k=count // 2)}
        return b"".join(one.to_bytes(2, "little") for one in sorted(found))


def watched(seed: int, move: Move, hours: int) -> tuple[int | None, list[str]]:
    """After how many hours the first alert came, and the metrics that had one within `hours`."""
    traffic = Traffic(seed)
    begin = _BEGIN + seed % 7 * 24
    kept = {hour: traffic.hour(hour, STABLE) for hour in range(begin, begin + _BEFORE_H)}
    moved = begin + _BEFORE_H
    standings: dict[str, Standing] = {}
    first: int | None = None
    called: list[str] = []
    for hour in range(moved, moved + hours):
        kept[hour] = traffic.hour(hour, move)
        kept.pop(hour - 5 * WEEK_H, None)
        sick = [
            Span(one.open_since - PLAN.window_h, hour + 1)
            for one in standings.values()
            if one.open_since is not None
        ]
        chosen = choose(kept, hour + 1, PLAN.window_h, sick=sick)
        sides = Sides(*([one for at in some for one in kept[at]] for some in chosen[:3]))
        for finding, is_over in judged({"app": look(sides)}, PLAN.alpha)["app"]:
            before = standings.get(finding.metric, Standing())
            after = before.after(is_over=is_over, hour=hour, looks=PLAN.looks)
            standings[finding.metric] = after
            if after.open_since is not None and finding.metric not in called:
                called.append(finding.metric)
                first = first if first is not None else hour + 1 - moved
    return first, called


def measure(data: Path) -> Iterator[Row]:
    """Alerts of stable weeks; moves found within one window."""
    stable = [watched(seed, STABLE, WEEK_H) for seed in range(SEEDS)]
    quiet = "drawn: a stable week, looked at every hour"
    alerted = sum(first is not None for first, _ in stable)
    yield share("drift", "weeks with an alert", quiet, "all", alerted, SEEDS, ("<=", 0.0))
    for of, move in (
        ("drawn: another model, longer and slower", SWAPPED),
        ("drawn: another model much like it", ALIKE),
        ("drawn: twice the Portuguese, from 20 %", DOUBLED),
    ):
        found = [watched(seed, move, PLAN.window_h)[0] for seed in range(SEEDS)]
        hits = sum(one is not None for one in found)
        yield share("drift", "found within one window", of, "all", hits, SEEDS, (">=", 1.0))
        hours = sorted(one for one in found if one is not None)
        if hours:
            yield Row("drift", "hours until found, median", of, "all", hours[len(hours) // 2], hits)
            yield Row("drift", "hours until found, most", of, "all", hours[-1], hits)
