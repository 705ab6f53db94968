"""Servers on real sockets that answer what is posted to them by a script, as models of providers do in tests.

Know HTTP and JSON, and nothing of Greenroom.
"""

import json
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

Json = dict[str, Any]  # Any: JSON of any shape, looked at by name


class Reply(NamedTuple):
    """One answer."""

    data: bytes
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = {}


def reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A value as JSON."""
    return Reply(json.dumps(value).encode(), status, headers=headers or {})


class ScriptedServer(ABC):
    """Serves while entered; every connection has a thread of its own."""

    def __init__(self) -> None:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @abstractmethod
    def answer(self, path: str, body: Json) -> Reply:
        """What is said to a POST."""

    @property
    def base_url(self) -> str:
        """Where it answers, as the configuration of a provider wants it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class QuietServer(ThreadingHTTPServer):
    """A server whose clients may hang up or be killed."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say what broke, unless it is the connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            traceback.print_exc()


class _Server(QuietServer):
    def __init__(self, scripted: ScriptedServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scripted = scripted


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body leave together

    def do_POST(self) -> None:
        """Answer by the script."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = self.server.scripted.answer(self.path, body)
        self.send_response(said.status)
        self.send_header("content-type", said.kind)
        self.send_header("content-length", str(len(said.data)))
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read their own output."""
