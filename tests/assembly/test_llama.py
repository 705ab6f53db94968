"""Tables of kind `llama`: what they may hold, and what is said when they can't be."""

from pathlib import Path

import pytest

from greenroom.assembly import llama
from greenroom.assembly.llama import LocalModels, check_table
from greenroom.config import ProviderConfig, load
from greenroom.errors import ConfigError
from greenroom.models.engines import Engines
from greenroom.models.pool import Pool
from greenroom.models.pulled import models_folder
from tests.models import tiny_gguf


def table(folder: Path, lines: str, kind: str = "llama") -> ProviderConfig:
    path = folder / "greenroom.toml"
    path.write_text(f'[providers.near]\nkind = "{kind}"\n{lines}\n', encoding="utf-8")
    return load(path).providers["near"]


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalModels:
    """A folder with the model `tiny`; the engine counts as installed, and is not started."""
    monkeypatch.setattr(llama, "is_installed", lambda: True)
    models_folder(tmp_path).mkdir()
    tiny_gguf.write(models_folder(tmp_path) / "tiny.gguf")
    return LocalModels(tmp_path, Engines({}), Pool())


@pytest.mark.parametrize(
    ("kind", "lines", "said"),
    [
        ("llama", "", "needs either model_path"),
        ("llama", 'model = "tiny"\nmodel_path = "x.gguf"', "needs either model_path"),
        ("llama", 'model = "../tiny"', "not a name of a pulled model"),
        ("llama", 'model = "tiny"\nbase_url = "http://127.0.0.1/v1"', "does not use 'base_url'"),
        ("llama", 'model = "tiny"\napi_key_env = "KEY"', "does not use 'api_key_env'"),
        ("openai", "threads = 2", "does not use 'threads'"),
        ("openai_compatible", "eager = true", "does not use 'eager'"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(tmp_path: Path, kind: str, lines: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_table("greenroom.toml: providers.near", table(tmp_path, lines, kind))


@pytest.mark.parametrize("lines", ["context = 5", "threads = 0", "memory_mb = 1", "model = 3", "start_s = 0"])
def test_values_out_of_range_are_refused_with_their_line(tmp_path: Path, lines: str) -> None:
    with pytest.raises(ConfigError, match=f"line 3.*providers.near.{lines.split(maxsplit=1)[0]}"):
        table(tmp_path, lines)


def test_a_model_that_is_not_here_comes_with_the_command_that_brings_it(
    tmp_path: Path, local: LocalModels
) -> None:
    with pytest.raises(ConfigError, match=r"greenroom models pull qwen3-0\.6b"):
        local.provider("file: providers.near", "near", table(tmp_path, 'model = "qwen3-0.6b"'))
    with pytest.raises(ConfigError, match=r"there is no file 'none\.gguf'"):
        local.provider("file: providers.near", "near", table(tmp_path, 'model_path = "none.gguf"'))


def test_a_broken_file_and_a_missing_engine_are_told_at_the_start(
    tmp_path: Path, local: LocalModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_gguf.content()[:-1])
    with pytest.raises(ConfigError, match="is cut off"):
        local.provider("file: providers.near", "near", table(tmp_path, f'model_path = "{broken}"'))
    monkeypatch.setattr(llama, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"pip install 'greenroom\[local\]'"):
        local.provider("file: providers.near", "near", table(tmp_path, 'model = "tiny"'))
    assert local.pulled("tiny") is None
    assert local.newest() is None


def test_what_is_not_said_has_a_default_that_fits_the_model(tmp_path: Path, local: LocalModels) -> None:
    plain = local.provider("f", "near", table(tmp_path, 'model = "tiny"')).engine.settings
    said = local.provider(
        "f", "near", table(tmp_path, 'model = "tiny"\ncontext = 512\nparallel = 3\nidle_stop_s = 0')
    ).engine.settings

    assert (plain.model, plain.context, plain.parallel, plain.idle_stop_s) == ("tiny", 4096, 2, 600.0)
    assert (said.context, said.parallel, said.idle_stop_s) == (512, 3, None)


def test_the_same_table_keeps_its_engine_through_a_reload(tmp_path: Path, local: LocalModels) -> None:
    first = local.provider("f", "near", table(tmp_path, 'model = "tiny"'))

    assert local.provider("f", "near", table(tmp_path, 'model = "tiny"')).engine is first.engine
    assert (
        local.provider("f", "near", table(tmp_path, 'model = "tiny"\nthreads = 1')).engine is not first.engine
    )


def test_the_model_pulled_last_is_the_one_that_answers(tmp_path: Path, local: LocalModels) -> None:
    assert local.newest() == "tiny"
    bad = models_folder(tmp_path) / "later.gguf"
    bad.write_bytes(b"GGUF")

    assert local.newest() == "tiny", "a file that is none is passed over"
    assert local.pulled("../tiny") is None
    assert local.pulled("absent") is None
