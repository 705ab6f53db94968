"""What a provider is told of the trace that a call belongs to: `traceparent`, with our span of the call.

Knows the ids of traces; not who exports them.
"""

from collections.abc import Callable

from greenroom.exchange import NOT_CALLED, Exchange
from greenroom.wire.tracecontext import is_within, parse, span_of, trace_of

Onward = Callable[[Exchange], bytes]
"""Header lines for the newest attempt of an exchange."""


def traceparent(share: float | None) -> Onward:
    """Header lines for those who trace: for callers that sent a `traceparent`, and for what is exported here.

    `share` of the exchanges are exported as spans; None: none is.
    """

    def lines(exchange: Exchange) -> bytes:
        parent = parse(exchange.trace)
        if parent is None and share is None:
            return b""
        trace = trace_of(exchange.id, exchange.trace)
        number = sum(one.error not in NOT_CALLED for one in exchange.attempts) - 1
        is_sampled = is_within(trace, share or 0.0) if parent is None else parent.is_sampled
        span = span_of(exchange.id, "model", number)
        return f"traceparent: 00-{trace}-{span}-{'01' if is_sampled else '00'}\r\n".encode()

    return lines
