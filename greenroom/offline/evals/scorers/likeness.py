"""Scorers of how like the answer is to what was expected: by letters, by words, by meaning."""

import asyncio
from importlib import import_module
from typing import Any, Literal

from greenroom.contracts import Encoder
from greenroom.errors import ExtraMissing
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.settings import (
    Lent,
    Settings,
    Share,
    expected_texts,
    no_expectation,
    passed,
)
from greenroom.offline.evals.statistics import INSTALL
from greenroom.stages.language import detect

_MOST = 20_000
"""Characters of an answer that are compared letter by letter: 20 ms."""
EMBED = "pip install 'greenroom[embed]'"


class EditConfig(Settings, frozen=True):
    """`edit`: likeness by letters, 1 minus the edit distance over the longer length."""

    at_least: Share | None = None
    """From here on it has passed."""
    ignore_case: bool = False


class Edit:
    """0 to 1: the best of the expected texts. Levenshtein's distance, over the first 20,000 characters."""

    higher_is_better = True

    def __init__(self, name: str, settings: EditConfig, lent: Lent) -> None:
        self.name = name
        self._settings = settings
        self._compare = _library("rapidfuzz.distance.Levenshtein").normalized_similarity

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against the expected text that is nearest."""
        wanted = expected_texts(sample)
        if not wanted:
            return no_expectation(self.name)
        text = self._plain(output.text)
        value = max(float(self._compare(text, self._plain(one))) for one in wanted)
        return Score(name=self.name, value=value, passed=passed(value, self._settings.at_least))

    def _plain(self, text: str) -> str:
        short = text.strip()[:_MOST]
        return short.casefold() if self._settings.ignore_case else short


class OverlapConfig(Settings, frozen=True):
    """`chrf` and `bleu`: overlap with the expected texts, as translations are scored."""

    at_least: Share | None = None


class Overlap:
    """0 to 1, by sacrebleu: its sentence score over 100. The reason is sacrebleu's signature."""

    higher_is_better = True

    def __init__(
        self, name: str, settings: OverlapConfig, lent: Lent, metric: Literal["chrf", "bleu"]
    ) -> None:
        self.name = name
        self._settings = settings
        metrics = _library("sacrebleu.metrics")
        # Without the effective order a short sentence has no 4-grams, and BLEU is 0 whatever it says.
        self._metric = metrics.CHRF() if metric == "chrf" else metrics.BLEU(effective_order=True)

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against all expected texts together."""
        wanted = expected_texts(sample)
        if not wanted:
            return no_expectation(self.name)
        value = self._metric.sentence_score(output.text.strip(), list(wanted)).score / 100
        signature = str(self._metric.get_signature())
        return Score(
            name=self.name, value=value, passed=passed(value, self._settings.at_least), reason=signature
        )


class SemanticConfig(Settings, frozen=True):
    """`semantic`: likeness of meaning, by the embedded encoder. It knows English only."""

    at_least: Share | None = None


class Semantic:
    """The cosine to the nearest expected text, 0 to 1. No value in languages that the encoder can't read."""

    higher_is_better = True

    def __init__(self, name: str, settings: SemanticConfig, lent: Lent) -> None:
        if lent.encoder is None:
            raise ExtraMissing(f"The scorer '{name}' needs the encoder. Install it with: {EMBED}", "scorers")
        self.name = name
        self._settings = settings
        self._encoder: Encoder = lent.encoder

    async def score(self, sample: Sample, output: Output) -> Score:
        """Against the expected text that is nearest."""
        wanted = expected_texts(sample)
        if not wanted:
            return no_expectation(self.name)
        language, confidence = detect(output.text)
        if language not in self._encoder.languages and confidence >= 0.8:
            known = ", ".join(sorted(self._encoder.languages))
            return Score(name=self.name, reason=f"The answer is in '{language}'; the encoder knows: {known}.")
        vectors = await asyncio.to_thread(self._encoder.encode, [output.text, *wanted])
        value = max(0.0, float((vectors[1:] @ vectors[0]).max()))
        return Score(name=self.name, value=value, passed=passed(value, self._settings.at_least))


def _library(name: str) -> Any:  # Any: an optional library
    try:
        return import_module(name)
    except ImportError:
        raise ExtraMissing(
            f"This scorer needs {name.partition('.')[0]}. Install it with: {INSTALL}", "scorers"
        ) from None
