"""A hub of files over real TLS on loopback, whose every answer a test scripts."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.faults.certificates import Certificate

Answer = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request: what was asked, and ways to answer it."""

    server: "Hub"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        number = len(self.server.visits)
        self.server.visits.append((self.path, dict(self.headers)))
        answers = self.server.answers
        answers[min(number, len(answers) - 1)](self)

    @property
    def begin(self) -> int:
        """Where the asked range begins."""
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def send(
        self, status: int, body: bytes = b"", *, length: int | None = None, kind: str = "application/octet-stream",
        **headers: str,
    ) -> None:  # fmt: skip
        """Answer, and close the connection: with `length` the body may be shorter than it says."""
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Hub(ThreadingHTTPServer):
    """Answers the nth request with the nth of `answers`; the last goes on."""

    daemon_threads = True

    def __init__(self, certificate: Certificate, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.answers = answers
        self.visits: list[tuple[str, dict[str, str]]] = []
        self.certificate = certificate
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def get_request(self) -> tuple[ssl.SSLSocket, tuple[str, int]]:
        raw, address = super().get_request()
        return self.certificate.serving().wrap_socket(raw, server_side=True), address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left is no news."""

    def url(self, path: str = "/tiny.gguf") -> str:
        return f"https://127.0.0.1:{self.server_address[1]}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def whole(data: bytes, **headers: str) -> Answer:
    """The file, or the part of it that is asked for."""

    def answer(visit: Visit) -> None:
        begin = visit.begin
        if begin and visit.headers.get("If-Range") == headers.get("ETag"):
            span = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            visit.send(206, data[begin:], Content_Range=span, **headers)  # type: ignore[arg-type]  # headers by name
        else:
            visit.send(200, data, **headers)  # type: ignore[arg-type]  # as above

    return answer


def cut(data: bytes, at: int, **headers: str) -> Answer:
    """The beginning of the file, although all of it is announced."""
    return lambda visit: visit.send(200, data[:at], length=len(data), **headers)


def folder_of(path: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(one.name for one in path.iterdir()) if path.is_dir() else []
