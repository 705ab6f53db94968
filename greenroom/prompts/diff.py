"""What differs between two versions of a prompt, word by word.

Standard library only: a request never compares prompts.
"""

import re
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec
from msgspec import Struct

from greenroom.prompts.version import PromptVersion

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 20_000
"""Longer texts are compared by lines: time grows with the square."""
_NO_CONTENT = frozenset({"number", "created_at", "created_by", "note", "name"})


class Run(Struct, frozen=True):
    """A stretch of text that stayed, went or came."""

    kind: Literal["same", "removed", "added"]
    text: str


class Difference(Struct, frozen=True, kw_only=True):
    """One place where two versions differ."""

    place: str
    """Like "messages[0].text" or "variables.question.type"."""
    before: Any = None  # Any: JSON; None where it was not there
    after: Any = None  # Any: JSON; None where it is gone
    runs: tuple[Run, ...] = ()
    """Word by word, where both are texts."""


def diff(before: PromptVersion, after: PromptVersion) -> list[Difference]:
    """Every place where they differ, in the order of the file; notes, numbers and dates do not count."""
    old, new = _places(before), _places(after)
    found: list[Difference] = []
    for place in dict.fromkeys((*old, *new)):
        one, other = old.get(place), new.get(place)
        if one == other and type(one) is type(other):
            continue
        texts = isinstance(one, str) and isinstance(other, str)
        found.append(
            Difference(
                place=place, before=one, after=other, runs=words(str(one), str(other)) if texts else ()
            )
        )
    return found


def words(before: str, after: str) -> tuple[Run, ...]:
    """Two texts as stretches that stayed, went and came. Joined without "added" they give `before` again."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) + len(new) > _MOST_WORDS:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    runs: list[Run] = []
    for kind, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            runs.append(Run("same", "".join(old[start:end])))
            continue
        if end > start:
            runs.append(Run("removed", "".join(old[start:end])))
        if new_end > new_start:
            runs.append(Run("added", "".join(new[new_start:new_end])))
    return tuple(runs)


def _places(version: PromptVersion) -> dict[str, object]:
    found: dict[str, object] = {}

    def walk(place: str, value: object) -> None:
        if isinstance(value, dict) and value:
            for key, one in value.items():
                walk(f"{place}.{key}" if place else str(key), one)
        elif isinstance(value, list) and value:
            for number, one in enumerate(value):
                walk(f"{place}[{number}]", one)
        else:
            found[place] = value

    plain = msgspec.json.decode(msgspec.json.encode(version))
    walk("", {key: value for key, value in plain.items() if key not in _NO_CONTENT})
    return found


__all__ = ["Difference", "Run", "diff", "words"]
