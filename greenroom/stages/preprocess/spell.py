"""`spell`: typos in the newest user message, where one correction is clearly meant.

Changes words in small letters only; names, code, links, numbers and quotations stay, and so do words of the
other two languages, words people write on purpose, and words the conversation or the app's documents use.
For a capitalised word that begins a sentence, and for a half of a hyphenated one, it only suggests.
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
_MOST_NAMES = 10
"""Unknown capitalised words past which they are taken for a list of names."""
_MOST_INLINE = 8
"""More unknown words are looked up in a thread: each may take 0.1 ms, two slips in a long word 0.3 ms."""
_WEIGHED_FIRST = 2
"""So few unknown words are weighed before it is asked what must not be touched, which costs more."""
_SHORTEST, _LONGEST = 3, 24
_SURE_LANGUAGE = 0.75
_KNOWN_WORDS = 50_000
"""Words told to be known that are kept, at about 90 bytes each."""

_APPLIED = 0.94
_SUGGESTED = 0.2
_SUGGESTED_NAME = 0.6
"""The same for a capitalised word, which may be a name nobody has on a list."""
_SURE_TWICE = 0.99
"""How likely a correction must be of a word that stands in the text more than once: it may be meant."""


def _table() -> bytes:
    """Latin-1 bytes → letters, hyphens and apostrophes; "0" where no plain word is; else a blank."""
    table = bytearray(b" " * 256)
    for code in range(256):
        letter = chr(code)
        if letter.isalpha() and letter not in "ªº":
            table[code] = code
        elif letter.isdigit() or letter in "_@#\\/=<>{}$|~^&%+`":
            table[code] = ord("0")
    for sign in b"-'":
        table[sign] = sign
    return bytes(table)


_WORDS = _table()
_ALL = frozenset(CODES)
_NOT_BEFORE = frozenset("_@#\\/=<>{}$|~^&%+`'’-.")
_NOT_BEHIND = frozenset("_@\\/=<>{}$|~^&%+`'’-(")
_ENDS = frozenset(".!?…\n")
"""Before the first word of a sentence, with any of `_OPENS` between."""
_OPENS = frozenset(' \t¿¡«“"(*_#-')
_PRONOUN = frozenset(("I ", "I'", "I’"))
_SHORTEST_HALF = 4
"""Letters of each of two words joined by a hyphen that are looked at."""


class SpellConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.spell]: typos in what the user wrote last."""

    words: tuple[str, ...] = ()
    """Words of your own that are right as they are, in any letters."""
    sureness: Annotated[float, Meta(ge=0.5, le=1)] = _APPLIED
    """How likely a correction must be before `apply` makes it; less likely ones are suggested."""


