"""What a person sees where there is no page, or one broke: a page, where a client of the API gets JSON."""

from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from greenroom.server.pages.rendering import Renderer

_OF_CLIENTS = ("/api/", "/v1/", "/metrics", "/healthz", "/readyz", "/openapi.json")


@cache
def _renderer() -> Renderer:
    return Renderer()


def trouble_page(request: Request, status: int, sentence: str) -> Response | None:
    """Return a page that says so to who reads pages; None for clients of the API, who want JSON."""
    path = request.url.path
    if path.startswith(_OF_CLIENTS) or "text/html" not in request.headers.get("accept", ""):
        return None
    return _renderer().html("error.html", status=status, session=None, code=status, sentence=sentence)
