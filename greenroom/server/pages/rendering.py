"""Templates and the head of every answer: strict, escaped, never cached, never framed."""

import re
import time
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from markupsafe import Markup, escape
from starlette.responses import Response

from greenroom.server.pages import charts, figures
from greenroom.server.pages.access import may_look
from greenroom.server.pages.assets import read_assets
from greenroom.server.pages.glyphs import one_line, runs
from greenroom.server.pages.headers import HEADERS
from greenroom.server.pages.navigation import GROUPS

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
_NOW = {"iw": "he", "in": "id", "ji": "yi"}
"""Codes of languages that were replaced, by what they are now (IANA's registry of language subtags)."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}", re.IGNORECASE)


said: ContextVar[str] = ContextVar("said", default="")
"""What the page that is being made should say of what was just done."""
MODULES = (
    "greenroom.js",
    "keys.js",
    "gr-cmdk.js",
    "gr-theme.js",
    "gr-chart.js",
    "gr-live.js",
    "gr-json.js",
    "gr-requests.js",
)


class Renderer:
    """Fills templates. Every value is text: escaped where it stands, and an unknown name is an error."""

    @cached_property
    def _environment(self) -> "Environment":
        """The templates; nothing of them is loaded before the first page is asked for."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  # 2 MiB at rest

        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters.update(
            duration=figures.duration,
            count=figures.count,
            dollars=figures.dollars,
            share=figures.share,
            score=figures.score,
            size=figures.size,
            clock=figures.clock,
            shortclock=figures.short_clock,
            ago=figures.ago,
            line=one_line,
            runs=runs,
            lang=language,
            segment=segment,
            sentence=sentence,
            ticked=ticked,
            chartblock=charts.block,
            chartrows=charts.table,
            chartclock=charts.clock,
            isotime=charts.iso,
        )
        environment.tests["seen_by"] = lambda path, role: may_look(role, path)
        environment.globals["assets"] = {name: one.address for name, one in read_assets().items()}
        environment.globals.update(
            navigation=GROUPS, modules=MODULES, said=said.get, may_look=may_look, now_ns=time.time_ns
        )
        return environment

    def text(self, template: str, **values: Any) -> str:  # Any: see the template
        """Return a part of a page."""
        return self._environment.get_template(template).render(values)

    def html(self, template: str, *, status: int = 200, **values: Any) -> Response:  # Any: see the template
        """Return a page."""
        text = self.text(template, **values)
        return Response(text.encode("utf-8", "replace"), status, HEADERS, "text/html; charset=utf-8")


def json_answer(value: object, status: int = 200) -> Response:
    """Return a page's JSON twin."""
    return Response(msgspec.json.encode(value), status, HEADERS, "application/json")


class Redirect(Response):
    """Sends the browser on; `said` is a word on what was done, shown once on the page where it arrives."""

    said = ""


def redirect(path: str, said: str = "") -> Response:
    """Send the browser to a path of this server, with GET; `said` is shown there, once."""
    answer = Redirect(b"", 303, {**HEADERS, "location": path})
    answer.said = said
    return answer


def segment(id: str) -> str:
    """Return an id as one segment of a path."""
    return quote(id.encode("utf-8", "replace"), safe="")


def ticked(text: str) -> Markup:
    """Return text with what stands between backticks as code; all of it is escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(one) if place % 2 else one for place, one in enumerate(pieces)
    )


def sentence(text: str) -> str:
    """Return a reason as a sentence: begun large, ended with a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


def language(code: str) -> str:
    """Return a language code fit for a `lang` attribute; "" says that it is unknown."""
    return _NOW.get(code, code) if _LANGUAGE.fullmatch(code) else ""
