"""The example of docs/openai-evals.md runs as it stands, against a server at another address."""

import re
from pathlib import Path

import pytest

from tests.server_process import ADMIN, ServerProcess

PAGE = (Path(__file__).parent.parent.parent / "docs" / "openai-evals.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow  # starts a process of its own
def test_the_example_grades_the_readers_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ServerProcess(tmp_path / "data") as server:
        source = EXAMPLE.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", ADMIN)
        exec(compile(source, "openai-evals.md", "exec"), {})  # our own page

    told = capsys.readouterr().out.splitlines()
    assert told[0] == "completed 2 0"
    assert told[1] == "pass How do I make a key?"
    assert told[2].endswith("How do I add a document?")
