"""`greenroom import litellm` and `greenroom config diff`: from a file to a plan to a running server."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.server_process import ServerProcess, greenroom

YAML = """
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-5-mini, api_key: os.environ/OPENAI_API_KEY}
"""


def test_a_whole_translation_goes_to_a_file_that_loads(run: Run, folder: Path) -> None:
    (folder / "config.yaml").write_text(YAML, encoding="utf-8")

    found = run("import", "litellm", "config.yaml", "--out", "greenroom.toml")

    assert (found.code, found.err) == (0, "")
    assert run("config", "check").code == 0
    again = run("import", "litellm", "config.yaml", "--out", "greenroom.toml")
    assert again.code == 64
    assert "not overwritten" in again.err


def test_what_is_left_out_is_exit_1_and_on_stderr(run: Run, folder: Path) -> None:
    (folder / "config.yaml").write_text(YAML + "litellm_settings: {set_verbose: true}\n", encoding="utf-8")

    found = run("import", "litellm", "config.yaml")

    assert found.code == 1
    assert found.err == "litellm_settings.set_verbose: has no counterpart.\n"
    assert '[models.fast]\ntargets = ["openai/gpt-5-mini"]' in found.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [1", "not YAML, line 1"),
        (b"\xff", "not UTF-8"),
        (b"x: 1", "model_list"),
        (b"!!python/object/apply:os.system ['echo']", "not YAML"),
        (b"[" * 5000, "not YAML"),
        (b"", "model_list"),
    ],
)
def test_what_is_no_configuration_is_told(run: Run, folder: Path, content: bytes, said: str) -> None:
    (folder / "config.yaml").write_bytes(content)

    found = run("import", "litellm", "config.yaml")

    assert found.code == 64
    assert said in found.err


def test_a_file_that_is_not_there_is_told(run: Run) -> None:
    assert "can't be read" in run("import", "litellm", "none.yaml").err


@pytest.mark.slow
def test_a_plan_names_each_key_and_what_it_takes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(data, '[apps.a]\nmodel = "greenroom/reader"\n') as server:
        plan = tmp_path / "plan.toml"
        plan.write_text(
            '[server]\nport = 9000\n\n[apps.a]\nmodel = "greenroom/reader"\npipeline = "off"\n',
            encoding="utf-8",
        )

        same = greenroom(data, "--config", str(server.config_path), "config", "diff")
        found = greenroom(data, "--config", str(plan), "config", "diff")
        plan.write_text("[apps.a]\nmodle = 1\n", encoding="utf-8")
        wrong = greenroom(data, "--config", str(plan), "config", "diff")

    assert (same.returncode, same.stdout) == (0, "Nothing would change.\n")
    assert found.returncode == 1
    assert sorted(line.split("\t") for line in found.stdout.splitlines()) == [
        ["apps.a.pipeline", "on", "off", "reload"],
        ["server.port", "8484", "9000", "restart"],
    ]
    assert wrong.returncode != 0
    assert "modle" in wrong.stderr


def test_a_plan_needs_something_to_compare_with(run: Run, folder: Path) -> None:
    assert run("config", "diff").code == 3
