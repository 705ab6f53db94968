"""Claims held against passages: is what a sentence says there?

First what can be compared exactly, in the sentences of a passage that speak of the same, then how many of the
claim's words the closest passage has. Knows no meaning beyond that.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from math import isclose
from typing import Literal, NamedTuple

from greenroom.stages.postprocess.claims import Claim, fold, squeezed, words_of
from greenroom.stages.postprocess.comparison import bears_out, same, same_clock
from greenroom.stages.postprocess.contradictions import Kind, contradicts, denies_more, swaps
from greenroom.stages.postprocess.meaning import Stems
from greenroom.stages.postprocess.numerals import Quantity
from greenroom.stages.postprocess.quantities import Facts
from greenroom.stages.postprocess.sources import Closeness, Source, closeness

Label = Literal["supported", "partly", "not"]

_ENOUGH = 0.25
"""Share of a sentence's words that a passage must have when nothing else speaks for it."""
_SOME = 0.1
"""The same where a number, date or name of the sentence is there too."""
_LITTLE = 0.15
"""Below this a sentence without facts has nothing to do with the passages."""
_VERBATIM = 24
"""Characters from which a sentence that a passage has word for word needs no other look."""
_NEAR = 0.6
"""Passages that have this share of what the closest has count as well."""
_FACTS = frozenset({"number", "date", "time", "name"})
_OTHERS = 5
"""Passages that are looked at one by one for what the closest ones don't have."""
_PERHAPS = 0.4
"""How close they must be, beside the closest."""
_AS_CLOSE = 1.0
"""How close a passage must be, beside the closest, to speak against a claim."""
_compares = re.compile(
    r"\b(?:less|fewer|more|shorter|longer|menos|más|mais)\b(?!\s+(?:than|de|d[eo]s?)\s+\d)", re.IGNORECASE
).search
_HOUR = 3600.0
_parts = re.compile(r"['’.&-]")


