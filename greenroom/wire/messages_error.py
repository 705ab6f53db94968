"""Failures in Anthropic's words: the error's type by status, the envelope, and the event inside a stream.

Sans-io. Our own stable code and the field stand beside Anthropic's type, which is coarser.
"""

from typing import Final

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.wire.openai import encode

TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status → error type; others below 500 count as invalid_request_error, above as api_error."""
_KINDS = {
    "invalid_request_error": "invalid_request_error",
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "rate_limit_error",
    "upstream_timeout": "timeout_error",
    "request_timeout": "timeout_error",
    "overloaded": "overloaded_error",
    "shutting_down": "overloaded_error",
}
_OWN = frozenset(TYPES.values()) | {"api_error"}


class _Failure(Struct):
    message: str = ""
    type: str | None = None
    code: str | int | None = None


_failure = Decoder(_Failure)


def type_of(status: int) -> str:
    """The error type of a status."""
    return TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def envelope(kind: str, message: str, id: str, code: str | None = None, param: str | None = None) -> bytes:
    """The body of an error."""
    error: dict[str, object] = {"type": kind, "message": message}
    if code:
        error["code"] = code
    if param:
        error["param"] = param
    return encode({"type": "error", "error": error, "request_id": id})


def in_band(error: Raw, id: str) -> bytes:
    """The event for what stands under `error` in a chat stream."""
    try:
        failure = _failure.decode(error)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        failure = _Failure("The stream broke.")
    code = str(failure.code or "")
    kind = code if code in _OWN else _KINDS.get(code) or _KINDS.get(failure.type or "") or "api_error"
    return b"event: error\ndata: %b\n\n" % envelope(kind, failure.message, id, code)
