"""What all scorers are made from: their settings, and what is lent to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from greenroom.contracts import Encoder
from greenroom.offline.evals.sample import Sample, Score, Scorer

Share = Annotated[float, Meta(ge=0, le=1)]


class Settings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Of a scorer, as `[scorers.NAME]` of a suite holds them."""

    type: str = ""
    """Which scorer; without it NAME is."""


class Lent(NamedTuple):
    """What scorers may use that they do not make themselves."""

    folder: Path
    """The suite's: files are looked for there, and functions nowhere else."""
    encoder: Encoder | None = None


class Kind(NamedTuple):
    """One kind of scorer."""

    settings: type[Settings]
    make: Callable[..., Scorer]
    """From its name, its settings and what is lent. Raises: RequestError for settings that make no sense."""
    summary: str


def expected_texts(sample: Sample) -> tuple[str, ...]:
    """What the answer should be, as texts; several where any of them will do."""
    expected = sample.expected
    if expected is None:
        return ()
    several = expected if isinstance(expected, list) else [expected]
    return tuple(one if isinstance(one, str) else _plain(one) for one in several)


def no_expectation(name: str) -> Score:
    """The score where a sample does not say what it expects."""
    return Score(name=name, error="The sample has no 'expected', which this scorer needs.")


def passed(value: float, at_least: float | None) -> bool | None:
    """Whether a value is enough; None where nobody said what is."""
    return None if at_least is None else value >= at_least


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
