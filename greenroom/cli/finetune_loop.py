"""`greenroom finetune loop`: from an empty folder to an answering model, by the commands that anyone has."""

import http.client
import json as codec
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from greenroom.cli.output import fail
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE

CONFIG = """\
[finetune]
threads = 1   # a model as small as this one gains nothing from more

# An app that answers with the built-in reader, until something better is deployed.
[apps.home]
model = "greenroom/reader"
preprocess = ["clean"]
ground = []
check = ["pii", "secrets", "injection"]
postprocess = ["decode", "guard", "unmask"]
"""
SUITE = """\
# The gate: the candidate and the app as it is answer rows that no training has seen.
data = "test.jsonl"

[subjects.home]
app = "home"

[scorers.right]
type = "exact"
"""
QUESTIONS = (
    "Set the lamp in the kitchen to 42 percent.",
    "Aqueça até 21 graus na sala.",
    "Pon la música en el salón a 37.",
)
GOAL = 0.98
"""Share of test rows that the deployed model has to answer to the letter."""
MARGINS = {"failed": "20%", "refused": "20%", "flawed": "20%", "short": "100%", "slow": "100%"}
START_S = 60.0
TURNS = 8
"""At most so often traffic is made before a canary counts as not promoted."""
FOLLOWS_S = 1.5
"""After so long a server has noticed what was deployed, and has looked at what was answered."""
ASK_S = 60.0
AT_ONCE = 4


@dataclass(frozen=True)
class Extent:
    """How many rows and requests."""

    train: int
    valid: int
    test: int
    traffic: int
    """Requests at a time, before it is asked what the rule says."""


WHOLE = Extent(train=4000, valid=100, test=300, traffic=200)
SHORT = Extent(train=2400, valid=40, test=60, traffic=100)


def loop(folder: Path, /, *, short: bool = False) -> int:
    """Train a model from nothing, export it, deploy it by a canary, and ask it: minutes, on this machine.

    Each step is a command that is printed before it runs. The task is built in: requests to a house in
    English, Portuguese and Spanish become JSON. Needs the extras finetune, local and eval.

    Parameters
    ----------
    folder
        An empty folder, or one that is not there yet. Configuration, rows and data stay in it.
    short
        Train a smaller model on fewer rows, to see whether everything works.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return fail(f"'{folder}' is not an empty folder.", USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    began = os.times()
    try:
        share = _run(folder.absolute(), is_short=short)
    except _StepFailed as error:
        return fail(str(error), ENVIRONMENT)
    now = os.times()
    used = sum(now[:4]) - sum(began[:4])
    print(f"\n{share:.1%} of rows that no training saw are right to the letter. {used:.0f} seconds of CPU.")
    if not short and share < GOAL:
        return fail(f"The goal is {GOAL:.0%}.", FINDINGS)
    print(f"To go on: cd {folder} && greenroom serve")
    return FINE


class _StepFailed(Exception):
    pass


def _run(folder: Path, *, is_short: bool) -> float:
    """The loop; the share of right answers at its end. Raises: _StepFailed."""
    from greenroom.offline.finetune.builtin import plan, rows, share_exact  # noqa: PLC0415  # only here

    extent, known = SHORT if is_short else WHOLE, plan(is_short=is_short)
    assert known.scratch is not None

    _tell("1. Rows of the built-in task, apart by construction; configuration and suite")
    for part in ("train", "valid"):
        _write(folder / f"{part}.jsonl", rows(part, getattr(extent, part)))
    test = [
        {"question": asked["content"], "expected": answer["content"]}
        for row in rows("test", extent.test)
        for asked, answer in [row["messages"]]
    ]
    _write(folder / "test.jsonl", test)
    (folder / "greenroom.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "suite.toml").write_text(SUITE, encoding="utf-8")

    _tell("2. A tokenizer, a model, and what it learns from rows; then a GGUF file")
    size, steps, chosen = known.scratch.size, known.scratch.steps, known.hyperparameters
    _greenroom(
        folder, "finetune", "create", "train.jsonl", "--valid", "valid.jsonl", "--from-scratch",
        "--size", f"{size}", "--text-steps", f"{steps}", "--epochs", f"{chosen.epochs:g}",
        "--batch-size", f"{chosen.batch_size}", "--learning-rate", f"{chosen.learning_rate:g}",
        "--suffix", "home", "--wait",
    )  # fmt: skip
    listed = codec.loads(_greenroom(folder, "finetune", "list", "--json", quiet=True))
    name = listed["data"][0]["model"]

    with _server(folder) as server:
        _tell("3. The gate, then a canary with half of the traffic, promoted by rule")
        _greenroom(
            folder, "deploy", "canary", name, "--to", "home", "--share", "50%", "--gate", "suite.toml",
            "--score", "exact", "--promote-after", "1s", "--units", "50", *_margins(),
        )  # fmt: skip
        _tell(f"4. {extent.traffic} requests by as many users, each answer scored, until the rule decides")
        _ask_until_promoted(folder, server, test, extent.traffic)
        _greenroom(folder, "deploy", "status", "home")
        _tell("5. The app as it is now")
        answers = list(_asked(server, [row["question"] for row in test]))
        for question, answer in zip(QUESTIONS, _asked(server, QUESTIONS), strict=True):
            print(f"   {question}  →  {answer[0]}")
    return share_exact([found[0] for found in answers], [row["expected"] for row in test])


def _margins() -> Iterator[str]:
    """So wide that some hundred requests are evidence enough, and that a reader's speed is no measure."""
    for name, margin in MARGINS.items():
        yield from ("--margin", f"{name}={margin}")


