"""What an answer to a line means for it: it is done, it is asked again, or the batch has come to its end."""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.gateway.keys import Key

Verdict = Literal["done", "wait", "again", "budget"]
_LATER = frozenset({408, 409})
_LEFT_ALONE = frozenset({"overloaded", "upstream_unavailable"})
"""Nobody was asked: too much is at work here, or the target is left alone for a while."""
_HOPELESS = frozenset({"upstream_auth", "internal_error"})
"""Failures that asking again does not mend."""


class Answer(NamedTuple):
    """As a client gets it over HTTP."""

    status: int
    body: bytes
    headers: bytes
    """Lines that end in CRLF."""

    @property
    def cost_nano(self) -> int | None:
        """In nano-dollars, where it is known."""
        said = self.header(b"x-greenroom-cost-usd")
        return None if said is None else int(Decimal(said) * 1_000_000_000)

    @property
    def wait_s(self) -> float | None:
        """How long it asks to wait."""
        said = self.header(b"retry-after-ms")
        if said is not None:
            return float(said) / 1000
        said = self.header(b"retry-after")
        return None if said is None else float(said)

    @property
    def verdict(self) -> Verdict:
        """What is to be done now."""
        status, code = self.status, self._code
        if status == 429:
            if self.header(b"x-should-retry") == "false":
                return "budget"
            return "again" if code == "insufficient_quota" else "wait"
        if code in _LEFT_ALONE:
            return "wait"
        if status in _LATER or (status >= 500 and code not in _HOPELESS):
            return "again"
        return "done"

    @property
    def _code(self) -> str | None:
        if self.status < 400:
            return None
        try:
            return _error(self.body).error.code
        except (DecodeError, UnicodeDecodeError):
            return None

    @property
    def message(self) -> str:
        """What an error says."""
        try:
            return _error(self.body).error.message or ""
        except (DecodeError, UnicodeDecodeError):
            return ""

    def header(self, name: bytes) -> str | None:
        """The value of one."""
        for line in self.headers.split(b"\r\n"):
            found, _, value = line.partition(b": ")
            if found == name:
                return value.decode("latin-1")
        return None


class _Error(Struct):
    code: str | None = None
    message: str | None = None


class _Envelope(Struct):
    error: _Error


_error = Decoder(_Envelope).decode

Ask = Callable[[Key, str, bytes, Mapping[bytes, bytes]], Awaitable[Answer]]
"""Takes whose request it is, its path, body and headers."""
