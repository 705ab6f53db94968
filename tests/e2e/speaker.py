"""Who writes payloads into everything that the API and the pages keep."""

import json
import re
import urllib.error
import urllib.request
from typing import Any

import httpx2

from tests.e2e.payloads import PAYLOADS
from tests.server_process import ADMIN, ServerProcess

CONFIG = """
[apps.open]
model = "mock"
preprocess = []
ground = ["history"]
check = []
postprocess = []
[apps.lied]
model = "liar"
check = []
postprocess = []
[experiments.trial]
app = "open"
unit = "request"
metric = "helpful"
[experiments.trial.arms.other]
model = "liar"
share = 0.1
[canaries]
models = ["liar"]
[alerts]
every_s = 1
[alerts.rules.quiet]
kind = "threshold"
metric = "requests"
below = 1000000
over_s = 60
"""
PER_CHAT = 4
"""How many payloads one exchange has as questions."""
SPANS = 40
_TRACE = "0af7651916cd43dd8448eb211c80319c"


class Speaker:
    """Puts a payload into every field of what it sends, the next one each time."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._at = 0

    def next(self, most: int = 1_000) -> str:
        """The next payload."""
        self._at += 1
        return PAYLOADS[self._at % len(PAYLOADS)][:most]

    def plain(self, most: int = 1_000) -> str:
        """The next one without what a line of text must not hold."""
        return self.next(most).translate({0: None, 0x1B: None, 0x2028: None, 0x202E: None})

    def word(self) -> str:
        """The next one without spaces and quotes, as a value of a filter."""
        return self.plain(100).translate(dict.fromkeys(map(ord, " \"'\\")))

    def tell(self, path: str, body: object, **headers: str) -> Any:  # Any: JSON
        """Send it to the API; what it answered."""
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
        of_user = [PAYLOADS[(number * PER_CHAT + turn) % len(PAYLOADS)] for turn in range(PER_CHAT)]
        turns = [
            one for text in of_user
            for one in ({"role": "assistant", "content": self.next()}, {"role": "user", "content": text})
        ]  # fmt: skip
        body = {
            "model": ("open", "default", "lied")[number % 3],
            "messages": [{"role": "system", "content": self.next()}, *turns[1:]],
            "user": self.next(200),
            "metadata": {"note": self.next(200), "team": self.next(200)},
        }
        parent = f"00-{_TRACE}-b7ad6b71692033{number % SPANS:02d}-01"
        _, id = self._send("/v1/chat/completions", body, {
            "user-agent": self.plain(), "traceparent": parent, "x-greenroom-session": f"talk-{number % 5}",
        })  # fmt: skip
        self.tell("/api/feedback", {
            "id": id, "name": "helpful", "value": 0, "comment": self.next(), "correction": self.next(),
        })  # fmt: skip
        return id

    def file(self, purpose: str, text: str, ending: str) -> str:
        """A file with a payload for a name; its id."""
        name, line = self.next().replace('"', "%22").encode(), b"\r\n"
        parts = (
            b"--edge", b'content-disposition: form-data; name="purpose"', b"", purpose.encode(),
            b"--edge", b'content-disposition: form-data; name="file"; filename="' + name + ending.encode() + b'"',
            b"content-type: text/markdown", b"", text.encode(), b"--edge--", b"",
        )  # fmt: skip
        head = {"content-type": "multipart/form-data; boundary=edge"}
        return str(self.tell("/v1/files", line.join(parts), **head)["id"])

    def document(self) -> None:
        """A text in a collection named and described by payloads."""
        file = self.file("assistants", f"# {self.next()}\n\n{self.next()}", ".md")
        self.tell("/v1/vector_stores", {
            "name": self.next(200), "description": self.next(500), "file_ids": [file],
            "metadata": {"note": self.next(200)},
        })  # fmt: skip

    def people(self, project: str) -> None:
        """Keys, sessions and facts."""
        self.tell("/api/keys", {"project": project, "name": self.next(60)})
        turns = [{"role": "user", "text": self.next(), "time": "2026-03-01T10:00:00Z"}]
        self.tell("/api/sessions", {"user": self.next(100), "session": self.next(100), "turns": turns})

    def prompt(self, name: str) -> None:
        """Two versions, a label that moves, and notes."""
        for _ in range(2):
            shown = [{"role": role, "text": self.next().replace("{", "(")} for role in ("system", "user")]
            self.tell(f"/api/prompts/{name}/versions", {
                "messages": shown, "description": self.next(), "note": self.next(), "force": True,
                "variables": {"who": {"description": self.next()}},
            })  # fmt: skip
        for version in (1, 2):
            self.tell(f"/api/prompts/{name}/labels/production", {"version": version, "note": self.next(200)})

    def trials(self) -> None:
        """Why an experiment ended, why something was deployed, and why it was taken back."""
        self.tell("/api/experiments/trial/stop", {"why": self.next(500)})
        self.tell("/api/deployments", {
            "name": "liar", "app": "default", "kind": "model", "share": 0.2, "no_gate": self.next(200),
        })  # fmt: skip
        self.tell("/api/deployments/default/rollback", {"why": self.next(500)})

    def batch(self) -> None:
        """A batch with metadata, of rows whose ids are payloads."""
        rows = [
            {"custom_id": self.next(60), "method": "POST", "url": "/v1/chat/completions",
             "body": {"model": "lied", "messages": [{"role": "user", "content": self.next()}]}}
            for _ in range(2)
        ]  # fmt: skip
        file = self.file("batch", "".join(json.dumps(row) + "\n" for row in rows), ".jsonl")
        self.tell("/v1/batches", {
            "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
            "metadata": {"note": self.next(200), "team": self.next(200)},
        })  # fmt: skip

    def spans(self) -> None:
        """What an application says of itself around our exchanges."""
        kept = {"stringValue": self.next()}
        spans = [
            {"traceId": _TRACE, "spanId": f"b7ad6b71692033{number:02d}", "name": self.next(), "kind": 3,
             "startTimeUnixNano": "1760000000000000000", "endTimeUnixNano": "1760000001000000000",
             "attributes": [{"key": self.next(100), "value": {"stringValue": self.next()}}],
             "events": [{"timeUnixNano": "1760000000500000000", "name": self.next(),
                         "attributes": [{"key": "exception.message", "value": {"stringValue": self.next()}}]}],
             "status": {"code": 2, "message": self.next()}}
            for number in range(SPANS)
        ]  # fmt: skip
        self.tell("/v1/traces", {"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": kept}]},
            "scopeSpans": [{"scope": {"name": self.next()}, "spans": spans}],
        }]})  # fmt: skip

    def alerts(self) -> None:
        """Why somebody looks after an alert, and why others are silent."""
        request = urllib.request.Request(
            self._server.url + "/api/alerts", headers={"authorization": f"Bearer {ADMIN}"}
        )
        with urllib.request.urlopen(request) as answer:
            standing = json.load(answer)["data"]
        for one in standing:
            self.tell(f"/api/alerts/{one['id']}/acknowledge", {"why": self.next(500)})
        self.tell("/api/alerts/silences", {
            "hours": 1, "rule": self.next(200), "subject": self.next(200), "project": self.next(200),
            "why": self.next(500),
        })  # fmt: skip

    def forms(self, request: str) -> None:
        """What is kept of forms alone: saved views, and the rows of data sets."""
        with httpx2.Client(base_url=self._server.url, headers={"origin": self._server.url}) as client:
            _post(client, "/login", {"key": ADMIN})
            for _ in range(4):
                _post(client, "/requests/views", {"name": self.plain(60), "filter": f"user:x{self.word()}"})
            _post(client, f"/requests/{request}/collect", {"data_set": "seen", "with_reply": "yes"})
            rows = [
                {"input": self.next(), "expected": self.next(), self.next(50): self.next()} for _ in range(8)
            ]
            token = _token(client.get("/datasets").text)
            sent = {"file": ("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())}
            said = client.post(
                "/datasets/upload", data={"csrf": token, "name": "loaded", "project": "default"}, files=sent
            )
            assert said.status_code == 303, said.text.partition("<main")[2]


def _post(client: httpx2.Client, path: str, fields: dict[str, str]) -> None:
    page = client.get("/login" if path == "/login" else "/").text
    said = client.post(path, data={"csrf": _token(page), **fields})
    assert said.status_code == 303, (path, said.status_code, said.text.partition("<main")[2])


def _token(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]
