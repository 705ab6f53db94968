"""How many bytes weights take in a GGUF file, by quantisation.

A file of a mixed kind (`Q4_K_M`) keeps the output matrix, and the embeddings where they are it, at more bits
than the rest. Bits of a pure kind follow from its blocks (ggml: Q8_0 has 34 bytes for 32 numbers); those of
the rest of a mixed kind are solved from the sizes that llama.cpp publishes for Llama 3.1 8B
(tools/quantize/README.md), whose embeddings and output matrix are known. Rows that are no multiple of 256
can't be K-quantised and fall back to a larger kind, as llama-quantize does it. Against 50 published files the
median error is 0.2 %; see tests/models/catalogue.
"""

from typing import Final, NamedTuple

from greenroom.models.catalogue.facts import Model, Shape

DEFAULT: Final = "Q4_K_M"
"""The quantisation that is assumed where none is said: the usual one."""


class Bits(NamedTuple):
    """Bits for a number."""

    rest: float
    embedding: float
    output: float
    """Of the output matrix; of the embeddings too, where they are the same."""


_EMBEDDING = {"Q2_K": 2.625, "Q3_K_M": 3.4375, "Q4_K_S": 4.5, "Q4_K_M": 4.5, "Q5_K_S": 5.5, "Q5_K_M": 5.5}
_LLAMA_8B: Final = {
    "Q2_K": 3_179_136_416, "Q3_K_M": 4_018_922_912, "Q4_K_S": 4_692_673_952, "Q4_K_M": 4_920_739_232,
    "Q5_K_S": 5_599_298_976, "Q5_K_M": 5_732_992_416,
}  # fmt: skip
"""Bytes of the published files of Llama 3.1 8B Instruct."""
_LLAMA_TABLE: Final = 128_256 * 4_096
_LLAMA_REST: Final = 8_030_261_248 - 2 * _LLAMA_TABLE
_LLAMA_VOCABULARY: Final = 7_800_000
"""Bytes that its file spends on anything but tensors."""
_Q6_K: Final = 6.5625
_ROW: Final = 256
"""Numbers in a block of the K-quants: rows are whole blocks."""
_FALLBACK: Final = {
    "Q2_K": 7.0, "Q3_K_M": 7.0, "Q4_K_S": 5.5, "Q4_K_M": 5.9, "Q5_K_S": 6.0, "Q5_K_M": 6.3, "Q6_K": 8.5,
}  # fmt: skip
"""Bits of the rest of a file with other rows: mostly Q5_0, Q5_1 and Q8_0 (llama-quant.cpp), as published."""


def _mixed(name: str) -> Bits:
    tensors = (_LLAMA_8B[name] - _LLAMA_VOCABULARY) * 8
    rest = (tensors - _LLAMA_TABLE * (_EMBEDDING[name] + _Q6_K)) / _LLAMA_REST
    return Bits(rest, _EMBEDDING[name], _Q6_K)


BITS: Final[dict[str, Bits]] = {
    **{name: _mixed(name) for name in _LLAMA_8B},
    "Q4_0": Bits(4.5, 4.5, _Q6_K),
    "Q5_0": Bits(5.5, 5.5, _Q6_K),
    "Q6_K": Bits(_Q6_K, _Q6_K, _Q6_K),
    "Q8_0": Bits(8.5, 8.5, 8.5),
    "F16": Bits(16, 16, 16),
    "BF16": Bits(16, 16, 16),
}
"""By the name of a quantisation, the smaller ones first in each family."""


class UnknownQuantisation(ValueError):
    """Not one of `BITS`; the message lists them."""


def weight_bytes(model: Model, quantisation: str = DEFAULT) -> int | None:
    """Bytes of the weights, or None where the model's size is not known.

    A size that was published counts before one that is computed. Raises: UnknownQuantisation.
    """
    if model.file_bytes is not None and quantisation in model.file_bytes.value:
        return model.file_bytes.value[quantisation]
    bits_of(quantisation)
    if model.parameters is None or model.shape is None:
        return None
    return round(_bits(model.parameters.value, model.shape.value, quantisation) / 8)


def active_bytes(model: Model, quantisation: str = DEFAULT) -> int | None:
    """Bytes of the weights read for each token: all but embeddings and experts that are not asked."""
    whole = weight_bytes(model, quantisation)
    if whole is None or model.parameters is None or model.active_parameters is None:
        return None
    return round(whole * min(1.0, model.active_parameters.value / model.parameters.value))


def bits_of(quantisation: str) -> Bits:
    """The bits of a quantisation. Raises: UnknownQuantisation."""
    found = BITS.get(quantisation)
    if found is None:
        raise UnknownQuantisation(f"'{quantisation}' is no quantisation that is known: {', '.join(BITS)}")
    return found


def usual(model: Model) -> str:
    """The quantisation that is assumed for a model: the one its maker publishes alone, else `DEFAULT`."""
    published = model.file_bytes.value if model.file_bytes is not None else {}
    return next(iter(published)) if published and DEFAULT not in published else DEFAULT


def _bits(parameters: int, shape: Shape, quantisation: str) -> float:
    bits = bits_of(quantisation)
    fallback = _FALLBACK.get(quantisation)
    if fallback is not None and shape.hidden % _ROW:
        down = shape.layers * shape.hidden * shape.intermediate if shape.intermediate % _ROW == 0 else 0
        rest = parameters - shape.embedding * (1 if shape.tied else 2) - down
        tables = shape.embedding * (8.5 if shape.tied else 8.5 + fallback)
        return rest * fallback + down * bits.rest + tables
    if shape.tied:
        return (parameters - shape.embedding) * bits.rest + shape.embedding * bits.output
    tables = shape.embedding * (bits.embedding + bits.output)
    return (parameters - 2 * shape.embedding) * bits.rest + tables
