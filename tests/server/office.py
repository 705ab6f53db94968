"""A server with a key of every role, asked over HTTP."""

import json
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from typing import Any, NamedTuple

import pytest

from tests.server_process import ADMIN, ServerProcess

ROLES = ("app", "viewer", "operator", "admin")


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # Any: JSON
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code in the error envelope, after a look at the envelope itself."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"].endswith(".") or "?" in error["message"]
        return str(error["code"])


class Office:
    """A server and a key of every role in the project `p`."""

    def __init__(self, server: ServerProcess, roles: Sequence[str] = ROLES[:-1]) -> None:
        self.server = server
        self.keys = {"admin": ADMIN}
        for role in roles:
            self.keys[role] = self.create(name=f"the {role}", project="p", role=role)["key"]
        for role in roles:
            self.wait_for("/v1/models", self.keys[role], 200)

    def ask(
        self, route: str, key: str | None = None, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send `METHOD /path`."""
        method, _, path = route.partition(" ")
        sent = dict(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, path, data, sent)
            found = connection.getresponse()
            named = {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, named, found.read())
        finally:
            connection.close()

    def create(self, **fields: object) -> dict[str, Any]:  # Any: JSON
        """A new key."""
        made = self.ask("POST /api/keys", ADMIN, fields)
        assert made.status == 201, made.body
        row: dict[str, Any] = made.json
        return row

    def wait_for(self, path: str, key: str, status: int, seconds: float = 20.0) -> float:
        """Seconds until a key is answered with this status."""
        began = time.monotonic()
        while (found := self.ask(f"GET {path}", key)).status != status:
            assert time.monotonic() - began < seconds, found
            time.sleep(0.02)
        return time.monotonic() - began

    def chat(self, key: str, text: str, **headers: str) -> str:
        """One answered question; the id of its trace, once it is listed."""
        body = {"model": "default", "messages": [{"role": "user", "content": text}]}
        named = {f"x-greenroom-{name}": value for name, value in headers.items()}
        answer = self.ask("POST /v1/chat/completions", key, body, named)
        assert answer.status == 200, answer.body
        id = answer.headers["x-request-id"]
        self.wait_for(f"/api/traces/{id}", ADMIN, 200)
        return id


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with ServerProcess(tmp_path_factory.mktemp("api") / "data") as server:
        yield Office(server)
