"""`spell`: typos in the newest user message, where one correction is clearly meant.

Looks at words in small letters only; names, code, links, numbers and quotations stay, and so do words of the
other two languages, words people write on purpose, and words the conversation or the app's documents use.
Most prompts cost one pass over their bytes: every word is known. With tools in the request, in an unsure
language, or where it is less sure, a correction is only suggested: the search uses it, the model gets the
text as written.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

from msgspec import Meta

from greenroom.contracts import StepConfig
from greenroom.exchange import Edit, Exchange, Reply, Stage, Text
from greenroom.stages.language import language_of
from greenroom.stages.preprocess.spelling import CODES, Proposal, is_written_on_purpose, known_to, proposals
from greenroom.stages.protect import protected_spans

_LONGEST_TEXT = 20_000
"""Characters of a text that are looked at; the rest is passed on, and the record says so."""
_MOST_STRANGE = 40
"""Unknown words past which a text is taken for something else than prose with typos."""
_STRANGE_SHARE = 0.5
"""The same as a share of its words, in a text of `_FEW_WORDS` or more."""
_FEW_WORDS = 12
_MOST_INLINE = 8
"""More unknown words are looked up in a thread: each may take 0.1 ms, two slips in a long word 0.3 ms."""
_WEIGHED_FIRST = 2
"""So few unknown words are weighed before it is asked what must not be touched, which costs more."""
_SHORTEST, _LONGEST = 3, 24
_SURE_LANGUAGE = 0.75
_KNOWN_WORDS = 50_000
"""Words told to be known that are kept, at about 90 bytes each."""

_APPLIED = 0.9
_SUGGESTED = 0.3


def _table() -> bytes:
    """Latin-1 bytes → small letters, hyphens and apostrophes; "A" where no plain word is; else a blank."""
    table = bytearray(b" " * 256)
    for code in range(256):
        letter = chr(code)
        if letter.islower() and letter.isalpha() and letter not in "ªº":
            table[code] = code
        elif letter.isupper() or letter.isdigit() or letter in "_@#\\/=<>{}$|~^&%+`":
            table[code] = ord("A")
    for sign in b"-'":
        table[sign] = sign
    return bytes(table)


_WORDS = _table()
_ALL = frozenset(CODES)
_NOT_BEFORE = frozenset("_@#\\/=<>{}$|~^&%+`'’-.")
_NOT_BEHIND = frozenset("_@\\/=<>{}$|~^&%+`'’-(")


class SpellConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.spell]: typos in what the user wrote last."""

    words: tuple[str, ...] = ()
    """Words of your own that are right as they are, in any letters."""
    sureness: Annotated[float, Meta(ge=0.5, le=1)] = _APPLIED
    """How likely a correction must be before `apply` makes it; less likely ones are suggested."""


class _Slip(NamedTuple):
    """An unknown word, where it stands, and what may have been meant."""

    start: int
    end: int
    word: str
    meant: list[Proposal]


def uses_none(project: str, word: str) -> bool:
    """What is true where a project has no documents: they use no word."""
    return False


