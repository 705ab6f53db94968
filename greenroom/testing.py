"""For tests of steps, filters and apps: a model that echoes, exchanges made in a line, text cut anywhere.

Public and shipped, so that a plugin is tested the way Greenroom's own parts are.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

from msgspec.json import encode

from greenroom.contracts import TextFilter
from greenroom.exchange import Caller, Exchange, Reply
from greenroom.gateway.again import reviewers
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.pipeline import App, StepEntry
from greenroom.wire import openai, openai_request

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

__all__ = ["EchoUpstream", "WordEncoder", "chop", "make_app", "make_exchange", "run_filter"]


def make_exchange(
    user: str = "Hello",
    *,
    system: str | None = None,
    stream: bool = False,
    project: str = "default",
    **fields: object,
) -> Exchange:
    """An exchange with one user message, and a system message if given; `fields` go into the body."""
    messages = [{"role": "user", "content": user}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    body = encode({"model": "default", "messages": messages, "stream": stream, **fields})
    caller = Caller(key_id="test", project=project)
    return Exchange("0" * 32, caller, openai_request.parse_chat(body), "default")


class EchoUpstream:
    """Answers with what it was asked, or with `replies` in turn; keeps the bodies it got in `calls`."""

    def __init__(self, replies: Sequence[str] = (), *, size: int = 5) -> None:
        self.calls: list[bytes] = []
        self._replies = list(replies)
        self._size = size

    async def __call__(self, exchange: Exchange) -> Reply:
        """Answer whole, or in pieces of `size` characters."""
        body = openai_request.render_chat(exchange.request)
        self.calls.append(body)
        newest = exchange.request.newest_user
        text = self._replies.pop(0) if self._replies else (newest.value if newest is not None else "")
        if exchange.request.stream:
            pieces = [text[at : at + self._size] for at in range(0, len(text), self._size)]
            return Reply(chunks=stream_of(pieces))
        answer = openai.completion(
            id=exchange.id, created=1, model="echo", content=text, finish_reason="stop", usage=None
        )
        return Reply(body=answer, view=openai.decode_completion(answer))


class WordEncoder:
    """An `Encoder` without a model: texts that share words are near. Keeps what it was given in `calls`."""

    name = "test/words"
    dimensions = 64
    languages = frozenset({"en"})

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> "NDArray[float32]":
        """Counts of words by hash, as unit vectors."""
        import numpy as np  # noqa: PLC0415 - 20 MiB that most tests can do without

        self.calls.append(list(texts))
        found = np.zeros((len(texts), self.dimensions), np.float32)
        for place, text in enumerate(texts):
            for word in text.lower().split() or [""]:
                found[place, crc32(word.encode()) % self.dimensions] += 1
        lengths: NDArray[float32] = np.linalg.norm(found, axis=1, keepdims=True)
        return found / lengths

    def is_known(self, text: str) -> bool:
        """Never: each text is counted anew."""
        return False


async def stream_of(pieces: Iterable[str], *, finish: str | None = "stop") -> AsyncIterator[list[bytes]]:
    """A provider's stream that says `pieces`; without `finish` it ends as a cut one does."""
    writer = openai.ChunkWriter("chatcmpl-echo", 1, "echo")
    yield [writer.delta(0, {"role": "assistant", "content": ""})]
    for piece in pieces:
        yield [writer.content(0, piece)]
    if finish is not None:
        yield [writer.delta(0, {}, finish), b"[DONE]"]


def make_app(upstream: EchoUpstream, steps: Sequence[StepEntry] = (), post: Sequence[PostEntry] = ()) -> App:
    """An app of these steps in front of `upstream`."""
    return App(
        "default", "echo", tuple(steps), tuple(post), upstream, "a test", reviewers=reviewers(tuple(post))
    )


def chop(text: str, cuts: Iterable[int]) -> list[str]:
    """`text` in pieces, cut at these places (taken modulo its length)."""
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]


def run_filter(one: TextFilter, pieces: Iterable[str]) -> str:
    """What comes out of a filter fed with `pieces`. Checks that it holds back no more than it declares."""
    fed = 0
    out: list[str] = []
    for piece in pieces:
        fed += len(piece)
        out.append(one.feed(piece))
    out.append(one.flush())
    return "".join(out)
