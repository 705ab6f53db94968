"""Stored markup: two hundred payloads in every field that is kept, and every page that shows one opened."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.assembly.workers import Model
from tests.e2e.payloads import PAYLOADS
from tests.e2e.walk import walk
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server_process import ADMIN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

CONFIG = """
[apps.open]
model = "mock"
preprocess = []
ground = ["history"]
check = []
postprocess = []
"""


class _Speaker:
    """Puts a payload into every field of what it sends, the next one each time."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._at = 0

    def next(self) -> str:
        self._at += 1
        return PAYLOADS[self._at % len(PAYLOADS)]

    def tell(self, path: str, body: object, **headers: str) -> Any:  # Any: JSON
        return self._send(path, body, headers)[0]

    def _send(self, path: str, body: object, headers: dict[str, str]) -> tuple[Any, str]:  # Any: JSON
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json", **headers}
        request = urllib.request.Request(self._server.url + path, data, head)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer), str(answer.headers["x-request-id"])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read()[:300]!r}") from error

    def chat(self, number: int) -> str:
        """One exchange whose every text is a payload, and what people say of it; its id."""
        body = {
            "model": ("open", "default")[number % 2],
            "messages": [
                {"role": "system", "content": self.next()},
                {"role": "user", "content": self.next(), "name": "x"},
                {"role": "assistant", "content": self.next()},
                {"role": "user", "content": PAYLOADS[number]},
            ],
            "user": self.next()[:200],
            "metadata": {"note": self.next()[:200], "team": self.next()[:200]},
        }
        plain = self.next().translate({0: None, 0x1B: None, 0x2028: None, 0x202E: None})
        _, id = self._send("/v1/chat/completions", body, {"user-agent": plain})
        self.tell("/api/feedback", {
            "id": id, "name": "helpful", "value": 0, "comment": self.next(), "correction": self.next(),
        })  # fmt: skip
        return id

    def document(self) -> None:
        """A file with a payload for a name and for a text, in a collection named by one."""
        file, line = self.next().replace('"', "%22").encode(), b"\r\n"
        parts = (
            b"--edge", b'content-disposition: form-data; name="purpose"', b"", b"assistants",
            b"--edge", b'content-disposition: form-data; name="file"; filename="' + file + b'.md"',
            b"content-type: text/markdown", b"", b"# " + self.next().encode() + b"\n\n" + self.next().encode(),
            b"--edge--", b"",
        )  # fmt: skip
        made = self.tell(
            "/v1/files", line.join(parts), **{"content-type": "multipart/form-data; boundary=edge"}
        )
        self.tell("/v1/vector_stores", {"name": self.next()[:200], "file_ids": [made["id"]]})

    def others(self) -> None:
        """What else is kept of what people write."""
        self.tell("/api/keys", {"project": "default", "name": self.next()[:60]})
        turns = [{"role": "user", "text": self.next(), "time": "2026-03-01T10:00:00Z"}]
        self.tell("/api/sessions", {"user": self.next()[:100], "session": self.next()[:100], "turns": turns})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, list[str]]]:
    """A server that was told all payloads, and the ids of the exchanges."""
    if chromium() is None:
        pytest.skip("no Chromium here: pages are not opened in a browser")
    model = Model()
    with ServerProcess(tmp_path_factory.mktemp("hostile") / "data", model.config + CONFIG) as server:
        speaker = _Speaker(server)
        ids = [speaker.chat(number) for number in range(len(PAYLOADS))]
        for _ in range(10):
            speaker.document()
            speaker.others()
        yield server, ids
    model.close()


def test_no_payload_runs_and_nothing_is_fetched(hostile: tuple[ServerProcess, list[str]]) -> None:
    server, ids = hostile
    with Browser() as browser:
        sign_in(browser, server.url, ADMIN)
        for id in ids:
            browser.go(f"{server.url}/requests/{id}")
            assert browser.value("window.hit === undefined"), id
        assert sum(1 for path in walk(browser, server.url, of_a_kind=6) if _is_calm(browser, path)) > 20

        assert browser.dialogs == []
        assert [one for one in browser.requested if not one.startswith((server.url, "data:"))] == []


def _is_calm(browser: Browser, path: str) -> bool:
    assert browser.value("window.hit === undefined"), path
    return True


def test_payloads_differ() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 200
