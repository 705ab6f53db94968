"""The example of docs/finetune-export.md runs as it stands."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent.parent / "docs" / "finetune-export.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_tells_what_a_run_will_take(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(EXAMPLE, "finetune-export.md", "exec"), {})  # our own page

    assert re.fullmatch(r"1\.\d M parameters, \d+ steps, fits: True\n", capsys.readouterr().out)
