"""A LoRA adapter of PEFT as a GGUF that llama.cpp lays over a model while it runs."""

import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from gguf.gguf_writer import GGUFWriter
from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder
from numpy.typing import NDArray

from greenroom.errors import RequestError
from greenroom.offline.finetune.export.arrays import F32, floats, quantised, raw
from greenroom.offline.finetune.export.model import exportable
from greenroom.offline.finetune.export.names import OUTPUT, TABLE, Named, gguf_name, reordered, sizes
from greenroom.offline.finetune.export.written import Part, write_gguf
from greenroom.offline.finetune.shape import Shape
from greenroom.offline.finetune.weights import Tensor, read_head

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_LIMIT_BYTES = 1 << 20
_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")


class _Config(Struct):
    """The fields of adapter_config.json that are used, by their names there."""

    peft_type: str
    r: int
    lora_alpha: float
    use_rslora: bool = False
    use_dora: bool = False
    bias: str = "none"
    lora_bias: bool = False
    fan_in_fan_out: bool = False
    modules_to_save: list[str] | None = None
    trainable_token_indices: object = None
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None


_configs = Decoder(_Config)


def adapter_to_gguf(adapter: Path, base: Path, out: Path) -> None:
    """Write the adapter in the folder `adapter`, made for the model in the folder `base`, to `out`.

    Raises: RequestError for a folder that holds no adapter, an adapter that is more than LoRA on matrices, or
    one of another model; StoreError for the disk; Conflict while another process writes the same file.
    """
    shape = exportable(base)
    config = _read_config(adapter)
    pairs = _pairs(adapter, shape)
    root = math.sqrt(config.r) if config.use_rslora else 1.0  # rank-stabilised: alpha by the root of the rank

    def describe(writer: GGUFWriter) -> None:
        writer.add_type("adapter")
        writer.add_name(out.stem)
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", config.lora_alpha * root)

    write_gguf(out, shape.family, describe, list(_parts(pairs)))


def _read_config(folder: Path) -> _Config:
    path = folder / CONFIG
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise RequestError(f"'{CONFIG}' in {folder} is larger than 1 MB.")
        config = _configs.decode(path.read_bytes())
    except FileNotFoundError:
        raise RequestError(f"There is no '{CONFIG}' in {folder}; it is no adapter's folder.") from None
    except (OSError, DecodeError, ValidationError, RecursionError) as error:
        raise RequestError(f"'{CONFIG}' in {folder} can't be used: {error}.") from None
    more = {
        f"peft_type {config.peft_type}": config.peft_type != "LORA",
        "use_dora": config.use_dora,
        "bias": config.bias != "none" or config.lora_bias,
        "fan_in_fan_out": config.fan_in_fan_out,
        "modules_to_save": config.modules_to_save,
        "trainable_token_indices": config.trainable_token_indices,
        "rank_pattern": config.rank_pattern,
        "alpha_pattern": config.alpha_pattern,
    }
    if found := [name for name, is_there in more.items() if is_there]:
        raise RequestError(
            f"The adapter in {folder} is more than plain LoRA ({', '.join(found)}). Merge it into its "
            "model, and export that."
        )
    return config


def _pairs(folder: Path, shape: Shape) -> dict[Named, dict[str, tuple[str, Tensor]]]:
    """The two factors of each matrix."""
    if not (folder / WEIGHTS).is_file():
        raise RequestError(f"There is no '{WEIGHTS}' in {folder}. Only weights in safetensors are read.")
    pairs: dict[Named, dict[str, tuple[str, Tensor]]] = {}
    for name, tensor in read_head(folder / WEIGHTS).items():
        found = _NAME.fullmatch(name)
        named = gguf_name(f"{found[1]}.weight", shape) if found is not None else None
        if found is None or named is None or named.name == TABLE or len(tensor.shape) != 2:
            raise RequestError(
                f"The adapter in {folder} changes '{name}', which can't be exported. Merge it."
            )
        if named.name == OUTPUT and shape.tie_word_embeddings:
            raise RequestError(
                f"The adapter in {folder} changes 'lm_head', which this model shares with its table of "
                "tokens. Merge it, and export the model."
            )
        pairs.setdefault(named, {})[found[2]] = name, tensor
    for named, pair in pairs.items():
        rows, columns = sizes(named.name, shape)
        if len(pair) != 2:
            raise RequestError(
                f"The adapter in {folder} has half of a pair for '{named.name}' (GGUF's name)."
            )
        a, b = pair["A"][1].shape, pair["B"][1].shape
        if a[1] != columns or b[0] != rows or a[0] != b[1]:
            raise RequestError(
                f"The adapter in {folder} was made for another model: for '{named.name}' (GGUF's name) it "
                f"has {b[0]} × {b[1]} and {a[0]} × {a[1]}, and the matrix is {rows} × {columns}."
            )
    return pairs


def _parts(pairs: dict[Named, dict[str, tuple[str, Tensor]]]) -> Iterator[Part]:
    for named, pair in pairs.items():
        for letter, (name, tensor) in sorted(pair.items()):
            heads = named.heads if letter == "B" else None
            yield Part(
                f"{named.name}.lora_{letter.lower()}", tensor.shape, F32, partial(_read, name, tensor, heads)
            )


def _read(name: str, tensor: Tensor, heads: int | None) -> Iterator[NDArray[np.generic]]:
    values = floats(raw(tensor))
    return quantised(name, values if heads is None else reordered(values, heads), F32)
