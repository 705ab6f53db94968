"""How good a model may be at a task: a coarse expectation, corrected by what was seen here.

No public table of benchmarks is shipped: their terms are not checked, and their tasks are not yours. The
expectation is a convention of ours, from facts of the catalogue alone. It says that larger models are better,
by 8 points for each step of size, more so for code and reasoning, less so for sorting and extracting; that
thinking first helps where there is something to think about; and that older knowledge costs a little. The
size of a hosted model is not published: its price stands for it. Each expectation is as uncertain as ± 29
points (95 %), about nine answers' worth, so a few dozen scored answers of your own outweigh it.

Shrinkage: a Beta distribution with the expectation's mean and a standard deviation of 0.15, updated by scores
between 0 and 1, each as a part of a success (Gelman et al., Bayesian Data Analysis, 2.4). Fractions make the
interval wider than it need be, never narrower. The interval is the normal one around the mean.
"""

from math import sqrt
from typing import Final, NamedTuple

from greenroom.models.catalogue.facts import Model
from greenroom.models.catalogue.wish import Task

SPREAD: Final = 0.15
"""Standard deviation of an expectation."""
_MIDDLE: Final = 0.6
_STEP: Final = 0.08
_MIDDLE_CLASS: Final = 2.5
_WEIGHT: Final[dict[Task, float]] = {
    "classify": 0.5, "extract": 0.5, "rag": 0.6, "summarise": 0.7, "translate": 0.8, "chat": 0.8, "code": 1.2,
    "reason": 1.2, "agent": 1.2,
}  # fmt: skip
"""How much size matters to a task."""
_THINKING: Final = 0.04
_YEAR: Final = 0.03
_OLDEST: Final = 0.09
_UNNAMED_LANGUAGE: Final = 0.03
_CLASSES_USD: Final = (0.5, 2.0, 6.0, 20.0)
"""Where classes of hosted models end: US dollars for a million tokens of answer."""
_CLASSES_PARAMETERS: Final = (1e9, 4e9, 12e9, 40e9, 200e9)
"""Where classes of open ones end; of mixtures of experts the root of all times active ones counts."""


class Quality(NamedTuple):
    """Between 0 and 1; the interval holds 95 %."""

    mean: float
    low: float
    high: float
    seen: int
    """Scored answers behind it; 0 where it is an expectation alone."""
    why: str


class Seen(NamedTuple):
    """What was seen of a model here."""

    answers: int
    total: float
    """Sum of their scores, each from 0 to 1."""
    what: str
    """Where the scores are from, in words."""


def size_class(model: Model, usd_per_mtok: float | None) -> int | None:
    """From 0, the smallest, to 5; None where neither size nor price is known. `usd_per_mtok` is of output."""
    if model.parameters is not None:
        active = model.active_parameters or model.parameters
        size = sqrt(model.parameters.value * active.value)
        return sum(size >= bound for bound in _CLASSES_PARAMETERS)
    if usd_per_mtok is None:
        return None
    return 1 + sum(usd_per_mtok >= bound for bound in _CLASSES_USD)


def expect(
    model: Model, task: Task, usd_per_mtok: float | None, newest: str, languages: tuple[str, ...] = ()
) -> Quality:
    """What to expect before anything was seen. `newest` is the month of the newest knowledge there is."""
    found = size_class(model, usd_per_mtok)
    place = _MIDDLE_CLASS - 0.5 if found is None else found
    mean = _MIDDLE + _WEIGHT[task] * _STEP * (place - _MIDDLE_CLASS)
    if found is None:
        why = "its size is not known"
    elif model.parameters is not None:
        why = f"its size ({_count(model.parameters.value)} parameters), class {found} of 0 to 5"
    else:
        why = f"its price, which stands for its size, class {found} of 1 to 5"
    if task in {"code", "reason", "agent"} and model.reasoning is not None and model.reasoning.value:
        mean += _THINKING
        why += "; it thinks first"
    if model.knowledge is not None:
        years = max(0.0, _months(newest) - _months(model.knowledge.value)) / 12
        mean -= min(_OLDEST, _YEAR * years)
    else:
        mean -= _OLDEST / 2
    if languages and not (model.languages is not None and set(languages) <= set(model.languages.value)):
        mean -= _UNNAMED_LANGUAGE
        why += "; its maker does not name the languages"
    mean = min(max(mean, 0.05), 0.95)
    return _interval(mean, SPREAD, 0, f"expected from {why}; nothing was measured")


def learn(expected: Quality, seen: Seen) -> Quality:
    """The expectation corrected by what was seen. Raises: ValueError for sums no scores make."""
    if seen.answers < 0 or not 0 <= seen.total <= seen.answers:
        raise ValueError("scores are from 0 to 1, and there are no fewer than none of them")
    if not seen.answers:
        return expected
    strength = expected.mean * (1 - expected.mean) / SPREAD**2 - 1
    good = expected.mean * strength + seen.total
    bad = (1 - expected.mean) * strength + seen.answers - seen.total
    mean = good / (good + bad)
    spread = sqrt(mean * (1 - mean) / (good + bad + 1))
    average = seen.total / seen.answers
    why = f"{seen.answers} scored answers of your own ({seen.what}), {average:.0%} on average"
    return _interval(mean, spread, seen.answers, why)


def _interval(mean: float, spread: float, seen: int, why: str) -> Quality:
    return Quality(mean, max(0.0, mean - 1.96 * spread), min(1.0, mean + 1.96 * spread), seen, why)


def _months(text: str) -> int:
    year, _, rest = text.partition("-")
    month = rest[:2]
    return int(year) * 12 + (int(month) if month.isdigit() else 6) if year.isdigit() else 0


def _count(number: int) -> str:
    return f"{number / 1e9:.1f} billion" if number >= 1e9 else f"{number / 1e6:.0f} million"
