"""One sentence held against passages: is what it says there?

First what can be compared exactly (numbers, dates, names, quotations, whether something is denied), then how
much of its words the closest passage has. Knows stems by a function it is given; knows no meaning beyond
that, and says nothing of sentences that claim nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
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
_SAME = 0.8
"""Share of its words by which a sentence says what another one does."""
_NEAR = 0.6
"""Passages that have this share of what the closest has count as well."""
_OWN = 0.25
"""Share of a claim's words that make a passage's sentence one that its numbers may come from."""
_REACH = 1
"""Sentences on each side of a matching one that count with it."""

_LETTER = "A-ZÀ-ÖØ-Þ"
_word = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")
_name = re.compile(
    rf"(?<![\w@/#.])[{_LETTER}][\w'’&-]*(?:(?:\s|\s(?:de|da|do|das|dos|del|la|las|los|y|e|of|the|and|von|van|di)\s"
    rf"|\.\s)(?=[{_LETTER}])[{_LETTER}][\w'’&-]*){{0,6}}"
)
_parts = re.compile(r"['’.&-]")
_code = re.compile(
    r"(?<![\w.])\d+(?:\.\d+){2,}\b|(?<![\w.])(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*\b"
)
_quoted = re.compile(r"[\"“«]([^\"“”«»\n]{3,200})[\"”»]")
_marker = re.compile(r"\s?\[\d{1,3}(?:, ?\d{1,3})*\]|<[A-Z][A-Z_]*_\d+>")
_markdown = re.compile(r"[*_`#>|]+|^\s*[-•+]\s", re.MULTILINE)
_clause = re.compile(
    r"[,;:()—–]|\b(?:but|mas|pero|and|while|enquanto|mientras|porque|because)\b", re.IGNORECASE
)

_NEGATORS = {
    "en": frozenset(
        [
            "not",
            "no",
            "never",
            "none",
            "neither",
            "nor",
            "without",
            "cannot",
            "can't",
            "don't",
            "doesn't",
            "didn't",
            "isn't",
            "aren't",
            "wasn't",
            "weren't",
            "won't",
            "wouldn't",
            "couldn't",
            "shouldn't",
            "hasn't",
            "haven't",
            "hadn't",
            "nobody",
            "nothing",
        ]
    ),
    "pt": frozenset(
        ["não", "nunca", "jamais", "nenhum", "nenhuma", "sem", "nem", "ninguém", "nada", "tampouco"]
    ),
    "es": frozenset(
        ["no", "nunca", "jamás", "ningún", "ninguno", "ninguna", "sin", "ni", "nadie", "nada", "tampoco"]
    ),
}
_SOFT = re.compile(
    r"\b(?:not only|no more than|no less than|no fewer than|not just|no longer|not until|no matter"
    r"|a não ser|a menos que|a no ser|unless|não só|não apenas|não somente|nada menos|no solo|no sólo|no solamente|nada menos|sem dúvida|sin duda)\b",
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
    "en": frozenset(
        [
            "is",
            "was",
            "were",
            "are",
            "has",
            "had",
            "have",
            "will",
            "can",
            "did",
            "does",
            "said",
            "won",
            "became",
        ]
    ),
    "pt": frozenset(
        [
            "é",
            "foi",
            "era",
            "são",
            "eram",
            "tem",
            "tinha",
            "será",
            "está",
            "estava",
            "disse",
            "venceu",
            "ganhou",
            "nasceu",
            "morreu",
        ]
    ),
    "es": frozenset(
        [
            "es",
            "fue",
            "era",
            "son",
            "eran",
            "tiene",
            "tenía",
            "será",
            "está",
            "estaba",
            "dijo",
            "ganó",
            "nació",
            "murió",
            "ha",
            "había",
        ]
    ),
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
_participle = re.compile(r"[ai]d[oa]s?\Z")
_TITLES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sir",
        "president",
        "king",
        "queen",
        "professor",
        "doctor",
        "sr",
        "sra",
        "dra",
        "presidente",
        "rei",
        "rainha",
        "rey",
        "reina",
        "professora",
        "senhor",
        "senhora",
        "señor",
        "señora",
        "the",
        "a",
        "an",
        "o",
        "os",
        "as",
        "la",
        "el",
        "los",
        "las",
        "in",
        "on",
        "at",
        "em",
        "no",
        "na",
        "en",
        "un",
        "una",
        "um",
        "uma",
        "this",
        "these",
        "that",
        "those",
        "este",
        "esta",
        "esse",
        "essa",
        "ese",
        "esa",
        "i",
    ]
)


class Source(NamedTuple):
    """One passage, read for comparing."""

    text: str
    language: str
    spans: list[tuple[int, int]]
    """Its sentences."""
    stems: list[frozenset[str]]
    facts: dict[int, Facts]
    """Those that were looked for, by sentence."""
    words: frozenset[str]
    """All words, folded; the title's too."""
    plain: str
    initials: str

    def fact(self, at: int) -> Facts:
        """What can be compared in a sentence."""
        found = self.facts.get(at)
        if found is None:
            start, end = self.spans[at]
            found = self.facts[at] = facts(self.text[start:end], self.language)
        return found


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
        {},
        frozenset(
            part
            for word in _word.findall(f"{title} {text}")
            for folded in (fold(word),)
            for part in (folded, *(_parts.split(folded) if not folded.isalnum() else ()))
        ),
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
            one
            for one in _code.findall(self.text)
            if not re.fullmatch(r"\d+(?:st|nd|rd|th|s|[a-zA-Z]{1,3})", one)
        ]
        self.names = [
            tokens for tokens in _names(self.text, language, known) if stems(" ".join(tokens), language)
        ]
        self.stems = list(dict.fromkeys(stems(self.text, language)))
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


