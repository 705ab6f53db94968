"""The files under /static: which there are, what they hold, and how they go out.

The style sheets in `static/css` go out as one file, `greenroom.css`: the shared ones first, then those of
single pages by name, and what narrow windows change last.
"""

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from greenroom.server.pages.compression import LEAST_BYTES, coding, packed_once
from greenroom.server.pages.headers import HEADERS

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


_SHARED = ("tokens", "base", "forms", "shell", "tables", "cards", "charts")
_LAST = "narrow"


class Asset:
    """One file: its bytes and the digest that its address carries."""

    __slots__ = ("address", "body", "digest", "kind")

    def __init__(self, name: str, body: bytes, kind: str) -> None:
        self.body = body
        self.kind = kind
        self.digest = hashlib.sha256(body).hexdigest()[:12]
        self.address = f"/static/{name}?v={self.digest}"


@cache
def read_assets() -> dict[str, Asset]:
    """Return all files by their path under /static; nothing else is ever served from there."""
    sheets = {path.stem: path.read_bytes() for path in sorted((STATIC / "css").glob("*.css"))}
    names = [*_SHARED, *(name for name in sheets if name not in {*_SHARED, _LAST}), _LAST]
    bodies = {"greenroom.css": b"\n".join(sheets[name] for name in names)}
    for path in sorted(STATIC.rglob("*")):
        if path.suffix in KINDS and path.parent.name != "css":
            bodies[path.relative_to(STATIC).as_posix()] = path.read_bytes()
    return {name: Asset(name, body, KINDS[Path(name).suffix]) for name, body in bodies.items()}


class Assets:
    """Answers /static. An address with the file's digest may be kept for good; others are asked for again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", "")).lstrip("/")
        asset = read_assets().get(path)
        if asset is None:
            return Response("There is no such file.", 404, HEADERS, "text/plain; charset=utf-8")
        if request.method not in {"GET", "HEAD"}:
            return Response("", 405, {**HEADERS, "allow": "GET, HEAD"})
        tag = f'"{asset.digest}"'
        is_named = request.query_params.get("v") == asset.digest
        head = {
            **HEADERS,
            "cache-control": "public, max-age=31536000, immutable" if is_named else "no-cache",
            "etag": tag,
            "vary": "accept-encoding",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(b"", 304, head)
        how = coding(request) if len(asset.body) >= LEAST_BYTES else ""
        if not how:
            return Response(asset.body, 200, head, asset.kind)
        return Response(packed_once(asset.body, how), 200, {**head, "content-encoding": how}, asset.kind)
