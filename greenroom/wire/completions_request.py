"""Bodies of `/v1/completions`, the legacy dialect: each prompt becomes a chat body with one message.

Sans-io. What a chat can't do is refused or named; fields that are not known here go through as they came.
"""

from typing import Annotated, Any, Final, NamedTuple

from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest
from greenroom.wire.openai import encode
from greenroom.wire.openai_request import malformed
from greenroom.wire.repeated_keys import refuse_repeated_keys

MOST_PROMPTS = 128
DEFAULT_TOKENS = 16
"""How long an answer may be where nobody says, as at OpenAI."""
_READ: Final = frozenset({"prompt", "best_of", "echo", "logprobs", "max_tokens", "n", "stream_options"})
"""Fields that are said in another way to a chat model."""
_NOT_CARRIED: Final = frozenset(
    {
        "suffix", "messages", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls",
        "functions", "function_call", "modalities", "audio",
    }
)  # fmt: skip
"""Fields that have no meaning for the completion of a text, or that no chat model can obey."""


class _Body(Struct):
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    prompt: str | list[Any] | None = None  # Any: texts, or numbers of tokens, which are told apart to say so
    best_of: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: "_StreamOptions | None" = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class Asked(NamedTuple):
    """What is asked for: a chat body for each prompt, and how their answers are put together."""

    chats: list[bytes]
    prompts: list[str]
    n: int
    """Choices to give for each prompt."""
    is_ranked: bool
    """Whether more choices are asked for than are given: the likeliest ones."""
    echo: bool
    logprobs: int | None
    """How many alternatives to each token are wanted; None: not even the tokens."""
    include_usage: bool
    dropped: list[str]


_body = Decoder(_Body)
_fields = Decoder(dict[str, Raw])


def read_completions(raw: bytes) -> Asked:
    """Read a body. Raises MalformedRequest naming the field."""
    try:
        body = _body.decode(raw)
        fields = _fields.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw) from None
    refuse_repeated_keys(raw)
    prompts = _prompts(body.prompt)
    n = body.n or 1
    tried = _tried(body, n)
    given = {name: value for name, value in fields.items() if bytes(value) != b"null"}
    chat: dict[str, object] = {
        name: value for name, value in given.items() if name not in _READ and name not in _NOT_CARRIED
    }
    chat["max_completion_tokens"] = DEFAULT_TOKENS if body.max_tokens is None else body.max_tokens
    if tried > 1:
        chat["n"] = tried
    if body.logprobs is not None or tried > n:
        chat["logprobs"] = True
        if body.logprobs:
            chat["top_logprobs"] = body.logprobs
    return Asked(
        [encode({**chat, "messages": [{"role": "user", "content": one}]}) for one in prompts],
        prompts,
        n,
        tried > n,
        bool(body.echo),
        body.logprobs,
        bool(body.stream and body.stream_options and body.stream_options.include_usage),
        [name for name in given if name in _NOT_CARRIED],
    )


def _prompts(given: str | list[Any] | None) -> list[str]:
    if given is None:
        raise MalformedRequest("'prompt' is missing: which text is to be completed?", "prompt")
    prompts = [given] if isinstance(given, str) else given
    if not prompts or len(prompts) > MOST_PROMPTS:
        raise MalformedRequest(f"'prompt' must hold between 1 and {MOST_PROMPTS} texts.", "prompt")
    if any(isinstance(one, int | list) for one in prompts):
        raise MalformedRequest(
            "'prompt' holds token numbers, which are those of one model's tokenizer: send the text itself.",
            "prompt",
        )
    if not all(isinstance(one, str) for one in prompts):
        raise MalformedRequest("'prompt' must be a text or a list of texts.", "prompt")
    if not all(prompts):
        raise MalformedRequest("'prompt' holds an empty text: there is nothing to complete.", "prompt")
    return prompts


def _tried(body: _Body, n: int) -> int:
    """How many choices the model makes for a prompt."""
    if body.max_tokens == 0:
        raise MalformedRequest(
            "'max_tokens' must be at least 1: a chat model answers a prompt, it does not score one.",
            "max_tokens",
        )
    best_of = body.best_of or n
    if best_of < n:
        raise MalformedRequest(f"'best_of' must be at least 'n', which is {n}.", "best_of")
    if best_of > n and body.stream:
        raise MalformedRequest(
            "'best_of' can't be streamed: which answer is best is known when all of them are there.",
            "best_of",
        )
    return best_of
