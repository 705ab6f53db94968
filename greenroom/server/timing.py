"""Times as they stand in `Server-Timing`."""

from greenroom.exchange import Exchange

_MS = tuple(b"%d.%03d" % divmod(microseconds, 1000) for microseconds in range(4096))
"""Short times as they are written: what a step takes is among them."""


def ms(ns: int) -> bytes:
    """Milliseconds with three decimals."""
    microseconds = ns // 1000
    return _MS[microseconds] if 0 <= microseconds < 4096 else b"%d.%03d" % divmod(microseconds, 1000)


def stage_times(exchange: Exchange) -> bytes:
    """The milliseconds of each stage, up to the model's, as `Server-Timing` has them."""
    before = ground = check = behind = 0
    for record in exchange.steps:
        stage = record.stage
        if stage == "postprocess":
            behind += record.ns
        elif stage == "check":
            check += record.ns
        elif stage == "preprocess":
            before += record.ns
        else:
            ground += record.ns
    try:
        times = (_MS[before // 1000], _MS[ground // 1000], _MS[check // 1000], _MS[behind // 1000])
    except IndexError:
        times = (ms(before), ms(ground), ms(check), ms(behind))
    return b"pre;dur=%b, ground;dur=%b, check;dur=%b, post;dur=%b, " % times
