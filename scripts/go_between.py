"""Between the tests of other clients and Greenroom: ids that exist for those that the tests make up."""

import hashlib
import http.client
import json
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

_ASKING = frozenset({"/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"})
_AT_WORK = frozenset({"queued", "in_progress"})
_PART = b"raw file contents"


class Greenroom:
    """What the go-between asks of the server itself."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """One request: status, headers and body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**headers, "Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: object = None) -> Any:  # Any: JSON
        """The decoded answer to a request with a JSON body. Raises RuntimeError for an error."""
        data = b"" if body is None else json.dumps(body).encode()
        status, _, told = self.send(method, path, {"Content-Type": "application/json"}, data)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {told.decode()}")
        return json.loads(told)

    def file(self) -> str:
        """A new file."""
        form = (
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nSome words.\r\n--b--\r\n'
        )
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return str(json.loads(self.send("POST", "/v1/files", kind, form)[2])["id"])

    def batch_file(self) -> str:
        """A new file of requests: so many that a batch of them can still be cancelled."""
        asked = {"method": "POST", "url": "/v1/responses", "body": {"model": "main", "input": "Hi."}}
        lines = "\n".join(json.dumps({"custom_id": str(number), **asked}) for number in range(500))
        form = (
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n%b\r\n--b--\r\n'
        ) % lines.encode()
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return str(json.loads(self.send("POST", "/v1/files", kind, form)[2])["id"])

    def batch(self) -> str:
        """A new batch."""
        wanted = {
            "input_file_id": self.batch_file(),
            "endpoint": "/v1/responses",
            "completion_window": "24h",
        }
        return str(self.ask("POST", "/v1/batches", wanted)["id"])

    def upload(self) -> str:
        """A new upload of 17 bytes."""
        wanted = {"filename": "a", "purpose": "assistants", "bytes": len(_PART), "mime_type": "text/plain"}
        return str(self.ask("POST", "/v1/uploads", wanted)["id"])

    def part_in(self, upload: str) -> str:
        """Its only part."""
        form = (
            b'--b\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n%b\r\n--b--\r\n'
        ) % _PART
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return str(json.loads(self.send("POST", f"/v1/uploads/{upload}/parts", kind, form)[2])["id"])

    def store(self) -> str:
        """A new vector store."""
        return str(self.ask("POST", "/v1/vector_stores", {})["id"])

    def file_in(self, store: str) -> str:
        """A new file in a store, once it was read."""
        file = self.file()
        place = f"/v1/vector_stores/{store}/files"
        self.ask("POST", place, {"file_id": file})
        self._wait(f"{place}/{file}")
        return file

    def batch_in(self, store: str) -> str:
        """A new batch of one file."""
        batch = self.ask("POST", f"/v1/vector_stores/{store}/file_batches", {"file_ids": [self.file()]})
        return str(batch["id"])

    def _wait(self, path: str) -> None:
        deadline = time.monotonic() + 20
        while self.ask("GET", path)["status"] in _AT_WORK and time.monotonic() < deadline:
            time.sleep(0.02)

    def response(self, *, in_background: bool = False) -> str:
        """A new stored response; one that is made in the background can be cancelled."""
        body = {"model": "main", "input": "Hi.", "background": in_background}
        return str(self.ask("POST", "/v1/responses", body)["id"])

    def conversation(self) -> str:
        """A new conversation of one message."""
        item = {"type": "message", "role": "user", "content": "Hi."}
        return str(self.ask("POST", "/v1/conversations", {"items": [item]})["id"])

    def item_in(self, conversation: str) -> str:
        """Its message."""
        return str(self.ask("GET", f"/v1/conversations/{conversation}/items")["data"][0]["id"])

    def eval(self) -> str:
        """A new eval."""
        check = {
            "type": "string_check",
            "name": "a",
            "input": "{{item.a}}",
            "reference": "a",
            "operation": "eq",
        }
        config = {"type": "custom", "item_schema": {}}
        return str(
            self.ask("POST", "/v1/evals", {"data_source_config": config, "testing_criteria": [check]})["id"]
        )

    def run_in(self, eval: str) -> str:
        """A new run of an eval, once it has ended."""
        place = f"/v1/evals/{eval}/runs"
        source = {"type": "file_content", "content": [{"item": {"a": "a"}}]}
        run = str(self.ask("POST", place, {"data_source": {"type": "jsonl", "source": source}})["id"])
        self._wait(f"{place}/{run}")
        return run

    def output_item_in(self, parts: list[str]) -> str:
        """The row that a run graded; `parts` is the path up to it."""
        path = "/".join(parts[: parts.index("output_items") + 1])
        return str(self.ask("GET", path)["data"][0]["id"])


