"""What the ordinary pieces of one stream have in common: all but their text.

A provider writes the same bytes around each text. Once a piece was decoded, the next with the same bytes
around a plain text says the same things: it needs no decoding, and another text can be put in its place.
Sans-io; knows the OpenAI dialect, events and HTTP's chunks, and nothing of filters.
"""

import re

from msgspec import DecodeError, ValidationError

from greenroom.wire.openai import decode_chunk, encode

_MARK = "another text altogether"
_PATIENCE = 3
"""Molds that fit nothing, one after the other, after which no more are made: each costs another decoding."""
_CHUNK_LIMIT = 4096
_NEVER = b"\x00"

special = re.compile(r'["\\\x00-\x1f]').search
"""Finds what does not stand for itself in the text of a JSON string."""


class Mold:
    """The bytes around the text of an ordinary piece: in its payload, and in the chunk of its event."""

    __slots__ = ("_head", "_heard", "_idle", "_lead", "_tail", "leads", "text_end", "trail")

    def __init__(self) -> None:
        self.leads: dict[int, bytes] = {}
        """By the size of a whole chunk: all that comes before the text, quotation mark included."""
        self.trail = _NEVER
        """What comes behind the text of a chunk."""
        self.text_end = 0
        """Where the text of a chunk ends, from its end."""
        self._head = self._lead = self._tail = _NEVER
        self._heard = 0
        self._idle = 0

    def lead(self, size: int) -> bytes | None:
        """The same as in `leads`, made if need be; None while nothing was learnt, and for an unusual size."""
        if self._lead == _NEVER or size >= _CHUNK_LIMIT:
            return None
        digits = 1
        while size - 4 - digits >= 16**digits:
            digits += 1
        lead = b"%x\r\ndata: %b" % (size - 4 - digits, self._lead)
        if size <= len(lead) + len(self.trail):
            return None  # no text at all
        self.leads[size] = lead
        return lead

    def fill(self, text: str) -> bytes:
        """The chunk that says `text`."""
        event = b"data: %b%b%b\n\n" % (self._head, encode(text), self._tail)
        return b"%x\r\n%b\r\n" % (len(event), event)

    def text_of(self, payload: bytes) -> str:
        """The text of a payload that fits; empty when it must be decoded. Raises UnicodeDecodeError."""
        if not self._fits(payload):
            return ""
        text = payload[len(self._lead) : -1 - len(self._tail)].decode()
        return text if special(text) is None else ""

    def learn(self, payload: bytes, text: str, heard: int) -> bool:
        """Take the shape of a payload that was decoded to an ordinary piece: one choice, nothing but text.

        `heard` is how many pieces came before it.
        """
        if self._idle >= _PATIENCE or self._fits(payload):
            return False
        said = encode(text)
        at = payload.find(said, payload.find(b'"content":') + 10)
        if at < 0:
            return False
        self._idle = 0 if heard > self._heard + 1 else self._idle + 1
        self._heard = heard
        head, tail = payload[:at], payload[at + len(said) :]
        if not _says_mark(head + encode(_MARK) + tail):
            return False
        self.leads = {}
        self._head, self._lead, self._tail = head, head + b'"', tail
        self.trail = b'"%b\n\n\r\n' % tail
        self.text_end = -len(self.trail)
        return True

    def _fits(self, payload: bytes) -> bool:
        return payload.startswith(self._lead) and payload.endswith(b'"' + self._tail)


def _says_mark(payload: bytes) -> bool:
    """Whether the text put in is the text that is read: the place was the right one."""
    try:
        chunk = decode_chunk(payload)
    except (ValidationError, DecodeError, UnicodeDecodeError):
        return False
    delta = chunk.choices[0].delta if chunk.choices else None
    return delta is not None and delta.content == _MARK
