"""A model from nothing: its tokenizer, learned from text, and its weights, drawn by a seed."""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from greenroom.offline.finetune.dial import Dial, first_spread
from greenroom.offline.finetune.trainer.chat import CHATML, END, START
from greenroom.offline.finetune.trainer.folder import TrainingRefused

BETWEEN = "<|endoftext|>"
"""Between texts, and where a batch is filled up."""
POSITIONS = 1024
"""Tokens that such a model reads at least."""


def learn_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerBase:
    """Byte pairs with at most `vocabulary` tokens. Every text can be written in them; digits stand alone.

    Byte-level BPE as in GPT-2, with single digits as in SmolLM: engines know both, and numbers are read alike
    wherever they stand.
    Raises: TrainingRefused when the vocabulary has no room for the 256 bytes.
    """
    specials = [BETWEEN, START, END, "<tool_call>", "</tool_call>"]
    if vocabulary < 256 + len(specials):
        raise TrainingRefused(f"A vocabulary of {vocabulary} tokens has no room for the 256 bytes.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=specials[:3],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=BETWEEN,
        additional_special_tokens=[START],
        chat_template=CHATML,
        clean_up_tokenization_spaces=False,
    )


def draw_model(dial: Dial, tokenizer: PreTrainedTokenizerBase, positions: int, seed: int) -> LlamaForCausalLM:
    """A Llama-shaped model with weights drawn by `seed`, in single precision."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=dial.width,
            intermediate_size=dial.inner,
            num_hidden_layers=dial.layers,
            num_attention_heads=dial.heads,
            num_key_value_heads=dial.heads,
            max_position_embeddings=max(POSITIONS, positions),
            rms_norm_eps=1e-5,
            initializer_range=first_spread(dial.width),
            tie_word_embeddings=True,
            attention_dropout=0.0,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def plain_text(path: Path) -> list[str]:
    """The documents of a text file, parted by empty lines.

    Raises: TrainingRefused when it is missing, empty, or no UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TrainingRefused(f"The text {path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise TrainingRefused(
            f"The text {path} is not UTF-8 at byte {error.start}; convert it first."
        ) from None
    documents = [document.strip() for document in text.split("\n\n") if document.strip()]
    if not documents:
        raise TrainingRefused(f"The text {path} is empty.")
    return documents
