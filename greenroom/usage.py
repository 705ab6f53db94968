"""What a call used, and what turns that into money.

Part of the waist; knows msgspec alone.
"""

from typing import Protocol

from msgspec import Struct


class Usage(Struct, kw_only=True):
    """Tokens as billed; `estimated` when we counted, because the provider did not.

    `input_tokens` and `output_tokens` are the sums; all others are parts of them.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    """Read from the provider's cache."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cache_write_tokens: int = 0
    """Written to the provider's cache, `cache_write_1h_tokens` among them."""
    cache_write_1h_tokens: int = 0
    """Written to be kept for an hour."""
    input_audio_tokens: int = 0
    """`cached_audio_tokens` among them."""
    cached_audio_tokens: int = 0
    """Both audio and read from the cache."""
    output_audio_tokens: int = 0
    service_tier: str = ""
    """The tier that the provider says it answered under, where it is not the standard one."""

    @property
    def is_plain(self) -> bool:
        """Whether all of it is text, new or read from the cache."""
        return not (
            self.cache_write_tokens
            or self.input_audio_tokens
            or self.output_audio_tokens
            or self.cached_audio_tokens
        )

    def plus(self, other: "Usage") -> "Usage":
        """Both; the tier stays where they agree on it."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            estimated=self.estimated or other.estimated,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            input_audio_tokens=self.input_audio_tokens + other.input_audio_tokens,
            cached_audio_tokens=self.cached_audio_tokens + other.cached_audio_tokens,
            output_audio_tokens=self.output_audio_tokens + other.output_audio_tokens,
            service_tier=self.service_tier if self.service_tier == other.service_tier else "",
        )


class Pricing(Protocol):
    """What a model's tokens cost; `models.prices.Price` is one. Amounts in nano-dollars."""

    @property
    def context_window(self) -> int | None:
        """How many tokens the model takes in all, where that is known."""
        ...

    def cost_nano(self, usage: Usage, at_s: float | None = None) -> int | None:
        """What a call cost; None where that can't be known."""
        ...

    def worst_nano(self, input_tokens: int, output_tokens: int, *, any_tier: bool = False) -> int:
        """What a call of this size costs at most."""
        ...
