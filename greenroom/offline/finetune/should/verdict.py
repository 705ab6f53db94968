"""The verdict: what the figures say of training, what else would do, and what evidence lacks.

Pure: values in, sentences out. "Worth trying" means that nothing cheaper reaches the target and nothing
speaks against learning; whether training does reach it only training tells.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from greenroom.offline.evals.statistics import Difference, Estimate, cases_needed, holm, mean, paired

ALPHA = 0.05
_NEAREST = 0.02
"""A distance from the target below which no number of rows is worth asking for."""
FEWEST = 20
"""Held-back rows below which nothing is said."""
FEWEST_ROWS = 50
"""Rows to learn from below which training seldom shows: OpenAI's guide to fine-tuning names 50 to 100."""
MARGIN = 0.05
"""How far the interval of what reaches the target may go below it."""
MOST_CONTRADICTING = 0.2
"""Share of rows that ask the same as another row which answers otherwise."""
AS_IS = "as it is"

Advice = Literal["train", "do not train", "cannot say"]


class Arm(Struct, kw_only=True, frozen=True):
    """One way to answer, measured on the held-back rows."""

    name: str
    quality: Estimate
    against: Difference | None
    """This minus the app as it is; None for that one."""
    p_holm: float | None
    cost_nano: int | None
    """Of a call, on average; None where the price is not known."""
    latency_ms: float
    """The median."""

    @property
    def is_better(self) -> bool:
        """Whether it beats the app as it is by more than chance."""
        return self.against is not None and self.against.value > 0 and (self.p_holm or 0) < ALPHA


class Rows(Struct, kw_only=True, frozen=True):
    """What is known of the rows."""

    train: int
    held: int
    tokens: int
    """Of the rows to learn from, about."""
    contradicting: float
    """Share of them whose question another row answers otherwise."""
    guessed: float | None
    """How often the commonest label is right, where the answers are a few labels and those of the likest rows
    are no better than that one."""


class Verdict(Struct, kw_only=True, frozen=True):
    """What is advised, and why."""

    advice: Advice
    sentences: tuple[str, ...]
    needed: int | None = None
    """Held-back rows that would decide."""


class Measured(Struct, kw_only=True, frozen=True):
    """What came out for the held-back rows, in their order."""

    values: Sequence[float]
    cost_nano: int | None
    latency_ms: float


def arms_of(measured: Mapping[str, Measured], groups: Sequence[str]) -> list[Arm]:
    """Figures with intervals; `AS_IS` must be there. Raises: ExtraMissing."""
    base = measured[AS_IS].values
    others = {name: paired(one.values, base, groups) for name, one in measured.items() if name != AS_IS}
    adjusted = dict(zip(others, holm([one.p for one in others.values()]), strict=True))
    return [
        Arm(
            name=name,
            quality=mean(one.values, groups),
            against=others.get(name),
            p_holm=adjusted.get(name),
            cost_nano=one.cost_nano,
            latency_ms=one.latency_ms,
        )
        for name, one in measured.items()
    ]


def judge(arms: Sequence[Arm], rows: Rows, target: float) -> Verdict:
    """Whether to train. `target` is the quality that is good enough, from 0 to 1."""
    if rows.held < FEWEST:
        said = (
            f"Only {rows.held} rows were held back and answered; {FEWEST} are the fewest that tell anything."
        )
        return Verdict(advice="cannot say", needed=FEWEST, sentences=(said,))
    as_is = next(one for one in arms if one.name == AS_IS)
    better = [one for one in arms if one.is_better]
    best = max(better, key=lambda one: one.quality.value, default=as_is)
    sentences = [_gain(best, as_is)]
    quality = best.quality
    if quality.value >= target and quality.low >= target - MARGIN:
        how = "The app as it is" if best is as_is else f"The app {best.name}"
        first = f"{how} reaches the target of {target:g} without training: {_shown(quality)}."
        return Verdict(advice="do not train", sentences=(first, *sentences))
    if quality.high >= target:
        needed = cases_needed(quality, max(abs(target - quality.value), _NEAREST))
        first = f"{_shown(quality)} may or may not reach the target of {target:g}."
        if needed > rows.held:
            sentences.append(f"Some {needed} held-back rows would decide; there are {rows.held}.")
        return Verdict(advice="cannot say", sentences=(first, *sentences), needed=needed)
    sentences.insert(0, f"Nothing cheaper reaches the target of {target:g}: at best {_shown(quality)}.")
    doubts = _doubts(rows, quality)
    if doubts:
        return Verdict(advice="cannot say", sentences=(*sentences, *doubts))
    if best is not as_is:
        first = f"Take the app {best.name} first: that costs no training."
        sentences.append(f"{first} Then training has {quality.value:.2f} to beat.")
    if not any(one.quality.value for one in arms):
        sentences.append("No answer was right at all: see first that the metric can be met by a good answer.")
    sentences.append("Training is worth trying; hold what comes out against the same rows.")
    return Verdict(advice="train", sentences=tuple(sentences))


def _doubts(rows: Rows, best: Estimate) -> list[str]:
    """What speaks against learning from these rows."""
    doubts = []
    if rows.train < FEWEST_ROWS:
        doubts.append(f"Only {rows.train} rows are there to learn from; {FEWEST_ROWS} are few already.")
    if rows.contradicting >= MOST_CONTRADICTING:
        share = f"{rows.contradicting:.0%}"
        doubts.append(f"{share} of the rows ask what another row answers otherwise: correct the rows first.")
    if rows.guessed is not None and best.low < rows.guessed + MARGIN:
        doubts.append(
            "The answers are a few labels. Those of the likest rows are no better than the commonest label, "
            "nor is the app: nothing shows that the answers follow from the questions."
        )
    return doubts


def _gain(best: Arm, as_is: Arm) -> str:
    if best is as_is or best.against is None:
        return f"Neither examples nor retrieval do better than the app as it is ({as_is.quality.value:.2f})."
    one = best.against
    return f"The app {best.name} is better than as it is by {one.value:.2f} [{one.low:.2f}, {one.high:.2f}]."


def _shown(one: Estimate) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
