"""The classifier that `injection` and `offense` share: hashed n-grams, linear weights, the strongest window.

A text is read as folded Latin-1 bytes (see `fold`). Every position gives its character 2- to 5-grams, every
word itself and its pair with the next; each is hashed to one of `SLOTS` weights of two judges at once. A
window's score is the sum of its weights over the square root of its length, which is the dot product with
the unit vector of its counts as long as few n-grams repeat. Whole texts dilute: a text is as bad as its worst
window. Imports numpy (with the weights 15 MiB, 0.2 s): import this module where it is first needed.

Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009; windows after
Andrews et al., "Support Vector Machines for Multiple-Instance Learning", NIPS 2002.
"""

from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BITS = 18
SLOTS = 1 << BITS
ORDERS = (2, 3, 4, 5)
WINDOW, STRIDE = 256, 128
"""Characters of the fixed windows that are laid over long texts beside the sentences."""
BLOCK = 16_384
"""Longer texts are read in blocks of this many characters, one after another."""
_SHORTEST = 12
"""A sentence of fewer characters is judged together with its neighbour only."""

_FACTOR, _MIX = 0x01000193, 2654435761
_PAD = b" " * max(ORDERS)
_UNKNOWN = ord("?")
"""What `fold` gives for a character that Latin-1 lacks."""

_power = np.cumprod(np.full(BLOCK + 64, _FACTOR, np.uint32), dtype=np.uint32)
_inverse = np.cumprod(np.full(BLOCK + 64, pow(_FACTOR, -1, 1 << 32), np.uint32), dtype=np.uint32)
_is_word = np.zeros(256, np.bool_)
_is_word[[*range(48, 58), *range(97, 123), 39]] = True
_is_stop = np.zeros(256, np.bool_)
_is_stop[list(b".!?\n")] = True
_DIGITS_ONE = bytes(48 if 48 <= one <= 57 else 32 if one in b"\t\r" else one for one in range(256))

Slots = NDArray[np.intp]
Places = NDArray[np.int64]


def slots(folded: bytes) -> tuple[Slots, Slots, Slots]:
    """The slots of a folded text: of n-grams `(orders, n)`, of words and pairs `(2, n)`, words' starts."""
    data = np.frombuffer(folded.translate(_DIGITS_ONE) + _PAD, np.uint8)
    length = len(folded)
    wide = data.astype(np.uint32)
    grams = np.empty((len(ORDERS), length), np.intp)
    rolling = wide[:length].copy()
    for row, order in enumerate(range(2, max(ORDERS) + 1)):
        rolling *= np.uint32(_FACTOR)
        rolling += wide[order - 1 : order - 1 + length]
        grams[row] = _slot(rolling ^ np.uint32(order * 0x9E3779B1 & 0xFFFFFFFF))
    is_word = _is_word[data]
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    if is_word[0]:
        edges = np.concatenate(([0], edges))
    starts, ends = edges[0::2], edges[1::2]
    total = np.concatenate((np.zeros(1, np.uint32), np.cumsum(wide * _power[: len(wide)], dtype=np.uint32)))
    words = (total[ends] - total[starts]) * _inverse[starts]
    following = np.concatenate((words[1:], np.zeros(min(1, len(words)), np.uint32)))
    pairs = words * np.uint32(0x85EBCA6B) + following
    spoken = np.stack((_slot(words ^ np.uint32(0x5BD1E995)), _slot(pairs)))
    return grams, spoken, starts


def _slot(hashes: NDArray[np.uint32]) -> Slots:
    mixed: Slots = ((hashes * np.uint32(_MIX)) >> np.uint32(32 - BITS)).astype(np.intp)
    return mixed


def windows(folded: bytes) -> Places:
    """Starts and ends `(2, n)` of what is scored: the whole, sentences, neighbouring pairs, fixed windows."""
    length = len(folded)
    whole = [[0], [length]]
    if length < 2 * _SHORTEST:
        return np.array(whole)
    data = np.frombuffer(folded, np.uint8)
    stops = np.flatnonzero(_is_stop[data])
    stops = stops[(data[np.minimum(stops + 1, length - 1)] <= 32) | (data[stops] == 10)] + 1
    bounds = np.concatenate(([0], stops[stops < length], [length]))
    firsts, lasts = bounds[:-1], bounds[1:]
    laid = np.arange(0, length - STRIDE, STRIDE) if length > WINDOW else np.empty(0, np.int64)
    starts = np.concatenate((whole[0], firsts, firsts[:-1], laid))
    ends = np.concatenate((whole[1], lasts, lasts[1:], np.minimum(laid + WINDOW, length)))
    wide = ends - starts >= _SHORTEST
    return np.stack((starts[wide], ends[wide]))


class Scored(NamedTuple):
    """The strongest window of one judge: its log-odds and where it stands."""

    logit: float
    start: int
    end: int


class Classifier:
    """Weights of two judges, `SLOTS` complex numbers: real for `injection`, imaginary for `offense`.

    One gather serves both. Holds nothing between calls.
    """

    def __init__(self, weights: NDArray[np.float32], biases: tuple[float, float]) -> None:
        """`weights` `(SLOTS, 2)`."""
        self._weights = np.ascontiguousarray(weights, np.float32).view(np.complex64).reshape(SLOTS)
        self._biases = biases

    @classmethod
    def load(cls, scales: tuple[float, float], biases: tuple[float, float]) -> "Classifier":
        """The shipped weights: `(SLOTS, 2)` int8, times a scale for each judge."""
        with (resources.files("greenroom") / "data" / "judges" / "weights.npy").open("rb") as file:
            packed = np.load(file, allow_pickle=False)
        return cls(packed.astype(np.float32) * np.array(scales, np.float32), biases)

    def score(self, folded: bytes) -> tuple[Scored, Scored]:
        """The strongest window for each judge. Linear in the text; about 0.1 ms for 2,000 characters."""
        if len(folded) <= BLOCK:
            return self._score(folded, 0)
        blocks = [
            self._score(folded[start : start + BLOCK], start)
            for start in range(0, len(folded) - STRIDE, BLOCK - WINDOW)
        ]
        return max(one[0] for one in blocks), max(one[1] for one in blocks)

    def _score(self, folded: bytes, base: int) -> tuple[Scored, Scored]:
        if not folded:
            return Scored(self._biases[0], base, base), Scored(self._biases[1], base, base)
        grams, spoken, starts = slots(folded)
        weights = self._weights
        at = np.zeros(len(folded) + 1, np.complex64)
        at[1:] = weights[grams].sum(0)
        at[starts + 1] += weights[spoken].sum(0)
        if b"??" in folded:  # letters of other scripts: they say nothing
            data = np.frombuffer(folded, np.uint8)
            at[1:-1][(data[:-1] == _UNKNOWN) & (data[1:] == _UNKNOWN)] = 0
        total = np.cumsum(at, dtype=np.complex128)
        first, last = windows(folded)
        sums = (total[last] - total[first]) / np.sqrt(last - first)
        best: list[Scored] = []
        for part, bias in zip((sums.real, sums.imag), self._biases, strict=True):
            place = int(part.argmax())
            best.append(Scored(float(part[place]) + bias, base + int(first[place]), base + int(last[place])))
        return best[0], best[1]
