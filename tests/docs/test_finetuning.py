"""The example of docs/finetuning.md runs as it stands, against a server whose training is scripted."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from greenroom.config import Config
from greenroom.tables import decode_table
from tests.server_process import ADMIN, ServerProcess

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "finetuning.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(TABLE,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow  # starts processes
def test_the_example_trains_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    under = (sys.executable, "-m", "tests.offline.finetune.scripted_server")
    with ServerProcess(tmp_path / "data", under=under, environment={"PYTHONPATH": str(ROOT)}) as server:
        source = EXAMPLE.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", ADMIN)
        exec(compile(source, "finetuning.md", "exec"), {})  # our own page

    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("succeeded ft:tiny:default:numbers:")
    assert told[1] == "The job has successfully completed"


def test_the_settings_are_right() -> None:
    found = decode_table(tomllib.loads(TABLE), Config, "finetuning.md")

    assert found.finetune.bases == {"qwen-small": "/models/qwen2.5-0.5b"}