def _tell(text: str) -> None:
    print(f"\n{text}", flush=True)


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:  # Any: JSON
    path.write_text("".join(codec.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _greenroom(folder: Path, *arguments: str, allowed: Sequence[int] = (0,), quiet: bool = False) -> str:
    """Run a command as anyone would; what it printed, where it is quiet. Raises: _StepFailed."""
    if not quiet:
        print("$ greenroom " + " ".join(arguments), flush=True)
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "greenroom", *arguments],
        cwd=folder, env=_environment(folder), check=False, text=True,
        stdout=subprocess.PIPE if quiet else None,
    )  # fmt: skip
    if done.returncode not in allowed:
        raise _StepFailed(f"'greenroom {' '.join(arguments[:2])}' ended with {done.returncode}.")
    return done.stdout or ""


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "GREENROOM_CONFIG": str(folder / "greenroom.toml"),
        "GREENROOM_DATA": str(folder / "data"),
    }


@dataclass(frozen=True)
class _Server:
    port: int
    key: str

    def post(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], str]:  # Any: JSON
        """The answer and its id. Raises: _StepFailed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_S)
        try:
            head = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request("POST", path, codec.dumps(body), head)
            answer = connection.getresponse()
            found: dict[str, Any] = codec.loads(answer.read())
        except OSError as error:
            raise _StepFailed(f"The server does not answer: {error}.") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _StepFailed(f"The server answered {answer.status}: {found['error']['message']}")
        return found, answer.headers["x-request-id"]


@contextmanager
def _server(folder: Path) -> Iterator[_Server]:
    """`greenroom serve` on a free port. Raises: _StepFailed."""
    print("$ greenroom serve", flush=True)
    admin = f"gr-admin-{token_urlsafe(24)}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "greenroom", "serve", "--port", "0"],
            cwd=folder, stdout=subprocess.PIPE, stderr=log,
            env={**_environment(folder), "GREENROOM_ADMIN_KEY": admin},
        )  # fmt: skip
    try:
        yield _Server(_port_of(process), admin)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _port_of(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    greeting, deadline = "", time.monotonic() + START_S
    while not (found := re.search(r"listens on http://\S+:(\d+)\s", greeting)):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(process.stdout.fileno(), 65536) if ready else b""
        if not data:
            raise _StepFailed("The server did not start; server.log says why.")
        greeting += data.decode(errors="replace")
    return int(found[1])


def _ask_until_promoted(
    folder: Path, server: _Server, rows: Sequence[dict[str, Any]], many: int
) -> None:  # Any: JSON
    """Traffic until the rule promotes. Raises: _StepFailed when it does not."""
    for turn in range(TURNS):
        time.sleep(FOLLOWS_S)
        told = _greenroom(folder, "deploy", "status", "home", "--json", allowed=(0, 1, 2), quiet=True)
        found = codec.loads(told)
        if found["promoted"]:
            return
        if found["open"] is None:
            break
        first = turn * many
        _traffic(server, [rows[number % len(rows)] for number in range(first, first + many)], first)
    _greenroom(folder, "deploy", "status", "home", allowed=(0, 1, 2))
    raise _StepFailed("The canary was not promoted.")


def _traffic(server: _Server, rows: Sequence[dict[str, Any]], first: int) -> None:  # Any: JSON
    """Ask each row as a user of its own, and score the answer."""
    found = _asked(server, [row["question"] for row in rows], first)
    for (answer, id), row in zip(found, rows, strict=True):
        value = float(answer.strip() == row["expected"])
        server.post("/api/feedback", {"id": id, "name": "exact", "value": value})


def _asked(server: _Server, questions: Sequence[str], first: int = 0) -> Iterator[tuple[str, str]]:
    """Answers of app `home` with their ids, in order; a few at once, by users from number `first` on."""

    def ask(numbered: tuple[int, str]) -> tuple[str, str]:
        number, question = numbered
        body = {
            "model": "home", "user": f"user-{number}", "temperature": 0, "max_tokens": 40,
            "messages": [{"role": "user", "content": question}],
        }  # fmt: skip
        found, id = server.post("/v1/chat/completions", body)
        return found["choices"][0]["message"]["content"] or "", id

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(ask, enumerate(questions, first))