class Spell:
    """Finds unknown words by one set difference, and proposes what was meant by those that are slips.

    In mode `suggest` the edits are recorded, not applied, and `exchange.context["spell.query"]` holds the
    corrected text for the search. `apply` rewrites the text where a correction is likely enough, the language
    is sure and the request has no tools. The record's note `alternatives` lists up to three words for each.
    """

    name = "spell"
    stage: Stage = "preprocess"

    def __init__(self, config: SpellConfig, uses_word: Callable[[str, str], bool] = uses_none) -> None:
        self._mode = config.mode
        self._sureness = config.sureness
        self._own = frozenset(word.lower() for word in config.words)
        self._uses_word = uses_word
        self._known: set[bytes] = set()
        self._partly: dict[bytes, frozenset[str]] = {}

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Look the newest user text over; never answers."""
        seen = self.unknown(exchange)
        if seen is not None:
            text, value, words = seen
            if len(words) > _MOST_INLINE:
                slips = await asyncio.to_thread(self.slips, exchange, text, value, words)
            else:
                slips = self.slips(exchange, text, value, words)
            if slips:
                self._record(exchange, text, slips)
        return None

    def unknown(self, exchange: Exchange) -> tuple[Text, str, list[str]] | None:
        """The newest user text, what of it is looked at, and the words there that may be slips, if any."""
        text = exchange.request.newest_user
        if text is None or text.kind != "content":
            return None
        value = text.value
        if len(value) > _LONGEST_TEXT:
            value = value[: max(value.rfind(" ", 0, _LONGEST_TEXT), 0)]
            exchange.steps[-1].notes["looked_at"] = len(value)
        words = value.encode("latin-1", "replace").translate(_WORDS).split()
        told = {raw: self._known_to(raw) for raw in set(words) - self._known}
        if all(len(languages) == len(CODES) for languages in told.values()):
            return None
        code, _ = language_of(exchange)
        strange = [raw for raw, languages in told.items() if code not in languages] if code in CODES else []
        if not strange:
            return None
        if len(strange) > _MOST_STRANGE or (
            len(words) >= _FEW_WORDS and len(strange) > _STRANGE_SHARE * len(words)
        ):
            exchange.steps[-1].notes["skipped"] = "too many unknown words"
            return None
        return text, value, sorted({raw.strip(b"-'").decode("latin-1") for raw in strange})

    def _known_to(self, raw: bytes) -> frozenset[str]:
        """The languages to which what stands between two blanks is no slip; told once, then remembered."""
        told = self._partly.get(raw)
        if told is None:
            word = raw.strip(b"-'").decode("latin-1")
            told = _ALL
            if b"A" not in raw and _SHORTEST <= len(word) <= _LONGEST and "-" not in word:
                told = known_to(word)
                if len(told) < len(CODES) and (word in self._own or is_written_on_purpose(word)):
                    told = _ALL
            if len(self._known) + len(self._partly) > _KNOWN_WORDS:
                self._known.clear()
                self._partly.clear()
            if len(told) == len(CODES):
                self._known.add(raw)
            else:
                self._partly[raw] = told
        return told

    def slips(self, exchange: Exchange, text: Text, value: str, words: list[str]) -> list[_Slip]:
        """The unknown words that stand in plain prose, with what was meant, in the order of the text."""
        code, _ = language_of(exchange)
        others = [one.value for one in exchange.request.texts if one is not text]
        places = {
            word: found
            for word in words
            if (found := list(_places(value, word))) and not any(word in other for other in others)
        }
        if len(places) <= _WEIGHED_FIRST:
            places = {word: found for word, found in places.items() if self._meant(exchange, word, code)}
        if not places:
            return []
        bounds = [bound for start, end, _ in protected_spans(value) for bound in (start, end)]
        slips = []
        for word, found in places.items():
            free = [at for at in found if bisect_right(bounds, at) % 2 == 0]
            if free and (meant := self._meant(exchange, word, code)):
                slips += [_Slip(at, at + len(word), word, meant) for at in free]
        return sorted(slips)

    def _meant(self, exchange: Exchange, word: str, code: str) -> list[Proposal]:
        """What may have been meant; nothing where no proposal is likely, or the documents use the word."""
        meant = [one for one in proposals(word, code) if one.likelihood >= 0.02]
        if not meant or meant[0].likelihood < _SUGGESTED:
            return []
        return [] if self._uses_word(exchange.caller.project, word) else meant

    def _record(self, exchange: Exchange, text: Text, slips: list[_Slip]) -> None:
        code, sureness = language_of(exchange)
        applies = self._mode == "apply" and not exchange.request.has_tools and sureness >= _SURE_LANGUAGE
        edits = [
            Edit(
                start=slip.start,
                end=slip.end,
                text=slip.meant[0].word,
                reason="spelling",
                rule=f"spell.{code}",
                confidence=round(slip.meant[0].likelihood, 3),
                applied=applies and slip.meant[0].likelihood >= self._sureness,
            )
            for slip in slips
        ]
        record = exchange.steps[-1]
        if self._mode != "observe":
            exchange.context["spell.query"] = _corrected(text.value, edits)
        record.changes.append(text.edit(edits))
        record.notes["alternatives"] = {slip.word: [one.word for one in slip.meant[:3]] for slip in slips}


def _corrected(text: str, edits: list[Edit]) -> str:
    pieces: list[str] = []
    at = 0
    for edit in edits:
        pieces += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join((*pieces, text[at:]))


def _places(text: str, word: str) -> Iterator[int]:
    """Where a word stands by itself in prose."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        before, behind = text[at - 1 : at], text[end : end + 1]
        if not (
            before.isalnum() or before in _NOT_BEFORE or behind.isalnum() or behind in _NOT_BEHIND
        ) and not (behind and behind in ".:" and text[end + 1 : end + 2].isalnum()):
            yield at
        at = text.find(word, end)
