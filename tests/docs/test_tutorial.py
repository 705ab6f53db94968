"""The commands of docs/tutorial.md run as they stand, in order, against a scripted provider."""

import json
import re
import shlex
from pathlib import Path

import pytest

from greenroom.cli import main
from tests.offline.scripted_provider import ScriptedProvider, rows

PAGE = (Path(__file__).parent.parent.parent / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("greenroom ")
]
_, EXPERIMENT = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROW, PROMPT = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MODELS = '[models.small]\ntargets = ["lab/novice"]\n\n[models.large]\ntargets = ["lab/worker"]\n'


@pytest.mark.slow  # some hundred exchanges through the whole pipeline
def test_the_commands_lead_from_questions_to_a_better_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GREENROOM_DATA", raising=False)
    monkeypatch.delenv("GREENROOM_CONFIG", raising=False)
    questions = rows("teams", 30)
    assert json.loads(ROW) in questions
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions), encoding="utf-8")
    Path("sorting.json").write_text(PROMPT, encoding="utf-8")
    said = {}
    with ScriptedProvider() as provider:
        Path("greenroom.toml").write_text(provider.config() + MODELS, encoding="utf-8")
        for command in COMMANDS:
            if command.startswith("greenroom experiments"):
                file = Path("greenroom.toml")
                file.write_text(file.read_text(encoding="utf-8") + EXPERIMENT, encoding="utf-8")
            code = main(shlex.split(command)[1:])
            said[command.split()[1] + " " + command.split()[2]] = code, capsys.readouterr()

    codes = {name: code for name, (code, _) in said.items()}
    recommended = codes.pop("models recommend")
    assert recommended in (0, 2)
    assert codes.pop("experiments show") == 2  # nobody has asked yet
    assert set(codes.values()) == {0}, [(name, one) for name, one in said.items() if one[0]]
    assert "Best by contains: large" in said["models compare"][1].out
    assert "<svg" in Path("models.html").read_text(encoding="utf-8")
    assert "Saved as sorting@2, without a label." in said["optimize --prompt"][1].out
    assert "Name the team and nothing else+}" in said["prompts diff"][1].out
