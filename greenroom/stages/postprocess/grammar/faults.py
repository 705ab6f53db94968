"""Faults of grammar in a text.

A rule is asked only at places where one of its keys stands: one Aho-Corasick pass over the text in small
letters tells. What is no prose is left alone.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache

from greenroom.exchange import Edit
from greenroom.stages.postprocess.grammar import english, portuguese, spanish
from greenroom.stages.postprocess.grammar.rules import Rule

Find = Callable[[str], list[tuple[int, int]]]
"""From a text in small letters to (place of a rule, where one of its keys begins)."""


_RULES = {"en": english.RULES, "pt": portuguese.RULES, "es": spanish.RULES}


def rules_of(language: str) -> tuple[Rule, ...]:
    """The rules of "en", "pt" or "es"; none for another language."""
    return _RULES.get(language, ())


@cache
def _finder(language: str) -> Find:
    from ahocorasick_rs import AhoCorasick  # noqa: PLC0415  # only where grammar is looked at

    pairs = [(key, place) for place, one in enumerate(rules_of(language)) for key in one.keys]
    automaton = AhoCorasick([key for key, _ in pairs])
    places = [place for _, place in pairs]

    def find(text: str) -> list[tuple[int, int]]:
        return [
            (places[key], start)
            for key, start, _ in automaton.find_matches_as_indexes(text, overlapping=True)
        ]

    return find


def faults(
    text: str, language: str, prose: Callable[[], Sequence[tuple[int, int]]], at: int = 0
) -> list[Edit]:
    """The faults in the prose of a text, sorted, not overlapping; offsets count from `at`.

    `prose` gives the stretches of prose, and is asked only when there is a fault.
    """
    rules = rules_of(language)
    if not rules:
        return []
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
    found: list[Edit] = []
    for place, start in _finder(language)(lowered):
        match = rules[place].pattern.match(text, start)
        if match is not None:
            edit = _edit(rules[place], match, language, at)
            if edit is not None:
                found.append(edit)
    if not found:
        return found
    found.sort(key=lambda edit: (edit.start, -edit.end))
    spans = prose()
    kept: list[Edit] = []
    for edit in found:
        first, last = edit.start - at, edit.end - at
        if (not kept or edit.start >= kept[-1].end) and any(
            low <= first and last <= high for low, high in spans
        ):
            kept.append(edit)
    return kept


def _edit(one: Rule, match: re.Match[str], language: str, at: int) -> Edit | None:
    new = match.expand(one.replace) if isinstance(one.replace, str) else one.replace(match)
    before = match[0]
    if new is None:
        return None
    if before[:1].isupper():
        new = new[:1].upper() + new[1:]
    if new == before:
        return None
    return Edit(
        start=at + match.start(), end=at + match.end(), text=new, before=before,
        rule=f"grammar.{language}.{one.name}", reason=one.reason, confidence=0.95,
    )  # fmt: skip
