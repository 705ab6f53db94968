"""The files and commands of docs/evals.md work as they stand, one after the other, in an empty folder."""

import re
import shlex
from pathlib import Path

import pytest

from greenroom.cli import main
from tests.cli.conftest import folder, quiet

PAGE = (Path(__file__).parent.parent.parent / "docs" / "evals.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
TYPES = re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \| .* \| .* \|$", PAGE, re.MULTILINE)

__all__ = ["folder", "quiet"]  # fixtures


def test_every_command_of_the_page_ends_as_it_says(
    folder: Path, quiet: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES:
        (folder / name).write_text(text, encoding="utf-8")

    ended = []
    for line in COMMANDS:
        command, _, said = line.partition("#")
        code = main(shlex.split(command)[1:])
        ended.append((command.strip(), code, int(said.removeprefix(" exits ") or 0)))

    assert len(ended) >= 8
    assert [one for one in ended if one[1] != one[2]] == []
    assert "right" in capsys.readouterr().out
    assert (folder / "capitals.html").stat().st_size > 2_000


def test_the_table_of_scorers_names_each_and_no_other() -> None:
    from greenroom.offline.evals.scorers.registry import SCORERS

    assert {name for pair in TYPES for name in pair if name} == {*SCORERS, "judge", "judge_pair"}
