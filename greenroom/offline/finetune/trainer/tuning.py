"""Rows' training of a base by TRL: answers learned (SFT), or the better of two (DPO)."""

import shutil
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from greenroom.offline.finetune.choices import MICRO_TOKENS, RECOMPUTE_PARAMETERS, Choices
from greenroom.offline.finetune.trainer import ranks
from greenroom.offline.finetune.trainer.chat import Pair
from greenroom.offline.finetune.trainer.checkpoints import Kept
from greenroom.offline.finetune.trainer.kept import Keeping, Telling, is_finished, resume_from
from greenroom.offline.finetune.trainer.loop import EVENTS
from greenroom.offline.finetune.trainer.run import Paused, Run
from greenroom.offline.finetune.trainer.sequences import Batch, Packed, collate
from greenroom.offline.finetune.trainer.weights import Model, counted, load_adapter, lora, saving


class KeptSFT(Keeping, SFTTrainer):  # type: ignore[misc]  # of a library that is not read for types
    """SFT, with checkpoints of ours."""


class KeptDPO(Keeping, DPOTrainer):  # type: ignore[misc]  # of a library that is not read for types
    """DPO, with checkpoints of ours."""


def learn_answers(
    run: Run,
    model: Model,
    tokenizer: PreTrainedTokenizerBase,
    choices: Choices,
    rows: Sequence[Packed],
    valid: Sequence[Packed],
    kept: Kept | None,
) -> Model:
    """Supervised training. The loss counts the tokens that have a label, and no others.

    Raises: Paused after SIGTERM, once a checkpoint is written.
    """
    longest = max(len(sequence.ids) for sequence in rows)
    settings = SFTConfig(**_settings(run, choices, longest, counted(model)[0]), max_length=None)
    trainer = KeptSFT(
        model=model,
        args=settings,
        train_dataset=_as_dataset(rows),
        eval_dataset=_as_dataset(valid) if valid else None,
        processing_class=tokenizer,
        data_collator=partial(_collated, pad=tokenizer.pad_token_id),
    )
    tokens = sum(len(sequence.ids) for sequence in rows) / len(rows) * choices.sequences_of_a_step
    return _train(run, trainer, tokenizer, choices, tokens, kept)


def learn_preferences(
    run: Run,
    model: Model,
    reference: Model | None,
    tokenizer: PreTrainedTokenizerBase,
    choices: Choices,
    rows: Sequence[Pair],
    valid: Sequence[Pair],
    kept: Kept | None,
) -> Model:
    """DPO. `reference` is the base once more where all weights are trained; an adapter is laid aside instead.

    Raises: Paused after SIGTERM, once a checkpoint is written.
    """
    chosen = choices.hyperparameters
    longest = max(pair.longest for pair in rows)
    settings = DPOConfig(
        **_settings(run, choices, 2 * longest, counted(model)[0]), max_length=None, beta=chosen.beta
    )
    trainer = KeptDPO(
        model=model,
        ref_model=reference,
        args=settings,
        train_dataset=_as_pairs(rows),
        eval_dataset=_as_pairs(valid) if valid else None,
        processing_class=tokenizer,
        peft_config=lora(chosen.lora_rank or 1) if reference is None else None,
    )
    if reference is None and kept is not None:
        load_adapter(trainer.model, kept)
    tokens = sum(2 * len(pair.prompt) + len(pair.chosen) + len(pair.rejected) for pair in rows) / len(rows)
    return _train(run, trainer, tokenizer, choices, tokens * choices.sequences_of_a_step, kept)


def _train(
    run: Run,
    trainer: Any,
    tokenizer: PreTrainedTokenizerBase,
    choices: Choices,
    tokens: float,
    kept: Kept | None,
) -> Model:  # Any: one of the two above
    resumed = resume_from(kept, run)
    trainer.attach(run, saving(trainer.model, tokenizer))
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Telling(run, tokens, max(1, choices.steps // EVENTS)))
    run.begin("training", resumed=kept.checkpoint if kept is not None and resumed else None)
    if not is_finished(kept, run):
        trainer.train(resume_from_checkpoint=resumed)
        if ranks.any_of(run.is_stopping) and trainer.state.global_step < choices.steps:
            raise Paused
    shutil.rmtree(trainer.args.output_dir, ignore_errors=True)  # an empty folder: checkpoints lie elsewhere
    return trainer.accelerator.unwrap_model(trainer.model)


def _settings(
    run: Run, choices: Choices, longest: int, parameters: int
) -> dict[str, Any]:  # Any: TRL's settings
    chosen = choices.hyperparameters
    of_this_process = max(1, choices.sequences_of_a_step // ranks.count())
    at_once = _largest_divisor(of_this_process, max(1, MICRO_TOKENS // longest))
    has_card = torch.cuda.is_available()
    return {
        "output_dir": str(run.folder.path / "trl"),
        "max_steps": choices.steps,
        "per_device_train_batch_size": at_once,
        "per_device_eval_batch_size": max(1, MICRO_TOKENS // longest),
        "gradient_accumulation_steps": of_this_process // at_once,
        "learning_rate": chosen.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": max(1, round(choices.steps / 20)),
        "weight_decay": 0.0,
        "seed": run.plan.seed,
        "data_seed": run.plan.seed,
        "use_cpu": not has_card,
        "bf16": has_card,
        "gradient_checkpointing": parameters >= RECOMPUTE_PARAMETERS,
        "logging_strategy": "no",
        "eval_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": has_card,
        "ddp_find_unused_parameters": False,
    }


def _largest_divisor(number: int, most: int) -> int:
    return next(divisor for divisor in range(min(number, most), 0, -1) if number % divisor == 0)


def _as_dataset(sequences: Sequence[Packed]) -> Dataset:
    return Dataset.from_dict(
        {
            "input_ids": [sequence.ids for sequence in sequences],
            "labels": [sequence.labels for sequence in sequences],
            "places": [sequence.places for sequence in sequences],
        }
    )


def _as_pairs(pairs: Sequence[Pair]) -> Dataset:
    return Dataset.from_dict(
        {
            "prompt_ids": [pair.prompt for pair in pairs],
            "chosen_ids": [pair.chosen for pair in pairs],
            "rejected_ids": [pair.rejected for pair in pairs],
        }
    )


def _collated(rows: list[dict[str, list[int]]], pad: int) -> Batch:
    batch = collate([Packed(row["input_ids"], row["labels"], row["places"]) for row in rows], pad)
    if "position_ids" not in batch:
        batch["position_ids"] = torch.arange(batch["input_ids"].shape[1]).repeat(len(rows), 1)
    return batch
