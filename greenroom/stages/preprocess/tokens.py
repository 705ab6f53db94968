"""How many tokens a text is: guessed from its characters in a microsecond, or counted with rank files.

Knows characters, and merge ranks in `greenroom/data/ranks`; no model's window and no network. Where a rank
file is not there, `count_exact` says so by None and the estimate stands.
"""

import base64
import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from greenroom.exchange import Text

RANKS = Path(__file__).parents[2] / "data" / "ranks"
"""Folder of `<encoding>.tiktoken` files: a merge a line, base64 of its bytes and its rank."""

PER_MESSAGE = 4
"""Tokens that stand around each message in OpenAI's chat format: three marks and the role."""
PER_REQUEST = 3
"""Tokens that open the answer."""

_ASCII_PER_TOKEN = 4.6
_LATIN_PER_TOKEN = 4.2
_PER_EXTRA_BYTE = 0.2
"""Tokens for each byte beyond one a character: other scripts merge less (0.4 to 0.65 a character)."""
_SAMPLE = 96
"""Characters looked at, evenly through a text, to tell how many bytes its characters take."""
_ASCII_ERROR = 0.3
_OTHER_ERROR = 0.4
_PIECE = 100_000
"""Characters given to the tokenizer at once, cut at a space: bounds its memory."""

_ENCODINGS = (
    ("gpt-4o", "o200k_base"), ("gpt-4.1", "o200k_base"), ("gpt-4.5", "o200k_base"), ("gpt-5", "o200k_base"),
    ("chatgpt-4o", "o200k_base"), ("o1", "o200k_base"), ("o3", "o200k_base"), ("o4", "o200k_base"),
    ("gpt-4", "cl100k_base"), ("gpt-3.5", "cl100k_base"), ("text-embedding-3", "cl100k_base"),
)  # fmt: skip


def encoding_of(model: str) -> str | None:
    """The encoding a model is known to use, by its name; None for everybody but OpenAI."""
    name = model.rpartition("/")[2]
    return next((encoding for prefix, encoding in _ENCODINGS if name.startswith(prefix)), None)


def estimate(texts: Sequence[Text], roles: Sequence[str]) -> tuple[int, int]:
    """About how many tokens a request's texts are, and how far off that may be (±).

    Prose or code, by characters: 4.6 a token in plain ASCII, 4.2 in accented Latin, fewer in other scripts.
    Random letters and digits (base64, hashes) can be twice as many.
    Cost: about 1 µs, whatever their length.
    """
    values = [text.value for text in texts]
    others = [value for value in values if not value.isascii()]
    plain = sum(map(len, values))
    first = second = 0.0
    if others:
        joined = "".join(others)
        plain -= len(joined)
        second = _estimate_other(joined)
    first = plain / _ASCII_PER_TOKEN
    around = PER_MESSAGE * len(roles) + PER_REQUEST
    return int(first + second) + around, int(first * _ASCII_ERROR + second * _OTHER_ERROR) + 2


def _estimate_other(text: str) -> float:
    length = len(text)
    sample = text[:: length // _SAMPLE | 1]  # an odd stride: tables repeat by even ones more often
    extra = len(sample.encode(errors="replace")) / len(sample) - 1
    return length * (1 / _LATIN_PER_TOKEN + extra * _PER_EXTRA_BYTE)


def count_exact(text: str, encoding: str) -> int | None:
    """Tokens of a text in an encoding ("o200k_base", "cl100k_base"); None when its rank file is not there.

    Cost: about a second for the first text of an encoding, then 0.1 ms per 1,000 characters: for a thread.
    """
    encoder = _encoder(encoding, RANKS)
    if encoder is None:
        return None
    count = 0
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            end = (
                max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end)) if " " in text else end
            )
            end = end if end > start else start + _PIECE
        count += len(encoder.encode_ordinary(text[start:end]))
        start = end
    return count


@cache
def _encoder(encoding: str, folder: Path) -> Any:  # Any: tiktoken is loaded on first need
    """The definition of tiktoken of the encoding, with the ranks of our file in place of a download."""
    try:
        lines = (folder / f"{encoding}.tiktoken").read_bytes().splitlines()
    except OSError:
        return None
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    define = importlib.import_module("tiktoken_ext.openai_public").ENCODING_CONSTRUCTORS[encoding]
    offline = FunctionType(
        define.__code__, {**define.__globals__, "load_tiktoken_bpe": lambda *_, **__: ranks}
    )
    return importlib.import_module("tiktoken").Encoding(**offline())
