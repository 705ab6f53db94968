"""`cache`: prompts that ask the same and prompts that only look so, by the encoder and rules as they ship.

English pairs of our own in two parts. The first was used to find the rules; after the second, five pairs that
only swap two words, the order of words was made to count, and nothing else was changed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from evals.figures import Row, share
from greenroom.config import AppConfig
from greenroom.models.encoder import MiniLM
from greenroom.models.likeness import likeness

_SECOND = "# What follows"


class _Pair(NamedTuple):
    part: str
    is_same: bool
    cosine: float
    agrees: bool


def measure(data: Path) -> Iterator[Row]:
    """Hits among pairs that ask the same, false hits among others, and what the cosine alone would do."""
    threshold = AppConfig().cache_threshold
    pairs = list(_pairs())
    for part in ("first part", "second part"):
        of = f"alike.txt, {part}"
        for is_same, figure, goal in ((True, "hits", None), (False, "false hits", ("<=", 0.01))):
            chosen = [one for one in pairs if one.part == part and one.is_same is is_same]
            near = [one for one in chosen if one.cosine >= threshold]
            hits = sum(one.agrees for one in near)
            yield share("cache", figure, of, "en", hits, len(chosen), goal)
            yield share("cache", f"{figure}, cosine alone", of, "en", len(near), len(chosen))


def _pairs() -> Iterator[_Pair]:
    encoder = MiniLM()
    part = "first part"
    for line in (Path(__file__).parent / "own" / "alike.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(_SECOND):
            part = "second part"
        if line[:1] in {"=", "!"}:
            one, two = line[2:].split(" | ")
            vectors = encoder.encode([one, two])
            yield _Pair(
                part, line[0] == "=", float(vectors[0] @ vectors[1]), likeness(one).agrees(likeness(two))
            )
