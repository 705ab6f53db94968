"""What a plan asks for, from the first row to the last file."""

import shutil
from pathlib import Path

from msgspec.structs import replace
from transformers import PreTrainedTokenizerBase

from greenroom.offline.finetune.choices import Choices
from greenroom.offline.finetune.dial import SEQUENCE, SEQUENCES_OF_A_STEP, dial, first_rate, first_steps
from greenroom.offline.finetune.plan import Scratch
from greenroom.offline.finetune.trainer import loop, ranks, scratch
from greenroom.offline.finetune.trainer.chat import Chat
from greenroom.offline.finetune.trainer.checkpoints import Kept
from greenroom.offline.finetune.trainer.folder import Row, TrainingRefused, sync_folder
from greenroom.offline.finetune.trainer.rows import Answers, answers, preferences
from greenroom.offline.finetune.trainer.run import Run
from greenroom.offline.finetune.trainer.sequences import Packed, stream
from greenroom.offline.finetune.trainer.weights import (
    MODEL,
    Model,
    adapted,
    counted,
    device,
    load_adapter,
    load_model,
    load_tokenizer,
    saving,
)

POSITIONS_UNKNOWN = 1 << 20


class Trained:
    """What training leaves: the model, its tokenizer, and what was chosen."""

    def __init__(self, model: Model, tokenizer: PreTrainedTokenizerBase, choices: Choices) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.choices = choices
        self.parameters, self.trained_parameters = counted(model)


def train(run: Run) -> Trained:
    """Train as the plan says, from where a run before this one came to.

    Raises: TrainingRefused for what starting again would not mend; Paused after SIGTERM.
    """
    if run.plan.start == "from_scratch":
        return _from_scratch(run)
    if run.plan.base is None:
        raise TrainingRefused("The plan names no base; only `from_scratch` begins without one.")
    if run.plan.method == "dpo":
        return _preferences(run, Path(run.plan.base))
    return _answers(run, Path(run.plan.base))


def _from_scratch(run: Run) -> Trained:
    plan = run.plan
    wished = plan.scratch or Scratch()
    if plan.method != "supervised":
        raise TrainingRefused(
            "A model from nothing has no answers to prefer yet: train it by supervised rows first, then by"
            " preferences with that model as the base."
        )
    shape = dial(wished.size)
    documents = scratch.plain_text(Path(wished.text)) if wished.text else []
    tokenizer = _own_tokenizer(run, documents, shape.vocabulary)
    found = answers(run, Chat(tokenizer), width=shape.width, positions=POSITIONS_UNKNOWN)
    kept = run.newest()
    _settle(run, found.choices, kept)
    most = found.choices.hyperparameters.max_length or 1
    if kept is None:
        model = scratch.draw_model(shape, tokenizer, most, plan.seed).to(device())
    else:
        model = load_model(kept.path / MODEL)
    texts = [_ids(tokenizer, document) for document in documents] or [row.ids for row in found.train]
    sequences = stream(texts, tokenizer.pad_token_id, SEQUENCE)
    steps = wished.steps or first_steps(counted(model)[0], sum(map(len, texts)))
    _learn_language(run, model, tokenizer, sequences, steps, first_rate(shape.width), kept)
    run.steps_before = steps
    loop.train(run, model, _part(run, found, tokenizer), kept, saving(model, tokenizer))
    return _best(run, Trained(model, tokenizer, found.choices))


def _answers(run: Run, base: Path) -> Trained:
    plan = run.plan
    tokenizer = load_tokenizer(base, run.folder)
    kept = run.newest()
    model = _model(run, base, kept)
    found = answers(run, Chat(tokenizer), width=_width(model), positions=_positions(model))
    _settle(run, found.choices, kept)
    chosen = run.plan.hyperparameters
    if plan.tuning == "lora":
        model = adapted(model, chosen.lora_rank or 1, plan.seed)
        if kept is not None:
            load_adapter(model, kept)
    if plan.start == "continued":
        if plan.scratch is None or plan.scratch.text is None:
            raise TrainingRefused("`continued` needs a text: name its file in `scratch.text`.")
        texts = [_ids(tokenizer, document) for document in scratch.plain_text(Path(plan.scratch.text))]
        between = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
        sequences = stream(texts, between, min(SEQUENCE, _positions(model)))
        steps = plan.scratch.steps or first_steps(counted(model)[0], sum(map(len, texts)))
        _learn_language(run, model, tokenizer, sequences, steps, chosen.learning_rate or 0.0, kept)
        run.steps_before = steps
    from greenroom.offline.finetune.trainer import tuning  # noqa: PLC0415 - TRL: not needed from nothing

    train, valid = found.sequences(found.train), found.sequences(found.valid)
    model = tuning.learn_answers(run, model, tokenizer, found.choices, train, valid, kept)
    return _best(run, Trained(model, tokenizer, found.choices))


