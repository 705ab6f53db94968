"""What a router is worth on prompts it did not see, and whether the examples carry a router at all.

Goes by guesses of which each was made with the prompt and its group left out (`training.Fitted.chances`).
Intervals are of 95 %, by resampling prompts 300 times.
"""

from typing import TYPE_CHECKING, NamedTuple

from greenroom.models.learned.curves import apgr, area, ece
from greenroom.models.learned.examples import Examples
from greenroom.models.learned.training import FEWEST_LABELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy import float64, intp
    from numpy.typing import NDArray

    Floats = NDArray[float64]

TELLS = 2.33
"""Standard errors by which what prompts tell of targets must exceed nothing: chance has it once in 100."""
ROUNDS = 300
_PRICES = 60


class Interval(NamedTuple):
    """A figure and where it may lie."""

    value: float
    low: float
    high: float


class Figures(NamedTuple):
    """What was measured; None where the examples don't allow it."""

    tells: float
    """In standard errors: how much guesses say of which target is better. See `TELLS`."""
    ece: float
    apgr: Interval | None
    """Of two targets; chance has .5."""
    aiq: Interval | None
    """Needs costs, and prompts that all targets answered."""
    aiq_alone: float | None
    """The same without looking at prompts: the target with the highest mean for its cost."""
    saving: Interval | None
    """The part of the best target's cost that is saved where quality was to stay the same."""
    quality: Interval | None
    """What the quality then was, less that of the best target alone."""
    dominant: str | None
    """A target that is better than each other one, on the same prompts, and not dearer."""

    def flat(self) -> dict[str, float | None]:
        """The figures by name, for a router's file."""
        found: dict[str, float | None] = {"tells": self.tells, "ece": self.ece, "aiq_alone": self.aiq_alone}
        for name in ("apgr", "aiq", "saving", "quality"):
            one: Interval | None = getattr(self, name)
            for part, value in zip(("", "_low", "_high"), one or (None,) * 3, strict=True):
                found[name + part] = value
        return found


def refusal(examples: Examples) -> str | None:
    """Why these examples can't make a router before any is fitted, or None."""
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    counts = (~np.isnan(examples.scores)).sum(0)
    if int((counts >= FEWEST_LABELS).sum()) < 2:
        told = ", ".join(f"{name}: {count}" for name, count in zip(examples.targets, counts, strict=True))
        return (
            f"A router needs two targets with {FEWEST_LABELS} scored prompts each. There are: {told}. "
            "Score more answers."
        )
    return None


def routable(examples: Examples) -> Examples:
    """The examples without targets that have too few labels, and without prompts that then have none."""
    import numpy as np  # noqa: PLC0415 - as above

    kept = np.flatnonzero((~np.isnan(examples.scores)).sum(0) >= FEWEST_LABELS)
    less = Examples(
        examples.prompts, tuple(examples.targets[at] for at in kept), examples.scores[:, kept],
        examples.costs[:, kept], examples.output_tokens[kept], examples.groups,
    )  # fmt: skip
    return less.some(np.flatnonzero((~np.isnan(less.scores)).any(1)))


def measure(examples: Examples, chances: "Floats") -> Figures:
    """All figures that the examples allow."""
    import numpy as np  # noqa: PLC0415 - as above

    scores, costs = examples.scores, examples.costs
    labelled = ~np.isnan(scores)
    tells = evidence(scores, chances)
    full = np.flatnonzero(labelled.all(1))
    have_costs = len(full) >= FEWEST_LABELS and not np.isnan(costs[full]).any()
    ranked = sloped = None
    alone = saving = quality = None
    if len(full) >= FEWEST_LABELS and len(examples.targets) == 2:
        weak, strong = np.argsort(scores[full].mean(0), kind="stable")
        gain = chances[full, strong] - chances[full, weak]
        ranked = resampled(
            len(full), lambda some: apgr(gain[some], scores[full, weak][some], scores[full, strong][some])
        )
    if have_costs:
        given, seen, paid = chances[full], scores[full], costs[full]
        sloped = resampled(len(full), lambda some: area(given[some], seen[some], paid[some]), rounds=60)
        alone = area(np.tile(seen.mean(0), (len(full), 1)), seen, paid)
        saving, quality = _savings(given, seen, paid, examples.groups[full])
    return Figures(
        tells, ece(chances[labelled], scores[labelled]), ranked, sloped, alone, saving, quality,
        _dominant(examples) if tells < TELLS else None,
    )  # fmt: skip


