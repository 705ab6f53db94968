"""A folder of safetensors as one GGUF file."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from gguf.constants import GGMLQuantizationType, LlamaFileType
from gguf.gguf_writer import GGUFWriter
from numpy.typing import NDArray

from greenroom.errors import RequestError
from greenroom.offline.finetune.export.arrays import F16, F32, Q4_0, Q8_0, kind_of, quantised, raw
from greenroom.offline.finetune.export.names import (
    OUTPUT,
    ROPE_FACTORS,
    TABLE,
    expected,
    gguf_name,
    is_computed,
    reordered,
    sizes,
)
from greenroom.offline.finetune.export.vocabulary import Vocabulary, read_vocabulary
from greenroom.offline.finetune.export.written import Part, write_gguf
from greenroom.offline.finetune.plan import Format
from greenroom.offline.finetune.shape import Shape, read_shape
from greenroom.offline.finetune.weights import Tensor, tensors_of

_KINDS: dict[Format, tuple[GGMLQuantizationType, LlamaFileType]] = {
    "F16": (F16, LlamaFileType.MOSTLY_F16),
    "Q8_0": (Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "Q4_0": (Q4_0, LlamaFileType.MOSTLY_Q4_0),
}


def to_gguf(folder: Path, out: Path, format: Format) -> None:
    """Write the model in `folder` to `out`, in 16 bits, or in 8 or 4 bits with a scale for each 32 numbers.

    Raises: RequestError for a folder that holds no model that can be exported, or one whose parts do not
    belong together; StoreError for the disk; Conflict while another process writes the same file.
    """
    shape = exportable(folder)
    ends = shape.eos_token_id
    vocabulary = read_vocabulary(folder, shape.vocab_size, [ends] if isinstance(ends, int) else ends or [])
    kind, file_type = _KINDS[format]
    parts = [*_parts(shape, tensors_of(folder), kind), *_rope_parts(shape)]

    def describe(writer: GGUFWriter) -> None:
        writer.add_name(out.stem)
        writer.add_file_type(file_type)
        writer.add_quantization_version(2)
        _describe_shape(writer, shape)
        _describe_vocabulary(writer, vocabulary)

    write_gguf(out, shape.family, describe, parts)


def exportable(folder: Path) -> Shape:
    """The shape of a model that llama.cpp computes as it was trained. Raises RequestError for others."""
    shape = read_shape(folder)
    _ = shape.family
    if shape.hidden_act != "silu":
        raise RequestError(f"Models with the activation '{shape.hidden_act}' can't be exported; 'silu' can.")
    if shape.rope.kind not in {"default", "linear", "llama3"}:
        raise RequestError(
            f"Positions of the kind '{shape.rope.kind}' can't be exported; default, linear and llama3 can."
        )
    return shape


def _context(shape: Shape) -> int:
    """Tokens; where attention sees a window, as many as it sees, so that both compute the same."""
    slides = shape.sliding_window is not None and shape.use_sliding_window is not False
    return min(shape.max_position_embeddings, shape.sliding_window or 1 << 30 if slides else 1 << 30)


def _describe_shape(writer: GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(_context(shape))
    writer.add_embedding_length(shape.hidden_size)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.width)
    writer.add_value_length(shape.width)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_rope_dimension_count(shape.width)
    writer.add_rope_freq_base(shape.theta)
    if shape.rope.kind == "linear":
        writer.add_string(f"{shape.family}.rope.scaling.type", "linear")
        writer.add_rope_scaling_factor(shape.rope.factor or 1.0)


def _describe_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    tell: tuple[tuple[Callable[[int], None], int | None], ...] = (
        (writer.add_bos_token_id, vocabulary.bos),
        (writer.add_eos_token_id, vocabulary.eos),
        (writer.add_eot_token_id, vocabulary.eot),
        (writer.add_pad_token_id, vocabulary.pad),
        (writer.add_unk_token_id, vocabulary.unknown),
    )
    for add, id in tell:
        if id is not None:
            add(id)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    if vocabulary.template is not None:
        writer.add_chat_template(vocabulary.template)


def _parts(shape: Shape, tensors: dict[str, Tensor], wanted: GGMLQuantizationType) -> Iterator[Part]:
    """Every tensor of the model, its rows in order. Raises RequestError for one missing, odd or left over."""
    missing = expected(shape)
    for name, tensor in tensors.items():
        named = gguf_name(name, shape)
        if is_computed(name) or (named is not None and named.name == OUTPUT and shape.tie_word_embeddings):
            continue
        if named is None:
            raise RequestError(
                f"The weights hold '{name}', which no model of this architecture has. A model with an "
                "adapter has to be merged first."
            )
        if tensor.shape != sizes(named.name, shape):
            said = " × ".join(map(str, sizes(named.name, shape)))
            raise RequestError(
                f"'{name}' is {' × '.join(map(str, tensor.shape))}, and by config.json it would be {said}."
            )
        missing.discard(named.name)
        kind = kind_of(tensor.shape, wanted, is_table=named.name in {TABLE, OUTPUT})
        yield Part(named.name, tensor.shape, kind, partial(_read, name, tensor, named.heads, kind))
    if missing:
        raise RequestError(
            f"The weights lack {len(missing)} tensors, among them '{min(missing)}' (GGUF's name)."
        )


def _read(
    name: str, tensor: Tensor, heads: int | None, kind: GGMLQuantizationType
) -> Iterator[NDArray[np.generic]]:
    values = raw(tensor)
    return quantised(name, values if heads is None else reordered(values, heads), kind)


def _rope_parts(shape: Shape) -> Iterator[Part]:
    if shape.rope.kind == "llama3":
        factors = rope_factors(shape)
        yield Part(ROPE_FACTORS, factors.shape, F32, lambda: iter([factors]))


def rope_factors(shape: Shape) -> NDArray[np.float32]:
    """By what each rotary frequency is divided, width/2 numbers.

    Llama 3.1's rule: short waves stay, long ones are stretched by `factor`, those between in proportion.
    """
    rope = shape.rope
    factor, low, high = rope.factor or 8.0, rope.low_freq_factor or 1.0, rope.high_freq_factor or 4.0
    context = rope.original_max_position_embeddings or 8192
    frequency = shape.theta ** (-np.arange(0, shape.width, 2, dtype=np.float64) / shape.width)
    turns = context * frequency / (2 * math.pi)
    between = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 / ((1 - between) / factor + between)).astype(np.float32)
