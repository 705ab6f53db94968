"""The examples of docs/prompts.md run as they stand, one after the other, in one folder."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from greenroom.cli import main
from greenroom.prompts.lint import RULES
from tests.server_process import ADMIN, ServerProcess

PAGE = (Path(__file__).parent.parent.parent / "docs" / "prompts.md").read_text(encoding="utf-8")
(PROMPT,) = re.findall(r"^```toml prompt\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(APP,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SHELL = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CLIENT, ALONE, ROOM = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the page's prompt and app, and no provider's key at hand."""
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "greenroom.toml").write_text(APP, encoding="utf-8")
    (tmp_path / "support.toml").write_text(PROMPT, encoding="utf-8")
    return tmp_path


def run(folder: Path, source: str) -> None:
    script = folder / "example.py"
    script.write_text(source, encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")


def shell(block: str) -> list[int]:
    return [main(shlex.split(line)[1:]) for line in block.splitlines()]


def test_the_commands_do_what_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(SHELL[0]) == [0, 0, 0, 0]
    said = capsys.readouterr().out
    assert "1 prompt: nothing found." in said
    assert "<question>Where is my parcel?</question>" in said
    assert "example 2 of 2 chosen, compared by" in said

    (folder / "support.toml").write_text(
        PROMPT.replace("four sentences", "three sentences"), encoding="utf-8"
    )
    assert shell(SHELL[1]) == [0, 0, 0, 0]
    said = capsys.readouterr().out
    assert "[-four-]{+three+}" in said
    assert said.endswith("'production' of support: from version 2 to version 1.\n")

    assert shell(SHELL[2]) == [0, 0, 0]
    assert capsys.readouterr().out.endswith("Stored 0 versions; 2 were there already.\n")


def test_the_example_without_a_store_fills_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, ALONE)

    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["[]", "<question>Where is my parcel?</question>"]
    assert int(said[2].split()[0]) > 50


def test_the_example_with_a_room_answers_by_the_prompt(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["prompts", "add", "support.toml", "--label", "production"])
    capsys.readouterr()

    run(folder, ROOM)

    assert re.fullmatch(r"stop\n1 \d+\n", capsys.readouterr().out)


@pytest.mark.slow  # starts a process of its own
def test_the_client_s_example_names_the_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "support.toml").write_text(PROMPT, encoding="utf-8")
    main(["--data", str(tmp_path / "data"), "prompts", "add", str(tmp_path / "support.toml"),
          "--label", "production"])  # fmt: skip
    capsys.readouterr()
    with ServerProcess(tmp_path / "data") as server:
        run(tmp_path, CLIENT.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", ADMIN))

    assert capsys.readouterr().out == "support completed\n"


def test_the_page_names_every_rule_and_no_other() -> None:
    table = PAGE[PAGE.index("| rule |") : PAGE.index("The window is known")]

    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)+|contradiction)`", table)) == set(RULES)
