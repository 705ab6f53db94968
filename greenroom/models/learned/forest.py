"""Extremely randomised trees that expect several targets' scores from the numbers of a prompt.

A tree asks at each node whether one number is above a threshold; numbers and thresholds are drawn at random,
and of those drawn the one that separates scores best is taken. A forest's guess is the mean of its trees'.
Every tree leaves out a part of the groups of prompts, so that what the forest would expect of a prompt that
it never saw is known without a second training (out of bag). Knows no text and no target's name.
Sources: Geurts, Ernst, Wehenkel, "Extremely randomized trees", Machine Learning 2006; Breiman, "Bagging
predictors", 1996.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy import bool_, float32, float64, int32, intp, uint8
    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[float32]

TREES = 200
KEPT = 0.65
"""The share of groups that a tree is grown on."""
TRIED = 0.3
"""The share of numbers tried at a node."""
LEAF = 5
"""Prompts in a leaf, at the least."""
SHRINK = 0.2
"""Prompts without news that are added to each leaf; all by cross-validation, within a wide flat optimum."""
DEEPEST = 60
"""Questions from a root to a leaf, at the most."""


class Forest(NamedTuple):
    """Trees, one after another; a node's children lie side by side behind it."""

    asked: "NDArray[uint8]"
    """`(nodes,)`: which number a node asks for."""
    above: "Array"
    """`(nodes,)`: the threshold; a number above it goes to the second child."""
    child: "NDArray[int32]"
    """`(nodes,)`: the first child, or for a leaf -1 less its row in `values`."""
    roots: "NDArray[int32]"
    """`(trees,)`."""
    values: "Array"
    """`(leaves, targets)`: scores less the targets' means."""


def grow(
    numbers: "Array", scores: "NDArray[float64]", groups: "NDArray[float64]"
) -> "tuple[Forest, NDArray[float64]]":
    """A forest, and what it expects of every prompt by the trees that left its group out.

    `numbers` `(n, d)`, at most 256 of them; `scores` `(n, targets)` less their means, nan where there is
    none; `groups` `(n,)`. A prompt that no tree left out is expected to be like the mean.
    """
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    chance = np.random.default_rng(1)
    labels = (~np.isnan(scores)).astype(np.float32)
    filled = np.hstack([np.where(labels > 0, scores, 0.0), labels]).astype(np.float32)
    kinds, member = np.unique(groups, return_inverse=True)
    parts: list[Forest] = []
    left_out, times = np.zeros(scores.shape), np.zeros(len(scores))
    for _ in range(TREES):
        kept = chance.random(len(kinds)) < KEPT
        rows = np.flatnonzero(kept[member])
        one = _tree(numbers, filled, rows, chance)
        parts.append(one)
        others = np.flatnonzero(~kept[member])
        left_out[others] += expect(one, numbers[others])
        times[others] += 1
    return _joined(parts), left_out / np.maximum(times, 1.0)[:, None]


def expect(forest: Forest, numbers: "Array") -> "Array":
    """The mean of all trees for every prompt, `(n, targets) float32`, from their numbers `(n, d)`."""
    import numpy as np  # noqa: PLC0415 - as above

    at = np.repeat(forest.roots[None, :], len(numbers), 0)
    row = np.arange(len(numbers))[:, None]
    child = forest.child[at]
    for _ in range(DEEPEST):
        inner = child >= 0
        if not inner.any():
            break
        at = np.where(inner, child + (numbers[row, forest.asked[at]] > forest.above[at]), at)
        child = forest.child[at]
    found: Array = forest.values[-1 - child].mean(1)
    return found


