"""Every page that can be reached by links from the bar, one after the other."""

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urldefrag, urlsplit

from greenroom.server.pages.navigation import GROUPS
from tests.server.pages.browser import Browser

_LINKS = "[...document.querySelectorAll('main a[href]')].map(one => one.href)"
_ID = re.compile(r"[^/]*\d[^/]*|[^/]{24,}")


def walk(browser: Browser, origin: str, *, of_a_kind: int, most: int = 400) -> Iterator[str]:
    """Open pages breadth first and yield the path of each, `of_a_kind` at most of those that differ by an id."""
    waiting = [place.path for group in GROUPS for place in group.places]
    seen, kinds = set(waiting), Counter[str]()
    while waiting and sum(kinds.values()) < most:
        path = waiting.pop(0)
        kind = kind_of(path)
        if kinds[kind] >= of_a_kind:
            continue
        kinds[kind] += 1
        browser.go(origin + path)
        yield path
        for address in browser.value(_LINKS):
            link = urldefrag(address)[0]
            if link.startswith(origin + "/") and link not in seen and _is_page(link):
                seen.add(link)
                waiting.append(link.removeprefix(origin))


def kind_of(path: str) -> str:
    """A path without its ids, and whether it asks for something: with other questions it is the same page."""
    parts = urlsplit(path)
    segments = [
        "ID" if _ID.fullmatch(one) or place > 1 else one for place, one in enumerate(parts.path.split("/"))
    ]
    return "/".join(segments) + ("?" if parts.query else "")


def _is_page(link: str) -> bool:
    path = urlsplit(link).path
    return not path.startswith(("/v1/", "/api/", "/static/")) and "." not in path.rpartition("/")[2][-6:]
