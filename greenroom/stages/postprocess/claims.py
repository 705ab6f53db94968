"""One sentence held against passages: is what it says there?

First what can be compared exactly (numbers, dates, names, quotations, whether something is denied), then how
much of its words the closest passage has. Knows stems by a function it is given; knows no meaning beyond
that, and says nothing of sentences that claim nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from greenroom.stages.postprocess.quantities import Facts, bears_out, facts, same, same_clock

Label = Literal["supported", "partly", "not"]
Stems = Callable[[str, str], Sequence[str]]
"""(text, language code) → stems in order, function words left out."""

_ENOUGH = 0.34
"""Share of a sentence's words that a passage must have when nothing else speaks for it."""
_SOME = 0.2
"""The same where a number, date or name of the sentence is there too."""
_LITTLE = 0.15
"""Below this a sentence without facts has nothing to do with the passages."""
_REACH = 1
"""Sentences on each side of a matching one that count with it."""

_LETTER = "A-ZÀ-ÖØ-Þ"
_word = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")
_name = re.compile(
    rf"(?<![\w@/#.])[{_LETTER}][\w'’&-]*(?:(?:\s|\s(?:de|da|do|das|dos|del|la|las|los|y|e|of|the|and|von|van|di)\s"
    rf"|\.\s)(?=[{_LETTER}])[{_LETTER}][\w'’&-]*){{0,6}}"
)
_code = re.compile(r"(?<![\w.])(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*\b")
_quoted = re.compile(r"[\"“«]([^\"“”«»\n]{3,200})[\"”»]")
_marker = re.compile(r"\s?\[\d{1,3}(?:, ?\d{1,3})*\]|<[A-Z][A-Z_]*_\d+>")
_markdown = re.compile(r"[*_`#>|]+|^\s*[-•+]\s", re.MULTILINE)
_clause = re.compile(r"[,;:()—–]|\b(?:but|mas|pero|and|while|enquanto|mientras|porque|because)\b", re.IGNORECASE)

_NEGATORS = {
    "en": frozenset(
        "not no never none neither nor without cannot can't don't doesn't didn't isn't aren't wasn't weren't"
        " won't wouldn't couldn't shouldn't hasn't haven't hadn't nobody nothing".split()
    ),
    "pt": frozenset("não nunca jamais nenhum nenhuma sem nem ninguém nada tampouco".split()),
    "es": frozenset("no nunca jamás ningún ninguno ninguna sin ni nadie nada tampoco".split()),
}
_SOFT = re.compile(
    r"\b(?:not only|no more than|no less than|no fewer than|not just|no longer|not until|no matter"
    r"|não só|não apenas|não somente|nada menos|no solo|no sólo|no solamente|nada menos|sem dúvida|sin duda)\b",
    re.IGNORECASE,
)  # fmt: skip
_OPPOSITES = {
    "en": """increase/decrease increased/decreased rose/fell rise/fall higher/lower highest/lowest more/less
        before/after largest/smallest first/last always/never allowed/forbidden open/closed maximum/minimum
        north/south east/west northern/southern eastern/western above/below success/failure won/lost
        accepted/rejected male/female oldest/newest enabled/disabled older/younger gained/lost""",
    "pt": """aumentou/diminuiu aumento/redução aumento/diminuição subiu/caiu maior/menor antes/depois
        primeiro/último primeira/última sempre/nunca permitido/proibido aberto/fechado máximo/mínimo
        norte/sul leste/oeste acima/abaixo venceu/perdeu ganhou/perdeu aceitou/rejeitou mais/menos
        melhor/pior ativado/desativado obrigatório/opcional""",
    "es": """aumentó/disminuyó aumento/reducción subió/cayó subió/bajó mayor/menor antes/después
        primero/último primera/última siempre/nunca permitido/prohibido abierto/cerrado máximo/mínimo
        norte/sur este/oeste encima/debajo ganó/perdió aceptó/rechazó más/menos mejor/peor
        activado/desactivado obligatorio/opcional""",
}
_STATES = {
    "en": frozenset("is was were are has had have will can did does said won became".split()),
    "pt": frozenset("é foi era são eram tem tinha será está estava disse venceu ganhou nasceu morreu".split()),
    "es": frozenset("es fue era son eran tiene tenía será está estaba dijo ganó nació murió ha había".split()),
}
_PAST = {
    "en": re.compile(r"[a-z]{2,}ed\Z"),
    "pt": re.compile(r"[a-zà-ÿ]{2,}(?:ou|eu|iu)\Z"),
    "es": re.compile(r"[a-zà-ÿ]{2,}(?:ó|ió)\Z"),
}
_COMMON_END = re.compile(
    r"(?:ing|tion|sion|ment|ness|ity|ism|ance|ence|ship|hood|age|ure|ção|são|dade|mento|ncia|gem|ismo|tude"
    r"|ción|sión|dad|miento|ncia|aje|mente|ly|ers|ists|ados|idos|ores|istas|antes|entes)\Z"
)
_TITLES = frozenset(
    "mr mrs ms dr prof sir president king queen professor doctor sr sra dra presidente rei rainha rey reina"
    " professora senhor senhora señor señora the a an o os as la el los las in on at em no na en un una um uma"
    " this these that those este esta esse essa ese esa i".split()
)


