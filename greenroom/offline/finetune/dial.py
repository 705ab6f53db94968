"""The one dial of a model from nothing: from its number of layers follow width, heads, vocabulary and steps.

Knows no torch: the estimate before a run and the run itself both ask here.
"""

from typing import NamedTuple

WIDTH_PER_LAYER = 32
"""Half of nanochat's 64: on a processor narrow models learn more in the same time."""
HEAD_WIDTH = 32
VOCABULARY_PER_LAYER = 512
VOCABULARY_MOST = 32_768
SEQUENCE = 256
SEQUENCES_OF_A_STEP = 8
TOKENS_PER_PARAMETER = 20
"""Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022."""
TIMES_OVER = 4
"""As often as a text may be read again before that stops helping: Muennighoff et al., "Scaling
Data-Constrained Language Models", NeurIPS 2023."""


class Dial(NamedTuple):
    """A Llama-shaped model, by its numbers. Embeddings are tied."""

    layers: int
    width: int
    heads: int
    inner: int
    """Of the gated feed-forward part."""
    vocabulary: int
    """At most: a short text yields fewer tokens."""

    def parameters(self, vocabulary: int | None = None) -> int:
        """Weights in all."""
        layer = 4 * self.width**2 + 3 * self.width * self.inner + 2 * self.width
        return (
            (self.vocabulary if vocabulary is None else vocabulary) * self.width
            + self.layers * layer
            + self.width
        )


def dial(size: int) -> Dial:
    """The model of `size` layers, 1 to 32: 0.09 M to 0.4 G parameters; 4 is 1 M, 12 is 24 M."""
    width = WIDTH_PER_LAYER * max(size, 2)
    inner = (
        -(-width * 8 // 3 // 32) * 32
    )  # two thirds of four times the width, as in Llama, in whole blocks of GGUF
    return Dial(
        layers=size,
        width=width,
        heads=width // HEAD_WIDTH,
        inner=inner,
        vocabulary=min(VOCABULARY_PER_LAYER * size, VOCABULARY_MOST),
    )


def first_steps(parameters: int, text_tokens: int) -> int:
    """Steps of the part before the rows: what the model can hold or the text can give, whichever is less."""
    tokens = min(TOKENS_PER_PARAMETER * parameters, TIMES_OVER * text_tokens)
    return max(1, round(tokens / (SEQUENCE * SEQUENCES_OF_A_STEP)))


def first_spread(width: int) -> float:
    """Standard deviation of the first weights: GPT-2's 0.02 at a width of 768, against the root of the width.

    Narrow models need it: with 0.02 at a width of 64 the built-in task took three times the steps.
    """
    return float(0.02 * (768 / width) ** 0.5)


def first_rate(width: int) -> float:
    """The highest learning rate from nothing: against the width, 6e-4 at 768 as GPT-3's smallest."""
    return 6e-4 * 768 / width
