"""Streams of rows over real sockets: what comes, when it ends, how many there may be."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest, StoreError
from greenroom.server.pages import live as live_module
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.live import live
from greenroom.server.pages.sessions import Session
from tests.server.pages.backend import ADMIN_KEY, FakeBackend
from tests.server.pages.serving import served


class Feed:
    """Rows that a test adds; counts how often it was asked."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.asked = 0
        self.trouble: GreenroomError | None = None

    def since(self, after: str) -> tuple[str, list[str]]:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        seen = int(after or 0)
        return str(len(self.rows)), self.rows[seen:]

    def room(self, doors: Doors) -> list[BaseRoute]:
        async def stream(request: Request, session: Session) -> Response:
            return await live(request, session, self.since, pause_s=0.0)

        return [Route("/feed", doors.twin(stream))]


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def origin(backend: FakeBackend, feed: Feed) -> Iterator[str]:
    with served(backend, more=[feed.room]) as address:
        yield address


@pytest.fixture
def client(origin: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=origin, timeout=10) as one:
        page = one.get("/login").text
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        answer = one.post("/login", data={"csrf": token, "key": ADMIN_KEY}, headers={"origin": origin})
        assert answer.status_code == 303
        yield one


@contextmanager
def watching(client: httpx2.Client, **headers: str) -> Iterator[Iterator[str]]:
    with client.stream("GET", "/feed", headers={"accept": "text/event-stream", **headers}) as answer:
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        yield answer.iter_lines()


def next_rows(lines: Iterator[str]) -> tuple[str, list[str]]:
    id = ""
    for line in lines:
        if line.startswith("id: "):
            id = line.removeprefix("id: ")
        if line.startswith("data: "):
            rows: list[str] = json.loads(line.removeprefix("data: "))
            return id, rows
    raise AssertionError("the stream ended")


def test_rows_come_as_they_are_written_and_never_twice(client: httpx2.Client, feed: Feed) -> None:
    feed.rows.append("<tr><td>one\n</td></tr>")
    with watching(client) as lines:
        assert next_rows(lines) == ("1", ["<tr><td>one\n</td></tr>"])
        feed.rows += ["two", "three"]
        assert next_rows(lines) == ("3", ["two", "three"])


def test_a_browser_that_comes_back_goes_on_where_it_was(client: httpx2.Client, feed: Feed) -> None:
    feed.rows += ["one", "two", "three"]

    with watching(client, **{"last-event-id": "2"}) as lines:
        assert next_rows(lines) == ("3", ["three"])
    assert client.get("/feed?after=1").json() == {"id": "3", "rows": ["two", "three"]}


def test_at_most_four_looks_a_second(client: httpx2.Client, feed: Feed) -> None:
    feed.rows.append("one")
    with watching(client) as lines:
        next_rows(lines)
        before, began = feed.asked, time.monotonic()
        time.sleep(0.6)
        looks, took = feed.asked - before, time.monotonic() - began

    assert 1 <= looks <= took / 0.25 + 1


def test_the_stream_ends_within_a_moment_of_its_key(
    client: httpx2.Client, backend: FakeBackend, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_CHECK_S", 0.1)
    with watching(client) as lines:
        assert next_rows(lines) == ("0", [])
        del backend.roles[ADMIN_KEY]
        began = time.monotonic()
        rest = list(lines)

    assert "event: end" in rest
    assert time.monotonic() - began < 3
    assert client.get("/feed", headers={"accept": "text/event-stream"}).status_code == 401


def test_streams_are_bounded_and_their_places_come_back(client: httpx2.Client) -> None:
    for _ in range(2):
        opened = [watching(client) for _ in range(live_module.MOST_STREAMS_OF_A_SESSION)]
        streams = [one.__enter__() for one in opened]
        for lines in streams:
            next_rows(lines)
        try:
            refused = client.get("/feed", headers={"accept": "text/event-stream"})
            assert refused.status_code == 503
            assert client.get("/feed").status_code == 200, "who can't stream asks again and again"
        finally:
            for one in opened:
                one.__exit__(None, None, None)
        until = time.monotonic() + 20
        while live_module._open.total() and time.monotonic() < until:
            time.sleep(0.02)
        assert live_module._open.total() == 0


def test_a_server_that_drains_waits_for_no_stream(backend: FakeBackend, feed: Feed) -> None:
    draining: list[bool] = []
    with served(backend, more=[feed.room], is_draining=lambda: bool(draining)) as origin, \
            httpx2.Client(base_url=origin) as one:  # fmt: skip
        page = one.get("/login").text
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        one.post("/login", data={"csrf": token, "key": ADMIN_KEY}, headers={"origin": origin})
        with watching(one) as lines:
            next_rows(lines)
            draining.append(True)
            began = time.monotonic()
            rest = list(lines)

    assert "event: end" not in rest, "the browser comes back to the server that follows"
    assert time.monotonic() - began < 2


def test_watching_keeps_no_session_alive(
    backend: FakeBackend, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_CHECK_S", 0.1)
    now = [1000.0]
    with (
        served(backend, more=[feed.room], now=lambda: now[0]) as origin,
        httpx2.Client(base_url=origin) as one,
    ):
        page = one.get("/login").text
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        one.post("/login", data={"csrf": token, "key": ADMIN_KEY}, headers={"origin": origin})
        with watching(one) as lines:
            next_rows(lines)
            now[0] += 11 * 3600
            time.sleep(0.5)
            now[0] += 2 * 3600
            ended = threading.Event()
            for line in lines:
                if line == "event: end":
                    ended.set()
        assert ended.is_set()
        assert urlsplit(one.get("/").headers["location"]).path == "/login"


def test_a_question_that_is_wrong_is_told_before_a_stream_begins(client: httpx2.Client, feed: Feed) -> None:
    feed.trouble = MalformedRequest("These words can't be searched for.")

    answer = client.get("/feed", headers={"accept": "text/event-stream"})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "These words can't be searched for."


def test_a_store_that_fails_under_a_stream_ends_it_and_the_next_tells_why(
    client: httpx2.Client, feed: Feed
) -> None:
    with watching(client) as lines:
        assert next_rows(lines) == ("0", [])
        feed.trouble = StoreError("The store can't be read.")
        list(lines)  # it ends, and is not cut

    assert client.get("/feed", headers={"accept": "text/event-stream"}).status_code == 500
