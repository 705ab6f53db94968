"""The model asked several times, and the answer taken that most agree on (self-consistency).

One after the other: an exchange tells of one call at a time. Streams are held to their end, so that nothing
of an answer that loses reaches the client. Every answer is paid for, and stands among the attempts.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from greenroom.errors import RequestError, UpstreamError
from greenroom.exchange import Attempt, Exchange, Reply
from greenroom.gateway.held import held, paid_for, view_of
from greenroom.gateway.pipeline import AGREED
from greenroom.prompts.techniques import majority
from greenroom.wire import openai

ASKS = "asks"
"""Where an exchange's context says how many answers are wanted; 2 at least."""
_CACHED = "cache"


class _Given(NamedTuple):
    reply: Reply
    target: str | None
    price: object
    attempt: Attempt


async def most_agreed(exchange: Exchange, call: Callable[[Exchange], Awaitable[Reply]], asks: int) -> Reply:
    """The answer that most of `asks` answers agree on; of equal counts the earliest.

    An answer that was kept is not asked for again. When asking again fails, those that came decide.
    Raises: GreenroomError where the first call fails; RequestError for a request that wants several choices.
    """
    if exchange.request.n > 1:
        raise RequestError("This prompt asks for several answers and takes one: send 'n' as 1.", "n")
    given: list[_Given] = []
    context = exchange.context
    for _ in range(asks):
        try:
            reply = await call(exchange)
        except (UpstreamError, RequestError):
            if not given:
                raise
            break
        if not given and _CACHED in context:
            return reply
        if reply.chunks is not None:
            reply = await held(reply)
        attempt = paid_for(exchange, reply)
        given.append(_Given(reply, exchange.target, context.pop("price", None), attempt))
    winner, votes = majority([_said(one.reply) for one in given])
    best = given[winner]
    exchange.target, context["price"] = best.target, best.price
    best.attempt.usage = best.attempt.cost_nano_usd = None  # that one is the exchange's own
    context[AGREED] = agreed = {"asked": len(given), "agreed": votes}
    wanted = next((one for one in exchange.steps if one.step == "template"), None)
    if wanted is not None:
        wanted.notes[AGREED] = agreed
    return best.reply


def _said(reply: Reply) -> str:
    """What an answer says: its text, or the tools it calls."""
    message = view_of(reply).choices[0].message
    if message.content:
        return message.content
    calls = [[one.function.name, one.function.arguments] for one in message.tool_calls or () if one.function]
    return openai.encode(calls).decode()
