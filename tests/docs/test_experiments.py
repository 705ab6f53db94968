"""The examples of docs/experiments.md run as they stand: the client's against a server, the commands beside it."""

import re
import shlex
from pathlib import Path

import pytest

from greenroom.cli import main
from tests.cli.conftest import quiet
from tests.server_process import ADMIN, ServerProcess

__all__ = ["quiet"]

PAGE = (Path(__file__).parent.parent.parent / "docs" / "experiments.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TOML = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
            for line in block.splitlines()]  # fmt: skip
ENDS = {"show": 2, "list": 0, "promote": 0, "stop": 0, "start": 0, "score": 0}


@pytest.mark.slow  # starts a process of its own
def test_an_answer_is_scored_and_the_commands_do_what_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    with ServerProcess(tmp_path / "data", TOML[0], environment={"OPENAI_API_KEY": "sk-none"}) as server:
        source = EXAMPLE.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", ADMIN)
        source = source.replace('model="default"', 'model="greenroom/reader"')
        exec(compile(source, "experiments.md", "exec"), {})  # our own page
        assert capsys.readouterr().out == "201 1.0\n"

        def run(*arguments: str) -> tuple[int, str]:
            place = ("--config", str(server.config_path), "--data", str(server.data))
            return main((*place, *arguments)), capsys.readouterr().out

        trace = run("trace", "list")[1].split("\t")[0]
        assert len(COMMANDS) == 7
        for command in COMMANDS:
            _, *arguments = shlex.split(command.replace("TRACE_ID", trace))
            assert run(*arguments)[0] == ENDS[arguments[1]], command
        listed = run(*shlex.split(COMMANDS[0])[1:])[1]

    assert listed.startswith(trace)
