"""A whole, tiny model's folder without torch: zeros for weights."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "vocab_size": 12, "tie_word_embeddings": True,
}  # fmt: skip
SHAPES: dict[str, tuple[int, ...]] = {
    "model.embed_tokens.weight": (12, 8),
    "model.norm.weight": (8,),
    **{f"model.layers.0.self_attn.{one}_proj.weight": (8, 8) for one in "qkvo"},
    **{f"model.layers.0.mlp.{one}_proj.weight": (16, 8) for one in ("gate", "up")},
    "model.layers.0.mlp.down_proj.weight": (8, 16),
    "model.layers.0.input_layernorm.weight": (8,),
    "model.layers.0.post_attention_layernorm.weight": (8,),
}


def safetensors(head: Mapping[str, Any] | bytes, data: bytes) -> bytes:
    """A file of that head, right or wrong."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data


def head_of(
    shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32", width: int = 4
) -> tuple[dict[str, Any], int]:
    """The head, and how many bytes follow it."""
    at, head = 0, {}
    for name, shape in shapes.items():
        size = width
        for one in shape:
            size *= one
        head[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return head, at


def write(folder: Path) -> Path:
    """All that a base needs."""
    folder.mkdir(parents=True)
    head, size = head_of(SHAPES)
    (folder / "model.safetensors").write_bytes(
        safetensors({"__metadata__": {"format": "pt"}, **head}, bytes(size))
    )
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    return folder
