"""The scorer of numbers: what a number in the answer means, in the forms of three languages.

1,234.5 in English, 1.234,5 in Portuguese and Spanish; number words and "3 mil" are read too. Knows the
reading of quantities that `verify` uses.
"""

from typing import Annotated, Literal

from msgspec import Meta

from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.settings import Lent, Settings, no_expectation
from greenroom.stages.language import detect
from greenroom.stages.postprocess.numerals import Quantity
from greenroom.stages.postprocess.quantities import facts

_SURE = 0.8
"""From this confidence on, the language of an answer decides what "1.234" means; below, either will do."""
_LANGUAGES = ("en", "pt", "es")


class NumericConfig(Settings, frozen=True):
    """`numeric`: a number in the answer is the expected one, within a tolerance."""

    tolerance: Annotated[float, Meta(ge=0)] = 0.0
    """How far it may be off."""
    relative: Annotated[float, Meta(ge=0)] = 0.0
    """How far, as a share of the expected number. The larger of both counts."""
    which: Literal["last", "first", "any"] = "last"
    """Which number of the answer."""
    language: Literal["en", "pt", "es"] | None = None
    """How numbers are written; without it the row's `language` says, then the answer's own."""


class Numeric:
    """1 or 0. Without a number in the answer 0."""

    higher_is_better = True

    def __init__(self, name: str, settings: NumericConfig, lent: Lent) -> None:
        self.name = name
        self._settings = settings

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against a number, or a text that holds one."""
        named = self._settings.language or sample.item.get("language")
        wanted = _wanted(sample.expected, named if named in _LANGUAGES else None)
        if wanted is None:
            return no_expectation(self.name)
        readings = self._readings(output.text, named if named in _LANGUAGES else None)
        is_right = any(self._is_near(one, value) for one in readings for value in wanted)
        found = f"the number is {readings[0]:.15g}" if readings else "there is no number in the answer"
        return Score(name=self.name, value=float(is_right), passed=is_right, reason=found)

    def _readings(self, text: str, language: str | None) -> list[float]:
        """What the chosen numbers of a text may mean."""
        if language is None:
            code, confidence = detect(text)
            language = code if code in _LANGUAGES and confidence >= _SURE else None
        found = _numbers(text, language or "en")
        chosen = found if self._settings.which == "any" else found[-1:] if self._is_last else found[:1]
        return [value for one in chosen for value in _values(text, one, is_sure=language is not None)]

    @property
    def _is_last(self) -> bool:
        return self._settings.which == "last"

    def _is_near(self, found: float, wanted: float) -> bool:
        reach = max(self._settings.tolerance, self._settings.relative * abs(wanted))
        return abs(found - wanted) <= reach + 1e-9 * abs(wanted)


def _wanted(expected: object, language: str | None) -> list[float] | None:
    """The expected number's readings; None where there is no number."""
    if isinstance(expected, bool):
        return None
    if isinstance(expected, int | float):
        return [float(expected)]
    text = expected if isinstance(expected, str) else ""
    found = _numbers(text, language or "en")
    return list(_values(text, found[-1], is_sure=language is not None)) if found else None


def _numbers(text: str, language: str) -> list[Quantity]:
    """In digits; only where there are none, in words."""
    found = [one for one in facts(text, language).quantities if not one.is_soft]
    return [one for one in found if not one.is_word] or found


def _values(text: str, one: Quantity, *, is_sure: bool) -> tuple[float, ...]:
    """As they are said, not in base units: 5 km is 5; "is -3" is below zero, "2020-3" is not."""
    said = one.values[:1] if is_sure else one.values
    values = tuple(value / one.factor for value in said)
    at = text.find(one.raw, one.start) if one.raw else 0
    if at > 0 and text[at - 1] in "-−" and not text[at - 2 : at - 1].strip().isalnum():
        return tuple(-abs(value) for value in values)
    return values
