"""What runs amount to: each metric's mean with its interval, and the paired differences between two runs.

A failed answer counts 0 where higher is better, and has no value elsewhere; a scorer's own error or
abstention has no value. All three are counted and shown. Knows runs; gates and reports build on it.
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from greenroom.offline.evals import statistics
from greenroom.offline.evals.kept import KeptRun, MetricKind
from greenroom.offline.evals.runner import Item, digest_of
from greenroom.offline.evals.statistics import Difference, Estimate

SMALLEST = 0.05
"""The change that matters where nobody says otherwise, for metrics of 0 to 1."""
SMALLEST_SHARE = 0.1
"""The same for time and money, as a share of what it was."""
FEWEST = 10
"""Independent groups below which nothing is ruled out: intervals of fewer say little, narrow ones least."""
ERRORS = "errors"
"""The metric that every run has: the share of calls that failed."""


class Metric(Struct, kw_only=True, frozen=True):
    """One metric of one run."""

    kind: MetricKind
    mean: Estimate | None
    """None where no case has a value."""
    failed: int
    """Cases without an answer."""
    errors: int
    """Cases that the scorer could not judge."""
    abstained: int


class Change(Struct, kw_only=True, frozen=True):
    """One metric of two runs, over the cases that both have."""

    kind: MetricKind
    new: Estimate
    old: Estimate
    difference: Difference
    p_holm: float
    """Adjusted for all metrics that are compared."""
    smallest: float
    """The change that matters."""
    needed: int
    """Cases that would show such a change in 4 of 5 comparisons."""
    unpaired: int
    """Cases that only one of both runs has a value for."""

    @property
    def is_bounded(self) -> bool:
        """Whether a change that matters is ruled out: the interval is narrow, and of enough groups."""
        return max(self.worst, self.best) < self.smallest and self.difference.groups >= FEWEST

    @property
    def worsening(self) -> float:
        """How much worse the new run is; below 0 where it is better."""
        return -self.difference.value if self.kind.higher_is_better else self.difference.value

    @property
    def worst(self) -> float:
        """How much worse it may be: the far end of the interval."""
        return -self.difference.low if self.kind.higher_is_better else self.difference.high

    @property
    def best(self) -> float:
        """How much better it may be: the other end."""
        return self.difference.high if self.kind.higher_is_better else -self.difference.low

    @property
    def wins(self) -> int:
        """Cases in which the new run is better."""
        return self.difference.wins if self.kind.higher_is_better else self.difference.losses

    @property
    def losses(self) -> int:
        """Cases in which the new run is worse."""
        return self.difference.losses if self.kind.higher_is_better else self.difference.wins


def metrics_of(kept: KeptRun) -> list[Metric]:
    """Each metric of a run, the share of failed calls last. Raises: ExtraMissing."""
    return [*(_metric(kept, kind) for kind in kept.settings.metrics), _errors(kept)]


def changes(new: KeptRun, old: KeptRun, smallest: float | None = None) -> list[Change]:
    """What has changed in each metric that both runs have, p values adjusted for all. Raises: ExtraMissing.

    `smallest` is the change that matters, in the metric's own unit; see `SMALLEST` and `SMALLEST_SHARE`.
    """
    known = {kind.name for kind in old.settings.metrics}
    kinds = [kind for kind in new.settings.metrics if kind.name in known]
    found = [one for kind in kinds if (one := _change(new, old, kind, smallest)) is not None]
    return adjusted(found)


def adjusted(found: Sequence[Change]) -> list[Change]:
    """The same with their p values adjusted for as many as there are."""
    ps = statistics.holm([one.difference.p for one in found])
    return [structs.replace(one, p_holm=p) for one, p in zip(found, ps, strict=True)]


def needed_for(difference: Difference, smallest: float) -> int:
    """How many cases would show a change of `smallest`."""
    return max(FEWEST, statistics.cases_needed(difference, smallest) if smallest > 0 else 0)


def value_of(item: Item, kind: MetricKind) -> float | None:
    """What an item counts in a metric."""
    if item.output.outcome == "failed":
        return 0.0 if kind.higher_is_better and not kind.unit else None
    score = item.score(kind.name)
    return None if score is None else score.value


def _metric(kept: KeptRun, kind: MetricKind) -> Metric:
    items = kept.run.items
    failed = sum(item.output.outcome == "failed" for item in items)
    scores = [item.score(kind.name) for item in items if item.output.outcome != "failed"]
    errors = sum(one is None or one.error is not None for one in scores)
    abstained = sum(one is not None and one.error is None and one.value is None for one in scores)
    mean = _mean(kind, [(item, value_of(item, kind)) for item in items])
    return Metric(kind=kind, mean=mean, failed=failed, errors=errors, abstained=abstained)


def _errors(kept: KeptRun) -> Metric:
    items = kept.run.items
    failed = [float(item.output.outcome == "failed") for item in items]
    kind = MetricKind(name=ERRORS, higher_is_better=False)
    mean = _mean(kind, list(zip(items, failed, strict=True)))
    return Metric(kind=kind, mean=mean, failed=int(sum(failed)), errors=0, abstained=0)


def _mean(kind: MetricKind, valued: Sequence[tuple[Item, float | None]]) -> Estimate | None:
    known = [(item, value) for item, value in valued if value is not None]
    if not known:
        return None
    groups = [_group(item) for item, _ in known]
    return statistics.mean([value for _, value in known], groups, is_share=_is_share(kind))


def _change(new: KeptRun, old: KeptRun, kind: MetricKind, smallest: float | None) -> Change | None:
    before = {_key(item): value_of(item, kind) for item in old.run.items}
    after = {_key(item): (item, value_of(item, kind)) for item in new.run.items}
    pairs = [
        (item, value, was)
        for key, (item, value) in after.items()
        if value is not None and (was := before.get(key)) is not None
    ]
    if not pairs:
        return None
    groups = [_group(item) for item, _, _ in pairs]
    values, olds = [value for _, value, _ in pairs], [was for _, _, was in pairs]
    is_share = _is_share(kind)
    difference = statistics.paired(values, olds, groups, is_share=is_share)
    mean_before = statistics.mean(olds, groups, is_share=is_share)
    if smallest is None:
        smallest = SMALLEST_SHARE * abs(mean_before.value) if kind.unit else SMALLEST
    with_values = {key for key, value in before.items() if value is not None}
    with_values |= {key for key, (_, value) in after.items() if value is not None}
    return Change(
        kind=kind, new=statistics.mean(values, groups, is_share=is_share), old=mean_before,
        difference=difference, p_holm=difference.p, smallest=smallest,
        unpaired=len(with_values) - len(pairs), needed=needed_for(difference, smallest),
    )  # fmt: skip


def _is_share(kind: MetricKind) -> bool | None:
    """Time and money are none, even where all of it is 0."""
    return False if kind.unit else None


def _key(item: Item) -> tuple[str, str, int]:
    """The same for the same question in both runs."""
    return item.sample.id, digest_of(item.sample), item.repeat


def _group(item: Item) -> str:
    """Repeats of a question belong together."""
    return item.sample.group or item.sample.id