class Source(NamedTuple):
    """One passage, read for comparing."""

    text: str
    language: str
    spans: list[tuple[int, int]]
    """Its sentences."""
    stems: list[frozenset[str]]
    facts: list[Facts]
    words: frozenset[str]
    """All words, folded; the title's too."""
    plain: str
    initials: str


class Judgement(NamedTuple):
    """What a sentence was found to be, why, and where what supports it stands."""

    label: Label
    missing: tuple[str, ...]
    """Kinds of what is not there: number, date, name, quotation, negation, words."""
    source: int
    start: int
    end: int
    score: float


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter)
    )


def read_source(
    text: str, title: str, language: str, spans: Sequence[tuple[int, int]], stems: Stems
) -> Source:
    """A passage made ready: its sentences' stems and facts, and all its words."""
    parts = [text[start:end] for start, end in spans]
    capitals = " ".join(one for one in _word.findall(f"{title} {text}") if one[:1].isupper() or len(one) < 4)
    return Source(
        text,
        language,
        list(spans),
        [frozenset(stems(part, language)) for part in parts],
        [facts(part, language) for part in parts],
        frozenset(fold(word) for word in _word.findall(f"{title} {text}")),
        _squeezed(text),
        "".join(word[0].lower() for word in capitals.split() if word[0].isupper()),
    )


def _squeezed(text: str) -> str:
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
            one for one in _code.findall(self.text) if not re.fullmatch(r"\d+(?:st|nd|rd|th|s|[a-zA-Z]{1,3})", one)
        ]
        self.names = list(_names(self.text, language, known))
        self.stems = list(dict.fromkeys(stems(self.text, language)))

    @property
    def says_something(self) -> bool:
        """Whether there is enough to judge."""
        return len(self.stems) > 2 or bool(
            self.facts.quantities or self.facts.moments or self.names or self.codes
        )


def _names(text: str, language: str, known: frozenset[str]) -> Iterable[list[str]]:
    """Names: words with capitals, in runs; at a sentence's beginning only where more than that speaks for it.

    `known` are folded words that are names wherever they stand.
    """
    letters = [letter for letter in text if letter.isalpha()]
    if sum(letter.isupper() for letter in letters) > 0.5 * len(letters):
        return
    for found in _name.finditer(text):
        tokens = [one.rstrip(".'’") for one in re.split(r"[\s]+", found[0]) if one[:1].isupper()]
        before = text[: found.start()].rstrip(" \"“«(*_-•>")
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


