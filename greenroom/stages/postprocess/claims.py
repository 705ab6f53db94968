"""What one sentence claims: numbers, dates, names, quotations, what it denies, and its words.

Knows one sentence and its language, stems by a function it is given, and no passages.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from greenroom.stages.postprocess.quantities import facts

Stems = Callable[[str, str], Sequence[str]]
"""(text, language code) → stems in order, function words left out."""

_LETTER = "A-ZÀ-ÖØ-Þ"
_word = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")
words_of = _word.findall
_name = re.compile(
    rf"(?<![\w@/#.])[{_LETTER}][\w'’&-]*(?:(?:\s"
    rf"|\s(?:de|da|do|das|dos|del|la|las|los|y|e|of|the|and|von|van|di)\s"
    rf"|\.\s)(?=[{_LETTER}])[{_LETTER}][\w'’&-]*){{0,6}}"
)
_code = re.compile(
    r"(?<![\w.])\d+(?:\.\d+){2,}\b"
    r"|(?<![\w.])(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*\b"
)
_counted = re.compile(r"\d+(?:st|nd|rd|th|s|[a-zA-Z]{1,3})")
"""A number with its unit or ending is no code."""
_quoted = re.compile(r"[\"“«]([^\"“”«»\n]{3,200})[\"”»]")
_marker = re.compile(r"\s?\[\d{1,3}(?:, ?\d{1,3})*\]|<[A-Z][A-Z_]*_\d+>")
_markdown = re.compile(r"[*_`#>|]+|^\s*[-•+]\s", re.MULTILINE)
_clause = re.compile(
    r"[,;:()—–]|\b(?:but|mas|pero|and|while|enquanto|mientras|porque|because)\b", re.IGNORECASE
)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATORS = {
    "en": _set(
        "not no never none neither nor without cannot can't don't doesn't didn't isn't aren't wasn't weren't"
        " won't wouldn't couldn't shouldn't hasn't haven't hadn't nobody nothing"
    ),
    "pt": _set("não nunca jamais nenhum nenhuma sem nem ninguém nada tampouco"),
    "es": _set("no nunca jamás ningún ninguno ninguna sin ni nadie nada tampoco"),
}
_SOFT = re.compile(
    r"\b(?:not only|no more than|no less than|no fewer than|not just|no longer|not until|no matter|unless"
    r"|a não ser|a menos que|não só|não apenas|não somente|nada menos|sem dúvida"
    r"|a no ser|no solo|no sólo|no solamente|sin duda)\b",
    re.IGNORECASE,
)
"""Negators that deny nothing."""
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
_forbids = re.compile(r"\b(?:forb|prohib|proib|banned|vedad)", re.IGNORECASE)
"""Words that deny what stands on either side of them."""
_participle = re.compile(r"[ai]d[oa]s?\Z")
_TITLES = _set(
    "mr mrs ms dr prof sir president king queen professor doctor sr sra dra presidente rei rainha rey reina"
    " professora senhor senhora señor señora the a an o os as la el los las in on at em no na en un una um"
    " uma this these that those este esta esse essa ese esa i"
)


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter)
    )


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
        self.codes = [
            one
            for one in _code.findall(self.text)
            if not re.fullmatch(r"\d+(?:st|nd|rd|th|s|[a-zA-Z]{1,3})", one)
        ]
        self.names = [
            tokens for tokens in _names(self.text, language, known) if stems(" ".join(tokens), language)
        ]
        self.stems = list(dict.fromkeys(one for one in stems(self.text, language) if one.isalpha()))
        self.polarity = polarity(self.text, language, stems)

    @property
    def has_facts(self) -> bool:
        """Whether there is a number, a date or a name."""
        return bool(self.facts.quantities or self.facts.moments or self.names or self.codes)

    @property
    def says_something(self) -> bool:
        """Whether there is enough to judge."""
        return len(self.stems) > 1 or self.has_facts


def _names(text: str, language: str, known: frozenset[str]) -> Iterable[list[str]]:
    """Names: words with capitals, in runs; at a sentence's beginning only where more than that speaks for it.

    `known` are folded words that are names wherever they stand.
    """
    letters = [letter for letter in text if letter.isalpha()]
    if sum(letter.isupper() for letter in letters) > 0.5 * len(letters):
        return
    for found in _name.finditer(text):
        tokens = [one.rstrip(".'’") for one in re.split(r"[\s]+", found[0]) if one[:1].isupper()]
        before = text[: found.start()].rstrip(' "“«(*_-•>')
        begins = not before or before[-1] in ".!?:…\n"
        if begins and len(tokens) == 1 and not _is_name(tokens[0], text[found.end() :], language, known):
            continue
        if begins and fold(tokens[0]) in _TITLES:
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


def denials(text: str, language: str) -> int:
    """How often a text denies something."""
    words = _word.findall(_SOFT.sub(" ", text).lower().replace("’", "'"))
    return sum(word in NEGATORS[language] for word in words)


def polarity(text: str, language: str, stems: Stems) -> dict[str, set[bool]]:
    """Stems → whether the negator before them, in their clause, is theirs; both for what is not clear.

    It is that of the first word with a stem, the verb mostly; the two behind it may go with the verb.

    A participle right behind one is denied alone ("dias não usados"): nothing is said of the rest.
    """
    negators = NEGATORS.get(language, frozenset())
    found: dict[str, set[bool]] = {}
    for clause in _clause.split(_SOFT.sub(" ", text)):
        since, behind = 9, "-"
        is_unclear = _forbids.search(clause) is not None
        for word in _word.findall(clause.lower().replace("’", "'")):
            if word in negators:
                since = 0
                behind = ""
                continue
            behind = behind or word
            own = stems(word, language)
            since += bool(own)
            if since == 1 and language != "en" and _participle.search(word) is not None and word == behind:
                since = 9
                continue
            for stem in own:
                found.setdefault(stem, set()).update(
                    (True, False) if is_unclear or since in {2, 3} else (since == 1,)
                )
    return found
