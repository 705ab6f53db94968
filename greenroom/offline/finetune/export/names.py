"""What tensors are called in GGUF, and how llama.cpp wants their rows ordered.

Sources: the names of Hugging Face's Llama, Mistral, Qwen2 and Qwen3, and the list in llama.cpp's
docs/development and gguf's constants.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from greenroom.offline.finetune.shape import Shape

TABLE, OUTPUT, NORM = "token_embd.weight", "output.weight", "output_norm.weight"
ROPE_FACTORS = "rope_freqs.weight"
_WHOLE = {"model.embed_tokens.weight": TABLE, "model.norm.weight": NORM, "lm_head.weight": OUTPUT}
_PARTS = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_LAYER = re.compile(r"model\.layers\.(\d{1,4})\.(.+)\.(weight|bias)")
_COMPUTED = re.compile(r"model\.layers\.\d{1,4}\.self_attn\.rotary_emb\.inv_freq")
"""Some old files hold them; they follow from the shape."""


class Named(NamedTuple):
    """A tensor's name in GGUF."""

    name: str
    heads: int | None
    """Heads whose rows change places, or None."""


def gguf_name(name: str, shape: Shape) -> Named | None:
    """What a tensor is called there; None for one that belongs to none of the known architectures."""
    if name in _WHOLE:
        return Named(_WHOLE[name], None)
    found = _LAYER.fullmatch(name)
    if found is None or found[2] not in _PARTS or int(found[1]) >= shape.num_hidden_layers:
        return None
    part = _PARTS[found[2]]
    heads = {"attn_q": shape.num_attention_heads, "attn_k": shape.kv_heads}.get(part)
    return Named(f"blk.{int(found[1])}.{part}.{found[3]}", heads if shape.family == "llama" else None)


def is_computed(name: str) -> bool:
    """Whether a tensor need not be kept."""
    return _COMPUTED.fullmatch(name) is not None


def expected(shape: Shape) -> set[str]:
    """The names in GGUF without which the model is not whole."""
    parts = ["attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output"]
    parts += ["ffn_gate", "ffn_up", "ffn_down"]
    parts += ["attn_q_norm", "attn_k_norm"] if shape.family == "qwen3" else []
    names = {f"blk.{at}.{part}.weight" for at in range(shape.num_hidden_layers) for part in parts}
    if shape.has_bias:
        biased = ("attn_q", "attn_k", "attn_v")
        names |= {f"blk.{at}.{part}.bias" for at in range(shape.num_hidden_layers) for part in biased}
    return names | {TABLE, NORM} | (set() if shape.tie_word_embeddings else {OUTPUT})


def sizes(name: str, shape: Shape) -> tuple[int, ...]:
    """The rows and columns that a tensor of GGUF has by config.json."""
    hidden, inner, width = shape.hidden_size, shape.intermediate_size, shape.width
    q, kv = shape.num_attention_heads * width, shape.kv_heads * width
    if name in {TABLE, OUTPUT}:
        return (shape.vocab_size, hidden)
    part, _, kind = name.removeprefix("blk.").partition(".")[2].rpartition(".")
    matrices = {
        "attn_q": (q, hidden), "attn_k": (kv, hidden), "attn_v": (kv, hidden), "attn_output": (hidden, q),
        "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden), "ffn_down": (hidden, inner),
    }  # fmt: skip
    if part in matrices:
        return matrices[part] if kind == "weight" else matrices[part][:1]
    return (width,) if part in {"attn_q_norm", "attn_k_norm"} else (hidden,)


def reordered(values: NDArray[np.generic], heads: int) -> NDArray[np.generic]:
    """Rows of queries or keys, heads × width, in llama.cpp's order for Llama.

    Hugging Face rotates row i of a head with row i + width/2, llama.cpp rows 2i and 2i + 1.
    """
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)
