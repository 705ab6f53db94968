from pathlib import Path

import pytest

from greenroom import config
from greenroom.errors import ConfigError


def load(tmp_path: Path, text: str) -> config.Config:
    path = tmp_path / "greenroom.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def test_no_file_means_the_defaults() -> None:
    assert config.load(None) == config.Config()


def test_an_app_with_its_steps_is_read(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[apps.a]\nmodel = "m"\ncheck = ["pii"]\n[apps.a.steps.pii]\naction = "redact"\n')

    assert loaded.apps["a"].check == ("pii",)
    assert loaded.apps["a"].steps == {"pii": {"action": "redact"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            '[server]\nhost = "x"\nprot = 1\n', "line 3: unknown key 'prot'; did you mean 'port'", id="typo"
        ),
        pytest.param('[server]\nport = "a"\n', "line 2: Expected `int`", id="wrong type"),
        pytest.param("[server]\nport = 70000\n", "line 2: Expected `int` <= 65535", id="out of range"),
        pytest.param(
            '[providers.x]\nkind = "magic"\n', "line 2: Invalid enum value 'magic'", id="unknown kind"
        ),
        pytest.param("[models.m]\ntargets = []\n", "line 2", id="no targets"),
        pytest.param("x = [\n", "greenroom.toml", id="broken toml"),
        pytest.param(
            "[serverr]\nport = 1\n", "line 1: unknown key 'serverr'; did you mean 'server'", id="table"
        ),
    ],
)
def test_a_mistake_is_named_with_file_line_and_nearest_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)

    assert says in str(caught.value)
    assert "greenroom.toml" in str(caught.value)


def test_a_file_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "greenroom.toml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        config.load(path)
