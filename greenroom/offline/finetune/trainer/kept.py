"""TRL's trainers, keeping their state as the rest does: our checkpoints, no pickles, SIGTERM heeded.

Transformers' Trainer writes optimizer, schedule and chance with `torch.save` and reads them with
`torch.load`; here every place where it does so is taken over.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from greenroom.offline.finetune.trainer import ranks
from greenroom.offline.finetune.trainer.checkpoints import Kept
from greenroom.offline.finetune.trainer.run import Run, must_be_finite
from greenroom.offline.finetune.trainer.state import (
    load_chance,
    load_optimizer,
    load_schedule,
    save_chance,
    save_optimizer,
    save_schedule,
)

TRAINER_STATE = "trainer_state.json"
NAMES = {
    "loss": "train_loss",
    "mean_token_accuracy": "train_mean_token_accuracy",
    "learning_rate": "learning_rate",
    "rewards/accuracies": "train_preference_accuracy",
    "rewards/margins": "train_preference_margin",
    "eval_loss": "valid_loss",
    "eval_mean_token_accuracy": "valid_mean_token_accuracy",
    "eval_rewards/accuracies": "valid_preference_accuracy",
    "eval_rewards/margins": "valid_preference_margin",
}
"""TRL's names of numbers, and those that are told."""


class Keeping:
    """Mixed in before a trainer of TRL. `attach` comes before `train`."""

    run: Run
    save: Callable[[Path], None]
    optimizer: Any  # Any: torch's or Accelerate's
    lr_scheduler: Any  # Any: torch's
    state: TrainerState

    def attach(self, run: Run, save: Callable[[Path], None]) -> None:
        """Say whose run this is, and how its weights are saved."""
        self.run, self.save = run, save

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:  # Any: TRL's
        """Rows come as tokens already, cut and labelled."""
        return dataset

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # Any: Transformers'
        self.run.keep("training", self.state.global_step, self._fill)

    def _fill(self, path: Path) -> None:
        self.save(path)
        save_optimizer(self.optimizer, path)
        save_schedule(self.lr_scheduler, path)
        save_chance(path)
        self.state.save_to_json(str(path / TRAINER_STATE))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: Any = None
    ) -> None:  # Any: Transformers'
        """The weights are in the model already, before it came here."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_optimizer(self.optimizer, Path(checkpoint))
            load_schedule(self.lr_scheduler, Path(checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None and ranks.count() == 1:
            load_chance(Path(checkpoint))

    def _load_scaler(self, checkpoint: str | None) -> None:
        """There is none: half precision is bfloat16 here, which needs no scaling."""


class Telling(TrainerCallback):  # type: ignore[misc]  # of a library that is not read for types
    """Between TRL's steps: numbers told, checkpoints and looks asked for, the end brought about."""

    def __init__(self, run: Run, tokens_of_a_step: float, told_every: int) -> None:
        self._run = run
        self._tokens = tokens_of_a_step
        self._told_every = told_every
        self._began_s = time.monotonic()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:  # Any: Transformers'
        self._began_s = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:  # Any: Transformers'
        run, chosen = self._run, self._run.plan.hyperparameters
        step, is_last = state.global_step, state.global_step >= state.max_steps
        run.spent.step = step
        run.spent.tokens += round(self._tokens)
        run.heartbeat.at(step, state.max_steps, run.spent.tokens)
        control.should_log = True  # every step by itself: an average over several would depend on restarts
        if chosen.evaluate_every is not None:
            control.should_evaluate = step % chosen.evaluate_every == 0 or is_last
        control.should_save = step % (chosen.checkpoint_every or 1) == 0 or is_last
        if ranks.any_of(run.is_stopping):
            control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        **_: Any,
    ) -> None:  # Any: Transformers'
        told = {NAMES[name]: float(value) for name, value in (logs or {}).items() if name in NAMES}
        step, is_train = state.global_step, "train_loss" in told
        if is_train:
            must_be_finite(told["train_loss"], step)
            self._run.spent.metrics = {**self._run.spent.metrics, **_without_rate(told)}
            told["tokens_per_second"] = round(self._tokens / max(1e-9, time.monotonic() - self._began_s), 1)
        is_told = not is_train or step % self._told_every == 0 or step >= state.max_steps
        if is_told and (is_train or "valid_loss" in told):
            self._run.folder.tell_numbers("training", step, state.max_steps, told)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Any = None,
        **_: Any,
    ) -> None:  # Any: Transformers'
        seen = {NAMES[name]: float(value) for name, value in (metrics or {}).items() if name in NAMES}
        is_best = self._run.look(state.global_step, seen)
        if self._run.is_patience_over:
            control.should_training_stop = True
        if self._run.plan.hyperparameters.patience is not None and (is_best or control.should_training_stop):
            control.should_save = True


def resume_from(kept: Kept | None, run: Run) -> str | None:
    """What to hand to a trainer's `resume_from_checkpoint`."""
    return str(kept.path) if kept is not None and run.is_in("training", kept) else None


def is_finished(kept: Kept | None, run: Run) -> bool:
    """Whether a checkpoint is the last that the rows' training writes."""
    if kept is None or not run.is_in("training", kept):
        return False
    path = kept.path / TRAINER_STATE
    is_done = path.exists() and _done(path)
    return is_done or run.is_patience_over


def _done(path: Path) -> bool:
    state = msgspec.json.decode(path.read_bytes())
    return bool(state["global_step"] >= state["max_steps"])


def _without_rate(numbers: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if name != "learning_rate"}
