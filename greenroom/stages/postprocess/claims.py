"""What one sentence claims: numbers, dates, names, quotations, what it denies, and its words.

Knows one sentence and its language, stems by a function it is given, and no passages.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property

from greenroom.stages.postprocess.clauses import Clause, read_clauses
from greenroom.stages.postprocess.meaning import Stems, meaning_of
from greenroom.stages.postprocess.quantities import Facts, facts

_LETTER = "A-ZÀ-ÖØ-Þ"
_word = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")
words_of = _word.findall
_name = re.compile(
    rf"(?<![\w@/#.])[{_LETTER}][\w'’&-]*(?:(?:\s"
    rf"|\s(?:de|da|do|das|dos|del|la|las|los|y|e|of|the|and|von|van|di)\s"
    rf"|\.\s)(?=[{_LETTER}])[{_LETTER}][\w'’&-]*){{0,6}}"
)
_article = re.compile(r"\S+\s(?:la|las|los|the)\s")
_code = re.compile(
    r"(?<![\w.])\d+(?:\.\d+){2,}\b"
    r"|(?<![\w.])(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*\b"
)
_counted = re.compile(r"\d+(?:[.,]\d+)?(?:st|nd|rd|th|s|[a-zA-Z]{1,3})|\d{1,3}(?:\.\d{3})+")
"""A number with its unit or ending is no code, nor is one in groups of three."""
_digits = re.compile(r"\d+")
_quoted = re.compile(r"[\"“«]([^\"“”«»\n]{3,200})[\"”»]")
_marker = re.compile(r"\s?\[\d{1,3}(?:, ?\d{1,3})*\]|<[A-Z][A-Z_]*_\d+>")
_accents = re.compile(r"[\u0300-\u036f]+")
_markdown = re.compile(r"[*_`#>|]+|^\s*[-•+]\s", re.MULTILINE)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STATES = {
    "en": _set("said won became wrote married died"),
    "pt": _set("é foi era são eram tem tinha será está estava disse venceu ganhou nasceu morreu"),
    "es": _set("es fue era son eran tiene tenía será está estaba dijo ganó nació murió ha había"),
}
"""Verbs before which a word without an article is a name; in English any other noun may stand before most."""
_PAST = {
    "en": re.compile(r"[a-z]{2,}ed\Z"),
    "pt": re.compile(r"[a-zà-ÿ]{2,}(?:ou|eu|iu)\Z"),
    "es": re.compile(r"[a-zà-ÿ]{2,}(?:ó|ió)\Z"),
}
_COMMON_END = re.compile(
    r"(?:ing|tion|sion|ment|ness|ity|ism|ance|ence|ship|hood|age|ure|ção|são|dade|mento|ncia|gem|ismo|tude"
    r"|ción|sión|dad|miento|ncia|aje|mente|ly|ers|ists|ados|idos|ores|istas|antes|entes)\Z"
)
"""Endings of words that are no names, capital or not."""
_TITLES = _set(
    "mr mrs ms dr prof sir president king queen professor doctor sr sra dra presidente rei rainha rey reina"
    " professora senhor senhora señor señora the a an o os as la el los las in on at em no na en un una um"
    " uma this these that those este esta esse essa ese esa i for with since as by from to according segundo"
    " segun conforme para por com con ninguem nadie nobody everyone everybody someone todos alguem alguien"
    " tras apos desde if when once"
)


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    return _accents.sub("", unicodedata.normalize("NFKD", text.lower()))


def squeezed(text: str) -> str:
    """The folded words of a text with single spaces between them."""
    return " ".join(_word.findall(fold(text)))


class Claim:
    """What a sentence says that can be looked for."""

    def __init__(self, sentence: str, language: str, stems: Stems, known: frozenset[str]) -> None:
        plain = _markdown.sub(" ", _marker.sub("", sentence))
        self.text = plain.strip()
        self.language = language
        self.facts = facts(self.text, language)
        self.quotes = [one for one in _quoted.findall(self.text) if len(one.split()) > 1]
        self.codes = [one for one in _code.findall(self.text) if _counted.fullmatch(one) is None]
        self.names = [
            tokens
            for tokens in _names(self.text, language, known, stems, self.facts)
            if stems(" ".join(tokens), language)
        ]
        self.stems = list(dict.fromkeys(one for one in stems(self.text, language) if one.isalpha()))
        self.meaning = meaning_of(language, stems)
        self.wanted = [self.meaning.wanted(one) for one in self.stems]
        self.anchors = [fold(one) for tokens in self.names for one in tokens] + _digits.findall(self.text)

    @cached_property
    def clauses(self) -> list[Clause]:
        """Its clauses."""
        return read_clauses(self.text, self.meaning)

    @cached_property
    def may_turn(self) -> bool:
        """Whether a word of it denies, or has an opposite."""
        return any(self.meaning.word(one).may_turn for one in words_of(self.text.lower()))

    @cached_property
    def name_stems(self) -> list[str]:
        """The stems of its names, in order."""
        return [
            stem for tokens in self.names for one in tokens for stem in self.meaning.word(one.lower()).stems
        ]

    @property
    def has_facts(self) -> bool:
        """Whether there is a number, a date or a name."""
        return bool(self.facts.quantities or self.facts.moments or self.names or self.codes)

    @property
    def says_something(self) -> bool:
        """Whether there is enough to judge."""
        return len(self.stems) > 1 or self.has_facts


def _names(text: str, language: str, known: frozenset[str], stems: Stems, told: Facts) -> Iterable[list[str]]:
    """Names: words with capitals, in runs; at a sentence's beginning only where more than that speaks for it.

    `known` are folded words that are names wherever they stand.
    """
    if sum(map(str.isupper, text)) > 0.5 * sum(map(str.isalpha, text)):
        return
    for found in _name.finditer(text):
        tokens = [one.rstrip(".'’") for one in re.split(r"[\s]+", found[0]) if one[:1].isupper()]
        before = text[: found.start()].rstrip(' "“«(*_-•>')
        begins = not before or before[-1] in ".!?:…\n"
        if begins and len(tokens) == 1 and not _is_name(tokens[0], text[found.end() :], language, known):
            continue
        if (
            begins
            and len(tokens) > 1
            and fold(tokens[0]) not in known
            and _article.match(found[0]) is not None
        ):
            tokens = tokens[1:]  # "Decidió la Audiencia"
        if told.covers(found.start(), found.start() + len(tokens[0])) or (
            begins and (fold(tokens[0]) in _TITLES or (len(tokens) > 1 and not stems(tokens[0], language)))
        ):
            tokens = tokens[1:]
        tokens = [one for one in tokens if len(one) > 1 and fold(one) not in _TITLES]
        if tokens:
            yield tokens


def _is_name(word: str, behind: str, language: str, known: frozenset[str]) -> bool:
    if fold(word) in known or (word.isupper() and len(word) > 1):
        return True
    if behind[:2] in {"'s", "’s"}:
        return True
    next_ = _word.match(behind.lstrip(" "))
    if next_ is None or language not in _STATES or _COMMON_END.search(word.lower()) is not None:
        return False
    if language == "en" and word.endswith("s"):
        return False
    follows = next_[0].lower()
    return follows in _STATES[language] or _PAST[language].search(follows) is not None
