"""What a person sees where there is no page, or one broke."""

from functools import cache

from starlette.responses import Response

from greenroom.server.pages.rendering import Renderer


@cache
def _renderer() -> Renderer:
    return Renderer()


def trouble_page(status: int, sentence: str) -> Response:
    """Return a page that says so."""
    return _renderer().html("error.html", status=status, session=None, code=status, sentence=sentence)
