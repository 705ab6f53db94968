"""What differs between two versions of a prompt, word by word.

Standard library only: a request never compares prompts.
"""

import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from greenroom.prompts.version import PromptVersion

_WORDS = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
"""A word with the blanks behind it: blanks alone would match everywhere, and take minutes to sort out."""
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
    from difflib import SequenceMatcher  # noqa: PLC0415  # the server shows few differences

    for kind, start, end, new_start, new_end in SequenceMatcher(None, old, new).get_opcodes():
        gone, come = "".join(old[start:end]), "".join(new[new_start:new_end])
        if kind == "equal":
            runs.append(Run("same", gone))
            continue
        blanks = gone[len(gone.rstrip()) :] if kind == "replace" else ""
        if not blanks or not come.endswith(blanks) or blanks in (gone, come):
            blanks = ""
        if gone := gone.removesuffix(blanks):
            runs.append(Run("removed", gone))
        if come := come.removesuffix(blanks):
            runs.append(Run("added", come))
        if blanks:
            runs.append(Run("same", blanks))
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
