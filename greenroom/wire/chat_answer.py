"""A chat answer written from another dialect: whole, or piece by piece.

Sans-io. Knows chat completions only; codecs say what the model said.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.json import Encoder

_encode = Encoder().encode
MAX_USAGE_TOKENS: Final = 100_000_000
"""A count above this is a fault of the sender, as a negative one is: our own count is used then."""


class Said(Struct):
    """One choice of a whole answer; `finish` is OpenAI's, `native` the provider's where that says more."""

    finish: str
    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, object]] = []
    refusal: str | None = None
    blocks: list[dict[str, object]] = []
    """`thinking_blocks`, where they are wanted."""
    extra: dict[str, object] | None = None
    """`extra_content`: what the provider wants back with this message."""
    native: str | None = None
    index: int = 0

    def choice(self) -> dict[str, object]:
        """As it stands in `choices`."""
        message: dict[str, object] = {
            "role": "assistant",
            "content": self.text if self.text or not (self.calls or self.refusal) else None,
            "refusal": self.refusal,
        }
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.blocks:
            message["thinking_blocks"] = self.blocks
        if self.calls:
            message["tool_calls"] = self.calls
        if self.extra:
            message["extra_content"] = self.extra
        choice: dict[str, object] = {
            "index": self.index,
            "message": message,
            "logprobs": None,
            "finish_reason": self.finish,
        }
        if self.native:
            choice["native_finish_reason"] = self.native
        return choice


def whole(
    said: Sequence[Said], *, id: str, created: int, asked: str, usage: dict[str, object] | None
) -> bytes:
    """A `chat.completion`; usage that is not known is left out."""
    completion: dict[str, object] = {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": asked,
        "choices": [one.choice() for one in said],
    }
    if usage is not None:
        completion["usage"] = usage
    return _encode(completion)


def call(id: str, name: str, arguments: str, extra: dict[str, object] | None = None) -> dict[str, object]:
    """An element of `tool_calls`."""
    made: dict[str, object] = {
        "id": id, "type": "function", "function": {"name": name, "arguments": arguments}
    }  # fmt: skip
    if extra:
        made["extra_content"] = extra
    return made


class Pieces:
    """Writes `chat.completion.chunk` objects with one head."""

    __slots__ = ("_head",)

    def __init__(self, id: str, created: int, asked: str) -> None:
        head = _encode({"id": id, "object": "chat.completion.chunk", "created": created, "model": asked})
        self._head = head[:-1] + b',"choices":['

    def delta(
        self,
        delta: dict[str, object],
        finish: str | None = None,
        *,
        index: int = 0,
        native: str | None = None,
    ) -> bytes:
        """A piece of one choice."""
        own = b',"native_finish_reason":%b' % _encode(native) if native else b""
        return b'%b{"index":%d,"delta":%b,"finish_reason":%b%b}]}' % (
            self._head, index, _encode(delta), _encode(finish), own,
        )  # fmt: skip

    def text(self, text: str, *, index: int = 0) -> bytes:
        """A piece of prose."""
        return b'%b{"index":%d,"delta":{"content":%b},"finish_reason":null}]}' % (
            self._head, index, _encode(text),
        )  # fmt: skip

    def usage(self, usage: dict[str, object]) -> bytes:
        """The piece without choices that carries the counts."""
        return b'%b],"usage":%b}' % (self._head, _encode(usage))


def usage_of(
    prompt: int | None, completion: int | None, *, cached: int = 0, written: int = 0, written_1h: int = 0,
    reasoning: int = 0, audio_in: int = 0, audio_out: int = 0, cached_audio: int = 0,
) -> dict[str, object] | None:  # fmt: skip
    """`usage`; None where counts are missing or cannot be true.

    `prompt` counts all input tokens, those read from and written to a cache among them; `completion` all
    output tokens, reasoning among them.
    """
    if prompt is None or completion is None:
        return None
    counts = (prompt, completion, cached, written, written_1h, reasoning, audio_in, audio_out, cached_audio)
    if min(counts) < 0 or max(counts) > MAX_USAGE_TOKENS:
        return None
    of_prompt = {"cached_tokens": min(cached, prompt), "audio_tokens": min(audio_in, prompt)}
    if cached_audio:
        of_prompt["cached_audio_tokens"] = min(cached_audio, cached, audio_in)
    if written:
        of_prompt["cache_write_tokens"] = written
    if written_1h:
        of_prompt["cache_write_1h_tokens"] = written_1h
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": of_prompt,
        "completion_tokens_details": {
            "reasoning_tokens": min(reasoning, completion),
            "audio_tokens": min(audio_out, completion),
        },
    }
