"""The example of docs/models-trained.md runs as it stands, against a server that has such a model; its table too."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from greenroom.config import Config
from greenroom.models.engine import is_installed
from greenroom.store.keys import KeyStore
from greenroom.store.trained import FILE, TrainedModel, TrainedModels
from tests.models import tiny_gguf
from tests.server_process import ServerProcess

PAGE = (Path(__file__).parent.parent.parent / "docs" / "models-trained.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(TABLE,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CONFIG = '[providers.trained]\nkind = "llama"\nthreads = 1\n[apps.default]\nground = []\n'


def test_the_table_is_a_configuration() -> None:
    config = msgspec.convert(tomllib.loads(TABLE), Config)

    assert config.providers["trained"].parallel == 4


@pytest.mark.slow  # starts a process of its own, and an engine
@pytest.mark.skipif(not is_installed(), reason="xllamacpp, the extra 'local', is not installed")
def test_the_example_asks_and_deletes_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    (data / "jobs").mkdir(parents=True)
    tiny_gguf.write(data / "jobs" / "clerk.gguf")
    store = TrainedModels(data / FILE)
    store.register(
        TrainedModel(
            name="ft:tiny:acme:clerk:1", project="acme", created_ns=1, base="tiny", job="ftjob-1",
            kind="model", gguf="jobs/clerk.gguf",
        )
    )  # fmt: skip
    store.close()
    keys = KeyStore(data / "keys.db")
    _, secret = keys.create("acme", "of the page", role="operator")
    keys.close()
    with ServerProcess(data, CONFIG) as server:
        source = EXAMPLE.replace("http://127.0.0.1:8484", server.url).replace("gr-your-key", secret)
        exec(compile(source, "models-trained.md", "exec"), {})  # our own page

    said, owner, names, deleted = capsys.readouterr().out.splitlines()
    assert said == tiny_gguf.ALPHABET
    assert (owner, names, deleted) == ("acme", "['ft:tiny:acme:clerk:1']", "True")
