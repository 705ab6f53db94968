"""Templates of graders: `{{item.question}}`, `{{sample.output_text}}`, filled with one row's values.

A template is cut up once; what is filled in is data and never looked through for braces again, so a value
that says `{{item.secret}}` stays those words. Nothing is evaluated: a reference is a path of names.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from msgspec.json import encode

from greenroom.errors import MalformedRequest

ROOTS = ("item", "sample")
LONGEST = 256 * 1024
"""Characters of a template."""
_HOLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_PATH = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+|\[\d{1,6}\])*\Z")
_STEP = re.compile(r"\.?([\w-]+)")

Row = Mapping[str, Any]  # Any: JSON; the names of ROOTS and what they hold


class Unfillable(Exception):
    """A row lacks what a template refers to. The message is a sentence."""


class Reference(NamedTuple):
    """A path into a row: `item.answers[0].text`."""

    text: str
    steps: tuple[str, ...]

    def find(self, row: Row) -> Any:  # Any: JSON
        """What stands there. Raises: Unfillable."""
        value: Any = row
        for step in self.steps:
            if isinstance(value, Mapping) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            else:
                raise Unfillable(f"This row has no '{self.text}'.")
        return value


def reference(text: str, param: str, roots: tuple[str, ...] = ROOTS) -> Reference:
    """Read a path. Raises: MalformedRequest naming the field `param`."""
    steps = tuple(_STEP.findall(text)) if _PATH.match(text) else ()
    if not steps or steps[0] not in roots or len(steps) == 1:
        named = " or ".join(f"'{root}.'" for root in roots)
        raise MalformedRequest(
            f"'{param}': '{text[:100]}' is no reference; it must begin with {named}, as "
            f"'{roots[0]}.{'question' if roots[0] == 'item' else 'output_text'}' does.",
            param,
        )
    return Reference(text, steps)


class Template:
    """A text with holes. Raises MalformedRequest for one whose holes are no references."""

    def __init__(self, text: str, param: str, roots: tuple[str, ...] = ROOTS) -> None:
        if len(text) > LONGEST:
            raise MalformedRequest(f"'{param}' is longer than {LONGEST:,} characters.", param)
        pieces = _HOLE.split(text)
        self._parts: tuple[str | Reference, ...] = tuple(
            reference(piece, param, roots) if place % 2 else piece for place, piece in enumerate(pieces)
        )

    def fill(self, row: Row) -> str:
        """The text with a row's values in it; what is no text stands there as JSON. Raises: Unfillable."""
        return "".join(part if isinstance(part, str) else said(part.find(row)) for part in self._parts)


class Message(NamedTuple):
    """A chat message to be filled; images and audio pass as they are."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Template | tuple[Template | Mapping[str, Any], ...]  # Any: JSON

    def fill(self, row: Row) -> dict[str, Any]:  # Any: JSON
        """As chat completions take it. Raises: Unfillable."""
        if isinstance(self.content, Template):
            return {"role": self.role, "content": self.content.fill(row)}
        parts = [
            {"type": "text", "text": one.fill(row)} if isinstance(one, Template) else dict(one)
            for one in self.content
        ]
        return {"role": self.role, "content": parts}


def messages(given: object, param: str, roots: tuple[str, ...] = ROOTS) -> tuple[Message, ...]:
    """Read a list of messages in OpenAI's forms. A role that is not known is taken for the user's.

    Raises: MalformedRequest naming the field.
    """
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise MalformedRequest(f"'{param}' must be a list of messages with 'role' and 'content'.", param)
    return tuple(_message(one, f"{param}[{place}]", roots) for place, one in enumerate(given))


def _message(given: dict[str, Any], param: str, roots: tuple[str, ...]) -> Message:  # Any: JSON
    content = given.get("content")
    role = role_of(given.get("role"))
    if isinstance(content, str):
        return Message(role, Template(content, f"{param}.content", roots))
    parts = content if isinstance(content, list) else [content]
    return Message(role, tuple(_part(one, f"{param}.content", roots) for one in parts))


def role_of(given: object) -> Literal["system", "developer", "user", "assistant"]:
    """A role as chat completions know it."""
    match given:
        case "system" | "developer" | "assistant":
            return given
        case _:
            return "user"


def _part(given: object, param: str, roots: tuple[str, ...]) -> Template | dict[str, Any]:  # Any: JSON
    match given:
        case str(text) | {"type": "input_text" | "output_text" | "text", "text": str(text)}:
            return Template(text, param, roots)
        case {"type": "input_image", "image_url": str(url)}:
            detail = given.get("detail") or "auto" if isinstance(given, dict) else "auto"
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        case {"type": "input_audio", "input_audio": dict(audio)}:
            return {"type": "input_audio", "input_audio": audio}
    raise MalformedRequest(
        f"'{param}' must be a text, or parts of the types input_text, output_text, input_image, input_audio.",
        param,
    )


def said(value: object) -> str:
    """A value as it stands in a text."""
    return value if isinstance(value, str) else encode(value).decode()
