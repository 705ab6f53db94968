"""What is plainly wrong with an answer, without a label and without a model: cheap enough for each one.

A flaw alone proves nothing: an answer may be in another language because it was asked for. What counts is
whether one side of a deployment has more of them. Languages are those that the given detector knows (English,
Portuguese and Spanish surely, others as far as it can). Cost: some 100 µs, of which the languages take most.
"""

import contextlib
import logging
from collections.abc import Callable

from msgspec import DecodeError
from msgspec.json import decode

from greenroom.exchange import Exchange
from greenroom.store.compared import FLAW
from greenroom.store.observations import TAG

log = logging.getLogger("greenroom.deployments")

_SURE = 0.8
"""How sure both languages must be before they differ."""
_LEAST = 40
"""Letters of a text whose language is judged."""
_UNSURE, _LONG = 0.5, 120
"""A text of so many letters whose language is less sure than this is in none: letters by chance, say."""
_SHOWN = 4_000
"""Characters of an answer that are looked at for its language."""
_LONGEST = 200_000
"""Characters beyond which an answer is not read as JSON here."""
_UNSUPPORTED = 0.5
"""The groundedness below which an answer is taken for unsupported, where the step `verify` judged it."""

Detect = Callable[[str], tuple[str, float]]


class Flaws:
    """Looks an answer over, and notes what it finds as a tag of the exchange."""

    def __init__(
        self, language_of: Callable[[Exchange], tuple[str, float]], detect: Detect,
        has_loop: Callable[[str], bool],
    ) -> None:  # fmt: skip
        """`language_of`: the prompt's language and how sure that is; `detect`: that of a text."""
        self._language_of = language_of
        self._detect = detect
        self._has_loop = has_loop

    def note(self, exchange: Exchange) -> None:
        """Tag an answered exchange that is drawn for a deployment, if something is wrong with its answer."""
        if exchange.outcome != "answered":
            return
        tag = exchange.tags.get(TAG, "")
        if not tag.startswith("deploy:"):
            return
        try:
            found = self.of(exchange)
        except Exception:  # a look must never cost an answer: it is logged, and the answer goes out
            log.exception("answer not looked over")
            return
        if found is not None:
            exchange.tags[FLAW] = f"{tag[len('deploy:') :].partition('/')[0]}/{found}"

    def of(self, exchange: Exchange) -> str | None:
        """The first flaw that fits, of `FLAWS`; None for a sound answer."""
        text = "".join(exchange.reply_raw)
        has_tools = exchange.finish_reason in ("tool_calls", "function_call")
        if not text.strip():
            return None if has_tools else "empty"
        if exchange.finish_reason == "length":
            return "cut"
        wants_json = exchange.request.response_format in ("json_object", "json_schema")
        if wants_json and exchange.request.n == 1 and not has_tools and not _is_json(text):
            return "json"
        if self._has_loop(text):
            return "loop"
        if any(_groundedness(one.notes) < _UNSUPPORTED for one in exchange.steps if one.step == "verify"):
            return "unsupported"
        is_data = wants_json or has_tools or (text.lstrip()[:1] in ("{", "[") and _is_json(text))
        return None if is_data else self._foreign(exchange, text)

    def _foreign(self, exchange: Exchange, text: str) -> str | None:
        if len(text) < _LEAST:
            return None
        asked, sureness = self._language_of(exchange)
        if sureness < _SURE or asked == "und":
            return None
        given, sure = self._detect(text[:_SHOWN])
        is_none = sure < _UNSURE and len(text) >= _LONG
        return "language" if given != asked and (sure >= _SURE or is_none) else None


def _is_json(text: str) -> bool:
    if len(text) > _LONGEST:
        return True
    with contextlib.suppress(DecodeError, UnicodeError, RecursionError):  # half a surrogate pair is no UTF-8
        decode(text)
        return True
    return False


def _groundedness(notes: dict[str, object]) -> float:
    found = notes.get("groundedness", 1.0)
    return float(found) if isinstance(found, int | float) else 1.0
