"""What a router is worth: quality against calls of the strong model, or against cost; if chances are true.

Pure arithmetic over guesses, scores and costs. Knows no router.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy import float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

BINS = 10


class Point(NamedTuple):
    """One setting of a router."""

    cost: float
    quality: float


def apgr(gain: "Floats", weak: "Floats", strong: "Floats") -> float:
    """The average part of the gap between two models that is recovered, over all shares of strong calls.

    `gain` `(n,)` is how much the strong model is expected to be better: prompts go to it from the highest
    down. At each share of strong calls the recovered part is (quality - weak's) / (strong's - weak's); the
    mean over shares from 0 to 1 is the area by trapezoids, prompts of equal gain going together. Chance has
    .5. `nan` where both models are as good.
    Source: Ong and others, "RouteLLM", 2024, section 2.3, which takes ten shares where we take all.
    """
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    order = np.argsort(-gain, kind="stable")
    difference = (strong - weak)[order]
    total = float(difference.sum())
    if total == 0.0:
        return float("nan")
    ends = np.flatnonzero(np.append(np.diff(gain[order]) != 0, [True])) + 1
    shares = np.concatenate(([0.0], ends / len(gain)))
    recovered = np.concatenate(([0.0], np.cumsum(difference)[ends - 1] / total))
    return float(np.trapezoid(recovered, shares))


def frontier(points: "Sequence[Point]") -> list[Point]:
    """The upper convex hull of settings that cost more only where they are better, cheapest first."""
    rising: list[Point] = []
    for one in sorted(points, key=lambda point: (point.cost, -point.quality)):
        if not rising or one.quality > rising[-1].quality:
            rising.append(one)
    hull: list[Point] = []
    for one in rising:
        while len(hull) > 1 and _is_below(hull[-2], hull[-1], one):
            hull.pop()
        hull.append(one)
    return hull


def aiq(points: "Sequence[Point]", low: float, high: float) -> float:
    """The mean quality of the frontier over costs from `low` to `high`.

    These are the mean costs of the cheapest and of the dearest model alone. Where the frontier has ended its
    last quality holds; before it begins its first.
    Source: Hu and others, "RouterBench", 2024, section 3 (average improvement in quality).
    """
    import numpy as np  # noqa: PLC0415 - as above

    hull = frontier(points)
    costs = np.array([one.cost for one in hull])
    qualities = np.array([one.quality for one in hull])
    if high <= low:
        return float(np.interp(low, costs, qualities))
    grid = np.unique(np.concatenate(([low, high], costs[(costs > low) & (costs < high)])))
    return float(np.trapezoid(np.interp(grid, costs, qualities), grid) / (high - low))


def settings(chances: "Floats", scores: "Floats", costs: "Floats") -> list[Point]:
    """Where a router stands at 200 prices of quality, from none to all; arrays `(n, targets)`."""
    import numpy as np  # noqa: PLC0415 - as above

    rows = np.arange(len(scores))
    unit = float(costs.mean(0).max()) or 1.0
    found = []
    for price in np.concatenate(([0.0], np.logspace(-4, 6, 200))):
        chosen = (price * chances - costs / unit).argmax(1)
        found.append(Point(float(costs[rows, chosen].mean()), float(scores[rows, chosen].mean())))
    return found


def area(chances: "Floats", scores: "Floats", costs: "Floats") -> float:
    """`aiq` of a router over all prices of quality."""
    alone = costs.mean(0)
    return aiq(settings(chances, scores, costs), float(alone.min()), float(alone.max()))


def ece(chances: "Floats", scores: "Floats") -> float:
    """Expected calibration error: how far chances are from what came of them, over ten bins of equal size.

    Source: Naeini, Cooper, Hauskrecht, AAAI 2015, with bins of equal size in place of equal width.
    """
    import numpy as np  # noqa: PLC0415 - as above

    order = np.argsort(chances, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return float(sum(abs(chances[one].mean() - scores[one].mean()) * len(one) for one in parts) / len(order))


def _is_below(one: Point, middle: Point, other: Point) -> bool:
    """Whether the middle point lies on or under the line between its neighbours."""
    rise = (middle.cost - one.cost) * (other.quality - one.quality)
    return rise >= (other.cost - one.cost) * (middle.quality - one.quality)
