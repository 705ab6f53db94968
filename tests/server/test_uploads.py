"""Uploads that stop, stall, lie or come from nobody: refused in words, and nothing left behind."""

import http.client
import io
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.server_process import ADMIN, ServerProcess

pytestmark = pytest.mark.slow  # each starts processes of its own

BOUNDARY = "----otter"
MB = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    config = "[server]\nbody_timeout_s = 1.0\nfile_limit_mb = 200\n"
    with ServerProcess(tmp_path_factory.mktemp("uploads") / "data", config) as one:
        yield one


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def form(data: bytes = b"text", *, end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    return part("purpose", b"user_data") + part("file", data, "a.txt") + end


def head(
    length: int | None, *, key: str = ADMIN, kind: str = f"multipart/form-data; boundary={BOUNDARY}"
) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {kind}\r\n{size}\r\n\r\n"
    ).encode()


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


class Kept(io.RawIOBase):
    """What a socket reads, for several answers: `http.client` closes its own after each, with what it read ahead."""

    def __init__(self, one: socket.socket) -> None:
        self._file = one.makefile("rb")

    def makefile(self, _: str) -> "Kept":
        return self

    def close(self) -> None: ...

    def readline(self, size: int | None = -1) -> bytes:
        return self._file.readline(-1 if size is None else size)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)


def answer(one: socket.socket) -> tuple[int, dict[str, Any], dict[str, str]]:
    response = http.client.HTTPResponse(one)
    response.begin()
    return response.status, json.loads(response.read()), dict(response.getheaders())


def send(server: ServerProcess, body: bytes, **how: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    with connect(server) as one:
        one.sendall(head(len(body), **how) + body)
        return answer(one)


def halves(server: ServerProcess) -> list[str]:
    folder = server.data / "files"
    return [one.name for one in folder.iterdir() if one.name.startswith(".")] if folder.exists() else []


def count(server: ServerProcess) -> int:
    db = sqlite3.connect(server.data / "documents.db")
    try:
        found: int = db.execute("SELECT count(*) FROM files WHERE stays").fetchone()[0]
    finally:
        db.close()
    return found


def until(holds: Any) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def memory_kb(server: ServerProcess) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def test_a_client_that_goes_away_leaves_nothing(server: ServerProcess) -> None:
    before = count(server)
    body = form(b"x" * 3 * MB)
    with connect(server) as one:
        one.sendall(head(len(body)) + body[: 2 * MB])
        until(lambda: halves(server))

    until(lambda: not halves(server))
    assert count(server) == before


def test_a_client_that_stalls_is_told_so(server: ServerProcess) -> None:
    body = form(b"x" * MB)
    with connect(server) as one:
        one.sendall(head(len(body)) + body[:1000])
        status, error, _ = answer(one)
        assert one.recv(10) == b""

    assert (status, error["error"]["code"]) == (408, "request_timeout")
    assert halves(server) == []


def test_who_has_no_key_is_refused_before_the_body(server: ServerProcess) -> None:
    with connect(server) as one:
        one.sendall(head(50 * MB, key="gr-nobody"))
        status, error, headers = answer(one)

    assert (status, error["error"]["code"]) == (401, "invalid_api_key")
    assert headers["x-request-id"]
    assert halves(server) == []


@pytest.mark.parametrize("length", [201 * MB, 5_000_000_000])
def test_too_much_is_refused_when_it_is_announced(server: ServerProcess, length: int) -> None:
    with connect(server) as one:
        one.sendall(head(length))
        status, error, _ = answer(one)

    assert (status, error["error"]["code"]) == (413, "request_too_large")


def test_chunks_without_end_are_refused_at_the_limit(server: ServerProcess) -> None:
    piece = b"100000\r\n" + b"x" * MB + b"\r\n"
    start = form(end=b"")[: -len(b"text\r\n")]
    with connect(server) as one:
        one.sendall(head(None) + b"%x\r\n%b\r\n" % (len(start), start))
        try:
            for _ in range(230):
                one.sendall(piece)
        except OSError:
            pass
        status, error, _ = answer(one)

    assert (status, error["error"]["code"]) == (413, "request_too_large")
    until(lambda: not halves(server))


def test_a_chunked_upload_is_kept_and_the_connection_goes_on(server: ServerProcess) -> None:
    body = form(b"abc" * 1000)
    with connect(server) as one:
        one.sendall(head(None))
        for at in range(0, len(body), 700):
            piece = body[at : at + 700]
            one.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        one.sendall(b"0\r\n\r\n")
        first = answer(one)
        one.sendall(head(len(body)) + body + head(len(body)) + body)
        second, third = answer(one), answer(one)

    assert [first[0], second[0], third[0]] == [200, 200, 200]
    assert first[1]["bytes"] == second[1]["bytes"] == third[1]["bytes"] == 3000
    assert len({first[1]["id"], second[1]["id"], third[1]["id"]}) == 3


def test_an_upload_waits_its_turn_behind_another_request(server: ServerProcess) -> None:
    body = form(b"y" * 3 * MB)
    first = f"GET /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ADMIN}\r\n\r\n".encode()
    with connect(server) as one:
        one.sendall(first + first + head(len(body)) + body)
        kept = Kept(one)
        answers = [answer(cast("socket.socket", kept)) for _ in range(3)]

    assert [status for status, _, _ in answers] == [200, 200, 200]
    assert answers[2][1]["bytes"] == 3 * MB


@pytest.mark.parametrize(
    ("body", "how"),
    [
        pytest.param(b"{}", {"kind": "application/json"}, id="JSON"),
        pytest.param(form(), {"kind": "multipart/form-data"}, id="no boundary"),
        pytest.param(form(), {"kind": f"multipart/form-data; boundary={'x' * 5000}"}, id="long boundary"),
        pytest.param(form(), {"kind": "multipart/form-data; boundary=other"}, id="other boundary"),
        pytest.param(form(end=b""), {}, id="no end"),
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"x" * MB, {}, id="noise"),
        pytest.param(form(end=part("file", b"again", "b.txt") + f"--{BOUNDARY}--".encode()), {}, id="two files"),
        pytest.param(part("other", b"x", "b.txt") + form(), {}, id="file in another field"),
        pytest.param(part("x", b"x") * 1000 + form(), {}, id="a thousand fields"),
        pytest.param(part("x", b"x" * 10_000) + form(), {}, id="long field"),
        pytest.param(form().replace(b'name="file"; ', b""), {}, id="no name"),
        pytest.param(form().replace(b"Content-Disp", b"X: y\r\n" * 1000 + b"Content-Disp"), {}, id="many headers"),
        pytest.param(form().replace(b"Content-Disp", b"X: " + b"y" * 100_000 + b"\r\nContent-Disp"), {}, id="long header"),
        pytest.param(form().replace(b"Content-Disp", b"\0: \xff\r\nContent-Disp"), {}, id="odd header"),
        pytest.param(part("purpose", b"user_data") + f"--{BOUNDARY}--".encode(), {}, id="no file"),
    ],
)  # fmt: skip
def test_hostile_forms_are_refused_quickly_and_in_words(
    server: ServerProcess, body: bytes, how: dict[str, str]
) -> None:
    before, began = count(server), time.monotonic()

    status, error, _ = send(server, body, **how)

    assert status == 400
    assert set(error["error"]) == {"message", "type", "param", "code"}
    assert error["error"]["message"].endswith(".")
    assert time.monotonic() - began < 3
    assert halves(server) == []
    assert count(server) == before


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "..",
        "%2e%2e%2fx",
        "a\0b",
        "CON",
        "x" * 4000,
        "=cmd|calc",
        "\u202etxt.exe",
        "<img src=x onerror=1>",
    ],
)
def test_names_of_files_do_no_harm(server: ServerProcess, name: str) -> None:
    body = part("purpose", b"user_data") + part("file", b"x", name) + f"--{BOUNDARY}--".encode()

    status, made, _ = send(server, body)

    assert status in {200, 400}
    if status == 200:
        assert made["filename"].isprintable()
        assert "/" not in made["filename"]
    assert {one.name[:5] for one in (server.data / "files").iterdir()} == {"file-"}


