"""A run that is killed goes on without paying twice: a real process, a real SIGKILL, a model that counts."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.offline.evals.counting_model import CountingModel
from tests.server_process import environment_of

QUESTIONS = 60
CONCURRENCY = 4
SUITE = f"""
data = "questions.jsonl"
concurrency = {CONCURRENCY}
[subjects.plain]
app = "plain"
[scorers.exact]
"""


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """`greenroom eval run suite.toml` in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "greenroom",
        "--config",
        "greenroom.toml",
        "--data",
        "data",
        "eval",
        "run",
    ]
    return subprocess.Popen(
        [*command, "suite.toml", "--json", *options],
        cwd=folder, env=environment_of(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def kill_after(model: CountingModel, process: subprocess.Popen[bytes], calls: int) -> None:
    """Kill the process as soon as the model has had this many calls."""
    deadline = time.monotonic() + 20
    while model.calls < calls and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow  # starts processes
@pytest.mark.timeout(60)
def test_a_run_that_is_killed_twice_pays_twice_only_for_what_was_on_its_way(tmp_path: Path) -> None:
    rows = [{"question": f"number {n}", "expected": f"number {n}"} for n in range(QUESTIONS)]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "suite.toml").write_text(SUITE)
    with CountingModel(delay_s=0.02) as model:
        (tmp_path / "greenroom.toml").write_text(model.configuration)

        kill_after(model, start(tmp_path), 15)
        kill_after(model, start(tmp_path, "--resume"), 35)
        out, err = (last := start(tmp_path, "--resume")).communicate(timeout=30)

    assert last.returncode == 0, err
    (found,) = json.loads(out)["runs"]
    again = {question: often for question, often in model.asked.items() if often > 1}
    assert len(model.asked) == QUESTIONS
    assert len(again) <= 2 * CONCURRENCY
    assert model.calls <= QUESTIONS + 2 * CONCURRENCY
    assert (found["done"], found["failed"], found["status"]) == (QUESTIONS, 0, "finished")
    assert sum(again.values()) - len(again) <= found["lost"] <= 2 * CONCURRENCY
    assert found["metrics"][0]["mean"]["value"] == 1.0
