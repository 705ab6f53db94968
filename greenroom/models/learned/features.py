"""What a router sees of a prompt: its words and its form. Knows no target and no labels.

Features are hashed, so that no word of a prompt they were learned from stands in a router's file.
"""

import re
from itertools import pairwise
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
TOPICS = 128
"""Directions of that space that count: those in which the prompts of training differ most."""
HEAD, TAIL = 1_500, 500
"""Characters of a longer prompt that count: what is asked stands at one of its ends."""
FORMS = 36
"""How many numbers tell of a prompt's form."""
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
    size = max(1, len(seen))
    words = _WORD.findall(seen)
    count = max(1, len(words))
    numbers = [one for one in words if one.isdigit()]
    lines = [one for one in seen.split("\n") if one.strip()]
    options = [one for one in lines if _OPTION.match(one)]
    asked = [one for one in lines if not _OPTION.match(one)]
    lengths = [len(one) for one in options]
    lower = f" {seen.lower()} "
    first, last = (words[0].lower() if words else ""), seen.rstrip()[-1:]
    log = np.log1p
    return np.array(
        [
            log(len(text)),
            log(count),
            sum(map(len, words)) / count,
            log(len(lines)),
            sum(map(str.isdigit, seen)) / size,
            log(len(numbers)),
            max(map(len, numbers), default=0),
            sum(map(str.isupper, seen)) / size,
            sum(one[0].isupper() for one in words[1:]) / count,
            seen.isascii(),
            log(len(_FORMULA.findall(seen))),
            log(len(_CODE.findall(seen))),
            min(len(options), 6),
            log(sum(lengths) / max(1, len(options))),
            log(max(lengths, default=0) - min(lengths, default=0)),
            sum(any(map(str.isdigit, one[2:])) for one in options) / max(1, len(options)),
            log(sum(map(len, asked))),
            log(len(asked[-1]) if asked else 0),
            log(len(_SENTENCE.findall(seen))),
            lower.count(",") / count,
            len({one.lower() for one in words}) / count,
            sum(len(one) > 8 for one in words) / count,
            sum(len(one) < 4 for one in words) / count,
            any(one in lower for one in _NEGATIONS),
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
        ],
        np.float32,
    )