def real_path(room: Greenroom, path: str) -> str:
    """A path with ids that exist instead of those that the tests made up."""
    parts = [unquote(part) for part in path.split("/")]
    above = ""
    for place, part in enumerate(parts):
        family = parts[place - 1] if place else ""
        makers: dict[str, Callable[[], str]] = {
            "vector_stores": room.store,
            "file_batches": partial(room.batch_in, above),
            "files": partial(room.file_in, above) if "vector_stores" in parts else room.file,
            "responses": partial(room.response, in_background=parts[-1] == "cancel"),
            "conversations": room.conversation,
            "items": partial(room.item_in, above),
            "evals": room.eval,
            "batches": room.batch,
            "uploads": room.upload,
            "runs": partial(room.run_in, above),
            "output_items": partial(room.output_item_in, parts),
        }
        fixed = {"search", "input_tokens", "compact"}
        if family in makers and part and part not in fixed:
            parts[place] = made = makers[family]()
            above = above or made
    return "/".join(quote(part, safe="") for part in parts)


def real_query(room: Greenroom, path: str, query: str) -> str:
    """A query whose cursors are ids of the list that it asks for."""
    asked = dict(parse_qsl(query))
    cursors = {"after", "before"} & asked.keys()
    if not cursors or "models" in path:
        return query
    listed = room.ask("GET", path)["data"]
    if listed:
        id = listed[0]["id"]
    elif "/evals/" in path:
        id = room.run_in(path.split("/")[3])
    elif path.endswith("/evals"):
        id = room.eval()
    elif path.endswith("/batches"):
        id = room.batch()
    elif "vector_stores/" in path:
        id = room.file_in(path.split("/")[3])
    else:
        id = room.file() if path.endswith("/files") else room.store()
    return urlencode({**asked, **dict.fromkeys(cursors, id)})


def real_question(room: Greenroom, body: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """A body of /v1/responses that asks something itself, and goes on from one place instead of two."""
    body = {"model": "main", "input": "Hi.", **body}
    body.pop("prompt", None)
    if body.get("previous_response_id") is not None:
        body["previous_response_id"] = room.response()
        body.pop("conversation", None)
    return body


def real_completion(room: Greenroom, path: str, body: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """A body that completes the upload of a path, with the part and the digest that it has."""
    digest = {"md5": hashlib.md5(_PART, usedforsecurity=False).hexdigest()} if "md5" in body else {}
    return {"part_ids": [room.part_in(path.split("/")[3])], **digest}


def real_body(room: Greenroom, given: Any) -> Any:  # Any: JSON
    """A body with ids that exist."""
    if isinstance(given, dict):
        return {
            name: room.file()
            if name == "file_id"
            else [room.file() for _ in value]
            if name == "file_ids"
            else real_body(room, value)
            for name, value in given.items()
        }
    return [real_body(room, one) for one in given] if isinstance(given, list) else given


def go_between(room: Greenroom, failures: list[str]) -> type[BaseHTTPRequestHandler]:
    """A handler that passes on what the tests send; answers that are errors are noted in `failures`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self._body()
            path, mark, query = self.path.partition("?")
            try:
                path = real_path(room, path)
                query = real_query(room, path, query)
                if body and path.startswith("/v1/vector_stores"):
                    body = json.dumps(real_body(room, json.loads(body))).encode()
                if self.command == "POST" and path == "/v1/batches":
                    body = json.dumps({**json.loads(body), "input_file_id": room.batch_file()}).encode()
                if path.startswith("/v1/uploads/") and path.endswith("/complete"):
                    body = json.dumps(real_completion(room, path, json.loads(body))).encode()
                if self.command == "POST" and path in _ASKING:
                    body = json.dumps(real_question(room, json.loads(body or b"{}"))).encode()
                kept = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower()
                    not in {"authorization", "x-api-key", "host", "content-length", "transfer-encoding"}
                }
                status, headers, told = room.send(self.command, path + mark + query, kept, body)
            except (RuntimeError, KeyError, ValueError) as error:  # the stand-in could not be made
                status, headers, told = 599, [], str(error).encode()
            if status >= 400:
                failures.append(f"{self.command} {self.path}: {status} {told.decode(errors='replace')[:300]}")
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def _body(self) -> bytes:
            if "content-length" in self.headers:
                return self.rfile.read(int(self.headers["content-length"]))
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                return b""
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        do_GET = do_POST = do_DELETE = _pass  # noqa: N815  # names that the base class looks for

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the table is what is read."""

    return Handler
