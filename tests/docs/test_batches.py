"""The example of docs/batches.md runs as it stands, against a server at another address."""

import re
from pathlib import Path

import pytest

from tests.server_process import ADMIN, ServerProcess

PAGE = (Path(__file__).parent.parent.parent / "docs" / "batches.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow  # starts a process of its own
def test_the_example_has_its_questions_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ServerProcess(tmp_path / "data") as server:
        source = EXAMPLE.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", ADMIN)
        exec(compile(source, "batches.md", "exec"), {})  # our own page

    told = capsys.readouterr().out.splitlines()
    assert told == ["completed 3 0", *(f"question-{number} 200" for number in range(3))]
