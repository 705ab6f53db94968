"""Whether a candidate is better, by samples that played no part in finding it: one paired test, once."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from greenroom.offline.evals.statistics import Difference, Estimate, cases_needed, mean, paired

ALPHA = 0.05
FEWEST_PAIRS = 6
"""With fewer, even a candidate that wins all of them can't reach p < 0.05 (2 / 2^5)."""
Verdict = Literal["better", "no better", "undecided"]


class Pair(Struct, frozen=True):
    """One held-back sample under both prompts. None: there was no value."""

    old: float | None
    new: float | None
    group: str


class Decision(Struct, kw_only=True, frozen=True):
    """What the held-back part says."""

    verdict: Verdict
    sentence: str
    old: Estimate | None = None
    new: Estimate | None = None
    difference: Difference | None = None
    dropped: int = 0
    """Samples without a value on one side."""
    needed: int | None = None
    """Cases that would show a difference of the size that was found; None where none was found."""


def decide(pairs: Sequence[Pair], metric: str, *, wanted: int) -> Decision:
    """Compare new with old on the pairs; `wanted` is how many there were to be.

    "better" when the paired test's two-sided p is below 0.05 and the difference is in favour of the new one:
    a candidate without any gain is taken at most 2.5 times in 100. Pairs without both values are left out.
    """
    whole = [(one.new, one.old, one.group) for one in pairs if one.new is not None and one.old is not None]
    dropped = len(pairs) - len(whole)
    if len(whole) < FEWEST_PAIRS:
        return Decision(
            verdict="undecided",
            sentence=f"Only {len(whole)} of {wanted} held-back samples could be compared: too few to decide.",
            dropped=dropped,
        )
    new, old, groups = ([one[at] for one in whole] for at in range(3))
    found = paired(new, old, groups)  # type: ignore[arg-type]  # the columns of `whole`, None left out
    before, after = mean(old, groups), mean(new, groups)  # type: ignore[arg-type]  # as above
    is_better = found.p < ALPHA and found.value > 0
    told = (
        f"{metric} {before.value:.3f} → {after.value:.3f} on {found.n} held-back samples "
        f"(difference {found.value:+.3f}, 95 % interval {found.low:+.3f} to {found.high:+.3f}, "
        f"{'p < 0.001' if found.p < 0.001 else f'p = {found.p:.3f}'})"
    )
    needed = cases_needed(found, found.value) if found.value > 0 and not is_better else None
    if is_better:
        sentence = f"Better: {told}."
    elif needed is not None:
        sentence = (
            f"No better than what you have: {told}. To show a gain of that size takes about {needed} cases."
        )
    else:
        sentence = f"No better than what you have: {told}."
    return Decision(
        verdict="better" if is_better else "no better", sentence=sentence,
        old=before, new=after, difference=found, dropped=dropped, needed=needed,
    )  # fmt: skip
