"""`entities`: what the newest user message names, for search, for checks and for whoever reads the record.

People, places and organisations by a trained tagger (`engine = "crf"`); dates, times, amounts, measures,
identifiers and addresses by patterns, with a value in one normal form. Reads, and changes no text.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from greenroom.contracts import StepConfig
from greenroom.errors import ConfigError
from greenroom.exchange import Entity, Exchange, Reply, Stage, Text
from greenroom.stages.ground import patterns
from greenroom.stages.ground.found import Found, settled
from greenroom.stages.language import detect, is_in

NAMES = ("PER", "LOC", "ORG")
TYPES = (*NAMES, *patterns.KINDS)
"""What can be found, as the configuration names it."""

_AT_ONCE = 1_000
"""Characters up to which names are sought on the event loop: about a millisecond."""
_HEAD, _TAIL = 6_000, 2_000
"""Of a longer text, names are sought in its beginning and its end."""
_PATTERNS_MOST = 200_000
_PATTERNS_AT_ONCE = 8_000


class EntitiesConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.entities]: what is sought, and how."""

    engine: Literal["crf", "patterns"] = "crf"
    """patterns: everything but people, places and organisations, for a few microseconds."""
    types: tuple[str, ...] = TYPES
    timezone: str | None = None
    """Where the users are (`America/Sao_Paulo`): gives words such as «amanhã» their date."""


class NameFinder(Protocol):
    """Finds people, places and organisations; may be called from a thread."""

    def find(self, text: str, language: str) -> Sequence[Found]: ...


class Entities:
    """Fills `exchange.entities`; every entity's offsets count in its message as it came."""

    name = "entities"
    stage: Stage = "ground"

    def __init__(self, config: EntitiesConfig, names: NameFinder) -> None:
        unknown = set(config.types) - set(TYPES)
        if unknown:
            raise ConfigError(
                f"[steps.entities] types: there is no {min(unknown)!r}. Known are {', '.join(TYPES)}."
            )
        self._types = frozenset(config.types)
        self._names = names if config.engine == "crf" and self._types & set(NAMES) else None
        self._has_patterns = bool(self._types - set(NAMES))
        try:
            self._zone = ZoneInfo(config.timezone) if config.timezone else None
        except (KeyError, OSError, ValueError) as error:
            raise ConfigError(f"[steps.entities] timezone: there is no {config.timezone!r} here.") from error

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Look at every text of the newest user message; never answers."""
        newest = exchange.request.newest_user
        if newest is None:
            return None
        own: list[Text] = [
            text for text in exchange.request.texts if text.index == newest.index and text.kind == "content"
        ]
        notes = exchange.steps[-1].notes
        for text in own:
            if text.value:
                for one in await self._find(text.value, exchange, notes):
                    exchange.entities.append(_entity(one, text))
        if exchange.entities:
            notes["found"] = len(exchange.entities)
            types: dict[str, int] = {}
            for entity in exchange.entities:
                types[entity.type] = types.get(entity.type, 0) + 1
            notes["types"] = types
        return None

    async def _find(self, text: str, exchange: Exchange, notes: dict[str, object]) -> Sequence[Found]:
        language = _Language(exchange, text)
        found: list[Found] = []
        if self._has_patterns:
            today = self._today(exchange)
            if len(text) > _PATTERNS_MOST:
                notes["read"] = f"the first {_PATTERNS_MOST} characters"
            if len(text) > _PATTERNS_AT_ONCE:
                head = text[:_PATTERNS_MOST]
                found = await asyncio.to_thread(patterns.find, head, language.is_english, today)
            else:
                found = patterns.find(text, language.is_english, today)
        if self._names is not None:
            if len(text) <= _AT_ONCE:
                found += self._names.find(text, language())
            else:
                found += await asyncio.to_thread(self._find_names, text, language())
            if len(text) > _HEAD + _TAIL:
                notes["names_read"] = f"{_HEAD} characters at the beginning, {_TAIL} at the end"
            found = settled(found)
        return [one for one in found if one.kind in self._types]

    def _find_names(self, text: str, language: str) -> list[Found]:
        assert self._names is not None
        if len(text) <= _HEAD + _TAIL:
            return list(self._names.find(text, language))
        shift = len(text) - _TAIL
        behind = [
            one._replace(start=one.start + shift, end=one.end + shift)
            for one in self._names.find(text[shift:], language)
        ]
        return [*self._names.find(text[:_HEAD], language), *behind]

    def _today(self, exchange: Exchange) -> date | None:
        if self._zone is None:
            return None
        return datetime.fromtimestamp(exchange.created_ns / 1e9, UTC).astimezone(self._zone).date()


class _Language:
    """The language of the exchange, or of the text; told only when asked."""

    __slots__ = ("_code", "_is_english", "_text")

    def __init__(self, exchange: Exchange, text: str) -> None:
        self._code = exchange.language[0] if exchange.language is not None else ""
        self._is_english: bool | None = None if self._code in ("", "und") else self._code == "en"
        self._text = text

    def __call__(self) -> str:
        if not self._code or self._code == "und":
            self._code = detect(self._text)[0]
        return self._code

    def is_english(self) -> bool:
        """Whether the code is "en", for half the cost."""
        if self._is_english is None:
            self._is_english = is_in("en", self._text)
        return self._is_english


def _entity(one: Found, text: Text) -> Entity:
    start, end = text.to_original(one.start), text.to_original(one.end, is_end=True)
    return Entity(
        text=text.value[one.start : one.end],
        type=one.kind,
        start=start,
        end=end,
        index=text.index,
        value=one.value,
    )
