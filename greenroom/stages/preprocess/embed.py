"""`embed`: the newest user text as a vector, for whoever asks for it later in the same exchange.

Nothing is computed until then: search, memory, cache and checks share the one vector. Knows an encoder by
contract; without one (the extra `embed` is not installed) the step has nothing to hand out.
"""

import asyncio
from time import perf_counter_ns
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from greenroom.contracts import Encoder, StepConfig
from greenroom.exchange import Exchange, Reply, Stage, StepRecord

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


class EmbedConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.embed]: the vector of the newest user text."""

    characters: Annotated[int, Meta(ge=100, le=20_000)] = 1_000
    """Of a longer text the first and last half of so many count: a vector of many thoughts says little."""


class Embed:
    """Puts a `NewestVector` into `exchange.context["embed"]`. With mode "observe" makes it and keeps it."""

    name = "embed"
    stage: Stage = "preprocess"

    def __init__(self, config: EmbedConfig, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._characters = config.characters
        self._hands_out = config.mode != "observe"

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """A microsecond; the first that asks for the vector waits about 5 ms."""
        encoder, newest = self._encoder, exchange.request.newest_user
        if encoder is None or newest is None:
            if exchange.inspect and encoder is None:
                exchange.steps[-1].notes["missing"] = "pip install onnxruntime tokenizers"
            return None
        made = Newest(encoder, newest.value, self._characters, exchange.steps[-1])
        if self._hands_out:
            exchange.context["embed"] = made
        else:
            await made.vector()
        return None


class Newest:
    """The newest user text of one exchange; see `contracts.NewestVector`."""

    __slots__ = ("_characters", "_guard", "_record", "_text", "_vector", "encoder")

    def __init__(self, encoder: Encoder, text: str, characters: int, record: StepRecord) -> None:
        self.encoder = encoder
        self._text = text
        self._characters = characters
        self._record = record
        self._vector: NDArray[float32] | None = None
        self._guard: asyncio.Lock | None = None
        """Protects `_vector`: two that ask at once wait for the same one."""

    async def vector(self) -> "NDArray[float32]":
        """The vector; the first time it is noted in the step's record how it came about."""
        if self._guard is None:
            self._guard = asyncio.Lock()
        async with self._guard:
            if self._vector is None:
                is_known = self.encoder.is_known(self._cut(self._text))
                began = perf_counter_ns()
                self._vector = await self.of(self._text)
                self._record.notes.update(
                    model=self.encoder.name,
                    dimensions=self.encoder.dimensions,
                    ms=round((perf_counter_ns() - began) / 1e6, 3),
                    cached=is_known,
                )
            return self._vector

    async def of(self, text: str) -> "NDArray[float32]":
        """The vector of another text, cut as the newest is."""
        found = await asyncio.to_thread(self.encoder.encode, [self._cut(text)])
        first: NDArray[float32] = found[0]
        return first

    def _cut(self, text: str) -> str:
        if len(text) <= self._characters:
            return text
        half = self._characters // 2
        return f"{text[:half]} {text[-half:]}"
