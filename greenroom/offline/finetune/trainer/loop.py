"""The short loop of our own: language from plain text, and rows for models from nothing.

AdamW, a linear rise over the first twentieth and a linear fall to nothing, gradients clipped at 1. The order
of the data and the rate follow from the number of the step, so nothing of them needs to be kept.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from greenroom.offline.finetune.choices import MICRO_TOKENS
from greenroom.offline.finetune.trainer import ranks
from greenroom.offline.finetune.trainer.chat import IGNORED
from greenroom.offline.finetune.trainer.checkpoints import Kept
from greenroom.offline.finetune.trainer.folder import Phase
from greenroom.offline.finetune.trainer.run import Paused, Run, must_be_finite
from greenroom.offline.finetune.trainer.sequences import Batch, Packed, collate, step_of
from greenroom.offline.finetune.trainer.state import load_optimizer, save_optimizer

EVENTS = 200
"""Steps are told in about as many events of numbers."""
RISE = 0.05
DECAY = 0.01
BETAS = (0.9, 0.99)
"""Steps are small and few here: a longer memory of squares than the 0.95 of large models, and less decay."""


class Part(NamedTuple):
    """What one phase trains on, and how."""

    phase: Phase
    sequences: Sequence[Packed]
    valid: Sequence[Packed]
    of_a_step: int
    steps: int
    rate: float
    checkpoint_every: int
    evaluate_every: int | None
    seed: int
    pad: int


class Sums(NamedTuple):
    """Of a batch: the loss summed over tokens, how many were foretold right, and how many there are."""

    loss: torch.Tensor
    right: torch.Tensor
    tokens: torch.Tensor


def train(
    run: Run, model: Any, part: Part, kept: Kept | None, save: Callable[[Path], None]
) -> None:  # Any: a model
    """Train until the steps are done, or patience is over. `model` has the weights of `kept` already.

    Raises: Paused after SIGTERM, once a checkpoint is written.
    """
    optimizer = _optimizer(model, part.rate)
    is_resumed = run.is_in(part.phase, kept)
    if kept is not None and is_resumed:
        load_optimizer(optimizer, kept.path)
    run.begin(part.phase, resumed=kept.checkpoint if kept is not None and is_resumed else None)
    told_every = max(1, part.steps // EVENTS)
    device = next(model.parameters()).device

    def fill(path: Path) -> None:
        save(path)
        save_optimizer(optimizer, path)

    model.train()
    for step in range(run.spent.step + 1, part.steps + 1):
        if run.is_patience_over:
            break
        began = time.monotonic()
        rate = part.rate * share_of_rate(step, part.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        sequences = [
            part.sequences[n] for n in step_of(len(part.sequences), part.of_a_step, step - 1, part.seed)
        ]
        sums = _step(model, sequences, part.pad, device)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens = sum(len(sequence.ids) for sequence in sequences)
        run.spent.tokens += tokens
        run.spent.step = step
        numbers = _means(sums, "train")
        must_be_finite(numbers["train_loss"], step)
        run.spent.metrics = {**run.spent.metrics, **numbers}
        run.heartbeat.at(step, part.steps, run.spent.tokens)
        if step % told_every == 0 or step == part.steps:
            pace = tokens / max(1e-9, time.monotonic() - began)
            told = {**numbers, "learning_rate": rate, "tokens_per_second": round(pace, 1)}
            run.folder.tell_numbers(part.phase, step, part.steps, told)
        is_best = False
        if part.valid and part.evaluate_every and (step % part.evaluate_every == 0 or step == part.steps):
            seen = evaluate(model, part.valid, part.pad)
            run.folder.tell_numbers(part.phase, step, part.steps, seen)
            is_best = run.look(step, seen) and run.plan.hyperparameters.patience is not None
        is_stopping = ranks.any_of(run.is_stopping)
        is_last = step == part.steps or run.is_patience_over
        if step % part.checkpoint_every == 0 or is_last or is_best or is_stopping:
            run.keep(part.phase, step, fill)
        if is_stopping and not is_last:
            raise Paused
    if ranks.any_of(run.is_stopping):
        raise Paused


def evaluate(model: Any, sequences: Sequence[Packed], pad: int) -> dict[str, float]:  # Any: a model
    """`valid_loss` and `valid_mean_token_accuracy` over the tokens that are learned."""
    device = next(model.parameters()).device
    model.eval()
    by_length = sorted(sequences, key=lambda sequence: len(sequence.ids))
    loss = right = tokens = 0.0
    for batch in _micro(by_length):
        with torch.no_grad():
            sums = sums_of(model, _moved(collate(batch, pad), device))
        loss, right, tokens = loss + float(sums.loss), right + float(sums.right), tokens + float(sums.tokens)
    model.train()
    return {"valid_loss": loss / max(1.0, tokens), "valid_mean_token_accuracy": right / max(1.0, tokens)}


def sums_of(model: Any, batch: Batch) -> Sums:  # Any: a model
    """One pass forward."""
    labels = batch.pop("labels")[:, 1:]
    with torch.autocast("cuda", torch.bfloat16, enabled=labels.is_cuda):
        logits = _logits(model, batch, labels != IGNORED)
    targets = labels[labels != IGNORED]
    logits = logits.float()
    return Sums(
        loss=cross_entropy(logits, targets, reduction="sum"),
        right=(logits.detach().argmax(-1) == targets).sum(),
        tokens=torch.tensor(len(targets), device=labels.device),
    )


def share_of_rate(step: int, steps: int) -> float:
    """How much of the highest rate step `step`, from 1, has."""
    rise = max(1, round(steps * RISE))
    return min(step / rise, (steps - step + 1) / max(1, steps - rise + 1))


def _logits(model: Any, batch: Batch, learned: torch.Tensor) -> torch.Tensor:  # Any: a model
    """Logits `(learned tokens, vocabulary)`; a plain Llama computes no others: a quarter less work."""
    if type(model).__name__ == "LlamaForCausalLM":
        hidden = model.model(**batch, use_cache=False).last_hidden_state[:, :-1]
        return torch.as_tensor(model.lm_head(hidden[learned]))
    return torch.as_tensor(model(**batch, use_cache=False).logits[:, :-1][learned])


def _step(model: Any, sequences: Sequence[Packed], pad: int, device: torch.device) -> Sums:  # Any: a model
    """Forward and backward over a step's sequences, this process's share of them; sums of all processes."""
    everything = sum(label != IGNORED for sequence in sequences for label in sequence.labels[1:])
    parts = []
    for batch in _micro(ranks.share(sequences)):
        sums = sums_of(model, _moved(collate(batch, pad), device))
        (sums.loss / max(1, everything)).backward()
        parts.append(torch.stack([sums.loss.detach(), sums.right.float(), sums.tokens.float()]))
    total = torch.stack(parts).sum(0) if parts else torch.zeros(3, device=device)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        if parameter.grad is None:  # this process had no share
            parameter.grad = torch.zeros_like(parameter)
    ranks.add_up([total, *(parameter.grad for parameter in trained)])
    return Sums(*total.unbind())


def _micro(sequences: Sequence[Packed]) -> list[list[Packed]]:
    """Sequences in groups that go through the model at once."""
    groups: list[list[Packed]] = []
    for sequence in sequences:
        if (
            groups
            and (len(groups[-1]) + 1) * max(len(s.ids) for s in (*groups[-1], sequence)) <= MICRO_TOKENS
        ):
            groups[-1].append(sequence)
        else:
            groups.append([sequence])
    return groups


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {name: tensor.to(device) for name, tensor in batch.items()}


def _means(sums: Sums, which: str) -> dict[str, float]:
    tokens = max(1.0, float(sums.tokens))
    return {
        f"{which}_loss": float(sums.loss) / tokens,
        f"{which}_mean_token_accuracy": float(sums.right) / tokens,
    }


def _optimizer(model: Any, rate: float) -> torch.optim.AdamW:  # Any: a model
    """Decay for matrices only, as is usual."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=rate, betas=BETAS, fused=True)
