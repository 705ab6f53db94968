"""What a rule of grammar is: where it is asked, what it finds, what it puts in its place."""

import re
from collections.abc import Callable
from typing import NamedTuple

Replace = str | Callable[[re.Match[str]], str | None]


class Rule(NamedTuple):
    """One fault: `pattern` finds it, `replace` is a template or says what stands instead, None to leave it."""

    name: str
    keys: tuple[str, ...]
    """In small letters; every match of the pattern begins with one of them."""
    pattern: re.Pattern[str]
    replace: Replace
    reason: str


def rule(name: str, keys: str, pattern: str, replace: Replace, reason: str) -> Rule:
    """A rule whose pattern ignores case and stands between word boundaries; `keys` are parted by bars."""
    return Rule(
        name, tuple(keys.split("|")), re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), replace, reason
    )
