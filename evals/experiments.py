"""Experiments: how often who looks after every pair is told of a difference that is none; how soon of one.

Nothing is read: units are drawn by a seeded generator. Some 40 s.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from evals.figures import Row, share
from greenroom.offline.experiments.sequential import Differences, Moments, asymptotic

ALPHA = 0.05
RUNS = 1_000
PAIRS = 500
GAIN = 0.05
_GAIN_RUNS = 200
_LONGEST = 10_000

Draw = Callable[[], float]


def measure(data: Path) -> Iterator[Row]:
    """A/A runs that end in a call, for shares and for values without bounds; pairs until a gain is found."""
    for chance in (0.1, 0.5, 0.8):
        random = Random(f"aa {chance}")
        called = sum(_called(_coin(random, chance), _coin(random, chance), PAIRS, 1) > 0 for _ in range(RUNS))
        of = f"drawn: {chance} in both arms, {PAIRS} pairs, a look after each"
        yield share("experiments", "A/A runs called", of, "all", called, RUNS, ("<=", ALPHA))
    random = Random("aa latency")
    called = sum(_calls_latency(random) for _ in range(RUNS))
    of = "drawn: lognormal, 1,000 in an arm and 9,000 in the other, 1,000 looks"
    yield share("experiments", "A/A runs called", of, "all", called, RUNS, ("<=", ALPHA))
    for chance in (0.5, 0.7, 0.8, 0.9):
        random = Random(f"gain {chance}")
        runs = [
            _called(_coin(random, chance + GAIN), _coin(random, chance), _LONGEST, 10) or _LONGEST
            for _ in range(_GAIN_RUNS)
        ]
        runs.sort()
        of = f"drawn: {chance} against {chance + GAIN:.2f}, a look after each 10"
        for part in (0.5, 0.8):
            found = runs[int(part * _GAIN_RUNS) - 1]
            figure = f"pairs until {part:.0%} of runs find it"
            yield Row("experiments", figure, of, "all", found, _GAIN_RUNS)


def _coin(random: Random, chance: float) -> Draw:
    return lambda: float(random.random() < chance)


def _called(treatment: Draw, control: Draw, pairs: int, every: int) -> int:
    """After how many pairs a difference is called; 0 for never."""
    seen = Differences()
    for pair in range(1, pairs + 1):
        seen.add(treatment(), is_treatment=True)
        seen.add(control(), is_treatment=False)
        if pair % every == 0 and (seen.is_above(0.0, ALPHA / 2) or seen.is_below(0.0, ALPHA / 2)):
            return pair
    return 0


def _calls_latency(random: Random) -> bool:
    control, treatment = Moments(), Moments()
    for _ in range(1_000):
        for _ in range(9):
            control.add(random.lognormvariate(0, 1))
        treatment.add(random.lognormvariate(0, 1))
        found = asymptotic(control, treatment, ALPHA)
        if found.low > 0 or found.high < 0:
            return True
    return False
