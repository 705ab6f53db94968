"""Train, dev and held-back parts of a data set: by group, the same every time, no text in two of them."""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from msgspec.json import encode

from greenroom.errors import RequestError
from greenroom.offline.evals.sample import Sample

FEWEST = 24
"""With fewer samples a paired test of the held-back part would have under 10 pairs, and hardly comes out."""
_SHARES = (0.3, 0.3)
"""Of train and dev; the rest is held back, as the decision needs the most."""
_MOST = (150, 150, 400)
"""More samples cost more than they tell: 400 pairs show a gain of 5 points in 4 of 5 cases."""


class Parts(NamedTuple):
    """Prompts are improved on `train`, chosen on `dev`, judged on `held_back`, which nothing else sees."""

    train: tuple[Sample, ...]
    dev: tuple[Sample, ...]
    held_back: tuple[Sample, ...]


def split(samples: Sequence[Sample], seed: int = 0) -> Parts:
    """Divide by group in a fixed order that `seed` chooses; samples with equal input count as one group.

    Of a large set only as many as are of use. The row's place in the file plays no part, and adding rows
    moves only few of the others.
    Raises: RequestError when there are fewer than `FEWEST` samples, or too few groups for three parts.
    """
    if len(samples) < FEWEST:
        raise RequestError(
            f"{len(samples)} samples are too few to improve a prompt and prove it: bring at least {FEWEST}."
        )
    clusters = _clusters(samples)
    order = sorted(clusters, key=lambda name: sha256(f"{seed}\0{name}".encode()).digest())
    parts: tuple[list[Sample], list[Sample], list[Sample]] = ([], [], [])
    until = (_SHARES[0] * len(samples), (_SHARES[0] + _SHARES[1]) * len(samples))
    done = 0
    for name in order:
        middle = done + len(clusters[name]) / 2
        place = sum(middle > end for end in until)
        if len(parts[place]) < _MOST[place]:
            parts[place].extend(clusters[name])
        done += len(clusters[name])
    if min(map(len, parts)) < 3:
        raise RequestError(
            f"The samples fall into {len(clusters)} groups, which can't be divided into three parts. "
            "Bring samples of more conversations or documents."
        )
    train, dev, held = (tuple(sorted(part, key=lambda one: one.id)) for part in parts)
    return Parts(train, dev, held)


def input_digest(sample: Sample) -> bytes:
    """What a sample asks, as 16 bytes: equal for equal messages and variables."""
    asked = encode((sample.messages, sorted(sample.variables.items())))
    return sha256(asked).digest()[:16]


def _clusters(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Samples that must not be torn apart, by the first id among them."""
    leader: dict[object, object] = {}

    def find(name: object) -> object:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for sample in samples:
        own = ("sample", sample.id)
        for tie in (input_digest(sample), *([("group", sample.group)] if sample.group else [])):
            leader[find(tie)] = find(own)
    gathered: dict[object, list[Sample]] = {}
    for sample in samples:
        gathered.setdefault(find(("sample", sample.id)), []).append(sample)
    return {min(one.id for one in members): members for members in gathered.values()}
