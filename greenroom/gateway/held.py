"""An answer taken to its end before anybody sees it, and what it costs even if nobody does.

What reviews answers and what compares several of them share this. Knows the chat dialect, no step.
"""

from collections.abc import AsyncIterator, Sequence

from msgspec import DecodeError, ValidationError

from greenroom.errors import UpstreamDisconnected, UpstreamProtocol, UpstreamRefused
from greenroom.exchange import Attempt, Exchange, Reply
from greenroom.usage import Usage
from greenroom.wire import openai
from greenroom.wire.openai import (
    Chunk,
    Completion,
    ReplyChoice,
    ReplyMessage,
    ToolCall,
    ToolFunction,
    WireUsage,
)

_MOST_BYTES = 16 * 1024 * 1024
"""Of one answer that is held."""


def paid_for(exchange: Exchange, reply: Reply) -> Attempt:
    """The attempt that gave an answer, with what has to be paid for it even if it is not given."""
    view = view_of(reply)
    usage = openai.read_usage(view.usage, view.service_tier)
    if usage is None:
        said = sum(
            len(choice.message.content or "")
            + sum(len(call.function.arguments) for call in choice.message.tool_calls or () if call.function)
            for choice in view.choices
        )
        asked = len(exchange.sent or exchange.request.raw)
        usage = Usage(input_tokens=asked // 4 + 1, output_tokens=(said + 3) // 4, estimated=True)
    price = exchange.context.get("price")
    cost: int | None = 0 if exchange.target == "greenroom/reader" else None
    if price is not None:
        cost = price.cost_nano(usage)  # type: ignore[attr-defined]  # models' Price
    answered = (one for one in reversed(exchange.attempts) if one.error is None and one.usage is None)
    attempt = next(answered, None)
    if attempt is None:
        attempt = Attempt(target=exchange.target or "", status=200)
        exchange.attempts.append(attempt)
    attempt.usage, attempt.cost_nano_usd = usage, cost
    return attempt


async def held(reply: Reply) -> Reply:
    """A streamed answer, taken to its end: `chunks` gives its pieces once more, `view` is it as a whole."""
    assert reply.chunks is not None
    payloads = list(reply.first)
    size = sum(map(len, payloads))
    try:
        async for batch in reply.chunks:
            payloads += batch
            size += sum(map(len, batch))
            if size > _MOST_BYTES:
                raise UpstreamProtocol(f"The answer is larger than {_MOST_BYTES >> 20} MiB.")
    finally:
        if reply.close is not None:
            reply.close()
    try:
        view = _assembled([openai.decode_chunk(one) for one in payloads if one != b"[DONE]"])
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("The stream holds an event that is not a chunk.") from None
    return Reply(body=openai.encode(view), chunks=_replayed(payloads), view=view, status=reply.status)


async def _replayed(payloads: list[bytes]) -> AsyncIterator[list[bytes]]:
    yield payloads


def _assembled(chunks: Sequence[Chunk]) -> Completion:
    choices: dict[int, ReplyChoice] = {}
    texts: dict[int, list[str]] = {}
    calls: dict[tuple[int, int], tuple[ToolCall, list[str]]] = {}
    usage: WireUsage | None = None
    tier: str | None = None
    for chunk in chunks:
        if chunk.is_error:
            raise UpstreamRefused("The provider sent an error inside its stream.", upstream_status=502)
        usage = chunk.usage or usage
        tier = chunk.service_tier or tier
        for one in chunk.choices:
            choice = choices.setdefault(one.index, ReplyChoice(ReplyMessage(), one.index))
            choice.finish_reason = one.finish_reason or choice.finish_reason
            if one.delta is None:
                continue
            if one.delta.content:
                texts.setdefault(one.index, []).append(one.delta.content)
            for piece in one.delta.tool_calls or ():
                new = ToolCall(function=ToolFunction()), list[str]()
                call, arguments = calls.setdefault((one.index, piece.index), new)
                call.id = piece.id or call.id
                if piece.function is not None and call.function is not None:
                    call.function.name = piece.function.name or call.function.name
                    arguments.append(piece.function.arguments or "")
    if not choices or any(choice.finish_reason is None for choice in choices.values()):
        raise UpstreamDisconnected("The provider's stream ended without its proper end.")
    for index, pieces in texts.items():
        choices[index].message.content = "".join(pieces)
    for (index, _), (call, arguments) in sorted(calls.items(), key=lambda item: item[0]):
        message = choices[index].message
        assert call.function is not None
        call.function.arguments = "".join(arguments)
        message.tool_calls = [*(message.tool_calls or ()), call]
    return Completion([choice for _, choice in sorted(choices.items())], usage, service_tier=tier)


def view_of(reply: Reply) -> Completion:
    """A whole answer, decoded."""
    assert isinstance(reply.view, Completion)
    return reply.view
