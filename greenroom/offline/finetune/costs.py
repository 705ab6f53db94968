"""What the parts of a workload cost: amounts, which no machine changes, times constants that were measured.

An amount of time is in multiplications, bytes or calls, and a machine's speed in these makes seconds of it.
The constants were fitted to runs of `benchmarks/estimates.py --calibrate`, not to those that it reports on.
"""

from collections.abc import Callable, Mapping
from typing import Final

from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.resources import Speed, TokenCounts
from greenroom.offline.finetune.workload import Peak, Workload, lora_parameters, matrix_parameters

_F32 = 4
"""Bytes of a number."""
_QUANTISING = {"F16": 0.2, "Q8_0": 1.0, "Q4_0": 1.5}
"""Of an exported number, against Q8_0."""

SECONDS: Final[Mapping[str, float]] = {
    "reading.rows": 190.0,
    "reading.tokens": 0.74,
    "reading.tokenizer": 0.17,
    "reading.weights": 1.0,
    "reading.trainer": 4.6e4,
    "training.first": 5.0e4,
    "training.matrices": 1.34,
    "training.attention": 2.2,
    "training.layers": 2.05,
    "training.vocabulary_supervised": 147.0,
    "training.vocabulary_dpo": 166.0,
    "training.vocabulary_own": 3.07,
    "training.calls": 124.0,
    "training.adapter_calls": 61.0,
    "training.steps_trl": 6300.0,
    "training.steps": 2060.0,
    "training.optimizer": 6.0,
    "keeping.checkpoints": 7200.0,
    "keeping.bytes": 3.0,
    "exporting.first": 4.7e4,
    "exporting.weights": 2.1,
    "exporting.gguf": 5.2,
}
"""What an amount costs, against one multiplication, byte or call of the machine's speed."""
MEMORY: Final[Mapping[str, float]] = {
    "libraries": 1.0,
    "first": 46 * 2**20,
    "trainer": 26 * 2**20,
    "weights": 1.0,
    "gradients": 0.57,
    "optimizer": 1.0,
    "states": 12.4,
    "inner": 5.0,
    "vocabulary_supervised": 7.4,
    "vocabulary_dpo": 8.2,
    "vocabulary_own": 3.3,
    "looks_supervised": 4.1,
    "looks_dpo": 3.5,
    "looks_own": 2.0,
    "mask": 2.0,
}
"""What an amount takes, against a byte: as many copies of the numbers are there at once."""


def time_amounts(work: Workload, plan: Plan, counts: TokenCounts) -> dict[str, float]:
    """Amounts of CPU time, by part and what they are counted in: `part.kind`."""
    shape = work.shape
    h, i, layers, vocabulary = (
        shape.hidden_size,
        shape.intermediate_size,
        shape.num_hidden_layers,
        shape.vocab_size,
    )
    heads = shape.num_attention_heads * shape.width
    matrices = matrix_parameters(shape)
    adapter = lora_parameters(shape, work.choices.hyperparameters.lora_rank or 1) if work.has_adapter else 0
    matrix = attention = elementwise = calls = 0.0
    logits = {"own": 0.0, "supervised": 0.0, "dpo": 0.0}
    for one in work.passes:
        ways = (3.0 + work.recomputes) if one.is_training else 1.0
        matrix_ways = ways - (1.0 if one.is_training and work.has_adapter else 0.0)
        matrix += 2 * one.tokens * (matrices * matrix_ways + adapter * ways)
        matrix += 2 * one.logits * h * vocabulary * (matrix_ways if work.has_adapter else min(ways, 3.0))
        attention += 4 * one.tokens * one.length * heads * layers * ways
        elementwise += _F32 * one.tokens * layers * (8 * h + 4 * i) * ways
        logits[one.loop] += _F32 * one.logits * vocabulary * min(ways, 3.0)
        calls += one.micro * layers * ways
    steps = work.choices.steps + work.first_steps
    saved = 3 * work.trained * _F32
    return {
        "reading.rows": work.rows,
        "reading.tokens": sum(counts.lengths) + sum(counts.valid_lengths) + counts.text_tokens,
        "reading.tokenizer": counts.text_bytes,
        "reading.weights": _F32 * shape.parameters * (1 + work.has_reference) if work.by_trl else 0,
        "reading.trainer": float(work.by_trl),
        "training.matrices": matrix,
        "training.attention": attention,
        "training.layers": elementwise,
        **{f"training.vocabulary_{loop}": amount for loop, amount in logits.items()},
        "training.calls": calls,
        "training.adapter_calls": calls if work.has_adapter else 0,
        "training.steps_trl": work.choices.steps if work.by_trl else 0,
        "training.steps": steps if not work.by_trl else work.first_steps,
        "training.optimizer": _F32 * steps * work.trained,
        "training.first": 1.0,
        "keeping.checkpoints": work.checkpoints,
        "keeping.bytes": work.checkpoints * saved,
        "exporting.first": 1.0,
        "exporting.weights": _F32 * shape.parameters,
        "exporting.gguf": shape.parameters * sum(_QUANTISING[one] for one in plan.formats),
    }


def rate_of(name: str) -> Callable[[Speed], float]:
    """In what of a machine's speed an amount of time is counted."""
    part = name.partition(".")[2]
    if part in {"matrices", "attention"}:
        return lambda speed: speed.flops
    if part in {"weights", "layers", "optimizer", "bytes", "gguf"} or part.startswith("vocabulary"):
        return lambda speed: speed.bytes_per_s
    return lambda speed: speed.calls_per_s


def memory_amounts(work: Workload, peak: Peak, start_mb: float) -> dict[str, float]:
    """Bytes while one micro-batch goes through, by what takes them, before constants."""
    shape = work.shape
    kept = 1 if work.recomputes or not peak.is_training else shape.num_hidden_layers
    return {
        "libraries": start_mb * 2**20,
        "first": 1.0,
        "trainer": float(work.by_trl),
        "weights": _F32 * shape.parameters * (1 + work.has_reference),
        "gradients": _F32 * work.trained,
        "optimizer": 2 * _F32 * work.trained,
        "states": _F32 * peak.tokens * kept * shape.hidden_size,
        "inner": _F32 * peak.tokens * kept * shape.intermediate_size,
        f"{'vocabulary' if peak.is_training else 'looks'}_{peak.loop}": _F32 * peak.logits * shape.vocab_size,
        "mask": _F32 * peak.mask,
    }


def memory_bytes(work: Workload, start_mb: float) -> dict[str, float]:
    """Bytes at the peak, by what takes them."""
    amounts = [memory_amounts(work, one, start_mb) for one in work.peaks]
    every = [{name: amount * MEMORY[name] for name, amount in one.items()} for one in amounts]
    always = {name: every[0][name] for name in ("libraries", "first", "trainer", "weights", "optimizer")}
    every.append({**always, "gradients": amounts[0]["gradients"]})  # at the end of a step all are there
    return max(every, key=lambda one: sum(one.values()))
