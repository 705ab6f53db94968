"""A document ready for the index: read, cut into passages, its words as stems. Knows no database."""

from typing import NamedTuple

from greenroom.grounding import passages
from greenroom.grounding.passages import Piece
from greenroom.grounding.stems import Language, language_of, tokens
from greenroom.grounding.text import read


class Cut(NamedTuple):
    """What the index takes in."""

    title: str
    media_type: str
    language: Language
    pieces: list[Piece]
    stems: list[tuple[list[str], list[str]]]
    """Of each piece: those of its headings, those of its text."""


def cut_document(filename: str, data: bytes, size: tuple[int, int] | None = None) -> Cut:
    """Read a document and cut it; `size` is the tokens of a passage and how many of them overlap.

    Raises: TooLarge and MalformedRequest, as `text.read` does.
    """
    document = read(filename, data)
    language = language_of(document.text)
    headings = document.media_type not in {"text/plain", "application/pdf"}
    pieces = passages.split(document.text, document.title, headings=headings, size=size)
    stems = [(tokens(one.title, language), tokens(one.text, language)) for one in pieces]
    return Cut(document.title, document.media_type, language, pieces, stems)
