"""Estimates against runs: what `greenroom.offline.finetune.estimate` says before training, and what training takes.

    python -m benchmarks.estimates                 # the ten runs of the report
    python -m benchmarks.estimates --calibrate 30  # other runs, from which the constants were fitted
    python -m benchmarks.estimates --only 3,7      # some of the ten

Each run is a job's folder with a random base, rows of random words and the trainer's own process. Prints
estimate, run and their ratio; writes all numbers to `--out` as JSON lines.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import asdict
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from greenroom.offline.finetune.child import surroundings
from greenroom.offline.finetune.estimate import estimate
from greenroom.offline.finetune.plan import Hyperparameters, Plan, Progress, Result, Scratch
from greenroom.offline.finetune.resources import Machine, Speed, Survey
from greenroom.offline.finetune.shape import Shape, read_shape
from greenroom.offline.finetune.survey import survey
from greenroom.offline.finetune.workload import workload

WORDS = [
    *(
        "river",
        "stone",
        "light",
        "paper",
        "window",
        "garden",
        "coffee",
        "music",
        "winter",
        "summer",
        "letter",
        "number",
    ),
    *(
        "answer",
        "question",
        "simple",
        "ação",
        "manhã",
        "coração",
        "você",
        "não",
        "também",
        "água",
        "língua",
        "niño",
    ),
    *("señor", "mañana", "corazón", "también", "país", "según"),
]


class Case(NamedTuple):
    """One run."""

    name: str
    start: str = "base"
    method: str = "supervised"
    tuning: str = "full"
    hidden: int = 128
    inner: int = 384
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    vocab: int = 2000
    family: str = "Llama"
    size: int = 2
    """Of a model from nothing."""
    first_steps: int = 60
    rows: int = 120
    valid: int = 0
    words: tuple[int, int] = (5, 40)
    batch: int = 8
    steps: int = 30
    packing: bool | None = None
    rank: int | None = None
    checkpoint_every: int | None = None
    threads: int = 1
    formats: tuple[str, ...] = ("Q8_0",)


TEN = (
    Case("full 4 M", hidden=224, inner=576, layers=6, heads=7, kv_heads=7, vocab=5000, steps=9, words=(10, 50), valid=12),
    Case("full 9 M, long rows", hidden=288, inner=800, layers=7, heads=6, kv_heads=3, vocab=7000, rows=40, words=(70, 130), batch=2, steps=5),
    Case("full 5 M, packed, Qwen2", hidden=256, inner=576, layers=4, vocab=8000, family="Qwen2", packing=True, rows=160, words=(5, 30), batch=12, steps=7),
    Case("LoRA 6 M", tuning="lora", hidden=256, inner=672, layers=7, vocab=2500, rank=8, steps=9, rows=100, words=(10, 55)),
    Case("LoRA 14 M, large vocabulary", tuning="lora", hidden=352, inner=960, layers=5, heads=11, kv_heads=11, vocab=18000, rows=50, words=(15, 45), batch=4, steps=5),
    Case("LoRA DPO 3 M", method="dpo", tuning="lora", hidden=192, inner=512, layers=6, heads=6, vocab=4500, rows=60, words=(5, 28), batch=4, steps=6),
    Case("full DPO 2 M", method="dpo", hidden=160, inner=480, layers=6, heads=5, kv_heads=5, vocab=6000, rows=50, words=(8, 26), batch=4, steps=5),
    Case("from nothing, 4 layers", start="from_scratch", size=4, first_steps=24, rows=150, words=(5, 30), steps=30, valid=15),
    Case("from nothing, 7 layers", start="from_scratch", size=7, first_steps=6, rows=200, words=(10, 50), batch=8, steps=10),
    Case("continued 3 M, full", start="continued", hidden=192, inner=608, layers=5, heads=6, vocab=5500, first_steps=6, rows=60, words=(10, 40), steps=6),
)  # fmt: skip


def calibration(count: int, seed: int) -> list[Case]:
    """Other runs, of sizes drawn by chance."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        kind = (
            "full",
            "lora",
            "scratch",
            "dpo-lora",
            "dpo-full",
            "packed",
            "full",
            "lora",
            "scratch",
            "continued",
        )[number % 10]
        heads = chance.choice((2, 4, 6, 8))
        long = chance.random() < 0.35
        words = (60, chance.randint(90, 250)) if long else (chance.randint(3, 10), chance.randint(20, 70))
        layers = chance.randint(2, 9)
        hidden = (
            heads * chance.choice((16, 32, 48, 64)) if heads < 8 else heads * chance.choice((16, 24, 32, 48))
        )
        found.append(
            Case(
                f"{number} {kind}",
                start={"scratch": "from_scratch", "continued": "continued"}.get(kind, "base"),
                method="dpo" if kind.startswith("dpo") else "supervised",
                tuning="lora" if kind.endswith("lora") else "full",
                hidden=hidden, inner=32 * round(hidden * chance.uniform(2, 4) / 32), layers=layers, heads=heads,
                kv_heads=chance.choice((heads, heads // 2)), vocab=chance.choice((1000, 3000, 6000, 12000, 24000)),
                family=chance.choice(("Llama", "Llama", "Qwen2", "Qwen3")),
                size=chance.randint(2, 7), first_steps=chance.randint(20, 90),
                rows=chance.randint(60, 400), valid=chance.choice((0, 0, 20)), words=words,
                batch=chance.choice((4, 8, 8, 16)), steps=chance.randint(10, 45) if not long else chance.randint(6, 14),
                packing=True if kind == "packed" else None, rank=chance.choice((None, 4, 16)),
                checkpoint_every=chance.choice((None, None, 5, 1000)), formats=chance.choice((("Q8_0",), ("F16", "Q4_0"))),
            )
        )  # fmt: skip
    return found


def said(chance: random.Random, words: tuple[int, int]) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(*words)))


