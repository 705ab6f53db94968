"""The examples of docs/python.md run as they stand, one after the other, in a folder with its configuration."""

import re
import runpy
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent.parent / "docs" / "python.md").read_text(encoding="utf-8")
TOML = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FIRST, ERRORS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: it holds the page's configuration, and no provider's key is at hand."""
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "greenroom.toml").write_text(TOML[0], encoding="utf-8")
    return tmp_path


def run(folder: Path, source: str) -> None:
    script = folder / "example.py"
    script.write_text(source, encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")


def test_the_first_example_prints_the_answer_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, FIRST)

    said = capsys.readouterr().out
    assert said.count("[providers.") >= 2
    assert re.search(r"^[0-9a-f]{32} greenroom/reader 0$", said, re.MULTILINE)


def test_the_example_of_errors_names_the_unknown_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, ERRORS)

    said = capsys.readouterr().out
    assert said.startswith("model_not_found No app, model or provider goes by 'suport'.")
