"""The shape of a model as its `config.json` says it: Llama's, and those that differ from it in little.

Knows Llama, Mistral, Qwen2 and Qwen3: an attention with grouped heads and rotary positions, a gated
feed-forward part, RMS norms. Sources: the models' papers and the names in Hugging Face's config.json.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import DecodeError, Meta, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import RequestError

CONFIG = "config.json"
CONFIG_LIMIT_BYTES = 1 << 20
Family = Literal["llama", "qwen2", "qwen3"]
"""As llama.cpp calls the architecture; Mistral's is Llama's."""
FAMILIES: dict[str, Family] = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
_Size = Annotated[int, Meta(ge=1, le=1 << 24)]


class Rope(Struct, kw_only=True):
    """Rotary positions: older files call the kind `type`, newer ones `rope_type`."""

    rope_type: str | None = None
    type: str | None = None
    rope_theta: float | None = None
    factor: float | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None

    @property
    def kind(self) -> str:
        """`default`, `linear`, `llama3` and others."""
        return self.rope_type or self.type or "default"


class Shape(Struct, kw_only=True):
    """The fields of config.json that are used, by their names there."""

    architectures: list[str] | None = None
    hidden_size: _Size
    intermediate_size: _Size
    num_hidden_layers: Annotated[int, Meta(ge=1, le=4096)]
    num_attention_heads: _Size
    num_key_value_heads: _Size | None = None
    head_dim: _Size | None = None
    vocab_size: _Size
    max_position_embeddings: _Size = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float | None = None
    rope_scaling: Rope | None = None
    rope_parameters: Rope | None = None
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    hidden_act: str = "silu"
    sliding_window: int | None = None
    use_sliding_window: bool | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        if self.num_attention_heads % self.kv_heads:
            raise ValueError("num_attention_heads is no multiple of num_key_value_heads")
        if self.width % 2:
            raise ValueError("the width of a head must be even")

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def width(self) -> int:
        """Of a head."""
        return self.head_dim or max(1, self.hidden_size // self.num_attention_heads)

    @property
    def rope(self) -> Rope:
        """Of whichever form the file has."""
        return self.rope_parameters or self.rope_scaling or Rope()

    @property
    def theta(self) -> float:
        """The base of the rotary frequencies."""
        return self.rope.rope_theta or self.rope_theta or 10_000.0

    @property
    def has_bias(self) -> bool:
        """Whether queries, keys and values have one."""
        return self.attention_bias or self.family == "qwen2"

    @property
    def family(self) -> Family:
        """Raises RequestError for an architecture that is not known."""
        name = (self.architectures or ["(none named)"])[0]
        if name not in FAMILIES:
            raise RequestError(
                f"The architecture {name} is not known here; these are: {', '.join(FAMILIES)}.", "model"
            )
        return FAMILIES[name]

    @property
    def layer_parameters(self) -> int:
        """Numbers in the matrices, biases and norms of one layer."""
        q, kv, h = self.num_attention_heads * self.width, self.kv_heads * self.width, self.hidden_size
        attention = h * (q + 2 * kv) + q * h
        biases = (q + 2 * kv if self.has_bias else 0) + (h if self.attention_bias else 0)
        feed_forward = 3 * h * self.intermediate_size
        biases += (2 * self.intermediate_size + h) if self.mlp_bias else 0
        norms = 2 * h + (2 * self.width if self.family == "qwen3" else 0)
        return attention + feed_forward + biases + norms

    @property
    def parameters(self) -> int:
        """Numbers in all tensors; tied embeddings count once."""
        tables = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return tables + self.num_hidden_layers * self.layer_parameters + self.hidden_size


_shapes = Decoder(Shape)


def read_shape(folder: Path) -> Shape:
    """What `config.json` in a folder says. Raises RequestError."""
    path = folder / CONFIG
    try:
        if path.stat().st_size > CONFIG_LIMIT_BYTES:
            raise RequestError(f"'{CONFIG}' is larger than 1 MB.", "model")
        shape = _shapes.decode(path.read_bytes())
    except FileNotFoundError:
        raise RequestError(f"There is no '{CONFIG}'; this is no model's folder.", "model") from None
    except (OSError, DecodeError, ValidationError, RecursionError) as error:
        raise RequestError(f"'{CONFIG}' can't be used: {error}.", "model") from None
    return shape