def row(case: Case, chance: random.Random) -> dict[str, Any]:
    asked = {"role": "user", "content": said(chance, case.words)}
    if case.method == "dpo":
        sides = [[{"role": "assistant", "content": said(chance, case.words)}] for _ in range(2)]
        return {
            "input": {"messages": [asked]},
            "preferred_output": sides[0],
            "non_preferred_output": sides[1],
        }
    return {"messages": [asked, {"role": "assistant", "content": said(chance, case.words)}]}


def make(case: Case, folder: Path) -> Plan:
    """The job's folder."""
    chance = random.Random(len(case.name) + case.hidden)
    for name, count in (("train", case.rows), ("valid", case.valid)):
        if count:
            text = "".join(json.dumps(row(case, chance)) + "\n" for _ in range(count))
            (folder / f"{name}.jsonl").write_text(text)
    (folder / "text.txt").write_text("\n\n".join(said(chance, (30, 200)) for _ in range(300)))
    base = None
    if case.start != "from_scratch":
        base = str(make_base(folder / "base", case))
    scratch = (
        Scratch(size=case.size, steps=case.first_steps, text=str(folder / "text.txt"))
        if case.start != "base"
        else None
    )
    plan = msgspec.convert(
        {
            "name": case.name, "start": case.start, "method": case.method, "tuning": case.tuning, "base": base,
            "scratch": asdict(scratch) if scratch else None, "formats": case.formats, "threads": case.threads,
            "hyperparameters": asdict(Hyperparameters(
                batch_size=case.batch, max_steps=case.steps, packing=case.packing, lora_rank=case.rank,
                checkpoint_every=case.checkpoint_every,
            )),
        },
        Plan,
    )  # fmt: skip
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    return plan


def make_base(folder: Path, case: Case) -> Path:
    """A random base, without torch."""
    folder.mkdir()
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    marks, alphabet = ["<|im_start|>", "<|im_end|>"], pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=marks, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    made.save(str(folder / "tokenizer.json"))
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>"
        "{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "chat_template": template,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    config = {
        "architectures": [f"{case.family}ForCausalLM"], "model_type": case.family.lower(), "hidden_size": case.hidden,
        "intermediate_size": case.inner, "num_hidden_layers": case.layers, "num_attention_heads": case.heads,
        "num_key_value_heads": case.kv_heads, "head_dim": case.hidden // case.heads, "vocab_size": case.vocab,
        "max_position_embeddings": 2048, "tie_word_embeddings": True, "rms_norm_eps": 1e-6, "hidden_act": "silu",
        "dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        tensors(read_shape(folder), case.family), folder / "model.safetensors", metadata={"format": "pt"}
    )
    return folder


def tensors(shape: Shape, family: str) -> dict[str, Any]:
    """Weights drawn by chance."""
    chance = np.random.default_rng(0)
    h, i, q, kv = (
        shape.hidden_size,
        shape.intermediate_size,
        shape.num_attention_heads * shape.width,
        shape.kv_heads * shape.width,
    )
    sides = {
        "self_attn.q_proj": (q, h),
        "self_attn.k_proj": (kv, h),
        "self_attn.v_proj": (kv, h),
        "self_attn.o_proj": (h, q),
    }
    sides |= {"mlp.gate_proj": (i, h), "mlp.up_proj": (i, h), "mlp.down_proj": (h, i)}
    found = {
        "model.embed_tokens.weight": chance.normal(0, 0.02, (shape.vocab_size, h)),
        "model.norm.weight": np.ones(h),
    }
    for layer in range(shape.num_hidden_layers):
        at = f"model.layers.{layer}."
        found |= {f"{at}{name}.weight": chance.normal(0, 0.02, side) for name, side in sides.items()}
        found |= {
            f"{at}{name}.weight": np.ones(h) for name in ("input_layernorm", "post_attention_layernorm")
        }
        if family == "Qwen2":
            found |= {
                f"{at}self_attn.{name}_proj.bias": np.zeros(size)
                for name, size in (("q", q), ("k", kv), ("v", kv))
            }
        if family == "Qwen3":
            found |= {f"{at}self_attn.{name}_norm.weight": np.ones(shape.width) for name in "qk"}
    return {name: one.astype(np.float32) for name, one in found.items()}


