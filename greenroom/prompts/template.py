"""Templates: text with places for variables and partials, read once and filled often.

Knows the marks and nothing of types: `{{name}}` is a variable, `{{> name}}` a partial, and a backslash before
two braces makes them plain. There are no conditions and no loops: what a prompt says is seen by reading it.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

_MARK = re.compile(r"\\\{\{|\{\{[ \t]*(>?)[ \t]*([^{}\n]*?)[ \t]*\}\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


class Piece(NamedTuple):
    """A stretch of plain text, or the name of what goes in its place."""

    kind: Literal["text", "variable", "partial"]
    value: str


@lru_cache(1024)
def parse(text: str) -> tuple[Piece, ...]:
    """The pieces of a template, in order.

    Raises: ValueError that says which mark is wrong, and where (line, from 1).
    """
    pieces: list[Piece] = []
    plain: list[str] = []
    at = 0
    for mark in _MARK.finditer(text):
        plain.append(text[at : mark.start()])
        at = mark.end()
        if mark[0].startswith("\\"):
            plain.append("{{")
            continue
        name = mark[2]
        if not _NAME.match(name):
            line = text.count("\n", 0, mark.start()) + 1
            raise ValueError(
                f"line {line}: '{mark[0][:80]}' names no variable. A name has letters, digits and _; "
                "write \\{{ for plain braces"
            )
        if said := "".join(plain):
            pieces.append(Piece("text", said))
        plain = []
        pieces.append(Piece("partial" if mark[1] else "variable", name))
    plain.append(text[at:])
    if said := "".join(plain):
        pieces.append(Piece("text", said))
    return tuple(pieces)


def names(pieces: Sequence[Piece], kind: str = "variable") -> Iterator[str]:
    """The names that stand in a template, as often as they do."""
    return (one.value for one in pieces if one.kind == kind)


def escaped(text: str) -> str:
    """A template that gives just this text."""
    return text.replace("{{", "\\{{")