class Court:
    """Holds claims against all passages of one exchange."""

    def __init__(self, sources: Sequence[Source], stems: Stems, question: str = "") -> None:
        self._sources = sources
        self._stems = stems
        self._asked = frozenset(fold(word) for word in _word.findall(question))

    def judge(self, claim: Claim) -> Judgement:
        """Against the passage that has most of the claim, and those nearly as close."""
        rated = sorted(
            ((_closeness(claim, source), number) for number, source in enumerate(self._sources)),
            key=lambda pair: -pair[0].share,
        )
        best, first = rated[0]
        near = [(one, self._sources[number]) for one, number in rated[:3] if one.share >= _NEAR * best.share]
        missing: list[str] = []
        held = 0
        for kind, is_there in self._checked(claim, near):
            if is_there:
                held += 1
            else:
                missing.append(kind)
        source = self._sources[first]
        start, end = source.spans[best.place] if source.spans else (0, 0)
        if not missing:
            if source.language != claim.language:
                label: Label = "supported" if held else "partly"
            elif best.share >= _ENOUGH or (held and best.share >= _SOME):
                label = "supported"
            else:
                missing.append("words")
                label = "partly" if held or best.share >= _LITTLE else "not"
        else:
            label = "partly" if held >= len(missing) and "negation" not in missing else "not"
        return Judgement(label, tuple(dict.fromkeys(missing)), first, start, end, round(best.share, 3))

    def _checked(
        self, claim: Claim, near: Sequence[tuple["_Closeness", Source]]
    ) -> Iterable[tuple[str, bool]]:
        """Each fact of a claim, and whether the sentences that speak of the same have it."""
        parts = [source.fact(at) for one, source in near for at in sorted(one.places)]
        quantities = [one for part in parts for one in part.quantities]
        moments = [one for part in parts for one in part.moments]
        years = {int(value) for one in quantities for value in one.values if 0 < value < 3000}
        years |= {one.year for one in moments if one.year is not None}
        for quantity in claim.facts.quantities:
            is_there = any(same(quantity, one) for one in quantities) or any(
                value in years and not quantity.unit for value in quantity.values
            )
            is_small = quantity.is_word and quantity.values[0] < 13 and not quantity.unit
            if is_there or not is_small or quantities:  # how many there are may have been counted
                yield "number", is_there
        for moment in claim.facts.moments:
            yield "date", bears_out(moment, moments, years)
        for _, _, minute in claim.facts.clocks:
            yield "time", any(same_clock(minute, one) for part in parts for _, _, one in part.clocks)
        sources = [source for _, source in near]
        for quote in claim.quotes:
            yield "quotation", any(_squeezed(quote) in source.plain for source in sources)
        words = frozenset().union(*(source.words for source in sources))
        for code in claim.codes:
            yield "number", fold(code) in words or any(fold(code) in source.plain for source in sources)
        if sources[0].language == claim.language:
            for tokens in claim.names:
                yield "name", self._is_named(tokens, words, sources)
            if self._denies(claim, sources[0], near[0][0].place):
                yield "negation", False

    def _is_named(self, tokens: list[str], words: frozenset[str], sources: list[Source]) -> bool:
        lost = [one for one in tokens if not _is_known(fold(one), words)]
        lost = [
            one for one in lost if not (one.isupper() and any(fold(one) in it.initials for it in sources))
        ]
        if not lost:
            return True
        if len(tokens) > 1 and any(
            "".join(one[0] for one in tokens).lower() in source.words for source in sources
        ):
            return True
        return all(fold(one) in self._asked for one in lost)

    def _denies(self, claim: Claim, source: Source, place: int) -> bool:
        """Whether it says that something is not so which the source says is so, or the other way round."""
        if claim.language not in _NEGATORS or not source.spans:
            return False
        start, end = source.spans[place]
        told = source.text[start:end]
        mine, theirs = claim.polarity, polarity(told, source.language, self._stems)
        shared = mine.keys() & theirs.keys()
        flipped = [word for word in shared if not mine[word] & theirs[word]]
        if flipped and len(shared) > 1 and len(shared) >= 0.4 * len(mine):
            return True
        stems = source.stems[place]
        covered = sum(_has(stems, stem) for stem in claim.stems)
        if claim.stems and covered >= _SAME * len(claim.stems):
            more = _denials(claim.text, claim.language) - _denials(told, claim.language)
            if more > 0 or (more < 0 and covered >= _SAME * len(stems)):
                return True
        return _is_opposite(claim, told, shared)


