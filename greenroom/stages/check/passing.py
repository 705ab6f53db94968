"""People named in passing: findings made of what a tagger of names takes for a person.

The newest message was read by step `entities`, where that ran; earlier ones, and tool results, are tagged
here, so that a name masked once is masked whenever the conversation is sent again.
"""

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from greenroom.contracts import Finding, Stretch
from greenroom.exchange import Exchange
from greenroom.stages.language import detect

_LONGEST = 8_000
"""Characters of one text that are read."""
_AT_ONCE = 1_000
"""Characters that are read on the event loop."""


class NameFinder(Protocol):
    """Finds names; of the kind "PER" is a person. May be called from a thread."""

    def find(self, text: str, language: str) -> Sequence[Stretch]: ...


class People:
    """Findings of every person in the texts of a request that are not the operator's own."""

    def __init__(self, tagger: NameFinder) -> None:
        self._tagger = tagger
        self._names_in = lru_cache(maxsize=256)(self._tag)

    async def __call__(self, exchange: Exchange) -> dict[int, list[Finding]]:
        """By the place of the text in `exchange.request.texts`. A name found anywhere counts everywhere."""
        texts = exchange.request.texts
        read = [
            text.value[:_LONGEST]
            for text in texts
            if text.role not in ("system", "developer") and text.kind == "content"
        ]
        names = {one.text for one in exchange.entities if one.type == "PER"}
        if sum(map(len, read)) > _AT_ONCE:
            found = await asyncio.to_thread(lambda: [self._names_in(one) for one in read])
        else:
            found = [self._names_in(one) for one in read]
        names.update(*found)
        if not names:
            return {}
        longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        find = re.compile(rf"(?<![^\W_])(?:{longest_first})(?![^\W_])").finditer
        return {
            place: [
                Finding(start=one.start(), end=one.end(), rule="person.passing", label="PERSON",
                        category="personal_data", score=0.7)
                for one in find(text.value)
            ]
            for place, text in enumerate(texts)
            if text.role not in ("system", "developer")
        }  # fmt: skip

    def _tag(self, text: str) -> frozenset[str]:
        names = self._tagger.find(text, detect(text)[0])
        return frozenset(text[one.start : one.end] for one in names if one.kind == "PER")