def mistake(forest: Forest, width: int) -> str | None:
    """What is wrong with a forest over `width` numbers that came from a file; None where nothing is."""
    import numpy as np  # noqa: PLC0415 - as above

    nodes, leaves = len(forest.child), len(forest.values)
    if len(forest.roots) > TREES:
        return f"more trees than {TREES}"
    if not len(forest.roots) or int(forest.roots.min()) < 0 or int(forest.roots.max()) >= nodes:
        return "a root that is none"
    if int(forest.asked.max()) >= width:
        return "a number that prompts do not have"
    if int(forest.child.max()) >= nodes - 1 or int(forest.child.min()) < -leaves:
        return "a child that is none"
    level = np.unique(forest.roots)
    for _ in range(DEEPEST + 1):
        level = forest.child[level]
        level = np.unique(level[level >= 0])
        if not len(level):
            return None
        level = np.concatenate((level, level + 1))
    return "a tree that is deeper than trees grow"


def _tree(numbers: "Array", filled: "Array", rows: "NDArray[intp]", chance: "Generator") -> Forest:
    import numpy as np  # noqa: PLC0415 - as above

    width, targets = numbers.shape[1], filled.shape[1] // 2
    tried = max(1, round(TRIED * width))
    asked, above, child = [0], [0.0], [0]
    values: list[Array] = []
    open_nodes = [(0, rows, DEEPEST)]
    while open_nodes:
        node, here, left = open_nodes.pop()
        split = _split(numbers, filled, here, chance.permutation(width)[:tried], chance) if left else None
        if split is None:
            sums = filled[here].sum(0)
            child[node] = -1 - len(values)
            values.append(sums[:targets] / (sums[targets:] + SHRINK))
            continue
        asked[node], above[node], side = split
        child[node] = len(child)
        open_nodes += [(len(child), here[~side], left - 1), (len(child) + 1, here[side], left - 1)]
        for each in (asked, above, child):
            each += [0, 0]
    return Forest(
        np.array(asked, np.uint8), np.array(above, np.float32), np.array(child, np.int32),
        np.zeros(1, np.int32), np.array(values, np.float32),
    )  # fmt: skip


def _split(
    numbers: "Array", filled: "Array", here: "NDArray[intp]", tried: "NDArray[intp]", chance: "Generator"
) -> "tuple[int, float, NDArray[bool_]] | None":
    """The best of the tried numbers, each at one threshold; None where no side may have fewer prompts.

    Best is what takes away most of the squared error, summed over targets.
    """
    import numpy as np  # noqa: PLC0415 - as above

    if len(here) < 2 * LEAF:
        return None
    seen = numbers[here[:, None], tried]
    low, high = seen.min(0), seen.max(0)
    cuts = (low + chance.random(len(tried), np.float32) * (high - low)).astype(np.float32)
    sides = seen > cuts
    counts = sides.sum(0)
    fits = (counts >= LEAF) & (counts <= len(here) - LEAF)
    if not fits.any():
        return None
    mine = filled[here]
    total, targets = mine.sum(0), mine.shape[1] // 2
    more = sides.T.astype(np.float32) @ mine
    less = total - more
    gain = (more[:, :targets] ** 2 / (more[:, targets:] + SHRINK)).sum(1)
    gain += (less[:, :targets] ** 2 / (less[:, targets:] + SHRINK)).sum(1)
    gain[~fits] = -1.0
    best = int(gain.argmax())
    return int(tried[best]), float(cuts[best]), sides[:, best]


def _joined(parts: list[Forest]) -> Forest:
    """Trees as one forest."""
    import numpy as np  # noqa: PLC0415 - as above

    nodes = np.cumsum([0] + [len(one.child) for one in parts])[:-1]
    leaves = np.cumsum([0] + [len(one.values) for one in parts])[:-1]
    moved = [
        np.where(one.child >= 0, one.child + node, one.child - leaf)
        for one, node, leaf in zip(parts, nodes, leaves, strict=True)
    ]
    return Forest(
        np.concatenate([one.asked for one in parts]), np.concatenate([one.above for one in parts]),
        np.concatenate(moved).astype(np.int32), nodes.astype(np.int32),
        np.concatenate([one.values for one in parts]),
    )  # fmt: skip