def _preferences(run: Run, base: Path) -> Trained:
    if run.plan.start == "continued":
        raise TrainingRefused(
            "`continued` goes with supervised rows: train by text and rows first, then by preferences with"
            " that model as the base."
        )
    tokenizer = load_tokenizer(base, run.folder)
    kept = run.newest()
    model = _model(run, base, kept)
    found = preferences(run, Chat(tokenizer), width=_width(model), positions=_positions(model))
    _settle(run, found.choices, kept)
    reference = load_model(base, is_frozen=True) if run.plan.tuning == "full" else None
    from greenroom.offline.finetune.trainer import tuning  # noqa: PLC0415 - TRL: not needed from nothing

    model = tuning.learn_preferences(
        run, model, reference, tokenizer, found.choices, found.train, found.valid, kept
    )
    return _best(run, Trained(model, tokenizer, found.choices))


def _model(run: Run, base: Path, kept: Kept | None) -> Model:
    """The base, or where all weights are trained those of the checkpoint."""
    if run.plan.tuning == "full" and kept is not None:
        return load_model(kept.path / MODEL)
    return load_model(base, is_frozen=run.plan.tuning == "lora")


def _learn_language(
    run: Run,
    model: Model,
    tokenizer: PreTrainedTokenizerBase,
    sequences: list[Packed],
    steps: int,
    rate: float,
    kept: Kept | None,
) -> None:
    """The part before the rows, unless a checkpoint lies beyond it."""
    if run.is_in("training", kept):
        return
    part = loop.Part(
        phase="pretraining",
        sequences=sequences,
        valid=[],
        of_a_step=SEQUENCES_OF_A_STEP,
        steps=steps,
        rate=rate,
        checkpoint_every=run.plan.hyperparameters.checkpoint_every or 1,
        evaluate_every=None,
        seed=run.plan.seed,
        pad=tokenizer.pad_token_id,
    )
    loop.train(run, model, part, kept, saving(model, tokenizer))


def _part(run: Run, found: Answers, tokenizer: PreTrainedTokenizerBase) -> loop.Part:
    chosen = found.choices.hyperparameters
    return loop.Part(
        phase="training",
        sequences=found.sequences(found.train),
        valid=found.sequences(found.valid),
        of_a_step=found.choices.sequences_of_a_step,
        steps=found.choices.steps,
        rate=chosen.learning_rate or 0.0,
        checkpoint_every=chosen.checkpoint_every or 1,
        evaluate_every=chosen.evaluate_every,
        seed=run.plan.seed + 1,
        pad=tokenizer.pad_token_id,
    )


def _settle(run: Run, choices: Choices, kept: Kept | None) -> None:
    """From here on the plan has no setting that is still to be chosen. Told once."""
    run.plan = replace(run.plan, hyperparameters=choices.hyperparameters)
    if kept is None:
        for name, reason in choices.reasons.items():
            run.folder.tell(f"{name} = {_shown(getattr(choices.hyperparameters, name))}: {reason}.")
        run.folder.tell(f"{choices.rows} rows, {choices.steps} steps.", steps=choices.steps)


def _own_tokenizer(run: Run, documents: list[str], vocabulary: int) -> PreTrainedTokenizerBase:
    """Learned once; a run after this one finds it in `tokenizer/`."""
    place = run.folder.path / "tokenizer"
    if ranks.rank() == 0 and not place.exists():
        run.folder.tell("Learning a tokenizer.")
        texts = documents or [text for row in run.folder.rows("train.jsonl") for text in _said(row)]
        beside = place.with_name(".tokenizer")
        shutil.rmtree(beside, ignore_errors=True)
        scratch.learn_tokenizer(texts, vocabulary).save_pretrained(beside)
        beside.rename(place)
        sync_folder(place.parent)
    ranks.wait()
    return load_tokenizer(place, run.folder)


def _said(row: Row) -> list[str]:
    messages = row.get("messages")
    return [str(message.get("content") or "") for message in messages] if isinstance(messages, list) else []


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _best(run: Run, trained: Trained) -> Trained:
    """Where patience was asked for, the weights of the best look instead of the last."""
    best = run.spent.best_number
    if run.plan.hyperparameters.patience is None or best is None or best == run.number(run.spent.step):
        return trained
    kept = next((kept for kept in run.checkpoints.all() if kept.path.name == str(best)), None)
    if kept is not None:
        run.folder.tell(
            f"Step {kept.checkpoint.step} was the best; its weights are taken.", step=kept.checkpoint.step
        )
        run.spent.metrics = kept.checkpoint.metrics
        if run.plan.tuning == "lora" and run.plan.start != "from_scratch":
            load_adapter(trained.model, kept)
        else:
            trained.model = load_model(kept.path / MODEL)
    return trained


def _shown(value: float | bool) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}"


def _width(model: Model) -> int:
    return int(model.config.get_text_config().hidden_size)


def _positions(model: Model) -> int:
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", POSITIONS_UNKNOWN))
