"""Embeddings at Gemini: bodies of `/v1/embeddings` to `batchEmbedContents`, and its answers back.

Sans-io. Gemini says no counts, so they are estimated.
"""

import struct

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.errors import RequestError, UpstreamProtocol
from greenroom.wire.openai import encode
from greenroom.wire.openai_embeddings import EmbeddingRequest, embeddings


class _Vector(Struct):
    values: list[float]


class _Answer(Struct):
    embeddings: list[_Vector]


_answer = Decoder(_Answer)


def to_batch(request: EmbeddingRequest, model: str) -> bytes:
    """A body for `batchEmbedContents`. Raises RequestError for token numbers, which Gemini does not take."""
    if request.tokens:
        raise RequestError(
            "Gemini takes texts: token numbers are those of another model's tokenizer.", "input"
        )
    extra = {"outputDimensionality": request.dimensions} if request.dimensions else {}
    return encode(
        {
            "requests": [
                {"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **extra}
                for text in request.texts
            ]
        }
    )


def from_batch(data: bytes, request: EmbeddingRequest, model: str) -> bytes:
    """The answer in OpenAI's form. Raises UpstreamProtocol unless there is a vector for each text."""
    try:
        vectors = [
            struct.pack(f"<{len(one.values)}f", *one.values) for one in _answer.decode(data).embeddings
        ]
    except (DecodeError, UnicodeDecodeError, RecursionError, struct.error, OverflowError):
        raise UpstreamProtocol("The provider's answer is not a list of embeddings.") from None
    if len(vectors) != len(request.texts):
        raise UpstreamProtocol("The provider's answer has not one vector for each text.")
    tokens = sum(map(len, request.texts)) // 4 + 1
    return embeddings(vectors, model=model, tokens=tokens, is_base64=request.is_base64)
