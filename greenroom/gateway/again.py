"""The model asked, and asked again when a step finds its whole answer wanting.

Knows the contract of reviewers; which step asks, and for what, is theirs. A streamed answer that is to be
reviewed is held to its end, so that nothing of a rejected one reaches the client. All answers are paid for:
what those cost that were not given stands in their attempts, and is added to the exchange when it is settled.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from msgspec import DecodeError, ValidationError

from greenroom.contracts import Again, Reviewer
from greenroom.errors import (
    GreenroomError,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.exchange import Attempt, Exchange, Reply, Usage
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.pipeline import ASKED_AGAIN, App, Postprocess, finish_whole, model_of
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


class _Answered(NamedTuple):
    """One answer, what is wrong with it, who gave it, and what it cost."""

    reply: Reply
    again: Again
    target: str | None
    price: object
    attempt: Attempt


_FINE = Again("", 0)


def reviewers(post: Sequence[PostEntry]) -> tuple[Reviewer, ...]:
    """Those postprocess steps that review whole answers, in order."""
    found: list[Reviewer] = []
    for entry in post:
        step: object = entry.step
        if hasattr(step, "review"):
            found.append(step)  # type: ignore[arg-type]  # a Reviewer by its methods
    return tuple(found)


async def ask(exchange: Exchange, app: App) -> tuple[Reply, GreenroomError | None]:
    """The model's answer, and what is to be raised instead of giving it.

    Raises GreenroomError where the first call fails; when asking again fails, the answer before it counts.
    """
    reviewing = app.reviewers
    if not reviewing:
        return await model_of(exchange, app)(exchange), None
    awaiting = [one for one in reviewing if one.awaits(exchange, calls_tool=False)]
    reply = await model_of(exchange, app)(exchange)
    if not awaiting:
        if exchange.request.has_tools and _calls_tool(reply):
            awaiting = [one for one in reviewing if one.awaits(exchange, calls_tool=True)]
        if not awaiting:
            return reply, None
    return await _reviewed(exchange, app, awaiting, reply)


async def _reviewed(
    exchange: Exchange, app: App, awaiting: Sequence[Reviewer], reply: Reply
) -> tuple[Reply, GreenroomError | None]:
    request, context = exchange.request, exchange.context
    added = list(request.added)
    given: list[_Answered] = []
    try:
        while True:
            if reply.chunks is not None:
                reply = await _held(reply)
            attempt = _paid_for(exchange, reply)
            step, again = await _review(exchange, awaiting, _view(reply).choices, len(given))
            given.append(_Answered(reply, again, exchange.target, context.pop("price", None), attempt))
            if not again.messages:
                break
            _look_over(exchange, app, reply)
            asked = context.setdefault(ASKED_AGAIN, [])
            assert isinstance(asked, list)
            asked.append((step, again.reason))
            request.added = [*added, *((len(request.roles), one) for one in again.messages)]
            try:
                reply = await model_of(exchange, app)(exchange)
            except UpstreamError:
                break
    finally:
        request.added = added
    best = min(reversed(given), key=lambda one: one.again.faults)
    exchange.target, context["price"] = best.target, best.price
    best.attempt.usage = best.attempt.cost_nano_usd = None  # that one is the exchange's own
    return best.reply, best.again.error


async def _review(
    exchange: Exchange, awaiting: Sequence[Reviewer], choices: Sequence[ReplyChoice], asked: int
) -> tuple[str, Again]:
    """The first step that finds something wrong, and what."""
    for one in awaiting:
        again = await one.review(exchange, choices, asked)
        if again is not None:
            return one.name, again
    return "", _FINE


def keep_only(exchange: Exchange, app: App, reply: Reply) -> None:
    """Look over and record an answer that is not given."""
    finish_whole(exchange, app, reply)
    exchange.reply_text = [""] * len(exchange.reply_text)


def _look_over(exchange: Exchange, app: App, reply: Reply) -> None:
    """Have the filters find what of a rejected answer must not be stored: it stands in what is sent next.

    Of all else that they note nothing stays.
    """
    context, count = dict(exchange.context), len(exchange.steps)
    post = Postprocess(exchange, app)
    try:
        for place, choice in enumerate(_view(reply).choices):
            if choice.message.content:
                post.whole("content", place, choice.message.content)
    finally:
        exchange.context.clear()
        exchange.context.update(context)
        del exchange.steps[count:]
        for passage in exchange.passages:
            passage.cited = False


def _paid_for(exchange: Exchange, reply: Reply) -> Attempt:
    """The attempt that gave an answer, with what has to be paid for it even if it is not given."""
    view = _view(reply)
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


# streams


def _calls_tool(reply: Reply) -> bool:
    """Whether an answer, or the beginning of a stream, calls a tool and says nothing."""
    if reply.chunks is None:
        return any(choice.message.tool_calls for choice in _view(reply).choices)
    deltas = [
        choice.delta
        for payload in reply.first
        if payload != b"[DONE]"
        for choice in openai.decode_chunk(payload).choices
        if choice.delta is not None
    ]
    return any(one.tool_calls for one in deltas) and not any(one.content for one in deltas)


async def _held(reply: Reply) -> Reply:
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


def _view(reply: Reply) -> Completion:
    assert isinstance(reply.view, Completion)
    return reply.view
