"""A small file over HTTPS, whole or not at all. Blocks: for commands, never for the event loop."""

import ssl
from collections.abc import Mapping
from http.client import HTTPException
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from greenroom.errors import RequestError, UpstreamDisconnected, UpstreamRefused, UpstreamUnreachable
from greenroom.models.download import check_address

PATIENCE_S = 30.0


def fetch(
    url: str, limit_bytes: int, environment: Mapping[str, str], context: ssl.SSLContext | None = None
) -> bytes:
    """The bytes at an https:// address, redirects followed to https:// only.

    Raises: RequestError for another address and for more bytes than the limit, UpstreamError for the network.
    """
    check_address(url)
    proxy = environment.get("HTTPS_PROXY") or environment.get("https_proxy")
    opener = OpenerDirector()
    for handler in (
        ProxyHandler({"https": proxy} if proxy else {}),
        HTTPSHandler(context=context or ssl.create_default_context()),
        _OnlyHttps(),
        HTTPErrorProcessor(),
        HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    try:
        answer = opener.open(Request(url, headers={"User-Agent": "greenroom"}), timeout=PATIENCE_S)  # noqa: S310  # checked above
        with answer:
            content: bytes = answer.read(limit_bytes + 1)
            announced = answer.headers.get("content-length", "")
    except HTTPError as error:
        with error:
            raise UpstreamRefused(f"{url} answers {error.code}.", upstream_status=error.code) from None
    except (URLError, OSError, HTTPException) as error:
        raise UpstreamUnreachable(f"{url} can't be reached: {error}.") from None
    if len(content) > limit_bytes:
        raise RequestError(f"{url} is larger than {limit_bytes >> 20} MB.", "url")
    if announced.isdigit() and int(announced) > len(content):
        raise UpstreamDisconnected(f"{url} broke off after {len(content):,} bytes. Try again.")
    return content


class _OnlyHttps(HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> Request | None:
        """Go on where it leads, to https:// alone."""
        check_address(newurl)
        return Request(newurl, headers={"User-Agent": "greenroom"})  # noqa: S310  # checked above
