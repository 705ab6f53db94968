"""Scorers that hold the answer's text against what was expected: equal, containing, fitting a pattern."""

import unicodedata
from typing import Literal

import re2  # type: ignore[import-untyped]  # it brings no types
from msgspec import DecodeError
from msgspec.json import decode

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.settings import Lent, Settings, expected_texts, no_expectation

_LONGEST_PATTERN = 10_000


class ExactConfig(Settings, frozen=True):
    """`exact`: the answer is one of the expected texts, white space at its ends aside."""

    ignore_case: bool = False
    ignore_punctuation: bool = False
    """Marks, and white space beside one blank between words."""


class Exact:
    """1 or 0. Letters are compared in their composed form; what is expected as JSON, as JSON."""

    higher_is_better = True

    def __init__(self, name: str, settings: ExactConfig, lent: Lent) -> None:
        self.name = name
        self._settings = settings

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against any of the expected."""
        if sample.expected is None:
            return no_expectation(self.name)
        if isinstance(sample.expected, dict):
            is_equal = _is_json(output.text, sample.expected)
        else:
            is_equal = self._plain(output.text) in {self._plain(one) for one in expected_texts(sample)}
        return Score(name=self.name, value=float(is_equal), passed=is_equal)

    def _plain(self, text: str) -> str:
        plain = unicodedata.normalize("NFC", text).strip()
        if self._settings.ignore_case:
            plain = plain.casefold()
        if self._settings.ignore_punctuation:
            kept = (" " if unicodedata.category(one)[0] in "PZSC" else one for one in plain)
            plain = " ".join("".join(kept).split())
        return plain


def _is_json(text: str, expected: object) -> bool:
    try:
        return bool(decode(without_fence(text)) == expected)
    except (DecodeError, RecursionError):
        return False


def without_fence(text: str) -> str:
    """What stands within a Markdown fence, where the whole text is one; otherwise the text."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") + 1 : -3].strip()
    return stripped


class ContainsConfig(Settings, frozen=True):
    """`contains`: the answer holds what is expected somewhere."""

    ignore_case: bool = True
    need: Literal["any", "all"] = "any"
    """Of several expected texts."""


class Contains:
    """1 or 0."""

    higher_is_better = True

    def __init__(self, name: str, settings: ContainsConfig, lent: Lent) -> None:
        self.name = name
        self._settings = settings

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against any, or all, of the expected."""
        wanted = [self._plain(one) for one in expected_texts(sample)]
        if not any(wanted):
            return no_expectation(self.name)
        text = self._plain(output.text)
        missing = [one for one in wanted if one not in text]
        is_there = not missing if self._settings.need == "all" else len(missing) < len(wanted)
        return Score(name=self.name, value=float(is_there), passed=is_there)

    def _plain(self, text: str) -> str:
        plain = unicodedata.normalize("NFC", text)
        return plain.casefold() if self._settings.ignore_case else plain


class RegexConfig(Settings, frozen=True):
    """`regex`: the answer fits a pattern (RE2's syntax), anywhere in it."""

    pattern: str | None = None
    """Without it, the sample's `expected` is the pattern."""
    is_absent: bool = False
    """Whether the pattern must not fit."""


class Regex:
    """1 or 0. Linear in the answer's length, whatever the pattern."""

    higher_is_better = True

    def __init__(self, name: str, settings: RegexConfig, lent: Lent) -> None:
        self.name = name
        self._settings = settings
        self._compiled = None if settings.pattern is None else _compile(settings.pattern)

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against the pattern of the settings, or of the sample."""
        pattern = self._compiled
        if pattern is None:
            if not isinstance(sample.expected, str):
                return no_expectation(self.name)
            pattern = _compile(sample.expected)
        fits = (pattern.search(output.text) is not None) != self._settings.is_absent
        return Score(name=self.name, value=float(fits), passed=fits)


def _compile(pattern: str) -> "re2._Regexp":
    if len(pattern) > _LONGEST_PATTERN:
        raise MalformedRequest(f"The pattern is longer than {_LONGEST_PATTERN} characters.", "pattern")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise MalformedRequest(f"The pattern can't be read: {reason}.", "pattern") from None
