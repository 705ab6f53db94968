"""Everything Greenroom raises on purpose."""

from collections.abc import Iterable
from typing import ClassVar


class GreenroomError(Exception):
    """Base of everything Greenroom raises on purpose.

    GreenroomError
    ├── RequestError             the caller can fix it             4xx
    │   ├── MalformedRequest     names the field and the place
    │   ├── Unauthorized
    │   ├── Forbidden
    │   ├── NotFound
    │   ├── BodyTimeout
    │   ├── Conflict
    │   ├── TooLarge
    │   │   └── StorageFull
    │   ├── QuotaExceeded        carries retry_after_s
    │   ├── ContextTooLong
    │   └── ExtraMissing         names the command that installs it
    ├── UpstreamError            the model's side failed           5xx, may be tried elsewhere
    │   ├── UpstreamUnreachable
    │   ├── UpstreamUnavailable  left alone for a while           503
    │   ├── UpstreamTLS
    │   ├── UpstreamTimeout
    │   ├── UpstreamDisconnected
    │   ├── UpstreamProtocol
    │   ├── UpstreamAuth
    │   ├── ResponseNotConforming
    │   └── UpstreamRefused      carries status, body, retry_after_s
    ├── StepFailed               a step with on_error = "refuse" broke
    ├── Overloaded               shed load                         503
    ├── StoreError               the data folder can't be used
    └── ConfigError              start-up only; names the key and the file
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"


class RequestError(GreenroomError):
    """The caller can fix it. `param` names the field."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class MalformedRequest(RequestError):
    """The body or a header is not what the route takes."""

    code = "malformed_request"


class Unauthorized(RequestError):
    """No key, or one we do not know."""

    status = 401
    code = "invalid_api_key"


class Forbidden(RequestError):
    """The key may not do this."""

    status = 403
    code = "not_allowed"


class NotFound(RequestError):
    """No such thing, or not one this project may see."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """No app, model or provider goes by this name."""

    code = "model_not_found"


class PromptNotFound(NotFound):
    """No prompt, version or label goes by this name."""

    code = "prompt_not_found"


class PromptInvalid(RequestError):
    """A prompt that can't be, or variables that do not fill it; `param` names the field."""

    code = "invalid_prompt"


class BodyTimeout(RequestError):
    """The body stopped coming."""

    status = 408
    code = "request_timeout"


class Conflict(RequestError):
    """What is there already is not what the request takes it for."""

    status = 409
    code = "conflict"


class TooLarge(RequestError):
    """The body is past the limit."""

    status = 413
    code = "request_too_large"


class StorageFull(TooLarge):
    """The project's files take what they may take."""

    code = "storage_quota_exceeded"


class ContextTooLong(RequestError):
    """The prompt does not fit the model's window, counted before any money is spent."""

    code = "context_length_exceeded"


class ContentRefused(RequestError):
    """A check refused, and the app asks for errors instead of refusal answers."""

    code = "content_policy_violation"


class ExtraMissing(RequestError):
    """What was asked for needs libraries that are not installed; the message says how to install them."""

    code = "not_installed"


class QuotaExceeded(RequestError):
    """The key has used up what it may use in this window."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_exceeded"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UpstreamError(GreenroomError):
    """The model's side failed; another target may do better. Messages name the target, never an address."""

    status = 502
    code = "upstream_error"
    type = "upstream_error"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UpstreamUnreachable(UpstreamError):
    """No connection: refused, no such host, no route, or no answer to the connect."""

    code = "upstream_unreachable"


class UpstreamUnavailable(UpstreamError):
    """The target failed so often that it is not called for a while."""

    status = 503
    code = "upstream_unavailable"


class UpstreamTLS(UpstreamError):
    """The certificate or the handshake is wrong; never tried again on the same target."""

    code = "upstream_tls"


class UpstreamTimeout(UpstreamError):
    """Nothing came in time."""

    status = 504
    code = "upstream_timeout"


class UpstreamDisconnected(UpstreamError):
    """The answer was cut short."""

    code = "upstream_disconnected"


class UpstreamProtocol(UpstreamError):
    """What came is not the protocol: HTML, broken JSON, a redirect, a bomb."""

    code = "upstream_protocol"


class UpstreamAuth(UpstreamError):
    """The provider does not accept our key. Never shown as the client's own 401."""

    code = "upstream_auth"


class ResponseNotConforming(UpstreamError):
    """The answer is not of the form that was asked for, not even after asking again."""

    code = "response_not_conforming"


class UpstreamRefused(UpstreamError):
    """The provider answered with an error status of its own."""

    def __init__(
        self, message: str, *, upstream_status: int, upstream_code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, retry_after_s=retry_after_s)
        self.upstream_status = upstream_status
        self.upstream_code = upstream_code


class StepFailed(GreenroomError):
    """A step broke, and its policy is to refuse rather than to go on without it."""

    code = "step_failed"

    def __init__(self, step: str) -> None:
        super().__init__(f"The step '{step}' failed, and it is set to refuse when it fails. Try again later.")
        self.step = step


class Overloaded(GreenroomError):
    """Too much at once; the client should come back."""

    status = 503
    code = "overloaded"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreError(GreenroomError):
    """The data folder cannot be used; the message says what to do."""

    code = "store_error"


class ConfigError(GreenroomError):
    """The configuration is wrong. Names file, line and key."""

    code = "config_error"


class InfrastructureError(GreenroomError):
    """An evaluation can't go on whatever its samples are: no such model, no key, no money left."""


def nearest(said: str, known: Iterable[str]) -> str | None:
    """What somebody meant who wrote a name that nothing has; None where nothing is much like it."""
    from difflib import get_close_matches  # noqa: PLC0415  # for mistakes alone

    return next(iter(get_close_matches(said, list(known), n=1)), None)
