"""What a base's name leads to; what is not safe to load is refused with what to do instead."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ModelNotFound, RequestError
from greenroom.offline.finetune.bases import Base, check_base, find_base, hub_folder
from tests.offline.finetune import safe_models

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return safe_models.write(tmp_path / "base")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A cache as the hub's programs lay it out: snapshots of links to blobs."""
    model = safe_models.write(tmp_path / "fetched")
    repository = tmp_path / "hub/models--acme--tiny"
    snapshot = repository / "snapshots" / COMMIT
    for inner in (repository / "blobs", repository / "refs", snapshot):
        inner.mkdir(parents=True)
    (repository / "refs/main").write_text(COMMIT)
    for number, path in enumerate(model.iterdir()):
        path.rename(repository / f"blobs/{number}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    return tmp_path / "hub"


def test_a_folder_is_a_base_with_its_digest_and_licence(folder: Path) -> None:
    found = check_base(folder, "tiny")

    assert (found.name, found.folder, found.licence, found.revision) == ("tiny", folder, "apache-2.0", None)
    assert found.size_bytes == 4 * found.shape.parameters
    assert found.shape.parameters == 12 * 8 + 4 * 64 + 3 * 128 + 3 * 8


@pytest.mark.parametrize(
    "file", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
)
def test_the_digest_tells_any_change_of_what_is_loaded(folder: Path, file: str) -> None:
    before = check_base(folder, "tiny").digest
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-1] + b"\x01" if file == "model.safetensors" else content + b" ")

    assert check_base(folder, "tiny").digest != before


def test_the_digest_does_not_tell_where_it_lies(folder: Path, tmp_path: Path) -> None:
    assert check_base(folder, "tiny").digest == check_base(safe_models.write(tmp_path / "b"), "other").digest


def test_names_are_looked_up_in_order(folder: Path, hub: Path, tmp_path: Path) -> None:
    trained = safe_models.write(tmp_path / "trained")

    def find(name: str, **more: Any) -> Base:
        bases = {"small": str(folder), "pinned": f"acme/tiny@{COMMIT}"}
        return find_base(
            name, bases=bases, trained=lambda name: trained if name == "ft:mine" else None, hub=hub, **more
        )

    assert find("small").folder == folder
    assert find("ft:mine").folder == trained
    assert find("acme/tiny").revision == COMMIT
    assert find("acme/tiny@main").folder == hub / "models--acme--tiny/snapshots" / COMMIT
    assert find("pinned").revision == COMMIT
    assert find(str(folder), may_be_folder=True).folder == folder


@pytest.mark.parametrize(
    "name",
    [
        "", "gpt-4o-mini", "acme/none", "acme/tiny@v2", "../base", "acme/../tiny", "acme/tiny@../../x", "a/b/c",
        "/etc", "acme/tiny\n", "acme/" + "x" * 200, f"acme/tiny@{'0' * 40}",
    ],
)  # fmt: skip
def test_other_names_lead_nowhere(hub: Path, name: str) -> None:
    """A client can't name folders of the server's disk."""
    with pytest.raises(ModelNotFound) as refused:
        find_base(name, bases={"small": "/nowhere"}, hub=hub)

    assert "These are set: small" in str(refused.value)


def test_a_folder_must_be_allowed(folder: Path) -> None:
    with pytest.raises(ModelNotFound):
        find_base(str(folder), bases={})


Change = Callable[[Path], object]


def without_weights(folder: Path, *others: str) -> None:
    (folder / "model.safetensors").unlink()
    for one in others:
        (folder / one).write_bytes(pickle.dumps({"a": 1}))


def edit(file: str, **changed: Any) -> Change:  # Any: JSON
    """Fields of a JSON file, set."""

    def change(folder: Path) -> None:
        (folder / file).write_text(json.dumps({**json.loads((folder / file).read_text()), **changed}))

    return change


