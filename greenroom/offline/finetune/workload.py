"""What a plan has a machine do, in numbers that depend on no machine: steps, tokens, multiplications, bytes.

Follows the trainer: which loop runs, how rows are packed and cut into micro-batches, what is kept for the way
back. Knows no torch.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from greenroom.errors import RequestError
from greenroom.offline.finetune.choices import (
    MICRO_TOKENS,
    RECOMPUTE_PARAMETERS,
    Choices,
    Facts,
    choose,
    first_fit,
)
from greenroom.offline.finetune.dial import SEQUENCE, SEQUENCES_OF_A_STEP, dial, first_steps
from greenroom.offline.finetune.plan import Plan, Scratch
from greenroom.offline.finetune.resources import TokenCounts
from greenroom.offline.finetune.shape import Shape

POSITIONS_UNKNOWN = 1 << 20


Loop = Literal["own", "supervised", "dpo"]
"""Which loop of the trainer runs: its own, or TRL's of a method."""


class Pass(NamedTuple):
    """What goes through the model, of one kind, in the whole run. Tokens count what fills up."""

    loop: Loop
    is_training: bool
    """Forward and back; else forward alone."""
    tokens: float
    logits: float
    """Tokens for which the whole vocabulary is computed."""
    micro: float
    """Times that something goes through."""
    length: float
    """Tokens of a sequence, on average."""


class Peak(NamedTuple):
    """The largest micro-batch of a kind."""

    loop: Loop
    is_training: bool
    """Else a look at validation rows, for which nothing is kept for the way back."""
    tokens: int
    logits: int
    mask: int
    """Numbers of the mask of attention; 0 where none is needed."""


class Workload(NamedTuple):
    """One run."""

    shape: Shape
    choices: Choices
    parameters: int
    trained: int
    by_trl: bool
    has_adapter: bool
    has_reference: bool
    """Whether the base is in memory a second time."""
    recomputes: bool
    first_steps: int
    passes: tuple[Pass, ...]
    peaks: tuple[Peak, ...]
    looks: int
    """At the validation rows."""
    checkpoints: int
    rows: int
    """That are cut into tokens, validation rows among them."""


def workload(plan: Plan, counts: TokenCounts, base: Shape | None) -> Workload:
    """What training by `plan` consists of; `base` is None from scratch.

    Raises: RequestError when no row can be trained on.
    """
    is_scratch = plan.start == "from_scratch" or base is None
    shape = _drawn(plan.scratch or Scratch(), counts.vocabulary) if base is None or is_scratch else base
    positions = POSITIONS_UNKNOWN if is_scratch else shape.max_position_embeddings
    if not counts.lengths:
        raise RequestError("There is no row to train on.", "training_file")
    most = min(plan.hyperparameters.max_length or positions, positions)
    if min(counts.lengths) > most:
        raise RequestError(
            f"Every row is longer than {most} tokens; the shortest has {min(counts.lengths)}. Set max_length "
            "higher, or take a base that reads more.",
            "max_length",
        )
    choices = choose(plan, Facts(counts.lengths, bool(counts.valid_lengths), shape.hidden_size, positions))
    adapter = plan.tuning == "lora" and not is_scratch
    trained = lora_parameters(shape, choices.hyperparameters.lora_rank or 1) if adapter else shape.parameters
    parameters = shape.parameters + (trained if adapter else 0)
    first = _first(plan, counts, shape, is_scratch=is_scratch)
    passes, peaks = _rows(plan, counts, choices, is_scratch=is_scratch)
    if first:
        tokens = SEQUENCE * SEQUENCES_OF_A_STEP
        passes.append(Pass("own", True, first * tokens, first * tokens, first, SEQUENCE))
        peaks.append(Peak("own", True, tokens, tokens, 0))
    every = choices.hyperparameters.checkpoint_every or 1
    evaluate_every = choices.hyperparameters.evaluate_every
    return Workload(
        shape=shape,
        choices=choices,
        parameters=parameters,
        trained=trained,
        by_trl=not is_scratch,
        has_adapter=adapter,
        has_reference=plan.method == "dpo" and not adapter,
        recomputes=not is_scratch and parameters >= RECOMPUTE_PARAMETERS,
        first_steps=first,
        passes=tuple(passes),
        peaks=tuple(peaks),
        looks=math.ceil(choices.steps / evaluate_every) if evaluate_every and counts.valid_lengths else 0,
        checkpoints=math.ceil(choices.steps / every) + math.ceil(first / every),
        rows=len(counts.lengths) + len(counts.valid_lengths),
    )


