"""What services that speak chat completions are known to take otherwise: facts, and a body bent to them.

Sans-io. Applied only to the provider they are known of; what is lost is named.
"""

import re
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder

from greenroom.wire.openai import encode

# A message is any JSON object: Any stands for "looked at by name, the rest goes through".
_Object = dict[str, Any]


class Quirks(Struct, frozen=True, kw_only=True):
    """How a provider's chat completions differ from OpenAI's."""

    renamed: dict[str, str] = {}
    """OpenAI's name of a field → the provider's."""
    refused: frozenset[str] = frozenset()
    """Fields it answers with an error, or is documented not to support."""
    unneeded: frozenset[str] = frozenset()
    """Fields it does not know, and does anyway what they ask for: nothing is lost with them."""
    one_answer: bool = False
    """Whether `n` may only be 1."""
    no_developer: bool = False
    """Whether it knows the role `system` only."""
    no_names: bool = False
    """Whether messages may have no `name`."""
    efforts: dict[str, str] | None = None
    """The values of `reasoning_effort` that it takes, by what they are asked as; others are lost."""


_fields = Decoder(dict[str, Raw])
_messages = Decoder(list[_Object])
_NOTHING = frozenset({b"null", b"false", b"{}", b"[]", b'""'})
_SAY_NOTHING = {"parallel_tool_calls": frozenset({b"null", b"true"})}
_NAME = re.compile(rb'"name"[ \t\r\n]*:')


def bent(body: bytes, quirks: Quirks) -> tuple[bytes, list[str]]:
    """The body as the provider takes it, and what was lost; the same bytes where nothing is amiss."""
    fields = _fields.decode(body)
    before = dict(fields)
    lost: list[str] = []
    for name, other in quirks.renamed.items():
        value = fields.pop(name, None)
        if value is not None and bytes(value) != b"null":
            fields[other] = value
    for name in quirks.unneeded:
        fields.pop(name, None)
    refused = [name for name in fields if name in quirks.refused]
    lost += [name for name in refused if bytes(fields.pop(name)) not in _SAY_NOTHING.get(name, _NOTHING)]
    if quirks.one_answer and bytes(fields.get("n", b"1")) not in {b"1", b"null"}:
        del fields["n"]
        lost.append("n")
    if quirks.efforts is not None and "reasoning_effort" in fields:
        _bend_effort(fields, quirks.efforts, lost)
    messages = bytes(fields["messages"])
    if (quirks.no_developer and b'"developer"' in messages) or (quirks.no_names and _NAME.search(messages)):
        fields["messages"] = _bend_messages(messages, quirks, lost)
    if fields == before:
        return body, []
    return encode(fields), sorted(lost)


def _bend_effort(fields: dict[str, Raw], efforts: dict[str, str], lost: list[str]) -> None:
    asked = bytes(fields["reasoning_effort"]).strip(b'"').decode("utf-8", "replace")
    taken = efforts.get(asked)
    if taken is None:
        if asked != "null":
            lost.append("reasoning_effort")
        del fields["reasoning_effort"]
    elif taken != asked:
        fields["reasoning_effort"] = Raw(encode(taken))


def _bend_messages(raw: bytes, quirks: Quirks, lost: list[str]) -> Raw:
    messages = _messages.decode(raw)
    for message in messages:
        if quirks.no_developer and message.get("role") == "developer":
            message["role"] = "system"
        if quirks.no_names and message.pop("name", None) is not None and "messages.name" not in lost:
            lost.append("messages.name")
    return Raw(encode(messages))
