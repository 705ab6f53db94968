"""The weights of a model: loaded from a base or a checkpoint, saved, adapted, merged. Safetensors only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from greenroom.offline.finetune.trainer.chat import PLAIN, without_marks
from greenroom.offline.finetune.trainer.checkpoints import Kept
from greenroom.offline.finetune.trainer.folder import Folder, TrainingRefused

MODEL, ADAPTER = "model", "adapter"
Model = Any  # Any: Transformers' models are not read for types


def load_model(folder: Path, *, is_frozen: bool = False) -> Model:
    """A causal language model in single precision, or a frozen one on a card in bfloat16.

    Raises: TrainingRefused without safetensors, or for an architecture that needs code of its own.
    """
    if not any(folder.glob("*.safetensors")):
        raise TrainingRefused(
            f"There are no safetensors in {folder}; models in other formats are not loaded."
        )
    halved = is_frozen and torch.cuda.is_available()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16 if halved else torch.float32,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
        )
    except (OSError, ValueError, KeyError) as error:
        raise TrainingRefused(f"The model in {folder} can't be loaded: {error}") from error
    return model.to(device())


def load_tokenizer(folder: Path, tell: Folder) -> PreTrainedTokenizerBase:
    """The tokenizer of a base, with a chat template and a token to fill up with.

    Raises: TrainingRefused when it can't be read.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise TrainingRefused(f"The tokenizer in {folder} can't be loaded: {error}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN
        tell.tell("The base has no chat template; it learns a plain one, and is saved with it.", "warn")
    return tokenizer


def device() -> torch.device:
    """Where training happens: this process's card, or the processor."""
    return (
        torch.device("cuda", torch.cuda.current_device())
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def lora(rank: int) -> LoraConfig:
    """An adapter on every linear layer but the last; alpha is twice the rank."""
    return LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def adapted(model: Model, rank: int, seed: int) -> PeftModel:
    """The model with a fresh adapter, drawn by `seed`; only that is trained."""
    torch.manual_seed(seed)
    return get_peft_model(model, lora(rank))


def load_adapter(model: PeftModel, kept: Kept) -> None:
    """The adapter of a checkpoint, into a model that has one of the same shape."""
    set_peft_model_state_dict(model, load_peft_weights(str(kept.path / ADAPTER), device=str(device())))


def of_checkpoint(kept: Kept, base: Path | None, tell: Folder) -> tuple[Model, PreTrainedTokenizerBase]:
    """The model of a checkpoint, an adapter laid over its base, and the tokenizer that was saved with it.

    Raises: TrainingRefused when one of them can't be loaded.
    """
    adapter = kept.path / ADAPTER
    if base is None or not adapter.is_dir():
        return load_model(kept.path / MODEL), load_tokenizer(kept.path / MODEL, tell)
    return PeftModel.from_pretrained(load_model(base), adapter), load_tokenizer(adapter, tell)


def saving(model: Model, tokenizer: PreTrainedTokenizerBase) -> Callable[[Path], None]:
    """What puts the weights into a checkpoint: the adapter alone, or the whole model."""

    def save(path: Path) -> None:
        if isinstance(model, PeftModel):
            save_adapter(model, tokenizer, path / ADAPTER)
        else:
            save_model(model, tokenizer, path / MODEL)

    return save


def save_adapter(model: PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """`adapter_model.safetensors`, its settings, and the tokenizer with its template."""
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(
        missing_ok=True
    )  # PEFT's is a form to fill in; ours stands beside the model
    _save_tokenizer(tokenizer, folder)


def save_model(model: Model, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """`model.safetensors`, its settings, and the tokenizer with its template."""
    model.save_pretrained(folder)
    _save_tokenizer(tokenizer, folder)


def merged(model: Model, base: Path | None) -> Model:
    """The whole model, in the precision that its base was kept in."""
    whole = model.merge_and_unload() if isinstance(model, PeftModel) else model
    whole = whole.to("cpu")
    if base is not None:
        from transformers import AutoConfig  # noqa: PLC0415 - takes long, and only here

        kept_as = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False).dtype
        if isinstance(kept_as, torch.dtype):
            whole = whole.to(kept_as)
    return whole


def counted(model: Model) -> tuple[int, int]:
    """Weights in all, and those that are trained; tied ones once."""
    everything = sum(parameter.numel() for parameter in model.parameters())
    return everything, sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    marked = tokenizer.chat_template
    tokenizer.chat_template = without_marks(marked)
    try:
        tokenizer.save_pretrained(folder)
    finally:
        tokenizer.chat_template = marked
