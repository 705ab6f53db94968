"""The example of docs/anthropic.md runs as it stands, against a server at another address."""

import re
from pathlib import Path

import pytest

from tests.server_process import ServerProcess

PAGE = (Path(__file__).parent.parent.parent / "docs" / "anthropic.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow  # starts a process of its own
def test_the_example_gets_a_cited_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ServerProcess(tmp_path / "data") as server:
        source = EXAMPLE.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", server.local_key)
        exec(compile(source, "anthropic.md", "exec"), {})  # our own page

    reason, count, title = capsys.readouterr().out.split()
    assert reason == "end_turn"
    assert int(count) >= 1
    assert title == "providers.md"