class Court:
    """Holds claims against all passages of one exchange."""

    def __init__(self, sources: Sequence[Source], question: str = "") -> None:
        self._sources = sources
        self._asked = frozenset(fold(word) for word in _word.findall(question))

    def judge(self, claim: Claim) -> Judgement:
        """Against the passage that has most of the claim, and those nearly as close."""
        rated = sorted(
            ((self._closeness(claim, source), number) for number, source in enumerate(self._sources)),
            key=lambda pair: -pair[0][0],
        )
        best, first = rated[0]
        near = [number for rating, number in rated[:3] if rating[0] >= 0.6 * best[0]] or [first]
        missing: list[str] = []
        held = 0
        for kind, is_there in self._checked(claim, near, best[1]):
            if is_there:
                held += 1
            else:
                missing.append(kind)
        source = self._sources[first]
        start, end = source.spans[best[1]] if source.spans else (0, 0)
        overlap = best[0]
        is_foreign = source.language != claim.language
        if not missing:
            if is_foreign:
                label: Label = "supported" if held else "partly"
            elif overlap >= _ENOUGH or (held and overlap >= _SOME):
                label = "supported"
            else:
                missing.append("words")
                label = "partly" if held or overlap >= _LITTLE else "not"
        else:
            label = "partly" if held >= len(missing) and "negation" not in missing else "not"
        return Judgement(label, tuple(dict.fromkeys(missing)), first, start, end, round(overlap, 3))

    def _closeness(self, claim: Claim, source: Source) -> tuple[float, int]:
        """The largest share of the claim's stems in any three sentences running, and the middle one."""
        wanted = claim.stems
        if not wanted or not source.stems:
            return 0.0, 0
        found = [{at for at, stem in enumerate(wanted) if _has(stems, stem)} for stems in source.stems]
        best, place = -1.0, 0
        for at, own in enumerate(found):
            around = own.union(*found[max(0, at - _REACH) : at + _REACH + 1])
            score = (2 * len(around) + len(own)) / (3 * len(wanted))
            if score > best:
                best, place = score, at
        return best, place

    def _checked(self, claim: Claim, near: list[int], place: int) -> Iterable[tuple[str, bool]]:
        sources = [self._sources[number] for number in near]
        everything = [one for source in sources for one in source.facts]
        quantities = [one for part in everything for one in part.quantities]
        moments = [one for part in everything for one in part.moments]
        clocks = [one for part in everything for one in part.clocks]
        years = {int(value) for one in quantities for value in one.values if 0 < value < 3000}
        years |= {one.year for one in moments if one.year is not None}
        for quantity in claim.facts.quantities:
            is_there = any(same(quantity, one) for one in quantities) or any(
                value in years and not quantity.unit for value in quantity.values
            )
            if not is_there and quantity.is_word and quantity.values[0] < 13 and not quantity.unit:
                if not quantities:
                    continue  # how many there are may be counted by hand
            yield "number", is_there
        for moment in claim.facts.moments:
            yield "date", bears_out(moment, moments, years)
        for _, _, minute in claim.facts.clocks:
            yield "time", any(same_clock(minute, one) for _, _, one in clocks)
        for quote in claim.quotes:
            yield "quotation", any(_squeezed(quote) in source.plain for source in sources)
        words = frozenset().union(*(source.words for source in sources))
        for code in claim.codes:
            yield "number", fold(code) in words or any(fold(code) in source.plain for source in sources)
        if sources[0].language == claim.language:
            for tokens in claim.names:
                yield "name", self._is_named(tokens, words, sources)
            if _denies(claim, sources[0], place):
                yield "negation", False

    def _is_named(self, tokens: list[str], words: frozenset[str], sources: list[Source]) -> bool:
        lost = [one for one in tokens if not _is_known(fold(one), words)]
        lost = [one for one in lost if not (one.isupper() and any(fold(one) in it.initials for it in sources))]
        if not lost:
            return True
        if len(tokens) > 1 and any(
            "".join(one[0] for one in tokens).lower() in source.words for source in sources
        ):
            return True
        return all(fold(one) in self._asked for one in lost)


def _has(stems: frozenset[str], stem: str) -> bool:
    return stem in stems or (len(stem) > 5 and any(one[:5] == stem[:5] for one in stems if len(one) > 5))


def _is_known(name: str, words: frozenset[str]) -> bool:
    if name in words or name.removesuffix("s") in words or f"{name}s" in words:
        return True
    parts = re.split(r"['’.&-]", name)
    if len(parts) > 1 and all(part in words or len(part) < 2 for part in parts):
        return True
    return len(name) > 5 and any(
        (one.startswith(name[:-2]) or name.startswith(one)) and abs(len(one) - len(name)) < 4
        for one in words
        if len(one) > 4 and one[:4] == name[:4] and one[-1] not in "ao"
    )


def _denies(claim: Claim, source: Source, place: int) -> bool:
    """Whether the claim says that something is not so which the source says is so, or the other way round."""
    negators = _NEGATORS.get(claim.language)
    if negators is None or not source.spans:
        return False
    start, end = source.spans[place]
    told = source.text[start:end]
    mine, theirs = _polarity(claim.text, negators), _polarity(told, negators)
    shared = mine.keys() & theirs.keys()
    flipped = [word for word in shared if mine[word] != theirs[word]]
    if flipped and len(shared) > 2 and len(shared) >= 0.4 * len(mine):
        return True
    return _is_opposite(claim, told, shared)


def _polarity(text: str, negators: frozenset[str]) -> dict[str, bool]:
    """Long words → whether a negator stands up to three words before each, in its clause."""
    found: dict[str, bool] = {}
    for clause in _clause.split(_SOFT.sub(" ", text)):
        since = 9
        for word in _word.findall(clause.lower().replace("’", "'")):
            if word in negators:
                since = 0
                continue
            since += 1
            if len(word) > 3:
                found[fold(word)[:6]] = found.get(fold(word)[:6], False) or since <= 2
    return found


def _is_opposite(claim: Claim, told: str, shared: set[str]) -> bool:
    if len(shared) < 3:
        return False
    mine = frozenset(_word.findall(claim.text.lower()))
    theirs = frozenset(_word.findall(told.lower()))
    if len(mine & theirs) < 0.6 * len(mine):
        return False
    for pair in _OPPOSITES.get(claim.language, "").split():
        one, other = pair.split("/")
        for here, there in ((one, other), (other, one)):
            if here in mine and there in theirs and here not in theirs and there not in mine:
                return True
    return False