class Seen(NamedTuple):
    """A run."""

    result: Result
    entered: dict[str, Progress]
    """The first sign of life of each phase."""
    wall_s: float


def run(folder: Path, threads: int) -> Seen:
    """Train, and watch."""
    began = time.monotonic()
    entered: dict[str, Progress] = {}
    with (folder / "log").open("wb") as log:
        trainer = [sys.executable, "-m", "greenroom.offline.finetune.trainer", str(folder)]
        # a process inherits the peak of the one it is forked from: a small one comes between
        process = subprocess.Popen(
            ["sh", "-c", '"$@"; exit $?', "sh", *trainer],
            stdout=log,
            stderr=log,
            env=surroundings(os.environ, folder, threads),
        )
        while process.poll() is None:
            time.sleep(0.05)
            try:
                progress = msgspec.json.decode((folder / "progress.json").read_bytes(), type=Progress)
            except (OSError, msgspec.DecodeError):
                continue
            entered.setdefault(progress.phase, progress)
    wall_s = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{folder}: code {process.returncode}\n" + (folder / "log").read_text()[-3000:])
    return Seen(msgspec.json.decode((folder / "result.json").read_bytes(), type=Result), entered, wall_s)


def looked(folder: Path, plan: Plan, speeds: dict[str, Speed] | None) -> Survey:
    """The look at a job. With `speeds` the machine is tried once for each kind of start, which saves time."""
    kind = "scratch" if plan.start == "from_scratch" else "base"
    if speeds is None or kind not in speeds:
        found = survey(folder, threads=plan.threads)
        if speeds is not None:
            speeds[kind] = found.speed
        return found
    from greenroom.offline.finetune.trainer.folder import Folder  # noqa: PLC0415 - with the next
    from greenroom.offline.finetune.trainer.survey import count  # noqa: PLC0415 - loads torch

    return Survey(tokens=count(Folder(folder, writes=False), plan), speed=speeds[kind])


def one(case: Case, out: Path | None, speeds: dict[str, Speed] | None) -> str:
    """Estimate and run one case; a line of the report."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plan = make(case, folder)
        found = looked(folder, plan, speeds)
        work = workload(plan, found.tokens, read_shape(folder / "base") if plan.base else None)
        guess = estimate(plan, found.tokens, Machine(threads=case.threads, speed=found.speed))
        seen = run(folder, case.threads)
    result = seen.result
    if out is not None:
        kept = {
            "case": case._asdict(), "speed": asdict(found.speed), "estimate": guess.to_json(), "wall_s": seen.wall_s,
            "work": msgspec.to_builtins({
                **{name: value for name, value in work._asdict().items() if name not in {"shape", "choices"}},
                "passes": [p._asdict() for p in work.passes], "peaks": [p._asdict() for p in work.peaks],
                "shape": asdict(work.shape), "steps": work.choices.steps,
            }),
            "tokens": asdict(found.tokens),
            "result": asdict(result), "entered": {name: asdict(value) for name, value in seen.entered.items()},
        }  # fmt: skip
        with out.open("ab") as file:
            file.write(msgspec.json.encode(kept) + b"\n")
    columns = (
        (guess.peak_memory_mb.value, result.peak_memory_mb),
        (guess.cpu_s.value, result.cpu_s),
        (guess.wall_s.value, seen.wall_s),
    )
    numbers = " ".join(f"{told:8.1f} {was:8.1f} {told / was:5.2f}" for told, was in columns)
    return f"{case.name:32s} {result.parameters / 1e6:5.1f} M  {numbers}"


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calibrate", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--once", action="store_true", help="try the machine once, not before each run")
    said = parser.parse_args()
    cases = calibration(said.calibrate, said.seed) if said.calibrate else list(TEN)
    speeds: dict[str, Speed] | None = {} if said.once else None
    wanted = {int(one) for one in said.only.split(",") if one}
    print(
        f"{'':32s} {'':7s}  {'peak MB: told, was, ratio':24s} {'CPU s: told, was, ratio':24s} wall s: told, was, ratio"
    )
    for number, case in enumerate(cases):
        if not wanted or number in wanted:
            print(one(case, said.out, speeds), flush=True)


if __name__ == "__main__":
    main()