class Judgement(NamedTuple):
    """What a sentence was found to be, why, and where what supports it stands."""

    label: Label
    missing: tuple[str, ...]
    """Kinds of what is not there: number, date, name, quotation, negation, words."""
    source: int
    start: int
    end: int
    score: float


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
                at = source.plain.find(said)
                if at >= 0 and source.meaning.negators.isdisjoint(
                    source.plain[max(0, at - 16) : at].split()[-2:]
                ):
                    place = closeness(claim, source).place
                    start, end = source.spans[place] if source.spans else (0, 0)
                    return Judgement("supported", (), number, start, end, 1.0)
        rated = sorted(
            ((closeness(claim, source), number) for number, source in enumerate(self._sources)),
            key=lambda pair: -pair[0].rank,
        )
        best, first = rated[0]
        near = [(one, self._sources[number]) for one, number in rated[:3] if one.rank >= _NEAR * best.rank]
        if best.share < _LITTLE:  # no passage speaks of it in these words: its facts may be anywhere
            near = [
                (one._replace(places=frozenset(range(len(source.spans)))), source)
                for one, number in rated
                for source in (self._sources[number],)
            ]
        held, missing = self._weighed(claim, near)
        if missing and _FACTS.issuperset(missing):
            for one, number in rated[:_OTHERS]:  # all of it may stand in one that shares fewer words
                if one.rank < _PERHAPS * best.rank:
                    break
                others = self._weighed(claim, [(one, self._sources[number])])
                if not others[1]:
                    (held, missing), best, first = others, one, number
                    break
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

    def _weighed(self, claim: Claim, near: Sequence[tuple[Closeness, Source]]) -> tuple[int, list[str]]:
        """How many facts are there, and the kinds of those that are not."""
        missing: list[str] = []
        held = 0
        for kind, is_there in self._checked(claim, near):
            if is_there:
                held += 1
            else:
                missing.append(kind)
        return held, missing

    def _checked(self, claim: Claim, near: Sequence[tuple[Closeness, Source]]) -> Iterable[tuple[str, bool]]:
        """Each fact of a claim, and whether the sentences that speak of the same have it."""
        told = claim.facts
        is_factual = told.quantities or told.moments or told.clocks
        parts = [source.fact(at) for one, source in near for at in sorted(one.places)] if is_factual else []
        quantities = [one for part in parts for one in part.quantities]
        moments = [one for part in parts for one in part.moments]
        years = {int(value) for one in quantities for value in one.values if 0 < value < 3000}
        years |= {one.year for one in moments if one.year is not None}
        hours = {minute // 60 for part in parts for _, _, minute in part.clocks}
        elsewhere: list[tuple[Quantity, bool]] | None = None
        confirmed: list[float] = []
        closest_parts = near[0][1].fact(near[0][0].place) if told.quantities and near[0][1].spans else None
        close_by = closest_parts.quantities if closest_parts is not None else []
        for quantity in claim.facts.quantities:
            is_there = any(same(quantity, one) for one in quantities) or any(
                value in years and not quantity.unit for value in quantity.values
            )
            if not is_there and elsewhere is None:
                closest, source = near[0]
                elsewhere = [
                    (one, at in closest.touched)
                    for at in range(len(source.spans))
                    for one in source.fact(at).quantities
                ]
            is_alone = _is_alone(quantity, quantities)
            is_there = (
                is_there
                or any(
                    (is_touched or is_alone or _is_telling(quantity))
                    and (bool(quantity.unit) == bool(one.unit) or one.period or quantity.period)
                    and same(quantity, one)
                    for one, is_touched in elsewhere or ()
                )
                or _hour(quantity) in hours
                or _is_difference(quantity, confirmed, claim)
                or _is_change(quantity, claim, close_by)
            )
            if is_there:
                confirmed += quantity.values[:1]
            is_small = quantity.is_word and quantity.values[0] < 13 and not quantity.unit
            is_share = quantity.is_word and quantity.unit == "%"
            if is_small or is_share:  # how many there are may have been counted
                may_differ = any(one.unit == quantity.unit for one in quantities)
            else:
                may_differ = not quantity.is_soft
            if is_there or may_differ:
                yield "number", is_there
        for moment in claim.facts.moments:
            is_there = bears_out(moment, moments, years)
            if not is_there and not moments:  # nothing speaks against a date of another sentence
                everywhere = [one for part in _all_facts(near[0][1]) for one in part.moments]
                is_there = bears_out(moment, everywhere, years | {one.year for one in everywhere if one.year})
            yield "date", is_there
        if claim.facts.clocks:
            times = [one[2] for _, source in near for part in _all_facts(source) for one in part.clocks]
            hours_told = {_hour(one) for one in quantities}
            for _, _, minute in claim.facts.clocks:
                yield "time", any(same_clock(minute, one) for one in times) or minute / 60 in hours_told
        sources = [source for _, source in near]
        for quote in claim.quotes:
            yield "quotation", any(squeezed(quote) in source.plain for source in sources)
        words = frozenset().union(*(source.words for source in sources))
        for code in claim.codes:
            yield "number", fold(code) in words or any(fold(code) in source.plain for source in sources)
        if sources[0].language == claim.language:
            for tokens in claim.names:
                yield "name", self._is_named(tokens, words, sources)
            against = self._contradiction(claim, near)
            if against is not None:
                yield against, False

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

    def _contradiction(self, claim: Claim, near: Sequence[tuple[Closeness, Source]]) -> Kind | None:
        """What speaks against it in the sentences of the closest passage that speak of the same."""
        one, source = near[0]
        if not source.spans:
            return None
        compared = [
            (other, at)
            for close, other in near
            if close.rank >= _AS_CLOSE * one.rank
            for at in sorted(close.places)
            if 2 * close.counts.get(at, 0) >= max(close.counts.values(), default=0)
        ]
        found: Kind | None = None
        if (
            claim.may_turn
            or one.place in source.turning
            or any(at in other.turning for other, at in compared)
        ):
            found = contradicts(claim.clauses, [part for other, at in compared for part in other.parts(at)])
            if found is None and denies_more(claim.clauses, source.parts(one.place)):
                return "negation"
        if found is None and len(claim.names) > 1:
            start, end = source.spans[one.place]
            told = source.text[start:end]
            around = [part for at in sorted(one.places) for part in source.parts(at)]
            mine, theirs = (claim.text, claim.clauses), (told, source.parts(one.place))
            if swaps(mine, theirs, around, claim.name_stems, claim.language):
                return "role"
        return found


def _all_facts(source: Source) -> Iterable[Facts]:
    return (source.fact(at) for at in range(len(source.spans)))


def _is_alone(quantity: Quantity, others: Sequence[Quantity]) -> bool:
    """Whether the sentences that speak of the same have no other number of its kind: a unit's, or a year."""
    if quantity.unit:
        return all(one.unit != quantity.unit for one in others)
    is_year = 1000 <= quantity.values[0] < 2200
    return is_year and not any(1000 <= one.values[0] < 2200 and not one.unit for one in others)


def _is_telling(quantity: Quantity) -> bool:
    """Whether a number is unlikely to stand in a passage by chance: two digits or more, with a unit."""
    return bool(quantity.unit) and quantity.values[0] >= 10 * quantity.factor


def _hour(quantity: Quantity) -> float:
    """The hour of the day that a number may mean ("from 8 to 23 hours"); -1 for none."""
    if quantity.unit not in {"", "s"} or (quantity.unit and quantity.factor != _HOUR):
        return -1
    return quantity.values[0] / quantity.factor


def _is_change(quantity: Quantity, claim: Claim, sources: Sequence[Quantity]) -> bool:
    """Whether a number with more or less beside it is the difference of two of its source's."""
    if _compares(claim.text) is None:
        return False
    value = quantity.values[0]
    return any(
        isclose(abs(one.values[0] - two.values[0]) / (1 if quantity.unit else one.factor), value)
        for one, two in combinations(sources, 2)
        if one.unit == two.unit
        and (not quantity.unit or quantity.unit == one.unit)
        and one.values != two.values
    )


def _is_difference(quantity: Quantity, confirmed: Sequence[float], claim: Claim) -> bool:
    """Whether a number is the difference or the sum of two others of its sentence, which its source has."""
    others = {*confirmed, *(one.values[0] for one in claim.facts.quantities if one is not quantity)}
    value = quantity.values[0]
    return len(claim.facts.quantities) > 2 and any(
        value in {one - two, one + two} for one in others for two in others if one > two > 0
    )


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
