"""Patterns that take linear time whatever the text: a typed door to RE2.

Whole texts are asked as Latin-1, one byte a character with `?` for those that it lacks, so that offsets need
no way back; short pieces as `str`. Patterns have RE2's syntax (no look-around, no back references).
"""

import re
from collections.abc import Callable, Iterable
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


Span = tuple[int, int]


def spots(pattern: str) -> Callable[[bytes], list[Span]]:
    """All matches in a Latin-1 text, left to right, not overlapping.

    A character of the pattern that Latin-1 lacks stands as `?`, as it does in the text: whoever reads on from
    there looks at the text itself.
    """
    find = re2.compile(_latin(pattern), _latin1()).finditer

    def spans(text: bytes) -> list[Span]:
        return [one.span() for one in find(text)]

    return spans


def first_spot(pattern: str) -> Callable[[bytes], Span | None]:
    """The first of what `spots` finds."""
    find = re2.compile(_latin(pattern), _latin1()).search

    def span(text: bytes) -> Span | None:
        found = find(text)
        return None if found is None else found.span()

    return span


def _latin(pattern: str) -> bytes:
    """Where case is ignored, accented letters get their capital beside them: RE2 folds only ASCII here."""
    if "(?i" in pattern:
        pattern = _accented.sub(lambda found: f"[{found[0]}{found[0].upper()}]", pattern)
    return pattern.encode("latin-1", "replace")


_accented = re.compile("(?<!-)[à-öø-þ](?!-)")


def _latin1() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return options


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


def pattern_set(patterns: Iterable[str]) -> Callable[[bytes], list[int] | None]:
    """Says in one pass which of the patterns occur in a Latin-1 text; they are read as by `spots`.

    About 16 instructions a byte once its automaton has seen the like; it grows as new texts come, so patterns
    should begin with a literal or a word's beginning, never with a run.
    """
    options = _latin1()
    options.max_mem = 64 << 20
    made = re2.Set.SearchSet(options)
    for pattern in patterns:
        made.Add(_latin(pattern))
    made.Compile()
    return cast("Callable[[bytes], list[int] | None]", made.Match)
