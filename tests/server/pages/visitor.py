"""A browser without scripts: keeps cookies, fills forms, reads what came."""

from collections.abc import Sequence
from html.parser import HTMLParser
from types import TracebackType
from typing import Self

from httpx2 import Response
from starlette.applications import Starlette
from starlette.testclient import TestClient

from greenroom.server.knowledge import Desk
from greenroom.server.pages.doors import Room
from greenroom.server.pages.site import pages
from tests.server.pages.backend import ADMIN_KEY, FakeBackend


class Clock:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Seen(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [
            attributes for name, attributes in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]  # fmt: skip


class Visitor:
    """Visits the pages of one backend."""

    def __init__(
        self, backend: FakeBackend, clock: Clock, origin: str = "http://testserver", desk: Desk | None = None,
        more: Sequence[Room] = (),
    ) -> None:  # fmt: skip
        self.backend = backend
        self.origin = origin
        self.client = TestClient(
            Starlette(routes=pages(backend, desk, now=clock, more=more)),
            base_url=origin,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        self.client.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.__exit__(kind, error, trace)

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(
            path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def see(self, path: str) -> Seen:
        return Seen(self.get(path).text)

    def token(self, path: str) -> str:
        return self.see(path).all("input", name="csrf")[0]["value"]

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Response:
        sent = {"origin": self.origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.post(path, data=fields, headers=sent)

    def try_key(self, key: str, next: str = "/") -> Response:
        return self.post("/login", {"csrf": self.token("/login"), "key": key, "next": next})

    def sign_in(self, key: str = ADMIN_KEY) -> None:
        assert self.try_key(key).status_code == 303
