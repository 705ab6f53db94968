"""What training is estimated to take: of what, on what, and how sure that is. Types alone; see `estimate`."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

NANO = 1_000_000_000
"""Money is in whole nano-dollars."""
WATTS_PER_THREAD = 10.0
"""A busy core of a server or desktop with its share of memory and power supply; from 5 to 20 in practice."""


class TokenCounts(Struct, frozen=True, kw_only=True):
    """How long the rows are, with everything that the chat template puts around them."""

    lengths: Sequence[int]
    """Tokens of each training row; of a preference pair the longer side."""
    valid_lengths: Sequence[int] = ()
    learned: int = 0
    """Tokens of the training rows that the loss counts; 0 where that is not known."""
    text_tokens: int = 0
    """Of the plain text that a model from nothing, or a continued one, reads first; from nothing without a
    text, of the rows."""
    text_bytes: int = 0
    """Of which a tokenizer is learned."""
    vocabulary: int | None = None
    """Of the tokenizer that a model from nothing gets; None where it is not learned yet."""
    is_counted: bool = False
    """By the model's own tokenizer; else told from the characters, which is off by up to a third."""


class Speed(Struct, frozen=True, kw_only=True):
    """How fast a machine is in what training consists of, a thread."""

    flops: float
    """Multiplications and additions a second in products of matrices."""
    bytes_per_s: float
    """Read and written by sums over large tensors."""
    calls_per_s: float
    """Operations on small tensors."""
    start_s: float
    """CPU seconds until the libraries are loaded, of the run that was asked about."""
    start_mb: float
    """What they take of memory."""


class Survey(Struct, frozen=True, kw_only=True):
    """What a short look at a job's folder found, on the machine that will train."""

    tokens: TokenCounts
    speed: Speed


class Machine(Struct, frozen=True, kw_only=True):
    """What training may take."""

    memory_bytes: int = 0
    """That may be had now; 0 where it is not known, and then nothing is refused for it."""
    threads: int = 1
    speed: Speed | None = None
    """As a short run on it showed; None for that of another machine, and then time is far less sure."""
    watts: float | None = None
    """While it trains; None for WATTS_PER_THREAD a thread."""
    nano_usd_per_kwh: int = 0
    nano_usd_per_hour: int = 0
    """What the machine itself costs, where it is rented."""


class Figure(Struct, frozen=True):
    """A number, and the bounds it keeps in nine runs of ten."""

    value: float
    low: float
    high: float


class Estimate(Struct, frozen=True, kw_only=True):
    """What one run is expected to take."""

    peak_memory_mb: Figure
    wall_s: Figure
    cpu_s: Figure
    energy_kwh: Figure
    cost_nano_usd: Figure
    """Of energy, and of the machine's hours where they have a price."""
    steps: int
    """Of the part on rows."""
    first_steps: int
    """Of the part on plain text before."""
    tokens: int
    """That go through the model in training, repetition and what fills up included."""
    parameters: int
    trained_parameters: int
    memory: dict[str, float]
    """MB by what takes it, at the peak."""
    seconds: dict[str, float]
    """CPU seconds by what takes them."""
    fits: bool
    why: str
    """A sentence."""
    remedies: tuple[str, ...] = ()
    """What would fit, when this does not; the least change first."""

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """As the API and `--json` tell it."""
        return {
            name: asdict(value) if isinstance(value, Figure) else value
            for name, value in asdict(self).items()
        }
