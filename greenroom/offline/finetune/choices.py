"""Hyperparameters that nobody set, chosen from the rows and the model, each with its reason.

Knows no torch: the estimate before a run and the run itself both ask here.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from greenroom.offline.finetune.dial import first_rate
from greenroom.offline.finetune.plan import Hyperparameters, Plan

T = TypeVar("T")
EPOCHS, FEWEST_ROWS_SEEN, MOST_ROWS_SEEN = 3, 100, 25_000
"""OpenAI's own rule: three times over, yet not under a hundred rows in all and not over 25 000. Source: its
cookbook, "Data preparation and analysis for chat model fine-tuning"."""
FEWEST_STEPS = 100
"""With fewer the schedule has no room: small data sets are gone over more often, up to MOST_EPOCHS."""
MOST_EPOCHS = 25
LORA_TIMES = 10
"""A LoRA's best rate is about ten times that of all weights. Source: Schulman and others, "LoRA Without
Regret", 2025."""
MICRO_TOKENS = 8192
"""Tokens that go through the model at once; larger steps are cut into several of these."""
RECOMPUTE_PARAMETERS = 500_000_000
"""From this size on activations are computed again instead of kept."""


class Facts(NamedTuple):
    """What choices are made from."""

    lengths: Sequence[int]
    """Tokens of each training row; of a preference pair the longer side."""
    has_validation: bool
    width: int
    """Of the model's hidden state."""
    positions: int
    """The most tokens that the model can read."""


class Choices(NamedTuple):
    """Every hyperparameter, with the reasons of those that were chosen, and what follows from them."""

    hyperparameters: Hyperparameters
    """Complete: no field is None, but `max_steps`, which may not be wanted, and `patience` and
    `evaluate_every` without validation rows."""
    reasons: dict[str, str]
    rows: int
    """Rows that are not too long."""
    sequences: int
    """What they are packed into, or their own number."""
    sequences_of_a_step: int
    steps: int


def choose(plan: Plan, facts: Facts) -> Choices:
    """Complete a plan's hyperparameters. `facts.lengths` must not be empty."""
    set_ = plan.hyperparameters
    reasons: dict[str, str] = {}

    def chosen(name: str, value: T, reason: str) -> T:
        given: T | None = getattr(set_, name)
        if given is not None:
            return given
        reasons[name] = reason
        return value

    max_length = min(
        chosen(
            "max_length",
            max(16, -(-max(facts.lengths) // 16) * 16),
            "the longest row, in whole sixteens, as far as the model can read",
        ),
        facts.positions,
    )
    lengths = [length for length in facts.lengths if length <= max_length]
    rows, mean = len(lengths), sum(lengths) / max(1, len(lengths))
    packing = plan.method == "supervised" and chosen(
        "packing", mean * 2 <= max_length, f"rows have {mean:.0f} tokens on average, and {max_length} fit"
    )
    sequences = len(first_fit(lengths, max_length)) if packing else rows
    batch = chosen(
        "batch_size",
        2 ** min(5, max(0, round(math.log2(max(1, rows / 32))))),
        f"a power of two near a 32nd of {rows} rows, 32 at most",
    )
    batch = min(batch, max(1, rows))
    of_a_step = max(1, round(batch * sequences / max(1, rows)))
    epochs = chosen("epochs", *_epochs(rows, max(1, -(-sequences // of_a_step))))
    steps = max(1, math.ceil(epochs * sequences / of_a_step))
    if set_.max_steps is not None:
        steps = min(steps, set_.max_steps)
    every = chosen(
        "checkpoint_every",
        min(500, max(1, steps // 10)),
        f"a tenth of {steps} steps: the most that a crash loses",
    )
    evaluate_every = patience = None
    if facts.has_validation:
        evaluate_every = chosen("evaluate_every", every, "with each checkpoint")
        patience = set_.patience
    rate, why = _rate(plan, facts.width)
    if set_.learning_rate_multiplier is not None:
        rate, why = rate * set_.learning_rate_multiplier, f"{why}, times {set_.learning_rate_multiplier:g}"
    hyperparameters = replace(
        set_,
        epochs=epochs,
        batch_size=batch,
        learning_rate=chosen("learning_rate", min(rate, 1.0), why),
        learning_rate_multiplier=set_.learning_rate_multiplier or 1.0,
        beta=chosen("beta", 0.1, "the value of the paper on DPO") if plan.method == "dpo" else set_.beta,
        lora_rank=chosen("lora_rank", *_rank(facts.width))
        if plan.tuning == "lora" and plan.start != "from_scratch"
        else set_.lora_rank,
        max_length=max_length,
        packing=packing,
        checkpoint_every=every,
        evaluate_every=evaluate_every,
        patience=patience,
    )
    return Choices(hyperparameters, reasons, rows, sequences, of_a_step, steps)


def first_fit(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Rows into sequences of at most `room` tokens: longest first, each where it fits best; their indices.

    Best-fit decreasing, as TRL packs, with a list of sequences by the room they have left.
    """
    by_room: dict[int, list[list[int]]] = {}
    sequences: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        length = lengths[index]
        left = next((left for left in range(length, room + 1) if by_room.get(left)), None)
        if left is None:
            left = room
            sequence: list[int] = []
            sequences.append(sequence)
        else:
            sequence = by_room[left].pop()
        sequence.append(index)
        by_room.setdefault(left - length, []).append(sequence)
    return sequences


def _epochs(rows: int, steps_of_an_epoch: int) -> tuple[float, str]:
    if rows * EPOCHS < FEWEST_ROWS_SEEN:
        epochs, why = FEWEST_ROWS_SEEN // max(1, rows), f"{rows} rows are few"
    elif rows * EPOCHS > MOST_ROWS_SEEN:
        epochs, why = MOST_ROWS_SEEN // rows, f"{rows} rows are many"
    else:
        epochs, why = EPOCHS, "three times over is the rule"
    if epochs * steps_of_an_epoch < FEWEST_STEPS:
        epochs, why = math.ceil(FEWEST_STEPS / steps_of_an_epoch), f"for at least {FEWEST_STEPS} steps"
    return float(min(MOST_EPOCHS, max(1, epochs))), why


def _rate(plan: Plan, width: int) -> tuple[float, str]:
    """All weights: 5e-5 at a width of 2000, against its 0.78th power, as fitted in "LoRA Without Regret"."""
    if plan.start == "from_scratch":
        return first_rate(width) / 2, f"half of what a model {width} wide begins with"
    rate = 5e-5 * (2000 / width) ** 0.78
    why = f"for a model {width} wide"
    if plan.tuning == "lora":
        rate, why = rate * LORA_TIMES, f"{why}, ten times that of all weights"
    if plan.method == "dpo":
        rate, why = rate / 20, f"{why}, a twentieth for preferences"
    return rate, why


def _rank(width: int) -> tuple[int, str]:
    return (16, "the usual") if width >= 256 else (max(4, width // 16), f"a 16th of a model {width} wide")