class _Slip(NamedTuple):
    """An unknown word, where it stands, what may have been meant, and whether more than suggesting is due."""

    start: int
    end: int
    word: str
    meant: list[Proposal]
    may_apply: bool


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
        doubtful = {
            raw.strip(b"-'").decode("latin-1"): languages
            for raw, languages in told.items()
            if len(languages) < len(CODES)
        }
        names = [word for word in doubtful if not word.islower()]
        firsts = [word for word in names if _begins(value, word)] if len(names) <= _MOST_NAMES else []
        if len(doubtful) == len(names) and not firsts:
            return None
        code, _ = language_of(exchange)
        if code not in CODES:
            return None
        strange = [word for word, known in doubtful.items() if code not in known and word.islower()]
        if len(strange) > _MOST_STRANGE or (
            len(words) >= _FEW_WORDS and len(strange) > _STRANGE_SHARE * len(words)
        ):
            exchange.steps[-1].notes["skipped"] = "too many unknown words"
            return None
        strange += firsts
        return (text, value, sorted(strange)) if strange else None

    def _known_to(self, raw: bytes) -> frozenset[str]:
        """The languages to which what stands between two blanks is no slip; told once, then remembered."""
        told = self._partly.get(raw)
        if told is None:
            told = self._told(raw.strip(b"-'").decode("latin-1"))
            if len(self._known) + len(self._partly) > _KNOWN_WORDS:
                self._known.clear()
                self._partly.clear()
            if len(told) == len(CODES):
                self._known.add(raw)
            else:
                self._partly[raw] = told
        return told

    def _told(self, word: str) -> frozenset[str]:
        """The same of one word, in small letters or with a capital, or of two joined by a hyphen.

        With a capital, a word of any of the languages is no slip.
        """
        if "-" in word:
            one, _, other = word.partition("-")
            if "-" in other or not word.islower() or min(len(one), len(other)) < _SHORTEST_HALF:
                return _ALL
            first, second = self._told(one), self._told(other)
            return _ALL - (first ^ second)
        small = word if word.islower() else word[:1].lower() + word[1:]
        is_word = _SHORTEST <= len(word) <= _LONGEST and small.islower() and "0" not in word
        known = known_to(small) if is_word else _ALL
        is_fine = small in self._own or is_written_on_purpose(small) if len(known) < len(CODES) else True
        return _ALL if is_fine or (known and small != word) else known

    def slips(self, exchange: Exchange, text: Text, value: str, words: list[str]) -> list[_Slip]:
        """The unknown words that stand in plain prose, with what was meant, in the order of the text."""
        code, _ = language_of(exchange)
        others = [one.value for one in exchange.request.texts if one is not text]
        places = {
            word: found
            for word in words
            if (found := list(_places(value, word))) and not any(word in other for other in others)
        }
        weighed: dict[str, list[Proposal]] = {}
        if len(places) <= _WEIGHED_FIRST:
            weighed = {word: meant for word in places if (meant := self._meant(exchange, word, code))}
            places = {word: places[word] for word in weighed}
        if not places:
            return []
        bounds = [bound for start, end, _ in protected_spans(value) for bound in (start, end)]
        slips: list[_Slip] = []
        for word, found in places.items():
            free = [at for at in found if bisect_right(bounds, at) % 2 == 0]
            if not word.islower():
                free = [at for at in free if _is_first(value, at, at + len(word))]
            if free and (meant := weighed.get(word) or self._meant(exchange, word, code)):
                half = self._strange_half(word, code)
                may_apply = half == word and word.islower()
                if len(free) > 1 and meant[0].likelihood < _SURE_TWICE:
                    may_apply = False
                offset = word.rindex(half)
                slips += [_Slip(at + offset, at + offset + len(half), half, meant, may_apply) for at in free]
        return sorted(slips)

    def _meant(self, exchange: Exchange, word: str, code: str) -> list[Proposal]:
        """What may have been meant; nothing where no proposal is likely, or the documents use the word."""
        half = self._strange_half(word, code)
        meant = [one for one in proposals(half.lower(), code) if one.likelihood >= 0.02]
        least = _SUGGESTED if word.islower() else _SUGGESTED_NAME
        if not meant or meant[0].likelihood < least or self._uses_word(exchange.caller.project, half):
            return []
        return meant if word.islower() else [one._replace(word=one.word.capitalize()) for one in meant]

    def _strange_half(self, word: str, code: str) -> str:
        """Which of two words joined by a hyphen is not known, or the word itself."""
        one, hyphen, other = word.partition("-")
        return other if hyphen and code in self._told(one) else one

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
                applied=applies and slip.may_apply and slip.meant[0].likelihood >= self._sureness,
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
        ) and not (behind and behind in ".:*" and text[end + 1 : end + 2].isalnum()):
            yield at
        at = text.find(word, end)


def _begins(text: str, word: str) -> bool:
    """Whether a word begins a sentence, and no name."""
    return any(_is_first(text, at, at + len(word)) for at in _places(text, word))


def _is_first(text: str, at: int, end: int) -> bool:
    """The same of one place: before it a sentence or a line ends, behind it no capitalised word follows."""
    while at and text[at - 1] in _OPENS:
        at -= 1
    is_first = at == 0 or text[at - 1] in _ENDS
    return is_first and (text[end + 1 : end + 3] in _PRONOUN or not text[end + 1 : end + 2].isupper())
