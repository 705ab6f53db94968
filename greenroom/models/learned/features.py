"""What a router sees of a prompt: its words and its form. Knows no target and no labels.

Features are hashed, so that no word of a prompt they were learned from stands in a router's file.
"""

import re
from itertools import combinations, pairwise
from math import log1p
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from numpy import float32, int64
    from numpy.typing import NDArray

BITS = 16
"""Of the numbers that words and pairs of words are hashed to."""
BUCKETS = 1 << BITS
SKETCH = 4_096
"""Dimensions that the buckets are folded to."""
TOPICS = 32
"""Directions of that space that count: those in which the prompts of training differ most."""
DIMENSIONS = 384
"""Of the vectors of an encoder."""
MEANING = 32
"""Directions of vectors that count: those in which the prompts of training differ most."""
HEAD, TAIL = 1_500, 500
"""Characters of a longer prompt that count: what is asked stands at one of its ends."""
FORMS = 56
"""How many numbers tell of a prompt's form."""
_MOST_OPTIONS = 26
"""Choices that are compared with each other: what keeps a prompt of nothing else from taking 100 ms."""
_WORD = re.compile(r"\w+")
_CODE = re.compile(r"[{};]|=>|==|\bdef |\breturn\b|\bimport\b|```")
_OPTION = re.compile(r"\s*\(?[A-Ea-e][.):]")
_SENTENCE = re.compile(r"[.!?](?:\s|$)")
_NEGATIONS = (
    " not ",
    " except",
    " never ",
    " no ",
    " n\u00e3o ",
    " nunca ",
    " exceto ",
    " excepto ",
    " jamais ",
)
_CATCH_ALLS = (
    "all of the above",
    "all of these",
    "none of the",
    "todas as anteriores",
    "nenhuma das",
    "todas las anteriores",
    "ninguna de las",
)
_WHICH = frozenset(
    [
        "which",
        "what",
        "who",
        "where",
        "when",
        "qual",
        "quais",
        "que",
        "quem",
        "onde",
        "quando",
        "cuál",
        "cuáles",
        "qué",
        "quién",
        "dónde",
    ]
)
_HOW = frozenset(["how", "why", "explain", "como", "cómo", "porque", "explique", "explica", "por"])
_DO = frozenset(
    [
        "write",
        "find",
        "let",
        "compute",
        "given",
        "if",
        "a",
        "an",
        "the",
        "escreva",
        "calcule",
        "encontre",
        "escribe",
        "calcula",
        "encuentra",
        "dado",
    ]
)
_STEPS = (
    " each ",
    " per ",
    " total ",
    " cada ",
    " por ",
    " left ",
    " remain",
    " how many ",
    " cu\u00e1nt",
    " quant",
)
_FORMULA = re.compile(r"\\[a-zA-Z]+|\$|[=^]")


