"""What a request asked of the model, as attributes of the conventions: numbers and names, never texts."""

from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.wire import semconv
from greenroom.wire.otlp.signals import Attributes

_NUMBERS = {
    "temperature": semconv.TEMPERATURE,
    "top_p": semconv.TOP_P,
    "frequency_penalty": semconv.FREQUENCY_PENALTY,
    "presence_penalty": semconv.PRESENCE_PENALTY,
}
_WHOLE = {"max_tokens": semconv.MAX_TOKENS, "top_k": semconv.TOP_K, "seed": semconv.SEED}
_LEVELS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh"})
_WIDEST = 1 << 63


class _Asked(Struct):
    temperature: Any = None  # Any here and below: a client's own words
    top_p: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    top_k: Any = None
    seed: Any = None
    n: Any = None
    reasoning_effort: Any = None
    response_format: Any = None


_asked = Decoder(_Asked)


def asked_of(body: bytes) -> Attributes:
    """Attributes of a chat body; none where it can't be read."""
    try:
        asked = _asked.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    found: Attributes = {}
    for name, attribute in _NUMBERS.items():
        value = getattr(asked, name)
        if _is_number(value):
            found[attribute] = float(value)
    if asked.max_tokens is None:
        asked.max_tokens = asked.max_completion_tokens
    for name, attribute in _WHOLE.items():
        value = getattr(asked, name)
        if isinstance(value, int) and _is_number(value):
            found[attribute] = value
    if isinstance(asked.n, int) and _is_number(asked.n) and asked.n != 1:
        found[semconv.CHOICES] = asked.n
    if isinstance(asked.reasoning_effort, str) and asked.reasoning_effort in _LEVELS:
        found[semconv.REASONING_LEVEL] = asked.reasoning_effort
    kind = asked.response_format.get("type") if isinstance(asked.response_format, dict) else None
    if kind in ("json_object", "json_schema"):
        found[semconv.OUTPUT_TYPE] = "json"
    elif kind == "text":
        found[semconv.OUTPUT_TYPE] = "text"
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_WIDEST <= value < _WIDEST
