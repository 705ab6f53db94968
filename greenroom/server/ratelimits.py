"""Where a key stands in its limits, as headers: OpenAI's names and durations, Anthropic's and moments."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time

from greenroom.gateway.access import Limits, Standing


def openai_headers(limits: Limits | None) -> bytes:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; nothing where nothing is limited."""
    if limits is None:
        return b""
    return b"".join(
        b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %b\r\n"
        % (kind, one.limit, kind, one.remaining, kind, duration(one.reset_s).encode())
        for kind, one in _each(limits)
    )


def anthropic_headers(limits: Limits | None, now: Callable[[], float] = time) -> bytes:
    """`anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`; nothing where nothing is limited."""
    if limits is None:
        return b""
    lines = []
    for kind, one in _each(limits):
        moment = datetime.fromtimestamp(now() + one.reset_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        lines.append(
            b"anthropic-ratelimit-%b-limit: %d\r\nanthropic-ratelimit-%b-remaining: %d\r\n"
            b"anthropic-ratelimit-%b-reset: %b\r\n" % (kind, one.limit, kind, one.remaining, kind, moment)
        )
    return b"".join(lines)


def _each(limits: Limits) -> list[tuple[bytes, Standing]]:
    named = ((b"requests", limits.requests), (b"tokens", limits.tokens))
    return [(kind, one) for kind, one in named if one is not None]


def duration(seconds: float) -> str:
    """Seconds as OpenAI writes them: `850ms`, `1.5s`, `6m0s`, `23h59m59s`."""
    ms = round(seconds * 1000)
    if ms < 1000:
        return f"{ms}ms"
    whole, rest = divmod(ms, 1000)
    minutes, whole = divmod(whole, 60)
    said = f"{whole}.{rest:03d}".rstrip("0").rstrip(".") + "s" if rest else f"{whole}s"
    if not minutes:
        return said
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{said}" if hours else f"{minutes}m{said}"
