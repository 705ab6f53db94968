"""A started `greenroom serve`: what it prints, what it refuses, whom it lets in, what it keeps to itself."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from greenroom.store.database import lock_folder
from tests.faults.rawclient import RawClient, chat_bytes, request_bytes
from tests.faults.recipes import error, openai_reply, recipe, whole
from tests.faults.upstream import FaultUpstream
from tests.patience import within
from tests.server_process import ADMIN, ServerProcess, environment_of, greenroom

pytestmark = pytest.mark.slow  # each starts processes of its own

CURL, STRACE = shutil.which("curl"), shutil.which("strace")
ADMIN_LINE = re.compile(r"^Admin key \(shown this once\): (gr-\S+)$", re.MULTILINE)
CANARY = "canary-7f3e91"


def config_for(upstream: FaultUpstream, *more: str) -> str:
    return "\n".join(
        [
            "[providers.up]",
            'kind = "openai_compatible"',
            f'base_url = "{upstream.base_url}"',
            'api_key_env = "UP_SECRET"',
            "[models.main]",
            'targets = ["up/scripted"]',
            *more,
            "",
        ]
    )


def test_the_first_start_prints_an_admin_key_once_and_it_works(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", admin=None) as server:
        printed = ADMIN_LINE.findall(server.greeting)
        assert len(printed) == 1
        assert server.ask(key=printed[0])[0] == 200
        server.stop()
    with ServerProcess(tmp_path / "data", admin=None) as server:
        assert not ADMIN_LINE.search(server.greeting)
        assert "Admin key" not in server.greeting
        assert server.ask(key=printed[0])[0] == 200
        assert printed[0] not in server.log()


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_the_printed_curl_line_works_as_it_stands(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", admin=None) as server:
        (line,) = [line for line in server.greeting.splitlines() if line.strip().startswith("curl ")]
        ran = subprocess.run(
            [*shlex.split(line), "-s", "-w", "\n%{http_code}"],
            capture_output=True, text=True, timeout=15, check=True, env=environment_of(),
        )  # fmt: skip

    body, _, status = ran.stdout.rpartition("\n")
    assert status == "200"
    assert json.loads(body)["choices"][0]["message"]["content"]


def test_the_local_key_is_another_one_at_every_start(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        first = server.local_key
        server.stop()
    with ServerProcess(tmp_path / "data") as server:
        assert server.local_key != first
        assert server.ask(key=first)[0] == 401


def test_a_port_in_use_is_one_sentence_and_exit_3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = greenroom(tmp_path / "data", "serve", "--port", str(port))

    assert ran.returncode == 3
    assert ran.stdout == ""
    assert len(ran.stderr.strip().splitlines()) == 1
    assert f"Port {port} on 127.0.0.1" in ran.stderr


def test_a_folder_in_use_is_a_sentence_with_the_pid_and_exit_3(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        ran = greenroom(tmp_path / "data", "serve", "--port", "0")
        assert server.ask()[0] == 200
        pid = server.process.pid

    assert ran.returncode == 3
    assert len(ran.stderr.strip().splitlines()) == 1
    assert f"process id {pid}" in ran.stderr


def test_the_network_is_not_served_before_there_is_an_admin_key(tmp_path: Path) -> None:
    refused = greenroom(tmp_path / "data", "serve", "--port", "0", "--host", "0.0.0.0")
    blank = greenroom(
        tmp_path / "data", "serve", "--port", "0", "--host", "0.0.0.0",
        environment={"GREENROOM_ADMIN_KEY": "  "},
    )  # fmt: skip

    for ran in (refused, blank):
        assert ran.returncode == 3
        assert ran.stdout == ""
        assert "GREENROOM_ADMIN_KEY" in ran.stderr
    with ServerProcess(tmp_path / "given", host="0.0.0.0") as server:
        assert server.url.startswith("http://0.0.0.0:")
        assert server.ask(key=ADMIN)[0] == 200
    with ServerProcess(tmp_path / "stored", admin=None) as server:
        server.stop()
    with ServerProcess(tmp_path / "stored", admin=None, host="0.0.0.0") as server:
        assert "Admin key" not in server.greeting


def test_a_revoked_admin_key_does_not_open_the_network(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", admin=None) as server:
        server.stop()
    (row,) = json.loads(greenroom(tmp_path / "data", "keys", "list", "--json").stdout)
    assert greenroom(tmp_path / "data", "keys", "revoke", row["id"]).returncode == 0

    ran = greenroom(tmp_path / "data", "serve", "--port", "0", "--host", "0.0.0.0")

    assert ran.returncode == 3
    assert "gr-" not in ran.stdout + ran.stderr


def test_a_key_works_within_a_second_of_its_making_and_stops_within_one_of_its_end(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        made = greenroom(tmp_path / "data", "keys", "create", "phone", "--json")
        assert made.returncode == 0, made.stderr
        row = json.loads(made.stdout)
        key = row["key"]
        assert within(1.0, lambda: server.ask(key=key)[0] == 200)

        assert greenroom(tmp_path / "data", "keys", "revoke", row["id"]).returncode == 0
        assert within(1.0, lambda: server.ask(key=key)[0] == 401)
        assert key not in server.log()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        server.ask()
        pid = server.process.pid
        threads = Path(f"/proc/{pid}/task")
        if threads.is_dir():
            assert not any((one / "children").read_text(encoding="ascii") for one in threads.iterdir())
        port = server.port
        assert server.stop() == 0

    lock_folder(tmp_path / "data").release()
    with socket.create_server(("127.0.0.1", port)):
        pass
    left = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert not [name for name in left if name.endswith(("-wal", "-shm", "-journal", ".part", ".tmp"))]


async def test_keys_prompts_and_answers_never_reach_stderr(tmp_path: Path) -> None:
    secrets = {"UP_SECRET": f"sk-{CANARY}"}
    async with FaultUpstream() as upstream:
        upstream.script(
            "scripted",
            whole(openai_reply(f"Said: {CANARY}")),
            error(500, f"failed on {CANARY}"),
            error(500, f"failed on {CANARY}"),
            whole(f"<html>{CANARY}</html>".encode()),
            recipe(),
        )
        with ServerProcess(tmp_path / "data", config_for(upstream), environment=secrets) as server:
            key = server.local_key
            for request in (
                chat_bytes("default", f"My word is {CANARY}.", key=key),
                chat_bytes("default", f"My word is {CANARY}.", key=key),
                chat_bytes("default", f"My word is {CANARY}.", key=key, stream=True),
                chat_bytes(CANARY, CANARY, key=key),
                chat_bytes("default", CANARY, key=f"gr-{CANARY}"),
                request_bytes(b'{"model": "%b", "messages": "\\ud800"}' % CANARY.encode(), key=key),
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: %b\r\n\r\n" % CANARY.encode(),
            ):
                async with RawClient(server.port) as client:
                    await client.send(request)
                    await client.answer()
            assert server.stop() == 0
            log = server.log()

    for secret in (CANARY, ADMIN, key, "My word"):
        assert secret not in log
    assert "Traceback" not in log


def can_trace() -> bool:
    if STRACE is None:
        return False
    return (
        subprocess.run([STRACE, "-e", "trace=none", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not can_trace(), reason="strace is not here or may not trace")
def test_nothing_but_loopback_is_called_at_the_start(tmp_path: Path) -> None:
    assert STRACE is not None
    seen = tmp_path / "calls"
    under = [STRACE, "-D", "-f", "-e", "trace=connect,sendto,sendmsg", "-o", str(seen)]
    with ServerProcess(tmp_path / "data", admin=None, under=under) as server:
        assert server.ask()[0] == 200
        server.stop()

    called = [line for line in seen.read_text(encoding="utf-8").splitlines() if "sa_family=AF_INET" in line]
    assert called, "not even the ports of local model servers were looked at: the trace is empty"
    assert [line for line in called if not re.search(r'"127\.0\.0\.1"|"::1"', line)] == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_at_rest_is_at_most_70_mib_and_the_data_of_the_steps_at_most_90(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        time.sleep(1)
        at_rest = resident_mib(server.process.pid)
        for _ in range(20):
            assert server.ask()[0] == 200
        time.sleep(0.5)
        at_work = resident_mib(server.process.pid)

    assert at_rest <= 70
    assert at_work - at_rest <= 90


def resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.parametrize("url", ["socks5://ana:canary@p:1", "http://ana:canary/x@p:1"])
def test_a_proxy_that_cannot_be_used_is_one_sentence_without_its_address(tmp_path: Path, url: str) -> None:
    ran = greenroom(tmp_path / "data", "serve", "--port", "0", environment={"HTTPS_PROXY": url})

    assert ran.returncode == 3
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "HTTPS_PROXY" in ran.stderr
    assert "canary" not in ran.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_made_is_one_sentence_and_exit_3(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    ran = greenroom(closed / "data", "serve", "--port", "0")

    assert ran.returncode == 3
    assert len(ran.stderr.strip().splitlines()) == 1
