"""The head of a request: what it says, what it may not say, and who answers it.

Knows names and limits; no socket and no parser.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from greenroom.server.incoming import Incoming
    from greenroom.server.outgoing import Outgoing

URL_LIMIT_BYTES = 8192
HEADER_LIMIT_BYTES = 65_536
HEADER_LIMIT_COUNT = 100


class Limits(NamedTuple):
    """What a connection may take, in bytes and seconds."""

    body_bytes: int = 20 * 1024 * 1024
    header_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 60.0
    write_s: float = 30.0
    connections: int = 4096
    spare: int = 8
    """Connections beyond those, which are told to come back, or how the server is."""
    bodies_bytes: int = 256 * 1024 * 1024
    """Of all bodies together that are being read, not counting uploads."""
    file_bytes: int = 512 * 1024 * 1024
    """The body of an upload, which is handed on as it comes."""


class Request(Struct, eq=False):
    """One request as it came: method, path, query, headers (names in lower case) and body."""

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    raw_headers: list[tuple[bytes, bytes]]
    is_fast: bool = False
    """Whether `FastRoutes` answers it, not the ASGI app."""
    body: bytes = b""
    incoming: "Incoming | None" = None
    """Where the body comes from piece by piece if it is an upload: the app starts before it is whole."""
    is_last: bool = False
    """Whether the client wants the connection closed behind its answer."""
    context: object = None
    """What `FastRoutes.admit` left for `FastRoutes.answer`."""


class Refusal(NamedTuple):
    """An answer given before the body was read; the connection closes after it."""

    status: int
    body: bytes
    headers: bytes = b""


class FastRoutes(Protocol):
    """Answers its routes without ASGI."""

    def admit(self, request: Request) -> Refusal | None:
        """Look at the head alone (path, method, key): refuse now, before a body is read, or go on.

        Sets `request.is_fast` where the path is ours, `request.incoming` where a body may be large.
        """
        ...

    async def answer(self, request: Request, out: "Outgoing") -> None:
        """Answer through `out.respond` or `out.begin`, `out.send`, `out.end`."""
        ...

    def refusal(self, status: int, message: str, path: bytes = b"", code: str | None = None) -> Refusal:
        """The answer to a request that could not even be parsed, or that broke; `path` where it is known,
        `code` where the status has several.
        """
        ...


_SINGLE = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-api-key", b"content-type"}
)


def check_fields(fields: list[tuple[bytes, bytes]]) -> None:
    """Refuse a head with too many fields or too large ones, or one that says twice what must be said once."""
    size = sum(len(name) + len(value) for name, value in fields)
    if len(fields) > HEADER_LIMIT_COUNT or size > HEADER_LIMIT_BYTES:
        raise Refused(431, "The request has more than 100 headers or 64 KB of them.")
    seen: set[bytes] = set()
    for name, _ in fields:
        if name in seen and name in _SINGLE:
            raise Refused(400, f"The header '{name.decode('latin-1')}' stands twice.")
        seen.add(name)


class Refused(Exception):
    """A request that is not read any further, and what its sender is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
