"""The cookies of the pages: out of reach for scripts, other sites, and plain HTTP under TLS."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

Kind = Literal["session", "login", "said"]


def cookie(request: Request, kind: Kind) -> str | None:
    """Return the value the browser sent."""
    return request.cookies.get(cookie_name(request, kind))


def set_cookie(request: Request, answer: Response, kind: Kind, value: str) -> None:
    """Put a cookie on an answer; it goes when the browser closes."""
    answer.set_cookie(
        cookie_name(request, kind), value, path="/", secure=_is_tls(request), httponly=True, samesite="strict"
    )


def drop_cookie(request: Request, answer: Response, kind: Kind) -> None:
    """Take a cookie back."""
    answer.delete_cookie(
        cookie_name(request, kind), path="/", secure=_is_tls(request), httponly=True, samesite="strict"
    )


def cookie_name(request: Request, kind: Kind) -> str:
    """Return the cookie's name; under TLS its prefix keeps other hosts of the domain from setting it."""
    return f"__Host-greenroom_{kind}" if _is_tls(request) else f"greenroom_{kind}"


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