def evidence(scores: "Floats", chances: "Floats") -> float:
    """How many standard errors the guesses about targets, left out, agree with what came of them.

    Per prompt: the sum over targets of guess times score, each less its target's mean, and, where several
    targets answered, less the prompt's own mean: what makes a prompt hard for all is no reason to choose.
    """
    import numpy as np  # noqa: PLC0415 - as above

    labelled = ~np.isnan(scores)
    seen = np.where(labelled, chances, np.nan)
    one, other = seen - np.nanmean(seen, 0), scores - np.nanmean(scores, 0)
    several = labelled.sum(1) > 1
    one[several] -= np.nanmean(one[several], 1, keepdims=True) if several.any() else 0.0
    other[several] -= np.nanmean(other[several], 1, keepdims=True) if several.any() else 0.0
    agreed = np.nansum(one * other, 1)
    error = float(agreed.std(ddof=1)) / len(agreed) ** 0.5
    return float(agreed.mean()) / error if error > 0 else 0.0


def resampled(total: int, figure: "Callable[[NDArray[intp]], float]", rounds: int = ROUNDS) -> Interval:
    """A figure of rows with its interval by percentiles."""
    import numpy as np  # noqa: PLC0415 - as above

    chance = np.random.default_rng(1)
    drawn = [figure(chance.integers(0, total, total)) for _ in range(rounds)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Interval(figure(np.arange(total)), float(low), float(high))


def _savings(
    chances: "Floats", scores: "Floats", costs: "Floats", groups: "Floats"
) -> tuple[Interval, Interval]:
    """The saving and the change in quality, at prices of quality that were chosen on the other half."""
    import numpy as np  # noqa: PLC0415 - as above

    half = groups % 2 == 0
    rows = np.arange(len(scores))
    taken = np.zeros(len(scores), np.intp)
    best = np.zeros(len(scores), np.intp)
    for here, there in ((half, ~half), (~half, half)):
        if not here.any() or not there.any():  # one group is all there is
            continue
        top = int(scores[there].mean(0).argmax())
        price = _price(chances[there], scores[there], costs[there], top)
        taken[here] = (price * chances[here] - costs[here]).argmax(1)
        best[here] = top
    paid, before = costs[rows, taken], costs[rows, best]
    gained = scores[rows, taken] - scores[rows, best]
    return (
        resampled(
            len(rows), lambda some: 1.0 - float(paid[some].sum()) / max(float(before[some].sum()), 1e-12)
        ),
        resampled(len(rows), lambda some: float(gained[some].mean())),
    )


def _price(chances: "Floats", scores: "Floats", costs: "Floats", best: int) -> float:
    """The lowest price of quality at which a router is as good as its best target; else the highest tried."""
    import numpy as np  # noqa: PLC0415 - as above

    unit = max(float(costs.mean(0).max()), 1e-12)
    rows = np.arange(len(scores))
    aim = float(scores[:, best].mean())
    prices = unit * np.logspace(-2, 5, _PRICES)
    for price in prices:
        if float(scores[rows, (price * chances - costs).argmax(1)].mean()) >= aim:
            return float(price)
    return float(prices[-1])


def _dominant(examples: Examples) -> str | None:
    """The target that on common prompts is better than each other one, beyond two errors, and not dearer."""
    scores, costs = examples.scores, examples.costs
    for at, name in enumerate(examples.targets):
        others = [one for one in range(len(examples.targets)) if one != at]
        if all(_beats(scores[:, at] - scores[:, one], costs[:, at] - costs[:, one]) for one in others):
            return name
    return None


def _beats(better: "Floats", dearer: "Floats") -> bool:
    import numpy as np  # noqa: PLC0415 - as above

    better, dearer = better[~np.isnan(better)], dearer[~np.isnan(dearer)]
    if len(better) < FEWEST_LABELS or not len(dearer):
        return False
    error = float(better.std(ddof=1)) / len(better) ** 0.5
    return float(better.mean()) > 1.96 * error and float(dearer.mean()) <= 0.0
