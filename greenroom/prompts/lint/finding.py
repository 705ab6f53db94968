"""What the lint says: one fault of a prompt, where it stands, and what mends it."""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.prompts.version import PromptVersion

Severity = Literal["error", "warning"]


class Finding(Struct, frozen=True, kw_only=True):
    """One fault. Errors keep a version from being stored unless it is forced; warnings are told."""

    rule: str
    severity: Severity
    place: str
    """Like "messages[0].text" or "variables.question"."""
    message: str
    remedy: str
    start: int = 0
    end: int = 0
    """Code points in the text at that place; both 0 where it is about all of it."""


class Sensitive(NamedTuple):
    """Something in a text that should not stand in a prompt."""

    rule: str
    is_secret: bool
    start: int
    end: int


Detect = Callable[[str], Iterable[Sensitive]]
"""Finds secrets and personal data in a text."""


def texts_of(version: PromptVersion) -> list[tuple[str, str]]:
    """All templates and texts of a version with their places, in the order of the file."""
    found = [(f"messages[{place}].text", one.text) for place, one in enumerate(version.messages)]
    if version.techniques.role:
        found.append(("techniques.role", version.techniques.role))
    if version.examples is not None:
        for place, example in enumerate(version.examples.items):
            found.append((f"examples.items[{place}].output", example.output))
            if example.input:
                found.append((f"examples.items[{place}].input", example.input))
            found += [
                (f"examples.items[{place}].variables.{name}", value)
                for name, value in example.variables.items()
                if isinstance(value, str)
            ]
    return found
