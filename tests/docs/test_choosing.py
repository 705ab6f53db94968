"""The examples of docs/choosing.md run as they stand: its commands here, its program against a server."""

import re
import shlex
from pathlib import Path

import pytest

from greenroom.models.catalogue.catalogue import SHIPPED, open_catalogue
from tests.cli.conftest import Run, folder, quiet, run
from tests.server_process import ADMIN, ServerProcess

__all__ = ["folder", "quiet", "run"]

PAGE = (Path(__file__).parent.parent.parent / "docs" / "choosing.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ greenroom (.+)$", PAGE, re.MULTILINE)


def test_every_command_of_the_page_runs(run: Run, folder: Path) -> None:
    (folder / "models.json").write_bytes(SHIPPED.read_bytes())

    codes = {command: run(*shlex.split(command.replace("--probe-speed", ""))).code for command in COMMANDS}

    assert len(codes) == 5
    assert {command: code for command, code in codes.items() if code not in {0, 2}} == {}


def test_the_page_says_how_many_models_there_are() -> None:
    assert f"facts of {len(open_catalogue().models)} models" in PAGE


@pytest.mark.slow  # starts a process of its own
def test_the_program_of_the_page_prints_three_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ServerProcess(tmp_path / "data") as server:
        source = EXAMPLE.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", ADMIN)
        exec(compile(source, "choosing.md", "exec"), {})  # our own page

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["best", "value", "private"]
    assert lines[2].split()[1].startswith("llama/")