def cut(text: str) -> str:
    """The part of a prompt that counts."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} {text[-TAIL:]}"


def words_of(text: str) -> "NDArray[int64]":
    """The buckets of the words and pairs of words that are there, `(n,) int64`, each once."""
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    words = _WORD.findall(cut(text).lower())
    hashed = {crc32(one.encode()) % BUCKETS for one in words}
    hashed.update(crc32(f"{one} {two}".encode()) % BUCKETS for one, two in pairwise(words))
    return np.fromiter(sorted(hashed), np.int64, len(hashed))


def sketch(places: "NDArray[int64]", rarity: "NDArray[float32]") -> "NDArray[float32]":
    """A unit vector `(SKETCH,) float32` whose products are about those of TF-IDF vectors.

    `rarity` is what a bucket counts, `(BUCKETS,)`. Source: Charikar, Chen, Farach-Colton, "Finding frequent
    items in data streams", ICALP 2002 (count sketch).
    """
    import numpy as np  # noqa: PLC0415 - as above

    signed = rarity[places] * (1.0 - 2.0 * (places // SKETCH % 2))
    found = np.bincount(places % SKETCH, signed, SKETCH)
    return (found / max(float(np.linalg.norm(found)), 1e-9)).astype(np.float32)


def form(text: str) -> "NDArray[float32]":
    """How a prompt looks, `(FORMS,) float32`: length, lines, words, digits, choices, code, formulas, end."""
    import numpy as np  # noqa: PLC0415 - as above

    seen = cut(text)
    words = _WORD.findall(seen)
    lines = [one for one in seen.split("\n") if one.strip()]
    options = [one for one in lines if _OPTION.match(one)][:_MOST_OPTIONS]
    asked = [one for one in lines if not _OPTION.match(one)]
    found = [*_looks(text, seen, words, lines), *_choices(options, asked), *_signs(seen, words)]
    return np.array(found, np.float32)


def _looks(text: str, seen: str, words: list[str], lines: list[str]) -> list[float]:
    size, count = max(1, len(seen)), max(1, len(words))
    numbers = [one for one in words if one.isdigit()]
    lower = f" {seen.lower()} "
    first, last = (words[0].lower() if words else ""), seen.rstrip()[-1:]
    return [
        log1p(len(text)),
        log1p(count),
        sum(map(len, words)) / count,
        max(map(len, words), default=0),
        log1p(len(lines)),
        sum(map(str.isdigit, seen)) / size,
        log1p(len(numbers)),
        max(map(len, numbers), default=0),
        sum(map(str.isupper, seen)) / size,
        sum(one[0].isupper() for one in words[1:]) / count,
        seen.isascii(),
        log1p(len(_FORMULA.findall(seen))),
        log1p(len(_CODE.findall(seen))),
        log1p(len(_SENTENCE.findall(seen))),
        lower.count(",") / count,
        len({one.lower() for one in words}) / count,
        sum(len(one) > 8 for one in words) / count,
        sum(len(one) < 4 for one in words) / count,
        any(one in lower for one in _NEGATIONS),
        any(one in lower for one in _CATCH_ALLS),
        "?" in seen,
        last == "?",
        last == ".",
        last == ":",
        "__" in seen,
        '"' in seen or "\u2018" in seen or "\u201c" in seen,
        "(" in seen,
        "%" in seen or "$" in seen,
        first in _WHICH,
        first in _HOW,
        first in _DO,
        sum(one in lower for one in _STEPS),
    ]


def _choices(options: list[str], asked: list[str]) -> list[float]:
    """Of the lines that offer a choice and of those that ask; -1 where there is no choice."""
    lengths = [len(one) for one in options]
    sets = [set(_WORD.findall(one.lower())[1:]) for one in options]
    question = _WORD.findall(" ".join(asked))
    wanted = {one.lower() for one in question}
    shared = [len(a & b) / max(1, len(a | b)) for a, b in combinations(sets, 2)]
    inside = [len(one & wanted) / max(1, len(one)) for one in sets]
    count = max(1, len(options))
    middle = sum(lengths) / count
    spread = (sum((one - middle) ** 2 for one in lengths) / count) ** 0.5
    offered = [len(word) for one in sets for word in one]
    return [
        min(len(options), 6),
        log1p(middle),
        log1p(max(lengths, default=0) - min(lengths, default=0)),
        spread / middle if options else -1.0,
        sum(any(map(str.isdigit, one[2:])) for one in options) / count,
        sum(one.rstrip().endswith(".") for one in options) / count,
        sum(one[2:].strip()[:1].isupper() for one in options) / count,
        sum(shared) / len(shared) if shared else -1.0,
        max(shared, default=-1.0),
        sum(inside) / count if options else -1.0,
        sum(offered) / max(1, len(offered)),
        log1p(sum(map(len, asked))),
        log1p(len(asked[-1]) if asked else 0),
        len(question),
        sum(map(len, question)) / max(1, len(question)),
    ]


def _signs(seen: str, words: list[str]) -> list[float]:
    size = max(1, len(seen)) / 100
    return [
        *(seen.count(one) / size for one in ".,-'("),
        sum(len(one) < 5 and not one.strip("IVX") for one in words),
        sum(len(one) > 1 and one.isalpha() and one.isupper() for one in words),
        sum(len(one) == 4 and one.isdigit() and "1500" <= one < "2100" for one in words),
        sum(ord(one) > 127 for one in seen) if not seen.isascii() else 0,
    ]
