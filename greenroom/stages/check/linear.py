"""Patterns that take linear time whatever the text: a typed door to RE2.

RE2 is asked with `str`; offsets are code points. Patterns have RE2's syntax (no look-around, no back
references).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

import re2  # type: ignore[import-untyped]  # it brings no types


class Match(Protocol):
    """Where a pattern matched."""

    def start(self) -> int: ...
    def end(self) -> int: ...
    def span(self) -> tuple[int, int]: ...
    def __getitem__(self, group: int) -> str: ...


class PatternError(ValueError):
    """RE2 can't read the pattern."""


def finder(pattern: str) -> Callable[[str], Iterator[Match]]:
    """All matches in a text, left to right, not overlapping."""
    return cast("Callable[[str], Iterator[Match]]", re2.compile(pattern).finditer)


def searcher(pattern: str) -> Callable[[str], Match | None]:
    """The leftmost match in a text."""
    return cast("Callable[[str], Match | None]", re2.compile(pattern).search)


def bytes_searcher(pattern: str) -> Callable[[bytes], Match | None]:
    """The leftmost match in UTF-8, counted in bytes."""
    return cast("Callable[[bytes], Match | None]", re2.compile(pattern).search)


def whole_matcher(pattern: str) -> Callable[[str], Match | None]:
    """A match of the whole text. Raises PatternError."""
    options = re2.Options()
    options.log_errors = False
    try:
        return cast("Callable[[str], Match | None]", re2.compile(pattern, options).fullmatch)
    except re2.error as error:
        raise PatternError(f"the pattern {pattern!r} cannot be read") from error


class PatternSet:
    """Says in one pass which of its patterns occur in a text."""

    def __init__(self, patterns: Sequence[str]) -> None:
        options = re2.Options()
        options.max_mem = 32 << 20
        made = re2.Set.SearchSet(options)
        for pattern in patterns:
            made.Add(pattern)
        made.Compile()
        self._match: Callable[[str | bytes], list[int] | None] = made.Match

    def __call__(self, text: str) -> list[int] | None:
        """The numbers of the patterns that occur, or None. Lone surrogates count as a question mark."""
        try:
            return self._match(text)
        except UnicodeEncodeError:
            return self._match(text.encode(errors="replace"))
