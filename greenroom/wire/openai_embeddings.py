"""The OpenAI dialect of `/v1/embeddings`: requests in, vectors out.

Sans-io. Vectors are little-endian 32-bit floats on their way through; what a provider answers leaves as it
came.
"""

from base64 import b64encode
from collections.abc import Sequence
from struct import unpack
from typing import Annotated, Any, Literal

from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest
from greenroom.wire.openai import encode
from greenroom.wire.openai_request import malformed
from greenroom.wire.repeated_keys import refuse_repeated_keys

MOST_INPUTS = 2048


class _Body(Struct):
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    input: str | list[Any]  # Any: strings, numbers or lists of numbers, told apart below
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None


class EmbeddingRequest(Struct):
    """What is asked: `texts` in order, or `tokens` where they came as numbers of tokens."""

    raw: bytes
    model: str
    texts: list[str]
    tokens: int = 0
    """How many numbers came instead of texts."""
    inputs: int = 0
    """How many vectors are asked for."""
    is_base64: bool = False
    dimensions: int | None = None
    user: str | None = None


_body = Decoder(_Body)
_fields = Decoder(dict[str, Raw])


class _Usage(Struct):
    prompt_tokens: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


class Answer(Struct):
    """What we read of a provider's answer."""

    data: list[Raw]
    usage: _Usage | None = None


_answer = Decoder(Answer)
decode_answer = _answer.decode


def parse_embeddings(raw: bytes) -> EmbeddingRequest:
    """Read a body. Raises MalformedRequest naming the field."""
    try:
        body = _body.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw) from None
    refuse_repeated_keys(raw)
    texts, tokens, inputs = _inputs(body.input)
    return EmbeddingRequest(
        raw, body.model, texts, tokens, inputs, body.encoding_format == "base64", body.dimensions, body.user
    )


def _inputs(given: str | list[Any]) -> tuple[list[str], int, int]:
    """The texts, or how many numbers of tokens there are, and how many inputs they make."""
    if isinstance(given, str):
        given = [given]
    are_tokens = all(type(one) is int for one in given)
    if not given or (len(given) > MOST_INPUTS and not are_tokens):
        raise MalformedRequest(f"'input' must hold between 1 and {MOST_INPUTS} texts.", "input")
    if all(isinstance(one, str) for one in given):
        if not all(given):
            raise MalformedRequest("'input' holds an empty text.", "input")
        return given, 0, len(given)
    lists = [given] if are_tokens else given
    if all(isinstance(one, list) and one and all(type(number) is int for number in one) for one in lists):
        return [], sum(map(len, lists)), len(lists)
    raise MalformedRequest(
        "'input' must be a text, a list of texts, a list of token numbers, or a list of such lists.", "input"
    )


def render_embeddings(request: EmbeddingRequest, model: str) -> bytes:
    """The body for a provider: as it came, with its own name of the model.

    Fields that are null, which some providers refuse, are left out.
    """
    if model == request.model and request.raw.find(b"null") < 0:
        return request.raw
    fields = {name: value for name, value in _fields.decode(request.raw).items() if bytes(value) != b"null"}
    return encode(fields | {"model": Raw(encode(model))})


def embeddings(vectors: Sequence[bytes], *, model: str, tokens: int, is_base64: bool) -> bytes:
    """An answer; each vector as little-endian 32-bit floats."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": b64encode(one).decode() if is_base64 else unpack(f"<{len(one) // 4}f", one),
        }
        for index, one in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return encode({"object": "list", "data": data, "model": model, "usage": usage})


def summary(request: EmbeddingRequest) -> bytes:
    """What the record keeps of a request: how much was asked for, and never the texts.

    Texts to embed are documents by the hundred; nobody reads them in a record, and no check has seen them.
    """
    kept = {
        "model": request.model,
        "inputs": len(request.texts) or None,
        "characters": sum(map(len, request.texts)),
        "tokens": request.tokens,
        "dimensions": request.dimensions,
    }
    return encode({key: value for key, value in kept.items() if value})
