"""Claims held against passages: is what a sentence says there?

First what can be compared exactly, in the sentences of a passage that speak of the same, then how many of the
claim's words the closest passage has. Knows no meaning beyond that.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from greenroom.stages.postprocess.claims import (
    NEGATORS,
    Claim,
    Stems,
    denials,
    fold,
    polarity,
    squeezed,
    words_of,
)
from greenroom.stages.postprocess.comparison import bears_out, same, same_clock
from greenroom.stages.postprocess.quantities import Facts, facts

Label = Literal["supported", "partly", "not"]

_ENOUGH = 0.34
"""Share of a sentence's words that a passage must have when nothing else speaks for it."""
_SOME = 0.1
"""The same where a number, date or name of the sentence is there too."""
_LITTLE = 0.15
"""Below this a sentence without facts has nothing to do with the passages."""
_SAME = 0.8
"""Share of its words by which a sentence says what another one does."""
_VERBATIM = 24
"""Characters from which a sentence that a passage has word for word needs no other look."""
_NEAR = 0.6
"""Passages that have this share of what the closest has count as well."""
_OWN = 0.25
"""Share of a claim's words that make a passage's sentence one that its numbers may come from."""
_REACH = 1
"""Sentences on each side of a matching one that count with it."""
_PREFIX = 5
"""Letters that two longer stems share to be taken for one word's ("collected", "collection")."""
_parts = re.compile(r"['’.&-]")


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    words = [tuple(pair.split("/")) for pair in text.split()]
    return tuple(pair for one, other in words for pair in ((one, other), (other, one)))


_OPPOSITES = {
    "en": _pairs("""increase/decrease increased/decreased rose/fell rise/fall higher/lower highest/lowest
        more/less before/after largest/smallest first/last always/never allowed/forbidden open/closed
        maximum/minimum north/south east/west northern/southern eastern/western above/below success/failure
        won/lost accepted/rejected male/female oldest/newest enabled/disabled older/younger gained/lost"""),
    "pt": _pairs("""aumentou/diminuiu aumento/redução aumento/diminuição subiu/caiu maior/menor antes/depois
        primeiro/último primeira/última sempre/nunca permitido/proibido aberto/fechado máximo/mínimo
        norte/sul leste/oeste acima/abaixo venceu/perdeu ganhou/perdeu aceitou/rejeitou mais/menos
        melhor/pior ativado/desativado obrigatório/opcional"""),
    "es": _pairs("""aumentó/disminuyó aumento/reducción subió/cayó subió/bajó mayor/menor antes/después
        primero/último primera/última siempre/nunca permitido/prohibido abierto/cerrado máximo/mínimo
        norte/sur este/oeste encima/debajo ganó/perdió aceptó/rechazó más/menos mejor/peor
        activado/desactivado obligatorio/opcional"""),
}


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
    denied: dict[int, dict[str, set[bool]]]
    """What is denied, by sentence, of those that were looked at."""

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


def read_source(
    text: str, title: str, language: str, spans: Sequence[tuple[int, int]], stems: Stems
) -> Source:
    """A passage made ready: its sentences' stems and facts, and all its words."""
    parts = [text[start:end] for start, end in spans]
    capitals = " ".join(one for one in words_of(f"{title} {text}") if one[:1].isupper() or len(one) < 4)
    return Source(
        text,
        language,
        list(spans),
        [_with_prefixes(stems(part, language)) for part in parts],
        {},
        frozenset(
            part
            for word in words_of(f"{title} {text}")
            for folded in (fold(word),)
            for part in (folded, *(_parts.split(folded) if not folded.isalnum() else ()))
        ),
        squeezed(text),
        "".join(word[0].lower() for word in capitals.split() if word[0].isupper()),
        {},
    )


class Court:
    """Holds claims against all passages of one exchange."""

    def __init__(self, sources: Sequence[Source], stems: Stems, question: str = "") -> None:
        self._sources = sources
        self._stems = stems
        self._asked = frozenset(fold(word) for word in words_of(question))

    def judge(self, claim: Claim) -> Judgement:
        """Against the passage that has most of the claim, and those nearly as close; a quotation holds."""
        said = squeezed(claim.text)
        if len(said) >= _VERBATIM:
            for number, source in enumerate(self._sources):
                if said in source.plain:
                    place = _closeness(claim, source).place
                    start, end = source.spans[place] if source.spans else (0, 0)
                    return Judgement("supported", (), number, start, end, 1.0)
        rated = sorted(
            ((_closeness(claim, source), number) for number, source in enumerate(self._sources)),
            key=lambda pair: -pair[0].share,
        )
        best, first = rated[0]
        near = [(one, self._sources[number]) for one, number in rated[:3] if one.share >= _NEAR * best.share]
        if best.share < _LITTLE:  # no passage speaks of it in these words: its facts may be anywhere
            near = [
                (one._replace(places=frozenset(range(len(source.spans)))), source)
                for one, number in rated
                for source in (self._sources[number],)
            ]
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
            elif best.share >= _ENOUGH or (
                held and (best.share >= _SOME or held > 1 or len(claim.stems) < 2)
            ):
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
            yield "quotation", any(squeezed(quote) in source.plain for source in sources)
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
        if claim.language not in NEGATORS or not source.spans:
            return False
        start, end = source.spans[place]
        told = source.text[start:end]
        theirs = source.denied.get(place)
        if theirs is None:
            theirs = source.denied[place] = polarity(told, source.language, self._stems)
        mine = claim.polarity
        shared = mine.keys() & theirs.keys()
        flipped = [word for word in shared if not mine[word] & theirs[word]]
        if flipped and len(shared) > 1 and len(shared) >= 0.4 * len(mine):
            return True
        stems = source.stems[place]
        covered = sum(_has(stems, stem) for stem in claim.stems)
        if claim.stems and covered >= _SAME * len(claim.stems):
            more = denials(claim.text, claim.language) - denials(told, claim.language)
            if more > 0 or (more < 0 and covered >= _SAME * _count(stems)):
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


def _with_prefixes(stems: Iterable[str]) -> frozenset[str]:
    """Stems, and the beginnings of longer ones with a mark behind."""
    own = frozenset(stems)
    return own | {f"{stem[:_PREFIX]}*" for stem in own if len(stem) > _PREFIX}


def _count(stems: frozenset[str]) -> int:
    return sum(stem[-1] != "*" for stem in stems)


def _has(stems: frozenset[str], stem: str) -> bool:
    return stem in stems or (len(stem) > _PREFIX and f"{stem[:_PREFIX]}*" in stems)


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


def _is_opposite(claim: Claim, told: str, shared: Collection[str]) -> bool:
    if not shared:
        return False
    mine = frozenset(words_of(claim.text.lower()))
    theirs = frozenset(words_of(told.lower()))
    if len(mine & theirs) < 0.6 * len(mine):
        return False
    return any(
        here in mine and there in theirs and here not in theirs and there not in mine
        for here, there in _OPPOSITES.get(claim.language, ())
    )
