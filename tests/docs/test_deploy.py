"""The files and commands of docs/deploy.md work as they stand, one after the other, before scripted models."""

import re
import shlex
from pathlib import Path

import pytest

from greenroom.cli import main
from greenroom.offline.deploy.plan import METRICS, Margins
from greenroom.store.compared import FLAWS
from tests.cli.conftest import folder, quiet
from tests.offline.scripted_provider import ScriptedProvider

__all__ = ["folder", "quiet"]  # fixtures

PAGE = (Path(__file__).parent.parent.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_every_command_of_the_page_ends_as_it_says(
    folder: Path, quiet: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedProvider() as provider:
        real = 'kind = "openai"\napi_key_env = "OPENAI_API_KEY"\n'
        scripted = f'kind = "openai_compatible"\nbase_url = "{provider.base_url}"\n'
        for name, text in FILES:
            (folder / name).write_text(text.replace(real, scripted), encoding="utf-8")
        ended = []
        for line in COMMANDS:
            command, _, said = line.partition("   # exits ")
            code = main(shlex.split(command)[1:])
            ended.append((command.strip(), code, int(said or 0)))

    assert len(ended) == 12
    assert [one for one in ended if one[1] != one[2]] == []
    assert "Rolled back by command line" in capsys.readouterr().out


def test_the_tables_name_each_metric_with_its_margin_and_each_flaw() -> None:
    found = dict(re.findall(r"^\| `(\w+)` \| .* \| (\d+) % \|$", PAGE, re.MULTILINE))

    assert found == {name: f"{100 * Margins().of(name):g}" for name in METRICS}
    assert [one for one in FLAWS if f"`{one}`" not in PAGE] == []
