"""The way to the pages: imported and made when somebody first asks for one.

Many servers are only asked by programs, and what only people see takes several megabytes.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from greenroom.assembly.faces import Behind

OF_CLIENTS = ("/api/", "/v1/", "/metrics", "/healthz", "/readyz", "/openapi.json")


class Site:
    """What answers where no other route does."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._made: Router | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, for a page or for nothing."""
        made = self._made or await self._make()
        await made(scope, receive, send)

    async def _make(self) -> Router:
        async with self._making:
            made = self._made
            if made is None:
                made = await asyncio.to_thread(_make, self._behind)
        self._made = made
        return made


def _make(behind: Behind) -> Router:
    from greenroom.assembly.pagerooms import site_of  # noqa: PLC0415  # 4 MiB that only people need

    return site_of(behind)


def page_of_trouble(request: Request, status: int, sentence: str) -> Response | None:
    """Return a page that says so to who reads pages; None for clients of the API, who want JSON."""
    if request.url.path.startswith(OF_CLIENTS) or "text/html" not in request.headers.get("accept", ""):
        return None
    from greenroom.server.pages.trouble import trouble_page  # noqa: PLC0415  # as above

    return trouble_page(status, sentence)
