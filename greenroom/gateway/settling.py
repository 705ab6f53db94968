"""What an exchange has to pay, once it is known what was used, and by which of its calls."""

from greenroom.exchange import NOT_CALLED, Exchange
from greenroom.usage import Usage


def estimate_usage(exchange: Exchange, argued: int = 0) -> Usage:
    """Our own count of texts and `argued` characters of tool calls: about four a token."""
    request = exchange.request
    asked = sum(len(text.value) for text in request.texts) if request.texts else len(request.messages)
    answered = sum(len(text) for text in exchange.reply_raw) + argued
    return Usage(input_tokens=asked // 4 + 1, output_tokens=(answered + 3) // 4, estimated=True)


def settle(exchange: Exchange) -> None:
    """Turn usage into money by the price of the target that answered; unknown stays unknown.

    What has to be paid for calls whose answers were not given is added. Once, when the usage is known.
    """
    price = exchange.context.get("price")
    if price is not None and exchange.usage is not None:
        exchange.cost_nano_usd = price.cost_nano(exchange.usage)  # type: ignore[attr-defined]  # models' Price
    elif exchange.target == "greenroom/reader":
        exchange.cost_nano_usd = 0
    if len(exchange.attempts) > 1:
        _add_extra(exchange)


def settle_unanswered(exchange: Exchange) -> None:
    """Put on the bill what has to be paid though no answer came: calls that lost, one that was cut off.

    Nothing where nobody was asked: that costs 0, and is not unknown.
    """
    if all(one.status is None and one.error in NOT_CALLED for one in exchange.attempts):
        exchange.cost_nano_usd = 0
        return
    newest = exchange.attempts[-1]
    if exchange.outcome in {"open", "cancelled"} and newest.status is None and newest.error is None:
        exchange.usage = estimate_usage(exchange)  # the model has the prompt, and nobody waits for its answer
        settle(exchange)
    else:
        _add_extra(exchange)


def _add_extra(exchange: Exchange) -> None:
    """Add what calls cost that are paid for beside the one that answered; each attempt says its share."""
    extra = [one for one in exchange.attempts if one.usage is not None]
    if not extra:
        return
    total, cost = exchange.usage, exchange.cost_nano_usd
    if total is None:
        total, cost = Usage(), 0
    else:
        given = (one for one in reversed(exchange.attempts) if one.usage is None and one.error is None)
        answering = next(given, None)
        if answering is not None:
            answering.usage, answering.cost_nano_usd, answering.is_given = total, cost, True
    for one in extra:
        assert one.usage is not None
        total = total.plus(one.usage)
        cost = None if cost is None or one.cost_nano_usd is None else cost + one.cost_nano_usd
    exchange.usage, exchange.cost_nano_usd = total, cost
