"""What routes outside the fast path share: what is said of one, a typed body in, JSON out."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeVar

from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.exchange import Caller
from greenroom.wire import openai

T = TypeVar("T")
Role = Literal["app", "viewer", "operator", "admin"]
BODY_LIMIT_BYTES = 1024 * 1024


Note = Callable[[str, str, object, str], None]
"""Writes into the audit log who did what, about what, from which address."""


class Doc(NamedTuple):
    """One route and what the OpenAPI document says of it."""

    path: str
    method: str
    role: Role | None
    summary: str
    endpoint: Callable[[Request, Caller | None], Awaitable[Response]]
    parameters: tuple[str, ...] = ()
    body: type | dict[str, object] | None = None
    """A Struct, or the schema itself of a form with a file."""
    status: int = 200
    media: str = "application/json"


async def read_body(request: Request, decoder: Decoder[T], limit_bytes: int = BODY_LIMIT_BYTES) -> T:
    """The body as its type. Raises: MalformedRequest that names the field; TooLarge."""
    data = await request.body()
    if len(data) > limit_bytes:
        raise TooLarge(f"The body is larger than {limit_bytes // BODY_LIMIT_BYTES} MB.")
    try:
        return decoder.decode(data)
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`") or None
        raise MalformedRequest(f"'{field}': {message}." if field else f"{message}.", field) from None
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"The body is not valid JSON: {error}.") from None


def json_answer(value: object, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(openai.encode(value), status, media_type="application/json")


def client_address(request: Request) -> str:
    """Where a request came from, for the audit log; "" where there is no telling."""
    return request.client.host if request.client is not None else ""


async def noted(note: Note, request: Request, caller: Caller, what: str, **about: object) -> None:
    """Have a change written into the audit log."""
    await run_in_threadpool(note, caller.key_id, what, about, client_address(request))
