"""One text in an answer replaced, all else left byte for byte. Knows the dialect's shape only."""

from msgspec import Raw, Struct
from msgspec.json import Decoder

from greenroom.wire.openai import encode

_BEGINNING = 64
"""Bytes of a content by which it is found in its body."""


class _Message(Struct):
    content: Raw = Raw()


class _Choice(Struct):
    message: _Message


class _Contents(Struct):
    choices: list[_Choice]


_contents = Decoder(_Contents)


def spliced(body: bytes, place: int, text: str) -> bytes | None:
    """The answer with another content in one choice, all else byte for byte; None where that is not sure.

    The content's own bytes are looked up in the body by their beginning, which must stand there only once.
    """
    content = bytes(_contents.decode(body).choices[place].message.content)
    beginning = content[:_BEGINNING]
    at = body.find(beginning)
    if body.find(beginning, at + 1) >= 0:
        return None
    return b"%b%b%b" % (body[:at], encode(text), body[at + len(content) :])
