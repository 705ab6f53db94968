"""Templates and the head of every answer: strict, escaped, never cached, never framed."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from greenroom.server.pages import figures
from greenroom.server.pages.glyphs import one_line, runs
from greenroom.server.pages.navigation import GROUPS

HERE = Path(__file__).parent
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}", re.IGNORECASE)
_ASSETS = ("greenroom.css", "greenroom.js", "favicon.svg")


class Assets(StaticFiles):
    """The files under /static; their addresses carry a digest, so a browser may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


class Renderer:
    """Fills templates. Every value is text: escaped where it stands, and an unknown name is an error."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            duration=figures.duration,
            count=figures.count,
            dollars=figures.dollars,
            share=figures.share,
            score=figures.score,
            size=figures.size,
            clock=figures.clock,
            line=one_line,
            runs=runs,
            lang=language,
            segment=segment,
        )
        self._environment.globals["assets"] = {name: _address(name) for name in _ASSETS}
        self._environment.globals["navigation"] = GROUPS

    def html(self, template: str, *, status: int = 200, **values: Any) -> Response:  # Any: see the template
        """Return a page."""
        text = self._environment.get_template(template).render(values)
        return Response(text.encode("utf-8", "replace"), status, HEADERS, "text/html; charset=utf-8")


def json_answer(value: object, status: int = 200) -> Response:
    """Return a page's JSON twin."""
    return Response(msgspec.json.encode(value), status, HEADERS, "application/json")


def redirect(path: str) -> Response:
    """Send the browser to a path of this server, with GET."""
    return Response(b"", 303, {**HEADERS, "location": path})


def segment(id: str) -> str:
    """Return an id as one segment of a path."""
    return quote(id.encode("utf-8", "replace"), safe="")


def language(code: str) -> str:
    """Return a language code fit for a `lang` attribute; "" says that it is unknown."""
    return code if _LANGUAGE.fullmatch(code) else ""


def _address(name: str) -> str:
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
