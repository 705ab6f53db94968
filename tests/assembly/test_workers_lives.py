"""Workers that begin, die and are told to end."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.assembly.workers import (
    Model,
    ask,
    at_once,
    is_alive,
    metrics,
    serving,
    traces,
    wait_until,
    workers_of,
)
from tests.patience import slowness
from tests.server_process import ServerProcess, greenroom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

GRACE_S = 0.1


def posted(server: ServerProcess, worker: int) -> int:
    """How many requests a worker has ended, by what it tells the others."""
    text = (server.data / "workers" / f"metrics-{worker}").read_text()
    return sum(
        int(value) for value in re.findall(r"^greenroom_requests_total\{.*\} (\d+)$", text, re.MULTILINE)
    )


def test_both_answer_and_what_they_did_adds_up(tmp_path: Path, model: Model) -> None:
    with serving(tmp_path, model.config) as server:
        answers = at_once(60, lambda number: ask(server, f"hello {number}"))

        assert [status for status, _, _ in answers] == [200] * 60
        assert [body["choices"][0]["message"]["content"] for _, _, body in answers] == [
            f"hello {number}" for number in range(60)
        ]
        ids = {headers["x-request-id"] for _, headers, _ in answers}
        assert len(ids) == 60
        assert wait_until(lambda: {row["id"] for row in traces(server)} == ids, 5)
        assert wait_until(lambda: posted(server, 1) + posted(server, 2) == 60, 5)
        assert posted(server, 1) > 5
        assert posted(server, 2) > 5
        assert wait_until(lambda: metrics(server)["greenroom_ledger_lines_total"] == 60, 5)
        time.sleep(0.6)  # the other has posted that too
        for _ in range(6):  # whichever worker is asked
            counts = metrics(server)
            assert sum(counts[name] for name in counts if name.startswith("greenroom_requests_total")) == 60
            assert counts["greenroom_workers"] == 2
            assert counts["greenroom_ledger_lines_total"] == 60
        assert server.greeting.count("listens on") == 1
        assert server.stop() == 0
    assert not (server.data / "workers").exists()


def test_one_killed_is_replaced_and_the_others_go_on(tmp_path: Path, model: Model) -> None:
    with serving(tmp_path, model.config) as server:
        seen: list[tuple[float, str]] = []
        failed: list[float] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                try:
                    status, headers, _ = ask(server, "hello")
                except OSError:
                    failed.append(time.monotonic())
                    continue
                assert status == 200
                seen.append((time.monotonic(), headers["x-request-id"]))

        threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        victim, other = workers_of(server)
        slow = slowness()
        grace_s = GRACE_S * slow
        killed_at = time.monotonic()
        os.kill(victim, signal.SIGKILL)

        assert wait_until(lambda: len(workers_of(server)) == 2 and victim not in workers_of(server))
        assert other in workers_of(server)
        before = posted(server, 1), posted(server, 2)
        assert wait_until(lambda: posted(server, 1) > before[0] and posted(server, 2) > before[1])
        stop.set()
        for thread in threads:
            thread.join(20)

        # Callers that the dead one had accepted fail, once each; later ones wait for its successor.
        assert len(failed) <= 4
        assert all(at - killed_at < slow for at in failed)
        due = {id for at, id in seen if not killed_at - grace_s < at < killed_at + grace_s}
        assert wait_until(lambda: due <= {row["id"] for row in traces(server)}, 5)
        assert metrics(server)["greenroom_worker_restarts_total"] == 1
        assert server.process.poll() is None
        assert '"worker ended"' in server.log()
        assert server.stop() == 0

    with closing(sqlite3.connect(server.data / "traces.db")) as file:
        kinds = [row[0] for row in file.execute("SELECT kind FROM losses")]
        stored, lost = (
            file.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()[0]
            for name in ("stored", "lost_rows")
        )
    assert kinds == ["unclean_shutdown"]  # the one that was killed; the parent and the other ended well
    assert stored + lost >= len(seen)
    # Those at work, and what was answered within the promise.
    assert lost <= 4 + sum(killed_at - grace_s < at < killed_at + grace_s for at, _ in seen)


def test_the_first_signal_drains_and_the_port_is_free_at_once(tmp_path: Path, model: Model) -> None:
    model.delay_s = 1.5
    with serving(tmp_path, model.config) as server:
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(server, "slow")[0])) for _ in range(12)]
        for thread in threads:
            thread.start()
        assert wait_until(lambda: model.at_work == 12, 5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with socket.socket() as late:
            assert late.connect_ex(("127.0.0.1", server.port)) != 0
        for thread in threads:
            thread.join(10)

        assert answers == [200] * 12
        assert server.process.wait(10) == 0
    with closing(sqlite3.connect(server.data / "traces.db")) as file:
        assert file.execute("SELECT count(*) FROM losses").fetchone()[0] == 0
        assert file.execute("SELECT count(*) FROM traces").fetchone()[0] == 12
        assert file.execute("SELECT count(*) FROM running").fetchone()[0] == 0


def test_the_second_signal_cuts(tmp_path: Path, model: Model) -> None:
    model.delay_s = 20
    with serving(tmp_path, model.config) as server:
        threads = [threading.Thread(target=_may_fail, args=(server,), daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert wait_until(lambda: model.at_work == 4, 5)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert server.stop() == 0
        assert time.monotonic() - began < 8


def _may_fail(server: ServerProcess) -> None:
    with suppress(OSError):
        ask(server, "slow")


def test_a_parent_that_is_killed_leaves_no_worker(tmp_path: Path, model: Model) -> None:
    with serving(tmp_path, model.config) as server:
        pids = workers_of(server)
        assert len(pids) == 2
        server.process.kill()
        server.process.wait(5)

        assert wait_until(lambda: not any(map(is_alive, pids)), 10)
        with socket.socket() as late:
            assert late.connect_ex(("127.0.0.1", server.port)) != 0
    with serving(tmp_path, model.config) as again:  # the folder is free
        assert ask(again, "hello")[0] == 200


def test_what_several_cannot_keep_to_is_refused(tmp_path: Path, model: Model) -> None:
    config = tmp_path / "greenroom.toml"
    few = model.config.replace("[models", "parallel = 1\n[models")
    config.write_text("[server]\nworkers = 2\n" + few)
    ended = greenroom(tmp_path / "data", "--config", str(config), "serve", "--port", "0")
    assert ended.returncode == 3
    assert "providers.there.parallel is 1, and server.workers 2" in ended.stderr


def test_workers_are_not_started_by_hand() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "greenroom.assembly.worker"],
        input=json.dumps({"number": 1}) + "\n",
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert ended.returncode == 3
    assert "greenroom serve" in ended.stderr