def index(**weight_map: str) -> Change:
    """An index in the place of the one file."""

    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *[
            (lambda folder, name=name: without_weights(folder, name), f"'{name}' may hold a pickle")
            for name in ("pytorch_model.bin", "model.pt", "a.pth", "epoch.CKPT", "weights.pkl", "w.pickle")
        ],
        (lambda folder: without_weights(folder, "model.gguf"), "'model.gguf' can't be trained on"),
        (without_weights, "no weights in safetensors"),
        (index(a="pytorch_model.bin"), "names 'pytorch_model.bin', which is no safetensors file"),
        (index(a="../x.safetensors"), "names '../x.safetensors', which is no safetensors file"),
        (index(nothing="model-1.safetensors"), "says that 'model-1.safetensors' holds 'nothing'"),
        (index(), "it names no tensors"),
        (edit("config.json", auto_map={"AutoModel": "x.Y"}), "names code that comes with the model ('auto_map')"),
        (edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y"]}), "names code that comes with the model"),
        (edit("config.json", inner=[{"auto_map": {}}]), "names code that comes with the model"),
        (edit("config.json", quantization_config={"bits": 4}), "quantised"),
        (edit("config.json", architectures=["T5Model"]), "The architecture T5Model is not known here"),
        (edit("config.json", hidden_size=0), "'config.json' can't be used"),
        (edit("config.json", num_hidden_layers=2), "fewer numbers than 'config.json' asks for"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "'config.json' is not JSON"),
        (lambda folder: (folder / "config.json").unlink(), "There is no 'config.json'"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "There is no 'tokenizer.json'"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "It is an adapter"),
        (lambda folder: (folder / "vocab.json").symlink_to("/etc/hostname"), "'vocab.json' is a link to a place outside"),
        (lambda folder: (folder / "gone").symlink_to("nothing"), "leads nowhere"),
        (lambda folder: os.mkfifo(folder / "pipe"), "neither a file nor a folder"),
    ],
)  # fmt: skip
def test_what_is_not_safe_or_not_whole_is_refused_by_name(folder: Path, change: Change, said: str) -> None:
    change(folder)

    with pytest.raises(RequestError) as refused:
        check_base(folder, "tiny")

    assert said in str(refused.value)
    assert str(refused.value).startswith("The model 'tiny' can't be trained on. ")
    assert str(folder) not in str(refused.value), "clients are not told where things lie"


def test_a_pickle_beside_safetensors_is_not_opened(folder: Path) -> None:
    (folder / "training_args.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/x'\ntR.")

    assert check_base(folder, "tiny").size_bytes


def test_links_of_a_cache_may_not_leave_it(hub: Path, tmp_path: Path) -> None:
    snapshot = hub / "models--acme--tiny/snapshots" / COMMIT
    (tmp_path / "secret.json").write_text("{}")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(tmp_path / "secret.json")

    with pytest.raises(RequestError, match=r"'config.json' is a link to a place outside"):
        find_base("acme/tiny", bases={}, hub=hub)


FULL, SIZE = safe_models.head_of(safe_models.SHAPES)
GOOD = safe_models.safetensors(FULL, bytes(SIZE))


def changed(name: str, **fields: Any) -> bytes:  # Any: JSON
    """The good file with one tensor's entry changed."""
    return safe_models.safetensors({**FULL, name: {**FULL[name], **fields}}, bytes(SIZE))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x80\x04\x95", bytes(8), b"\xff" * 8 + b"{}", GOOD[:-1], GOOD + b"\0", GOOD[:100],
        safe_models.safetensors(b"{", b""), safe_models.safetensors(b"[]", b""),
        safe_models.safetensors({}, b""), safe_models.safetensors(b'{"a":' * 50_000, b""),
        changed("model.norm.weight", dtype="F128"), changed("model.norm.weight", shape=[9]),
        changed("model.norm.weight", shape=[-8]), changed("model.norm.weight", shape=[2**40, 2**40]),
        changed("model.norm.weight", data_offsets=[0, 32]), changed("model.norm.weight", data_offsets=[416, 384]),
        changed("model.norm.weight", data_offsets=[2**62, 2**62 + 32]), changed("model.norm.weight", dtype=3),
    ],
)  # fmt: skip
def test_heads_are_not_believed(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)

    with pytest.raises(RequestError, match=r"The file 'model.safetensors' can't be used"):
        check_base(folder, "tiny")


def test_the_hubs_folder_is_where_its_own_programs_say() -> None:
    home = Path("/home/a")

    assert hub_folder({}, home) == home / ".cache/huggingface/hub"
    assert hub_folder({"XDG_CACHE_HOME": "/c"}, home) == Path("/c/huggingface/hub")
    assert hub_folder({"HF_HOME": "/h", "XDG_CACHE_HOME": "/c"}, home) == Path("/h/hub")
    assert hub_folder({"HF_HUB_CACHE": "/x", "HF_HOME": "/h"}, home) == Path("/x")


def test_no_heavy_library_is_loaded() -> None:
    program = (
        "import sys; import greenroom.offline.finetune.bases, greenroom.offline.finetune.resources\n"
        "print({'numpy', 'torch', 'gguf', 'safetensors'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
