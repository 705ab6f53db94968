"""Trained weights as GGUF: llama.cpp answers with them as transformers does."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest

from greenroom.errors import Conflict, RequestError, StoreError
from greenroom.models.engine import is_installed
from greenroom.models.gguf import read_head
from tests.offline.finetune import llama, tiny_models

pytestmark = [
    pytest.mark.finetune,
    pytest.mark.slow,
    pytest.mark.timeout(240),  # loading the libraries, on a busy machine
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "transformers", "peft", "gguf"))
        or not is_installed(),
        reason="the extras 'finetune' and 'local' are not installed",
    ),
]
Answers = dict[str, Any]  # Any: JSON


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small models and what transformers answers."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, "-m", "tests.offline.finetune.tiny_models", folder],
        check=True,
        capture_output=True,
        timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # models this small gain nothing from more
    )
    return folder


@pytest.fixture(scope="module")
def answers(made: Path) -> Answers:
    return cast("Answers", json.loads((made / "answers.json").read_text()))


@pytest.fixture(scope="module")
def spoken(made: Path, answers: Answers) -> dict[str, list[dict[str, Any]]]:
    """What llama.cpp answers with each exported in 16 bits, and with the adapters."""
    from greenroom.offline.finetune.export import adapter_to_gguf, to_gguf

    go_on = {
        "prompt": tiny_models.PROMPT,
        "n_predict": tiny_models.STEPS,
        "temperature": 0,
        "return_tokens": True,
    }
    asks: list[dict[str, Any]] = [{"path": "/completion", "body": go_on}]
    asks += [
        {"path": "/tokenize", "body": {"content": text, "parse_special": True, "add_special": True}}
        for text in tiny_models.TEXTS
    ]
    asks.append({"path": "/apply-template", "body": {"messages": tiny_models.CHAT}})
    questions = {}
    for name in answers:
        to_gguf(made / name, made / f"{name}.gguf", "F16")
        questions[name] = {"model": str(made / f"{name}.gguf"), "asks": asks}
        if "adapted" in answers[name]:
            out = made / f"{name}-adapter.gguf"
            adapter_to_gguf(made / f"{name}-adapter", made / name, out)
            questions[f"{name}+"] = {**questions[name], "adapter": str(out), "asks": asks[:1]}
    return dict(zip(questions, llama.ask(list(questions.values())), strict=True))


@pytest.mark.parametrize("name", ["llama", "llama3", "odd", "mistral", "qwen2", "qwen3"])
def test_a_model_goes_on_as_it_does_in_transformers(
    name: str, answers: Answers, spoken: dict[str, list[dict[str, Any]]]
) -> None:
    # random weights are chaotic: rounding to 16 bits may turn a near tie late in the text
    assert spoken[name][0]["tokens"][:8] == answers[name]["greedy"][:8]


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_an_adapter_changes_the_answers_as_it_does_in_peft(
    name: str, answers: Answers, spoken: dict[str, list[dict[str, Any]]]
) -> None:
    assert answers[name]["adapted"][:8] != answers[name]["greedy"][:8]

    assert spoken[f"{name}+"][0]["tokens"][:8] == answers[name]["adapted"][:8]


@pytest.mark.parametrize("name", ["llama", "llama3", "odd", "qwen2"])
def test_texts_have_the_same_tokens_and_chats_are_written_the_same(
    name: str, answers: Answers, spoken: dict[str, list[dict[str, Any]]]
) -> None:
    """Each has another rule for cutting text; none adds a first token that the chat's template does not write."""
    assert [one["tokens"] for one in spoken[name][1:4]] == answers[name]["texts"]
    assert spoken[name][4]["prompt"] == answers[name]["chat"]


@pytest.mark.parametrize(("format", "worst"), [("F16", 0.0005), ("Q8_0", 0.006), ("Q4_0", 0.126)])
def test_numbers_are_as_near_as_the_format_allows(
    made: Path, tmp_path: Path, format: Any, worst: float
) -> None:
    """Relative to the largest of a block: half of the last of 11 and 8 bits; a whole one of 4, at the end of its range."""
    import numpy as np
    from gguf import GGUFReader, dequantize
    from safetensors.numpy import load_file

    from greenroom.offline.finetune.export import to_gguf

    to_gguf(made / "qwen3", tmp_path / "a.gguf", format)

    kept = load_file(made / "qwen3/model.safetensors")["model.layers.1.mlp.down_proj.weight"]
    found = {one.name: one for one in GGUFReader(tmp_path / "a.gguf").tensors}
    down = found["blk.1.ffn_down.weight"]
    error = np.abs(dequantize(down.data, down.tensor_type).reshape(kept.shape) - kept).reshape(-1, 32).max(1)
    assert (error <= worst * np.abs(kept).reshape(-1, 32).max(1)).all()
    assert found["token_embd.weight"].tensor_type.name == {"Q4_0": "Q8_0"}.get(format, format)


def test_rows_that_are_no_multiple_of_a_block_stay_in_16_bits(made: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    from greenroom.offline.finetune.export import to_gguf

    to_gguf(made / "odd", tmp_path / "a.gguf", "Q8_0")

    kinds = {one.tensor_type.name for one in GGUFReader(tmp_path / "a.gguf").tensors}
    assert kinds == {"F16", "F32"}


Change = Callable[[Path], object]


def edit(file: str, **changed: Any) -> Change:  # Any: JSON
    """Fields of a JSON file, set."""

    def change(folder: Path) -> None:
        said = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**said, **changed}))

    return change


