"""How a request to a provider begins, and what an answer other than 200 means.

Knows HTTP heads and error bodies in OpenAI's form; nothing of models. No message holds an address or a key.
"""

import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import (
    RequestError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.models.origin import Origin
from greenroom.models.response import Response

MESSAGE_LIMIT = 500
LONGEST_WAIT_S = 86_400.0
"""A provider that names a longer wait, or an endless one, is taken to have said a day."""
_MODEL = re.compile(r"[A-Za-z0-9_@:-][A-Za-z0-9._@:-]*(?:/[A-Za-z0-9._@:-]+)*", re.ASCII)


class _ErrorDetail(Struct):
    message: str = ""
    type: str | None = None
    code: str | int | None = None


class _ErrorBody(Struct):
    error: _ErrorDetail | str | None = None
    message: str | None = None


_error = Decoder(_ErrorBody)


def request_head(origin: Origin, path: str, headers: Mapping[str, str]) -> bytes:
    """A request's head up to its body's length, which follows. Raises ValueError for what no head holds."""
    lines = [
        f"POST {origin.path}{path} HTTP/1.1",
        f"Host: {origin.netloc}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "Accept-Encoding: identity",
        "User-Agent: greenroom",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    for line in lines:
        if "\r" in line or "\n" in line or not line.isascii():
            raise ValueError("a provider's key or header has a line break or a character outside ASCII")
    return "\r\n".join([*lines, "Content-Length: "]).encode("ascii")


def expect_events(response: Response, media: bytes = b"text/event-stream") -> None:
    """Raise UpstreamProtocol unless the answer is a stream of events."""
    if not response.headers.get(b"content-type", b"").startswith(media):
        response.close()
        raise UpstreamProtocol("The provider did not answer with a stream of events.")


class Told(NamedTuple):
    """What an error body says."""

    message: str
    code: str
    retry_after_s: float | None = None
    is_auth: bool = False
    """Whether it says that our key is wrong, whatever the status."""


async def refused(response: Response, read: Callable[[int, bytes], tuple[str, str] | Told]) -> UpstreamError:
    """The error that a status other than 200 stands for."""
    status = response.status
    try:
        data = await response.read()
    except UpstreamDisconnected:
        data = b""
    wait = _retry_after(response.headers)
    if status in {401, 403}:
        return UpstreamAuth("The provider does not accept the key it is configured with.")
    if status < 200 or 300 <= status < 400 or 200 < status < 300:
        return UpstreamProtocol(f"The provider answered with status {status}, which is not an answer.")
    message, code, told_s, is_auth = Told(*read(status, data[:65_536]))
    wait = told_s if wait is None else wait
    if is_auth:
        return UpstreamAuth("The provider does not accept the key it is configured with.")
    if status >= 500:
        message = f"The provider answered with status {status}."
    return UpstreamRefused(
        message[:MESSAGE_LIMIT] or f"The provider answered with status {status}.",
        upstream_status=status,
        upstream_code=code or None,
        retry_after_s=None if wait is None else min(wait, LONGEST_WAIT_S),
    )


def openai_error(status: int, data: bytes) -> tuple[str, str]:
    """Message and code of an OpenAI-shaped error body, or empty strings."""
    try:
        body = _error.decode(data)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    if isinstance(body.error, _ErrorDetail):
        return body.error.message, str(body.error.code or "")
    return body.error or body.message or "", ""


def _retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    milliseconds = headers.get(b"retry-after-ms")
    plain = headers.get(b"retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if plain is not None and plain.strip().replace(b".", b"", 1).isdigit():
            return float(plain)
        if plain is not None:
            return max(0.0, parsedate_to_datetime(plain.decode("latin-1")).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
    return None


def checked_model(model: str) -> str:
    """The model's name as it may stand in an address. Raises RequestError for what would lead elsewhere."""
    if not _MODEL.fullmatch(model) or ".." in model:
        raise RequestError("The model's name has characters that no model of this provider has.", "model")
    return model
