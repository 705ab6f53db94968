"""What a browser posts: read within bounds, and only from our own pages."""

from urllib.parse import parse_qsl, quote, urlsplit

from starlette.requests import Request

from greenroom.errors import Forbidden, MalformedRequest, TooLarge

FORM_LIMIT_BYTES = 512 * 1024
_MOST_FIELDS = 250


class Form(dict[str, str]):
    """The fields of a form: the last of equal names; `many` has all of them."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def many(self, name: str) -> list[str]:
        """Return all values of a name, as of boxes that are ticked."""
        return [value for one, value in self._pairs if one == name]


def require_same_origin(request: Request) -> None:
    """Raise Forbidden unless the browser says that the request comes from a page of this very address.

    A request without `Origin` passes when the browser says `Sec-Fetch-Site: same-origin`; "null" never does.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    is_ours = origin == own_origin(request) if origin is not None else site == "same-origin"
    if not is_ours or site not in {None, "same-origin", "none"}:
        raise Forbidden("This form was not sent from a page of this server. Open the page again and retry.")


def own_origin(request: Request) -> str:
    """Return scheme, host and port as a browser writes them in `Origin`."""
    return f"{request.url.scheme}://{request.headers.get('host', '').lower()}"


async def read_form(request: Request) -> Form:
    """Return the fields of a posted form, the last of equal names.

    Raises: MalformedRequest when it is no form; TooLarge past 512 KiB.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise MalformedRequest("Send this form as application/x-www-form-urlencoded.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_LIMIT_BYTES:
            raise TooLarge("The form is longer than 512 KiB. Send long prompts to the API instead.")
    try:
        return Form(
            parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=_MOST_FIELDS
            )
        )
    except ValueError as error:
        raise MalformedRequest("The form cannot be read.") from error


def local_path(address: str) -> str:
    """Return `address` if it is a path of this server, else "/"."""
    parts = urlsplit(address) if address.isascii() and address.isprintable() else None
    is_path = parts is not None and not parts.scheme and not parts.netloc
    is_safe = (
        is_path and address.startswith("/") and not address.startswith(("//", "/\\")) and "\\" not in address
    )
    return address if is_safe else "/"


def own_address(request: Request) -> str:
    """Return the path and query of a request, as an address of this server."""
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"], safe="/")
    return f"{path}?{query}" if query else path