def rename_tensor(folder: Path) -> None:
    """Of the same length, so that the head stays whole."""
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data.replace(b"model.norm.weight", b"model.nrom.weight"))


def poison(folder: Path) -> None:
    """A number that is none."""
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-4:] = struct.pack("<f", float("nan"))
    (folder / "model.safetensors").write_bytes(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit("config.json", architectures=["GemmaForCausalLM"]), "GemmaForCausalLM is not known here"),
        (edit("config.json", num_hidden_layers=3), "lack 9 tensors, among them 'blk.2.attn_k.weight'"),
        (edit("config.json", num_hidden_layers=1), "'model.layers.1.input_layernorm.weight', which no model"),
        (edit("config.json", hidden_size=32), "'lm_head.weight' is 520 × 64, and by config.json it would be 520 × 32"),
        (edit("config.json", vocab_size=200), "'tokenizer.json' knows tokens up to number"),
        (edit("config.json", hidden_act="gelu"), "activation 'gelu' can't be exported"),
        (edit("config.json", rope_parameters={"rope_type": "yarn", "factor": 4.0}), "'yarn' can't be exported"),
        (edit("config.json", num_key_value_heads=3), "num_attention_heads is no multiple"),
        (edit("tokenizer.json", normalizer={"type": "Lowercase"}), "changes text by Lowercase"),
        (edit("tokenizer.json", pre_tokenizer={"type": "Whitespace"}), "byte-level byte-pair encoding"),
        (edit("tokenizer.json", model={"type": "Unigram", "vocab": []}), "byte-level byte-pair encoding"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "There is no 'tokenizer.json'"),
        (lambda folder: (folder / "config.json").write_text("{"), "'config.json' can't be used"),
        (lambda folder: (folder / "model.safetensors").unlink(), "Only weights in safetensors are read"),
        (rename_tensor, "'model.nrom.weight', which no model of this architecture has"),
        (poison, "not finite: training diverged"),
    ],
)  # fmt: skip
def test_what_is_no_whole_model_is_refused_and_nothing_is_left(
    made: Path, tmp_path: Path, change: Change, said: str
) -> None:
    from greenroom.offline.finetune.export import to_gguf

    folder = Path(shutil.copytree(made / "llama", tmp_path / "broken"))
    change(folder)

    with pytest.raises(RequestError) as refused:
        to_gguf(folder, tmp_path / "out/a.gguf", "Q8_0")

    assert said in str(refused.value)
    assert [one for one in tmp_path.rglob("*") if "a.gguf" in one.name] == []


@pytest.mark.parametrize(
    ("change", "base", "said"),
    [
        (edit("adapter_config.json", use_dora=True), "llama", "more than plain LoRA (use_dora)"),
        (edit("adapter_config.json", peft_type="IA3"), "llama", "peft_type IA3"),
        (edit("adapter_config.json", rank_pattern={"q_proj": 8}), "llama", "rank_pattern"),
        (lambda _: None, "odd", "was made for another model"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "llama", "no adapter's folder"),
        (
            lambda folder: (folder / "adapter_model.safetensors").unlink(),
            "llama",
            "Only weights in safetensors",
        ),
    ],
)
def test_an_adapter_that_would_answer_otherwise_is_refused(
    made: Path, tmp_path: Path, change: Change, base: str, said: str
) -> None:
    from greenroom.offline.finetune.export import adapter_to_gguf

    folder = Path(shutil.copytree(made / "llama-adapter", tmp_path / "adapter"))
    change(folder)

    with pytest.raises(RequestError) as refused:
        adapter_to_gguf(folder, made / base, tmp_path / "a.gguf")

    assert said in str(refused.value)
    assert not (tmp_path / "a.gguf").exists()


def test_a_full_disk_leaves_the_file_that_was_there(made: Path, tmp_path: Path) -> None:
    """The system refuses to write past a limit, as a full disk does; in a process of its own."""
    from greenroom.offline.finetune.export import to_gguf

    to_gguf(made / "llama", tmp_path / "a.gguf", "Q4_0")
    before = (tmp_path / "a.gguf").read_bytes()
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from greenroom.errors import StoreError; from greenroom.offline.finetune.export import to_gguf\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: to_gguf(Path(sys.argv[1]), Path(sys.argv[2]), 'F16')\n"
        "except StoreError as error: print(error); sys.exit(7)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, made / "llama", tmp_path / "a.gguf"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 7, done.stderr
    assert "can't be written" in done.stdout
    assert (tmp_path / "a.gguf").read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.gguf"]


def test_too_little_room_is_said_before_anything_is_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from greenroom.offline.finetune.export import to_gguf

    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1 << 30, 1 << 30, 1 << 20))

    with pytest.raises(StoreError, match="Make room first"):
        to_gguf(made / "llama", tmp_path / "a.gguf", "F16")

    assert list(tmp_path.iterdir()) == []


def test_two_at_once_do_not_mix(made: Path, tmp_path: Path) -> None:
    import fcntl

    from greenroom.offline.finetune.export import to_gguf

    with (tmp_path / ".a.gguf.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Conflict):
            to_gguf(made / "llama", tmp_path / "a.gguf", "F16")
    to_gguf(made / "llama", tmp_path / "a.gguf", "F16")  # what a killed export left is no obstacle

    assert read_head(tmp_path / "a.gguf").has_template
    assert [one.name for one in tmp_path.iterdir()] == ["a.gguf"]
