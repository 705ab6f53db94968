"""The model asked, and asked again when a step finds its whole answer wanting.

Knows the contract of reviewers; which step asks, and for what, is theirs. A streamed answer that is to be
reviewed is held to its end, so that nothing of a rejected one reaches the client. All answers are paid for:
what those cost that were not given stands in their attempts, and is added to the exchange when it is settled.
"""

from collections.abc import Sequence
from typing import NamedTuple

from greenroom.contracts import Again, Reviewer
from greenroom.errors import GreenroomError, UpstreamError
from greenroom.exchange import Attempt, Exchange, Reply
from greenroom.gateway.agreement import ASKS, most_agreed
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.held import held, paid_for, view_of
from greenroom.gateway.pipeline import ASKED_AGAIN, App, Postprocess, finish_whole, model_of
from greenroom.wire import openai
from greenroom.wire.openai import ReplyChoice


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
        return await _call(exchange, app), None
    awaiting = [one for one in reviewing if one.awaits(exchange, calls_tool=False)]
    reply = await _call(exchange, app)
    if not awaiting:
        if exchange.request.has_tools and _calls_tool(reply):
            awaiting = [one for one in reviewing if one.awaits(exchange, calls_tool=True)]
        if not awaiting:
            return reply, None
    return await _reviewed(exchange, app, awaiting, reply)


async def _call(exchange: Exchange, app: App) -> Reply:
    """The model's answer: the first, or where a prompt wants it, the one that most answers agree on."""
    call = model_of(exchange, app)
    asks = exchange.context.get(ASKS)
    return await most_agreed(exchange, call, asks) if isinstance(asks, int) else await call(exchange)


async def _reviewed(
    exchange: Exchange, app: App, awaiting: Sequence[Reviewer], reply: Reply
) -> tuple[Reply, GreenroomError | None]:
    request, context = exchange.request, exchange.context
    added = list(request.added)
    given: list[_Answered] = []
    try:
        while True:
            if reply.chunks is not None:
                reply = await held(reply)
            attempt = paid_for(exchange, reply)
            step, again = await _review(exchange, awaiting, view_of(reply).choices, len(given))
            given.append(_Answered(reply, again, exchange.target, context.pop("price", None), attempt))
            if not again.messages:
                break
            _look_over(exchange, app, reply)
            asked = context.setdefault(ASKED_AGAIN, [])
            assert isinstance(asked, list)
            asked.append((step, again.reason))
            request.added = [*added, *((len(request.roles), one) for one in again.messages)]
            try:
                reply = await _call(exchange, app)
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
        for place, choice in enumerate(view_of(reply).choices):
            if choice.message.content:
                post.whole("content", place, choice.message.content)
    finally:
        exchange.context.clear()
        exchange.context.update(context)
        del exchange.steps[count:]
        for passage in exchange.passages:
            passage.cited = False


# streams


def _calls_tool(reply: Reply) -> bool:
    """Whether an answer, or the beginning of a stream, calls a tool and says nothing."""
    if reply.chunks is None:
        return any(choice.message.tool_calls for choice in view_of(reply).choices)
    deltas = [
        choice.delta
        for payload in reply.first
        if payload != b"[DONE]"
        for choice in openai.decode_chunk(payload).choices
        if choice.delta is not None
    ]
    return any(one.tool_calls for one in deltas) and not any(one.content for one in deltas)