class _Closeness(NamedTuple):
    """How much of a claim's words a passage has: in its best sentences, which these are, and where else."""

    share: float
    place: int
    places: frozenset[int]


def _closeness(claim: Claim, source: Source) -> _Closeness:
    """The largest share of the claim's stems in any three sentences running, the middle one counted more."""
    wanted = claim.stems
    if not wanted or not source.stems:
        return _Closeness(0.0, 0, frozenset(range(len(source.spans))))
    found = [{at for at, stem in enumerate(wanted) if _has(stems, stem)} for stems in source.stems]
    best, place = -1.0, 0
    for at, own in enumerate(found):
        around = own.union(*found[max(0, at - _REACH) : at + _REACH + 1])
        score = (2 * len(around) + len(own)) / (3 * len(wanted))
        if score > best:
            best, place = score, at
    places = {at for at, own in enumerate(found) if len(own) >= _OWN * len(wanted)}
    places |= {at for at in range(place - _REACH, place + _REACH + 1) if 0 <= at < len(found)}
    return _Closeness(best, place, frozenset(places))


def _has(stems: frozenset[str], stem: str) -> bool:
    return stem in stems or (len(stem) > 5 and any(one[:5] == stem[:5] for one in stems if len(one) > 5))


def _is_known(name: str, words: frozenset[str]) -> bool:
    if name in words or name.removesuffix("s") in words or f"{name}s" in words:
        return True
    parts = _parts.split(name)
    if len(parts) > 1 and all(part in words or len(part) < 2 for part in parts):
        return True
    return len(name) > 5 and any(
        (one.startswith(name[:-2]) or name.startswith(one)) and abs(len(one) - len(name)) < 4
        for one in words
        if len(one) > 4 and one[:4] == name[:4] and one[-1] not in "ao"
    )


def _denials(text: str, language: str) -> int:
    words = _word.findall(_SOFT.sub(" ", text).lower().replace("’", "'"))
    return sum(word in _NEGATORS[language] for word in words)


def polarity(text: str, language: str, stems: Stems) -> dict[str, set[bool]]:
    """Stems → whether the negator before them, in their clause, is theirs; both for what is not clear.

    It is that of the first word with a stem, the verb mostly; the two behind it may go with the verb.

    A participle right behind one is denied alone ("dias não usados"): nothing is said of the rest.
    """
    negators = _NEGATORS.get(language, frozenset())
    found: dict[str, set[bool]] = {}
    for clause in _clause.split(_SOFT.sub(" ", text)):
        since, behind = 9, "-"
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
                found.setdefault(stem, set()).update((True, False) if since in {2, 3} else (since == 1,))
    return found


def _is_opposite(claim: Claim, told: str, shared: Collection[str]) -> bool:
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
