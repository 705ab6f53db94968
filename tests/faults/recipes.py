"""What a scripted peer does, step by step, and ready-made answers in OpenAI's and Anthropic's dialects.

A recipe is a list of actions. Data only: `upstream.py` acts on it.
"""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Head:
    """The status line and headers, as written; `framing` adds what the body then follows."""

    status: int = 200
    reason: str = "OK"
    headers: tuple[tuple[str, str], ...] = ()
    framing: str = ""
    """"chunked", "close", a length in digits, or nothing."""
    version: str = "HTTP/1.1"


@dataclass(frozen=True)
class Send:
    """These bytes, as they are."""

    data: bytes


@dataclass(frozen=True)
class Chunk:
    """These bytes as one HTTP chunk."""

    data: bytes


@dataclass(frozen=True)
class LastChunk:
    """The chunk that ends a chunked body."""


@dataclass(frozen=True)
class Wait:
    """Nothing for so long; ends early when the peer leaves."""

    seconds: float


@dataclass(frozen=True)
class Drip:
    """These bytes, `size` at a time, `every_s` apart."""

    data: bytes
    every_s: float = 0.05
    size: int = 1


@dataclass(frozen=True)
class Flood:
    """The same bytes again and again, waiting whenever the peer does not read."""

    data: bytes
    times: int


@dataclass(frozen=True)
class Stall:
    """Silence until the peer leaves."""


@dataclass(frozen=True)
class Fin:
    """End the connection in an orderly way."""


@dataclass(frozen=True)
class Reset:
    """Cut the connection with RST."""


Action = Head | Send | Chunk | LastChunk | Wait | Drip | Flood | Stall | Fin | Reset


@dataclass(frozen=True)
class Recipe:
    """What one request gets. With `early` it begins once the model's name was read, before the body is whole."""

    actions: tuple[Action, ...]
    early: bool = False
    keep_alive: bool = field(default=True)
    """Whether the connection takes another request after a recipe that did not end it."""


def recipe(*actions: Action, early: bool = False) -> Recipe:
    """A recipe of these actions."""
    return Recipe(actions, early=early)


def whole(
    body: bytes,
    *,
    status: int = 200,
    reason: str = "OK",
    content_type: str = "application/json",
    headers: Sequence[tuple[str, str]] = (),
    announced: int | None = None,
) -> Recipe:
    """One whole answer; `announced` is a Content-Length that may be a lie."""
    length = len(body) if announced is None else announced
    head = Head(status, reason, (("Content-Type", content_type), *headers), framing=str(length))
    return Recipe((head, Send(body)))


def error(
    status: int, message: str = "scripted", *, code: str = "scripted", headers: Sequence[tuple[str, str]] = ()
) -> Recipe:
    """A provider's error in OpenAI's envelope."""
    body = json.dumps({"error": {"message": message, "type": "server_error", "param": None, "code": code}})
    return whole(body.encode(), status=status, reason="Scripted", headers=headers)


def compressed(body: bytes, how: str = "gzip", *, broken: bool = False) -> Recipe:
    """A whole answer sent compressed ("gzip" or "deflate"), with a wrong checksum when `broken`."""
    packed = gzip.compress(body) if how == "gzip" else zlib.compress(body)
    if broken:
        packed = packed[:-5] + bytes([packed[-5] ^ 0xFF]) + packed[-4:]
    return whole(packed, headers=[("Content-Encoding", how)])


def bomb(size_bytes: int) -> Recipe:
    """A gzip body that grows about a thousandfold to `size_bytes` of spaces inside a JSON answer."""
    head, tail = openai_reply("x").split(b'"x"')
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(head + b'"x')]
    block = b" " * 1_000_000
    pieces += [packer.compress(block) for _ in range(size_bytes // len(block))]
    pieces += [packer.compress(b'"' + tail), packer.flush()]
    return whole(b"".join(pieces), headers=[("Content-Encoding", "gzip")])


def streamed(
    events: Sequence[bytes], *, pace_s: float = 0.0, then: Sequence[Action] = (LastChunk(),)
) -> Recipe:
    """An SSE answer, one chunk per event, and how it ends."""
    head = Head(headers=(("Content-Type", "text/event-stream"),), framing="chunked")
    actions: list[Action] = [head]
    for number, event in enumerate(events):
        if pace_s and number:
            actions.append(Wait(pace_s))
        actions.append(Chunk(event))
    return Recipe((*actions, *then))


def openai_reply(text: str = "Good morning.", model: str = "scripted") -> bytes:
    """A chat completion with usage."""
    return json.dumps(
        {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        },
        ensure_ascii=False,
    ).encode()


def openai_events(
    pieces: Sequence[str] = ("Good", " morning", "."),
    *,
    finish: str | None = "stop",
    usage: bool = True,
    done: bool = True,
) -> list[bytes]:
    """The events of a streamed chat completion; leave off any part of its proper end."""

    def event(choices: list[dict[str, object]], **more: object) -> bytes:
        chunk = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "scripted",
            "choices": choices,
            **more,
        }
        return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"

    events = []
    for number, piece in enumerate(pieces):
        delta = {"role": "assistant", "content": piece} if number == 0 else {"content": piece}
        events.append(event([{"index": 0, "delta": delta, "finish_reason": None}]))
    if finish is not None:
        events.append(event([{"index": 0, "delta": {}, "finish_reason": finish}]))
    if usage:
        events.append(event([], usage={"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}))
    if done:
        events.append(b"data: [DONE]\n\n")
    return events


def anthropic_reply(text: str = "Good morning.") -> bytes:
    """A message with usage."""
    return json.dumps(
        {
            "id": "msg_scripted",
            "type": "message",
            "role": "assistant",
            "model": "scripted",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 7},
        },
        ensure_ascii=False,
    ).encode()


def anthropic_events(pieces: Sequence[str] = ("Good", " morning", "."), *, stop: bool = True) -> list[bytes]:
    """The events of a streamed message; without `stop` it lacks its message_stop."""

    def event(kind: str, **more: object) -> bytes:
        data = json.dumps({"type": kind, **more}, ensure_ascii=False)
        return f"event: {kind}\ndata: {data}\n\n".encode()

    message = json.loads(anthropic_reply(""))
    message |= {"content": [], "stop_reason": None, "usage": {"input_tokens": 11, "output_tokens": 1}}
    events = [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ]
    events += [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in pieces
    ]
    events.append(event("content_block_stop", index=0))
    events.append(
        event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 7},
        )
    )
    if stop:
        events.append(event("message_stop"))
    return events


def default_recipe(path: str, *, stream: bool) -> Recipe:
    """A good answer in the dialect of the route."""
    if path.rstrip("/").endswith("/messages"):
        return streamed(anthropic_events()) if stream else whole(anthropic_reply())
    return streamed(openai_events()) if stream else whole(openai_reply())
