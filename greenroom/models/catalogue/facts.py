"""What is known of a model: facts, each with who says so and since when. Not known is None, never a guess.

Prices are not here: they are the price book's, which has a date of its own.
"""

from collections.abc import Iterator
from datetime import date
from typing import Generic, Literal, TypeVar

from msgspec import Struct

T = TypeVar("T")

Modality = Literal["text", "image", "audio", "video", "pdf"]


class Fact(Struct, Generic[T], frozen=True, array_like=True):
    """A value and where it was read."""

    value: T
    source: str
    """A name among the catalogue's sources."""
    url: str = ""
    """The page itself, where the source is a collection of them."""


class Source(Struct, frozen=True):
    """Where facts were read."""

    title: str
    url: str
    date: str
    """The day on which it was read, or of the edition that was."""


class Shape(Struct, frozen=True, kw_only=True):
    """The sizes of a decoder-only transformer, as its published config.json has them."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    intermediate: int = 0
    """Of the gated feed-forward part, of one expert where there are experts; 0 where it is not known."""
    tied: bool = False
    """Whether the table of embeddings is the output matrix too."""
    experts: int = 0
    experts_active: int = 0
    """Experts asked for each token."""
    window: int = 0
    """Tokens that a layer with a sliding window sees; 0 where there is none."""
    window_layers: int = 0
    """How many layers have that window."""
    latent: int = 0
    """Numbers kept for a token by multi-head latent attention (`kv_lora_rank`); 0 for usual heads."""
    rope_dim: int = 0
    """Numbers kept beside the latent ones (`qk_rope_head_dim`)."""

    @property
    def embedding(self) -> int:
        """Numbers in the table of embeddings."""
        return self.vocab * self.hidden


class Model(Struct, frozen=True, kw_only=True):
    """One model. A hosted one is named `provider/model` as targets are, open weights by their own name."""

    name: str
    kind: Literal["hosted", "open"]
    context: Fact[int] | None = None
    """Tokens of prompt and answer together."""
    max_input: Fact[int] | None = None
    max_output: Fact[int] | None = None
    input: Fact[list[Modality]] | None = None
    tools: Fact[bool] | None = None
    structured_output: Fact[bool] | None = None
    reasoning: Fact[bool] | None = None
    languages: Fact[list[str]] | None = None
    """Codes of ISO 639-1 that its maker names."""
    licence: Fact[str] | None = None
    knowledge: Fact[str] | None = None
    """The month after which it knows nothing."""
    deprecated: Fact[bool] | None = None
    end_of_life: Fact[str] | None = None
    """The day on which its provider ends it."""
    parameters: Fact[int] | None = None
    active_parameters: Fact[int] | None = None
    """Of them, those that are read for each token."""
    shape: Fact[Shape] | None = None
    file_bytes: Fact[dict[str, int]] | None = None
    """Sizes of published GGUF files by quantisation."""

    @property
    def is_open(self) -> bool:
        """Whether the weights can be had."""
        return self.kind == "open"

    @property
    def room(self) -> int | None:
        """How many tokens a prompt may have at most."""
        known = [one.value for one in (self.max_input, self.context) if one is not None]
        return min(known, default=None)

    def is_over(self, day: date) -> bool:
        """Whether its provider has ended it by that day. One without a known day is not."""
        return self.end_of_life is not None and self.end_of_life.value <= day.isoformat()

    def facts(self) -> Iterator[tuple[str, Fact[object] | None]]:
        """All facts by name, the unknown ones as None."""
        for name in self.__struct_fields__[2:]:
            yield name, getattr(self, name)
