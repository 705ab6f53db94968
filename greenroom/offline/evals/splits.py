"""Parts of a data set that stay apart: train, dev and test, by the hash of what belongs together.

A sample's part depends on its group alone (on what it asks, where it has none) and on the shares: rows added
later, or read in another order, never move one that is there.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.runner import digest_of
from greenroom.offline.evals.sample import Sample

SHARES: Mapping[str, float] = {"train": 0.6, "dev": 0.2, "test": 0.2}
_RANGE = 1 << 64


def split(samples: Sequence[Sample], shares: Mapping[str, float] = SHARES) -> dict[str, list[Sample]]:
    """The samples of each part, in their order. Raises: MalformedRequest unless the shares add up to 1."""
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise MalformedRequest("The shares of a split must be 0 or more and add up to 1.", "shares")
    parts: dict[str, list[Sample]] = {name: [] for name in shares}
    for sample in samples:
        parts[_part(sample, shares)].append(sample)
    return parts


def _part(sample: Sample, shares: Mapping[str, float]) -> str:
    whose = sample.group or digest_of(sample)
    place = int.from_bytes(sha256(whose.encode("utf-8", "surrogatepass")).digest()[:8], "big") / _RANGE
    for name, share in shares.items():
        place -= share
        if place < 0:
            return name
    return [*shares][-1]
