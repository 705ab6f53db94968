"""A collector that keeps what it is sent: real HTTP on a free port, answers as it is told to."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any, NamedTuple

from greenroom.wire.otlp import json_reader, protobuf_reader
from greenroom.wire.otlp.intake import Taken
from greenroom.wire.otlp.signals import Log, Logs, Span, Spans


class Message(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> bytes:
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body


class Collector:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.messages: list[Message] = []
        self.answer: Callable[[Message], tuple[int, bytes]] = lambda _: (200, b"")
        self.refused = 0

    def of(self, path: str) -> list[Message]:
        return [one for one in self.messages if one.path == path]

    def groups(self) -> list[Spans]:
        """What came as spans, read by our own reader."""
        return [
            group
            for one in self.of("/v1/traces")
            for group in _reader(one).read_traces(one.plain, Taken[Span](), lambda: None)
        ]

    def spans(self) -> list[Span]:
        return [span for group in self.groups() for span in group.spans]

    def logs(self) -> list[Log]:
        groups: list[Logs] = []
        for one in self.of("/v1/logs"):
            groups += _reader(one).read_logs(one.plain, Taken[Log](), lambda: None)
        return [log for group in groups for log in group.logs]

    def wait(self, done: Callable[[], object], seconds: float = 8.0) -> None:
        deadline = monotonic() + seconds
        while not done():
            assert monotonic() < deadline, f"did not come; {[one.path for one in self.messages]}"
            sleep(0.01)


def _reader(message: Message) -> Any:  # Any: a module
    return json_reader if message.headers["content-type"] == "application/json" else protobuf_reader


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            message = Message(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            status, answer = collector.answer(message)
            if status == 200:
                collector.messages.append(message)
            else:
                collector.refused += 1
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(server)
    thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