def lora_parameters(shape: Shape, rank: int) -> int:
    """Numbers of an adapter on every matrix of every layer."""
    h, q, kv = shape.hidden_size, shape.num_attention_heads * shape.width, shape.kv_heads * shape.width
    sides = [(h, q), (h, kv), (h, kv), (q, h), *[(h, shape.intermediate_size)] * 3]
    return shape.num_hidden_layers * rank * sum(map(sum, sides))


def matrix_parameters(shape: Shape) -> int:
    """Numbers in the matrices of all layers, that every token is multiplied by."""
    h, q, kv = shape.hidden_size, shape.num_attention_heads * shape.width, shape.kv_heads * shape.width
    return shape.num_hidden_layers * (h * (q + 2 * kv) + q * h + 3 * h * shape.intermediate_size)


def mean_longest(lengths: Sequence[int], of: int) -> float:
    """The longest of `of` lengths drawn by chance, on average."""
    ordered = sorted(lengths)
    count = len(ordered)
    whole = before = 0.0
    for place, length in enumerate(ordered, start=1):
        share = (place / count) ** of
        whole += length * (share - before)
        before = share
    return whole


def _drawn(wished: Scratch, vocabulary: int | None) -> Shape:
    """The shape of a model from nothing."""
    drawn = dial(wished.size)
    return Shape(
        architectures=["LlamaForCausalLM"],
        hidden_size=drawn.width,
        intermediate_size=drawn.inner,
        num_hidden_layers=drawn.layers,
        num_attention_heads=drawn.heads,
        vocab_size=vocabulary or drawn.vocabulary,
        tie_word_embeddings=True,
    )


def _first(plan: Plan, counts: TokenCounts, shape: Shape, *, is_scratch: bool) -> int:
    """Steps on plain text."""
    if not is_scratch and plan.start != "continued":
        return 0
    wished = plan.scratch.steps if plan.scratch is not None else None
    return wished or first_steps(shape.parameters, counts.text_tokens or sum(counts.lengths))


def _rows(
    plan: Plan, counts: TokenCounts, choices: Choices, *, is_scratch: bool
) -> tuple[list[Pass], list[Peak]]:
    """Training on rows, and the looks at the validation rows."""
    most = choices.hyperparameters.max_length or 1
    lengths = [one for one in counts.lengths if one <= most]
    valid = [one for one in counts.valid_lengths if one <= most]
    is_packed = bool(choices.hyperparameters.packing)
    if is_packed:
        lengths, valid = _packed(lengths, most), _packed(valid, most)
    loop: Loop = "own" if is_scratch else plan.method
    sides = 2 if plan.method == "dpo" else 1
    at_once = max(1, MICRO_TOKENS // (sides * max(lengths)))
    of_a_step = choices.sequences_of_a_step
    if is_scratch:
        group = min(of_a_step, at_once)
    else:
        group = next(one for one in range(min(of_a_step, at_once), 0, -1) if of_a_step % one == 0)
    padded = mean_longest(lengths, group)
    sequences = choices.steps * of_a_step
    tokens = sequences * padded * sides
    share = counts.learned / max(1, sum(counts.lengths)) if counts.learned and is_scratch else 1.0
    micro = sequences / group
    learned = share * sum(lengths) / len(lengths) * sequences * sides if is_scratch else tokens
    passes = [Pass(loop, True, tokens, learned, micro, padded)]
    if plan.method == "dpo":
        passes.append(Pass(loop, False, tokens, tokens, micro, padded))
    if valid and choices.hyperparameters.evaluate_every:
        looks = math.ceil(choices.steps / choices.hyperparameters.evaluate_every)
        seen = looks * sum(valid) * sides
        times = 2 if plan.method == "dpo" else 1
        passes.append(
            Pass(
                loop,
                False,
                times * seen,
                times * seen * share,
                looks * len(valid) * sides / at_once,
                max(valid),
            )
        )
    largest = group * sides * max(lengths)
    peaks = [
        Peak(loop, True, largest, math.ceil(largest * share), group * max(lengths) ** 2 if is_packed else 0)
    ]
    if valid and choices.hyperparameters.evaluate_every:
        seen = min(len(valid), at_once) * sides * max(valid)
        peaks.append(Peak(loop, False, seen, math.ceil(seen * share), 0))
    return passes, peaks


def _packed(lengths: Sequence[int], room: int) -> list[int]:
    return [sum(lengths[index] for index in sequence) for sequence in first_fit(lengths, room)]
