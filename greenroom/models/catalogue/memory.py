"""What a local model needs of memory, and whether that is there.

Three parts, as llama.cpp allots them, and the process. Weights: the file. KV cache: for each layer and token
a key and a value of `kv_heads × head_dim` numbers of 16 bits; a layer with a sliding window keeps as many
tokens for each answer, and a batch; multi-head latent attention keeps one vector of `latent + rope_dim`
numbers instead. Compute buffers: the logits and one hidden state of a batch of 512 tokens, and the mask of
attention over the context, in 32 bits (Llama 3 8B at 8,192: 258.5 and 24.0 MiB in the logs of llama.cpp).
Flash attention is assumed, which llama.cpp chooses by itself where the backend has it.
"""

from typing import Final, Literal, NamedTuple

from greenroom.models.catalogue.facts import Shape
from greenroom.models.catalogue.hardware import Hardware

BATCH: Final = 512
"""Tokens computed at once: llama.cpp's `n_ubatch`."""
PROCESS_BYTES: Final = 64 << 20
"""The engine itself; 35 MB were measured with a tiny model, see docs/local.md."""
_CELL_BYTES: Final = 2
_PADDING: Final = 256
"""Cells of a cache come in multiples of it."""

Where = Literal["gpu", "split", "cpu", "nowhere"]


class Need(NamedTuple):
    """Bytes."""

    weights: int
    cache: int
    compute: int
    process: int = PROCESS_BYTES

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.cache + self.compute + self.process


class Fit(NamedTuple):
    """Where a model has room."""

    where: Where
    need: Need
    have: int
    """Usable bytes of that place; of the largest where none has room."""
    why: str

    @property
    def fits(self) -> bool:
        """Whether it can be run here."""
        return self.where != "nowhere"

    @property
    def spare(self) -> int:
        """What is left, or below 0 what is missing."""
        return self.have - self.need.total


def cache_bytes(shape: Shape, context: int, parallel: int = 1) -> int:
    """Bytes of the KV cache for `parallel` answers of `context` tokens each."""
    cells = _padded(context * parallel)
    if shape.latent:
        return cells * shape.layers * (shape.latent + shape.rope_dim) * _CELL_BYTES
    per_cell = 2 * shape.kv_heads * shape.head_dim * _CELL_BYTES
    seen = min(cells, _padded(shape.window * parallel + BATCH)) if shape.window_layers else 0
    return per_cell * ((shape.layers - shape.window_layers) * cells + shape.window_layers * seen)


def compute_bytes(shape: Shape, context: int, parallel: int = 1) -> int:
    """Bytes of what is computed with while a batch goes through."""
    return BATCH * 4 * (shape.vocab + 2 * shape.hidden + _padded(context * parallel))


def need(weights: int, shape: Shape, context: int, parallel: int = 1) -> Need:
    """What a model of this shape needs, whose file has `weights` bytes.

    Raises: ValueError for a context or a number of answers below 1.
    """
    if context < 1 or parallel < 1:
        raise ValueError("a context and a number of answers are at least 1")
    return Need(weights, cache_bytes(shape, context, parallel), compute_bytes(shape, context, parallel))


def fit(wanted: Need, machine: Hardware) -> Fit:
    """Whether that fits, and where: in one GPU or several, in GPU and main memory together, in main memory.

    Nothing is said to fit into memory whose size is not known.
    """
    gpu, ram = machine.usable_vram, machine.usable_ram
    if gpu and wanted.total <= gpu:
        return Fit("gpu", wanted, gpu, "all of it fits into the memory of the GPU")
    if gpu and ram and wanted.total <= gpu + ram and not machine.unified:
        return Fit("split", wanted, gpu + ram, "it fits into GPU and main memory together, which is slower")
    if ram and wanted.total <= ram:
        return Fit("cpu", wanted, ram, "it fits into main memory")
    if not gpu and not ram:
        return Fit("nowhere", wanted, 0, "how much memory there is here is not known")
    have = gpu + ram if not machine.unified else max(gpu, ram)
    return Fit("nowhere", wanted, have, "it needs more memory than there is")


def _padded(cells: int) -> int:
    return -(-cells // _PADDING) * _PADDING
