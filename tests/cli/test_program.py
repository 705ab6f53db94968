"""The program as a process: quick where it matters, and an exit code for every end."""

import json
import os
import shlex
import subprocess
import sys
import urllib.request
from importlib import import_module
from pathlib import Path

import pytest

from greenroom import __version__
from greenroom.cli import app
from tests.cli.conftest import Run

LOADED = "import sys; from greenroom.cli import main; main(sys.argv[1:]); print(*sorted(sys.modules))"


def process(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program for real."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return subprocess.run(
        [sys.executable, "-m", "greenroom", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip


def modules_after(*arguments: str, folder: Path) -> set[str]:
    """What is loaded once a command has run."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_the_version_comes_at_once(tmp_path: Path) -> None:
    best = float("inf")
    for _ in range(3):
        began = os.times()
        done = process("--version", folder=tmp_path)
        ended = os.times()  # CPU time of what was run: other work on the machine is not counted
        best = min(best, sum(ended[2:4]) - sum(began[2:4]))

        assert done.stdout == f"{__version__}\n"

    assert best < 0.15, f"{best:.3f} s"


def test_the_version_loads_neither_command_line_nor_assembly(tmp_path: Path) -> None:
    loaded = modules_after("--version", folder=tmp_path)

    assert loaded.isdisjoint({"cyclopts", "rich", "msgspec", "greenroom.assembly", "asyncio"})


def test_parsing_serve_does_not_load_rich(tmp_path: Path) -> None:
    code = (
        "import sys, types; import greenroom.assembly.serve as real; real.serve = lambda *a: print(*a) or 0;"
        "from greenroom.cli import main; main(['serve', '--port', '0']);"
        "sys.exit('rich' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )

    assert (done.returncode, done.stdout) == (0, "None None None 0\n"), done.stderr


@pytest.mark.slow
def test_the_server_starts_answers_the_printed_line_and_stops(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, "-m", "greenroom", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            lines: list[str] = []
            while not any("curl" in line for line in lines):
                lines.append(server.stdout.readline())
                assert lines[-1], "".join(lines)
            _, address, _, authorization, _, kind, _, body = shlex.split(lines[-1])
            headers = dict(line.split(": ", 1) for line in (authorization, kind))
            request = urllib.request.Request(address, body.encode(), headers)  # our own loopback
            with urllib.request.urlopen(request, timeout=20) as answer:
                content = json.load(answer)["choices"][0]["message"]["content"]
        finally:
            server.terminate()
        code = server.wait(20)

    assert "Admin key (shown this once): gr-" in "".join(lines)
    assert "greenroom/reader" in "".join(lines)
    assert "[providers." in content
    assert code == 0


def test_an_error_is_one_sentence_on_stderr_and_usage_is_64(tmp_path: Path) -> None:
    done = process("serve", "--port", "many", folder=tmp_path)

    assert done.returncode == 64
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "--port" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("serve", "--nix"), ("nonsense",), ("config", "nonsense"), ("keys", "create"), ("ask",), ("check",),
     ("docs", "add"), ("docs", "remove"), ("trace", "export", "--format", "xml")],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_64(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.code == 64
    assert len(done.err.splitlines()) == 1
    assert done.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "--port", "many"), 'Invalid value for --port: "many" is not a whole number.'),
        (
            ("keys", "create", "x", "--budget-usd", "1,5"),
            'Invalid value for --budget-usd: "1,5" is not a number.',
        ),
        (("usage", "--since", "yesterday"), "is not a date such as 2026-11-27."),
        (("prompts", "list", "b", "c"), "Too many arguments: b c."),
    ],
    ids=["int", "decimal", "date", "too many"],
)
def test_a_wrong_value_is_told_in_words_and_not_in_types(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    assert said in run(*arguments).err


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_has_help(run: Run, name: str) -> None:
    done = run(name, "--help")

    assert done.code == 0
    assert f"greenroom {name}" in done.out


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_global_options_stand_before_or_after_the_command(run: Run, place: str) -> None:
    given = ("--config", "missing.toml")
    words = ("config", "check")

    done = run(*given, *words) if place == "before" else run(*words, *given)

    assert done.code == 1
    assert "missing.toml" in done.err


def test_a_missing_configuration_file_is_the_environments_fault_elsewhere(run: Run) -> None:
    done = run("trace", "list", "--config", "missing.toml")

    assert (done.code, done.err) == (3, "There is no configuration file 'missing.toml'.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ask", " "), "Say what to ask."),
        (("serve", "--port", "99999"), "A port is a number from 0 to 65535."),
        (("docs", "add", ".", "--collection", ""), "A collection and a project need a name."),
        (("keys", "create", " "), "Give the key a name that says what it is for."),
        (
            ("batch", "create", "in.jsonl", "--budget-usd", "nan"),
            "--budget-usd must be greater than zero, and 1,000,000 at most.",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_argument_that_says_nothing_is_wrong_usage(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run(*words)

    assert (done.code, done.err) == (64, said + "\n")


@pytest.mark.parametrize("name", sorted(app.COMMANDS))
def test_every_command_can_be_loaded(name: str) -> None:
    module, _, found = app.COMMANDS[name][0].partition(":")

    assert hasattr(import_module(f"greenroom.cli.{module}"), found)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="There is no /dev/full here.")
def test_output_that_a_full_disk_does_not_take_is_said_in_a_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "greenroom", "trace", "export", "--format", "csv"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=50, check=False,
        )  # fmt: skip

    assert done.returncode == 3
    assert (
        done.stderr == "Not all was written: No space left on device. Free some space, then run it again.\n"
    )
