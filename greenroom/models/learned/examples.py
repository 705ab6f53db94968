"""What a router learns from: prompts, and how well targets answered them. Reads it from JSON Lines.

    {"prompt": "…", "target": "provider/model", "score": 0.8, "cost_usd": 0.0004, "output_tokens": 212}
    {"prompt": "…", "scores": {"a/x": 1, "b/y": 0}, "costs_usd": {"a/x": 0.0001, "b/y": 0.002}}

One answer a line, or all answers to a prompt; a cost and a number of tokens may be left out. Two answers of
one target to the same prompt count as their mean.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from greenroom.errors import ConfigError

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

LONGEST_LINE = 4 << 20
MOST_LINES = 1_000_000
_SAME = 90
"""Letters and digits from the beginning by which prompts are told to be about one thing."""

Score = Annotated[float, Meta(ge=0, le=1)]
Cost = Annotated[float, Meta(ge=0, le=1e6)]
Name = Annotated[str, Meta(min_length=1, max_length=300)]


class _Line(Struct, kw_only=True):
    prompt: Annotated[str, Meta(min_length=1)]
    target: Name | None = None
    score: Score | None = None
    cost_usd: Cost | None = None
    output_tokens: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    scores: dict[Name, Score | None] = {}
    costs_usd: dict[Name, Cost | None] = {}


class Answer(NamedTuple):
    """One scored answer."""

    prompt: str
    target: str
    score: float
    """0 to 1: how good it was."""
    cost_usd: float | None = None
    output_tokens: int | None = None


class Examples(NamedTuple):
    """Prompts by targets."""

    prompts: tuple[str, ...]
    targets: tuple[str, ...]
    scores: "NDArray[float64]"
    """`(prompts, targets)`; nan where a target was not asked."""
    costs: "NDArray[float64]"
    """`(prompts, targets)` in US dollars; nan where it is not known."""
    output_tokens: "NDArray[float64]"
    """`(targets,)`: the mean length of answers; nan where it is not known."""
    groups: "NDArray[float64]"
    """`(prompts,)`: equal numbers are about one thing, and are never on both sides of a split."""

    def some(self, rows: "NDArray[intp]") -> "Examples":
        """Those of the given rows."""
        return Examples(
            tuple(self.prompts[int(row)] for row in rows), self.targets, self.scores[rows], self.costs[rows],
            self.output_tokens, self.groups[rows],
        )  # fmt: skip


def group_of(prompt: str) -> int:
    """A number for prompts that begin with the same 90 letters and digits, of 52 bits."""
    letters = "".join(one for one in prompt[:2_000].lower() if one.isalnum())[:_SAME]
    return int.from_bytes(blake2b(letters.encode(), digest_size=8).digest(), "big") >> 12


def read_lines(path: Path) -> list[Answer]:
    """The answers in a file. Raises: ConfigError that names the line."""
    found: list[Answer] = []
    decode = msgspec.json.Decoder(_Line).decode
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
                if len(line) > LONGEST_LINE:
                    raise ConfigError(f"{path}, line {number}: it is longer than {LONGEST_LINE >> 20} MiB.")
                if number > MOST_LINES:
                    raise ConfigError(f"{path} has more than {MOST_LINES:,} lines. Take a part of it.")
                if line.strip():
                    found += _answers(decode, line, f"{path}, line {number}")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}.") from error
    return found


def _answers(decode: Callable[[bytes], _Line], line: bytes, where: str) -> list[Answer]:
    try:
        one: _Line = decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}. A line is a JSON object with prompt, target, score.") from None
    if one.target is not None and one.score is not None:
        return [Answer(one.prompt, one.target, one.score, one.cost_usd, one.output_tokens)]
    if not one.scores:
        raise ConfigError(f"{where}: it has neither target and score nor scores.")
    return [
        Answer(one.prompt, name, score, one.costs_usd.get(name))
        for name, score in one.scores.items()
        if score is not None
    ]


def gather(answers: Iterable[Answer]) -> Examples:
    """Answers by prompt and target, in the order in which they come. Raises: ConfigError without any."""
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    kept = list(answers)
    prompts = {prompt: row for row, prompt in enumerate(dict.fromkeys(one.prompt for one in kept))}
    targets = {name: at for at, name in enumerate(dict.fromkeys(one.target for one in kept))}
    if not kept:
        raise ConfigError("There is no scored answer in what was given.")
    shape = (len(prompts), len(targets))
    sums, counts = np.zeros(shape), np.zeros(shape)
    costs, paid = np.zeros(shape), np.zeros(shape)
    tokens, told = np.zeros(len(targets)), np.zeros(len(targets))
    for one in kept:
        row, at = prompts[one.prompt], targets[one.target]
        sums[row, at] += one.score
        counts[row, at] += 1
        if one.cost_usd is not None:
            costs[row, at] += one.cost_usd
            paid[row, at] += 1
        if one.output_tokens is not None:
            tokens[at] += one.output_tokens
            told[at] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return Examples(
            tuple(prompts), tuple(targets), sums / counts, costs / paid, tokens / told,
            np.array([group_of(one) for one in prompts], np.float64),
        )  # fmt: skip