def test_a_large_file_is_not_held_in_memory(server: ServerProcess) -> None:
    body_head, body_end = form(end=b"")[: -len(b"text\r\n")], f"\r\n--{BOUNDARY}--\r\n".encode()
    send(server, form(b"warm" * 100_000))
    before = memory_kb(server)
    piece, most = os.urandom(MB), 0
    with connect(server) as one:
        one.sendall(head(len(body_head) + 150 * MB + len(body_end)) + body_head)
        for number in range(150):
            one.sendall(piece)
            if number % 10 == 0:
                most = max(most, memory_kb(server))
        one.sendall(body_end)
        status, made, _ = answer(one)

    assert (status, made["bytes"]) == (200, 150 * MB)
    assert most - before < 24 * 1024


def test_what_a_killed_server_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    body = form(b"x" * 4 * MB)
    with ServerProcess(tmp_path / "data") as server:
        with connect(server) as one:
            one.sendall(head(len(body)) + body[: 3 * MB])
            until(lambda: halves(server))
            server.process.kill()
            server.process.wait()
        assert len(halves(server)) == 1
    with ServerProcess(tmp_path / "data") as server:
        until(lambda: not halves(server))
        assert count(server) == 0
        assert send(server, form())[0] == 200


def test_a_full_disk_is_said_and_passes(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", under=["prlimit", f"--fsize={8 * MB}", "--"]) as server:
        status, error, _ = send(server, form(b"x" * 9 * MB))

        assert (status, error["error"]["code"]) == (500, "store_error")
        assert "no room" in error["error"]["message"]
        assert halves(server) == []
        assert send(server, form())[0] == 200


def test_what_stands_before_and_after_a_form_costs_nothing(server: ServerProcess) -> None:
    began = time.monotonic()

    status, made, _ = send(server, b"\r\n" * 2_000_000 + form() + b"after it" * 500_000)

    assert (status, made["bytes"]) == (200, 4)
    assert time.monotonic() - began < 3
