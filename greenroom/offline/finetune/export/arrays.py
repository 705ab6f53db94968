"""Tensors of safetensors files as numpy arrays, and numpy arrays in the number formats of GGUF.

One tensor is in memory at a time, and of a large one some rows.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

from greenroom.errors import RequestError
from greenroom.offline.finetune.weights import Tensor

Floats = NDArray[np.float32]
Order = Callable[[NDArray[np.generic]], NDArray[np.generic]]
F32, F16, Q8_0, Q4_0 = (
    GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_0,
)  # fmt: skip
BLOCK = 32
"""Numbers that share a scale in Q8_0 and Q4_0; rows of other lengths stay F16."""
_CHUNK_NUMBERS = 1 << 22
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def raw(tensor: Tensor) -> NDArray[np.generic]:
    """A view of the file; BF16 as the integers that its bits are. Raises RequestError for other types."""
    if tensor.dtype not in _TYPES:
        raise RequestError(
            f"A tensor in '{tensor.path.name}' has the type {tensor.dtype}; floats of 16, 32 and 64 bits are "
            "exported. Export from weights that are not quantised."
        )
    if not tensor.numbers:
        return np.empty(tensor.shape, _TYPES[tensor.dtype])
    return np.memmap(tensor.path, _TYPES[tensor.dtype], "r", tensor.begin, tensor.shape)


def floats(values: NDArray[np.generic]) -> Floats:
    """The same numbers in 32 bits."""
    if values.dtype == np.uint16:  # BF16: the upper half of a 32-bit float
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def size_bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    """What a tensor takes in a GGUF file."""
    per_block, block_bytes = GGML_QUANT_SIZES[kind]
    return math.prod(shape) // int(per_block) * int(block_bytes)


def quantised(
    name: str, values: NDArray[np.generic], kind: GGMLQuantizationType
) -> Iterator[NDArray[np.generic]]:
    """The tensor in its new format, some rows at a time.

    Raises: RequestError for numbers that are not finite, or too large for the format.
    """
    rows = max(1, _CHUNK_NUMBERS // max(1, values[:1].size))
    for at in range(0, len(values), rows):
        part = floats(values[at : at + rows])
        if not np.isfinite(part).all():
            raise RequestError(
                f"The tensor '{name}' holds numbers that are not finite: training diverged. Train again with "
                "a lower learning rate."
            )
        with np.errstate(over="ignore"):  # looked at below
            done = quantize(np.ascontiguousarray(part), kind)
        if kind is F16 and not np.isfinite(done).all():
            raise RequestError(f"The tensor '{name}' holds numbers too large for F16. Export as Q8_0.")
        yield done


def kind_of(
    shape: tuple[int, ...], wanted: GGMLQuantizationType, *, is_table: bool = False
) -> GGMLQuantizationType:
    """In what format a tensor is kept.

    Vectors stay F32. The tables of tokens lose most by rounding, and get no less than eight bits. Rows that
    can't be cut into blocks stay F16.
    """
    if len(shape) < 2:
        return F32
    if wanted in {Q8_0, Q4_0} and shape[-1] % BLOCK:
        return F16
    return Q8_0 if is_table and wanted is Q4_0 else wanted
