"""What a GGUF file on this machine says of its own shape.

Sliding windows stand in the head, but not which layers have them: that is known of the architectures of
`_WINDOWED`. Of others all layers count as full, which is never too little.
"""

from typing import Final

from greenroom.models.catalogue.facts import Shape
from greenroom.models.gguf import Head

_WINDOWED: Final[dict[str, tuple[int, int]]] = {"gemma2": (1, 2), "gemma3": (5, 6), "gpt-oss": (1, 2)}
"""Of so many layers in a row, so many have the window (llama.cpp, llama-model.cpp: set_swa_pattern)."""


def shape_of(head: Head) -> Shape | None:
    """The shape of the model in a file, or None where the head does not say enough."""
    numbers = head.numbers
    layers, hidden = numbers.get("block_count", 0), numbers.get("embedding_length", 0)
    heads = numbers.get("attention.head_count", 0)
    if not (layers > 0 and hidden > 0 and heads > 0 and head.vocabulary):
        return None
    window = numbers.get("attention.sliding_window", 0)
    having, of = _WINDOWED.get(head.architecture, (0, 1))
    latent = numbers.get("attention.kv_lora_rank", 0)
    return Shape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=numbers.get("attention.head_count_kv", heads),
        head_dim=numbers.get("attention.key_length", hidden // heads),
        vocab=head.vocabulary,
        intermediate=numbers.get("expert_feed_forward_length", numbers.get("feed_forward_length", 0)),
        tied=not head.has_output,
        experts=numbers.get("expert_count", 0),
        experts_active=numbers.get("expert_used_count", 0),
        window=window,
        window_layers=layers // of * having + min(layers % of, having) if window > 0 else 0,
        latent=latent,
        rope_dim=numbers.get("rope.dimension_count", 0) if latent else 0,
    )


def active_share(head: Head) -> float:
    """The part of a file that is read for each token: experts that are not asked are not."""
    experts, asked = head.numbers.get("expert_count", 0), head.numbers.get("expert_used_count", 0)
    if experts <= 0 or not 0 < asked <= experts:
        return 1.0
    return 1.0 - head.experts_share * (1 - asked / experts)
