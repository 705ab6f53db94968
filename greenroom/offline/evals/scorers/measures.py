"""Scorers of what an answer takes: time and money."""

from typing import Annotated

from msgspec import Meta

from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.settings import Lent, Settings

_NANO = 1_000_000_000
Above0 = Annotated[float, Meta(gt=0)]


class LatencyConfig(Settings, frozen=True):
    """`latency`: milliseconds until the whole answer was there."""

    at_most: Above0 | None = None
    """Up to here it has passed."""


class Latency:
    """In milliseconds; an answer from an earlier run has the time it took then."""

    higher_is_better = False
    unit = "ms"

    def __init__(self, name: str, settings: LatencyConfig, lent: Lent) -> None:
        self.name = name
        self._at_most = settings.at_most

    async def score(self, sample: Sample, output: Output) -> Score:
        """As measured."""
        value = output.latency_ms
        return Score(
            name=self.name, value=value, passed=None if self._at_most is None else value <= self._at_most
        )


class CostConfig(Settings, frozen=True):
    """`cost`: US dollars for the answer."""

    at_most: Above0 | None = None


class Cost:
    """In US dollars. No value where the price is not known."""

    higher_is_better = False
    unit = "usd"

    def __init__(self, name: str, settings: CostConfig, lent: Lent) -> None:
        self.name = name
        self._at_most = settings.at_most

    async def score(self, sample: Sample, output: Output) -> Score:
        """As the price book says."""
        if output.cost_nano_usd is None:
            return Score(name=self.name, reason="The price of this model is not known.")
        value = output.cost_nano_usd / _NANO
        return Score(
            name=self.name, value=value, passed=None if self._at_most is None else value <= self._at_most
        )
