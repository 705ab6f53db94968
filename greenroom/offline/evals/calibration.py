"""How far a judge agrees with people, and what its pass rate says once its own mistakes are taken out of it.

Numbers alone; nothing here asks a model. Where a figure can't be had it is None, with the reason.
"""

from collections.abc import Sequence
from math import atanh, sqrt, tanh
from statistics import NormalDist

from msgspec import Struct

FEW = 20
"""With fewer labels of either kind the correction is said to be rough."""
SUBSTANTIAL = 0.6
"""Kappa from which agreement is called substantial. Source: Landis and Koch, 1977."""


class Interval(Struct, kw_only=True, frozen=True):
    """An estimate with its limits."""

    value: float
    low: float
    high: float


class Calibration(Struct, kw_only=True, frozen=True):
    """A judge held against people's labels."""

    both_pass: int
    judge_only: int
    """Passed by the judge, failed by people."""
    human_only: int
    both_fail: int
    abstained: int
    errors: int
    agreement: float | None
    kappa: Interval | None
    sensitivity: float | None
    """Share of the answers that people pass which the judge passes."""
    specificity: float | None
    """Share of the answers that people fail which the judge fails."""
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Labels that were compared."""
        return self.both_pass + self.judge_only + self.human_only + self.both_fail


def calibrate(
    pairs: Sequence[tuple[bool | None, bool]], errors: int = 0, confidence: float = 0.95
) -> Calibration:
    """Compare verdicts with labels: (judge, human); None where the judge abstained."""
    told = [(judge, human) for judge, human in pairs if judge is not None]
    both = sum(judge and human for judge, human in told)
    judge_only = sum(judge and not human for judge, human in told)
    human_only = sum(human and not judge for judge, human in told)
    neither = len(told) - both - judge_only - human_only
    passes, fails = both + human_only, neither + judge_only
    notes = []
    kappa = cohen_kappa(both, judge_only, human_only, neither, confidence)
    if kappa is None:
        notes.append("Kappa can't be told: judge or people gave the same verdict every time.")
    for name, count in (("passes", passes), ("fails", fails)):
        if count < FEW:
            notes.append(
                f"People's labels hold {count} {name}; with fewer than {FEW} the correction is rough."
            )
    return Calibration(
        both_pass=both, judge_only=judge_only, human_only=human_only, both_fail=neither,
        abstained=len(pairs) - len(told), errors=errors,
        agreement=(both + neither) / len(told) if told else None, kappa=kappa,
        sensitivity=both / passes if passes else None, specificity=neither / fails if fails else None,
        notes=tuple(notes),
    )  # fmt: skip


def cohen_kappa(
    both: int, judge_only: int, human_only: int, neither: int, confidence: float = 0.95
) -> Interval | None:
    """Agreement beyond chance; None where there is no variance to agree on.

    The limits are those of Fisher's z over a table with half a case more in each cell, so that full agreement
    over a few labels is not taken for certain.

    Sources: Cohen, "A coefficient of agreement for nominal scales", 1960; the standard error: Fleiss, Cohen
    and Everitt, "Large sample standard errors of kappa and weighted kappa", 1969.
    """
    if min(both + judge_only, human_only + neither, both + human_only, judge_only + neither) == 0:
        return None
    value, _ = _kappa(both, judge_only, human_only, neither)
    middle, error = _kappa(both + 0.5, judge_only + 0.5, human_only + 0.5, neither + 0.5)
    margin = NormalDist().inv_cdf(0.5 + confidence / 2) * error / (1 - middle * middle)
    low, high = tanh(atanh(middle) - margin), tanh(atanh(middle) + margin)
    return Interval(value=value, low=min(low, value), high=max(high, value))


def _kappa(both: float, judge_only: float, human_only: float, neither: float) -> tuple[float, float]:
    """Kappa and its standard error."""
    n = both + judge_only + human_only + neither
    cells = ((both / n, judge_only / n), (human_only / n, neither / n))
    judge = (cells[0][0] + cells[0][1], cells[1][0] + cells[1][1])
    human = (cells[0][0] + cells[1][0], cells[0][1] + cells[1][1])
    observed = cells[0][0] + cells[1][1]
    chance = judge[0] * human[0] + judge[1] * human[1]
    agreeing = sum(
        cells[i][i] * ((1 - chance) - (judge[i] + human[i]) * (1 - observed)) ** 2 for i in range(2)
    )
    differing = (1 - observed) ** 2 * sum(cells[i][1 - i] * (human[i] + judge[1 - i]) ** 2 for i in range(2))
    rest = (observed * chance - 2 * chance + observed) ** 2
    error = sqrt(max(0.0, agreeing + differing - rest) / n) / (1 - chance) ** 2
    return (observed - chance) / (1 - chance), error


def corrected_rate(
    passed: int, judged: int, calibration: Calibration, confidence: float = 0.95
) -> Interval | None:
    """The share that people would pass, from the judge's `passed` of `judged` other answers.

    None where the judge tells passes from fails no better than chance, or has no labels of a kind.

    Sources: Rogan and Gladen, "Estimating prevalence from the results of a screening test", 1978; the limits:
    Lang and Reiczigel, "Confidence limits for prevalence of disease adjusted for estimated sensitivity and
    specificity", 2014.
    """
    sensitivity, specificity = calibration.sensitivity, calibration.specificity
    if sensitivity is None or specificity is None or judged <= 0 or sensitivity + specificity <= 1:
        return None
    passes = calibration.both_pass + calibration.human_only
    fails = calibration.both_fail + calibration.judge_only
    value = (passed / judged + specificity - 1) / (sensitivity + specificity - 1)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    se = (calibration.both_pass + 1) / (passes + 2)
    sp = (calibration.both_fail + 1) / (fails + 2)
    if se + sp <= 1:
        return None
    rate = (passed + z * z / 2) / (judged + z * z)
    share = _within((rate + sp - 1) / (se + sp - 1))
    of_se, of_sp = se * (1 - se) / (passes + 2), sp * (1 - sp) / (fails + 2)
    of_rate = rate * (1 - rate) / (judged + z * z)
    error = sqrt(of_rate + share * share * of_se + (1 - share) ** 2 * of_sp) / (se + sp - 1)
    shift = 2 * z * z * (share * of_se - (1 - share) * of_sp)
    middle = share + shift
    low, high = _within(middle - z * error), _within(middle + z * error)
    value = _within(value)
    return Interval(value=value, low=min(low, value), high=max(high, value))


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
