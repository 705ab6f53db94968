"""Processes of jobs are known by their lock and by the moment they began, never by their id alone."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import RequestError
from greenroom.offline.finetune.child import (
    Child,
    end_left_over,
    find,
    is_held,
    last_words,
    start,
    surroundings,
)
from greenroom.offline.finetune.survey import survey

MODULE = "tests.offline.finetune.scripted_trainer"


@pytest.fixture
def stranger() -> Iterator[int]:
    """A living process that is nobody's child of a job."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as one:
        yield one.pid
        assert one.poll() is None, "it was killed"


def claim(folder: Path, pid: int, began: str) -> None:
    (folder / "child.json").write_text(json.dumps({"pid": pid, "began": began, "module": MODULE}))


def test_a_process_that_got_the_id_of_a_dead_one_is_left_alone(tmp_path: Path, stranger: int) -> None:
    claim(tmp_path, stranger, "1")

    assert find(tmp_path) is None
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert is_held(tmp_path)
    assert find(tmp_path) is None
    os.close(lock)
    assert not is_held(tmp_path)


def test_what_a_dead_child_left_behind_is_ended(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    script = "import os, sys; os.fork() or os.execlp('sleep', 'sleep', '600')"
    parent = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, pass_fds=(lock,))
    os.close(lock)
    parent.wait()
    claim(tmp_path, parent.pid, "1")
    assert is_held(tmp_path)

    end_left_over(tmp_path)

    deadline = time.monotonic() + 20
    while is_held(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_where_one_works_no_second_is_started(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)

    with pytest.raises(BlockingIOError):
        start(MODULE, tmp_path, {}, None)

    os.close(lock)


def test_what_a_child_said_last_is_kept_and_its_end_is_seen(tmp_path: Path) -> None:
    child = start("tests.no_such_module", tmp_path, dict(os.environ), 1)
    found = find(tmp_path)
    assert found is None or isinstance(found, Child)

    child._process.wait()  # type: ignore[union-attr]  # it was started here

    assert (child.is_alive, child.code, find(tmp_path)) == (False, 1, None)
    assert "no_such_module" in last_words(tmp_path)
    child.kill()
    child.kill()


def test_what_lies_in_the_working_folder_is_not_run_and_no_key_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "greenroom"
    trap.mkdir()
    (trap / "__init__.py").write_text("raise SystemExit('taken for ours')")
    monkeypatch.chdir(tmp_path)
    environment = surroundings({"PATH": "/bin", "OPENAI_API_KEY": "sk-1", "HTTPS_PROXY": "p"}, tmp_path, 2)

    with pytest.raises(RequestError, match="begins with its plan"):  # our own module says so
        survey(tmp_path)

    assert environment.keys().isdisjoint({"OPENAI_API_KEY", "HTTPS_PROXY"})
    assert (environment["PATH"], environment["HOME"], environment["OMP_NUM_THREADS"]) == (
        "/bin",
        str(tmp_path),
        "2",
    )
