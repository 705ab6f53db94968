"""What words are about: the terms by which remembered turns are found where question and answer share none.

«Where is my home?» and «I just moved to Galway» have no word in common, but a concept; so have the same words
in English, Portuguese and Spanish. Knows the list in `data/memory/concepts.txt` and the stems; keeps no text.
"""

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from greenroom.grounding.stems import LANGUAGES, STOP_WORDS, Language, fold, language_of, tokens

CONCEPT = "#"
"""Before a concept's name, where it stands among stems."""
_INDEXED = 20_000
"""Characters of a text that are looked at."""
_ASKED = 2_000
_MOST_GROUPS = 24

_WEAK = frozenset({
    "name", "habit", "day", "date", "time", "plan", "like", "dislike", "favourite", "brand", "model",
    "origin", "age", "title",
})  # fmt: skip
"""Concepts that say what kind of answer is wanted more than what it is about."""
_WEAK_WEIGHT = 0.5

_NEEDED = frozenset({
    "favourite", "mother", "father", "sister", "brother", "child", "partner", "grandparent", "aunt", "cousin",
    "nephew", "inlaw", "friend", "neighbour", "boss", "colleague",
})  # fmt: skip
"""Concepts that change what is asked: my husband's job is not my job, favourite food is not food."""

_NOISE = frozenset(fold("""
    suggest recommend advise tell remind remember recall know mind give want need please help say said mention
    mentioned talk talked told think thought currently current today now moment present nowadays anymore
    people person everyone everybody someone anyone gente pessoas pessoa todos todo alguem alguien personas
    persona before previously formerly former used earlier originally antes anterior anteriores
    anteriormente antigamente originalmente costumava previamente previo solia problem problems issue problema
    problemas algum algun fazer faco hacer hago get got cant dont didnt doesnt isnt
    wasnt already yet still last kind type sort thing things something anything again many much bring
    consider considering account sugira sugerir sugere recomende recomenda recomendar diga dizer disse diz
    lembra lembre lembrar lembro lembrando sabe saber sei dê dar quero quer preciso favor ajude ajuda
    mencionei mencionou falei falou contei fica ficar ficam faz atualmente atual hoje momento tipo coisa
    coisas algo conforme considere considerando conta levando queda quedar sugiere sugerir recomienda
    recomendar dime decir dije dijiste recuerda recuerdas recordar acuerdas sabes dame quiero necesito favor
    ayuda mencioné mencionaste conté hablamos actualmente actual hoy ahora momento cosa cosas considera
    considerando cuenta llevo
    """).split())  # fmt: skip
"""Words of questions that name nothing: what is wanted of the answer, not what it is about."""

_PAST = re.compile(
    r"\b(?:before|previous(?:ly)?|formerly|former|used to|earlier|at first|originally|in the past|"
    r"antes|anterior(?:es|mente)?|antigamente|antig[oa]s?|no passado|originalmente|costumava|"
    r"anteriormente|en el pasado|previa(?:mente)?|previo|soli[ao]|antigu[oa]s?)\b"
)
"""In a folded question: it asks for what was, not for what is."""

_later = re.compile(r"(?<=\w )(?:before|antes d[aeo]l?)\b[^?!,]*", re.IGNORECASE)
_ANSWERED = re.compile(
    r"\b(?:did you|you (?:said|told|recommended|suggested|gave|mentioned|explained|wrote|advised)|"
    r"(?:voce|vc) (?:me )?(?:disse|indicou|recomendou|sugeriu|falou|deu|explicou|escreveu|passou)|"
    r"me (?:disse|indicou|recomendou|sugeriu|falou|explicou|deu|passou|dijiste|recomendaste|sugeriste|"
    r"explicaste|diste|contaste|aconsejaste|has dicho|has recomendado))\b"
)
"""In a folded question: it asks for what was answered."""

_word = re.compile(r"\w+(?:-\w+)*")
_name = re.compile(r"(?<=[\w,] )[A-ZÀ-Ý][\w-]+")
_contraction = re.compile(r"'(?:s|m|re|ve|ll|d)\b")


class Group(NamedTuple):
    """One word of a question: a hit on any of its terms is a hit on the word."""

    weight: float
    """How much it says what the question is about, before its rarity counts."""
    literal: frozenset[str]
    """The word's stems, one per language."""
    concepts: frozenset[str]
    """Terms of its concepts, marked."""
    is_needed: bool = False
    """What has not this word has nothing."""


class Asked(NamedTuple):
    """A question as the memory searches it."""

    groups: tuple[Group, ...]
    is_past: bool
    """It asks for what was, not for what is."""
    is_of_answers: bool
    """It asks for what it was told, not for what the user said."""


class _Table(NamedTuple):
    words: dict[str, frozenset[str]]
    """Folded word, or its stem in one language → its own concepts."""
    phrases: tuple[tuple[str, frozenset[str]], ...]
    wider: dict[str, frozenset[str]]
    """Concept → itself and all that are wider."""
    kinds: frozenset[str]
    """Concepts whose words are many of one kind: a question for one of them is not for another."""


def index_terms(text: str) -> list[str]:
    """The distinct terms of a text: stems, and the concepts its words stand for with the wider ones.

    A capitalised word within a sentence stands whole: the stem of «Madrid» is that of «madre».
    """
    text = text[:_INDEXED]
    table = _table()
    language = language_of(text)
    found: dict[str, None] = {}
    names = frozenset(fold(word) for word in _name.findall(text))
    words = _words(text)
    for word in dict.fromkeys(words):
        if word in names:
            found[word] = None
            continue
        found.update(dict.fromkeys(tokens(word, language)))
    for word in dict.fromkeys(words):
        for concept in _concepts_of(word, language, table, by_stem=word not in names):
            found.update(dict.fromkeys(CONCEPT + one for one in table.wider[concept]))
    spoken = f" {' '.join(words)} "
    for phrase, concepts in table.phrases:
        if phrase in spoken:
            for concept in concepts:
                found.update(dict.fromkeys(CONCEPT + one for one in table.wider[concept]))
    return list(found)


def ask(text: str, language: str | None = None) -> Asked:
    """The groups of a question. Words that name nothing are left out; at most 24 groups are made."""
    text = text[:_ASKED]
    table = _table()
    known: Language = next((one for one in LANGUAGES if one == language), language_of(text))
    words = _words(text)
    spoken = f" {' '.join(words)} "
    is_past = _PAST.search(spoken) is not None
    if is_past:  # «before Rome» says where one was later
        words = _words(_later.sub("", text)) or words
        spoken = f" {' '.join(words)} "
    groups: list[Group] = []
    idle = set(_NOISE | STOP_WORDS[known])
    for phrase, concepts in table.phrases:
        if phrase in spoken:
            groups.append(_group(frozenset(), concepts))
            idle.update(phrase.split())
    for word in dict.fromkeys(words):
        if word in idle or (len(word) == 1 and not word.isdigit()):
            continue
        concepts = _concepts_of(word, known, table) - table.kinds
        stems = frozenset(stem for one in LANGUAGES for stem in tokens(word, one))
        if stems:
            groups.append(_group(stems | {word}, concepts))
    return Asked(tuple(groups[:_MOST_GROUPS]), is_past, _ANSWERED.search(spoken) is not None)


def _words(text: str) -> list[str]:
    """The folded words in order; «what's» is «what», «can't» is «cant»."""
    folded = fold(text)
    if "'" in folded or "’" in folded:
        folded = _contraction.sub("", folded.replace("’", "'")).replace("'", "")
    return _word.findall(folded)


def _group(literal: frozenset[str], concepts: frozenset[str]) -> Group:
    weight = _WEAK_WEIGHT if concepts and concepts <= _WEAK else 1.0
    is_needed = not concepts.isdisjoint(_NEEDED)
    if "favourite" in concepts:
        concepts |= {"like"}
    return Group(weight, literal, frozenset(CONCEPT + one for one in concepts), is_needed)


def _concepts_of(word: str, language: Language, table: _Table, *, by_stem: bool = True) -> frozenset[str]:
    found = table.words.get(f"{language}:{word}") or table.words.get(word)
    if found is None and by_stem and len(word) > 4:
        stems = tokens(word, language)
        found = table.words.get(f"{language}={stems[0]}") if len(stems) == 1 else None
    return found or frozenset()


@cache
def _table() -> _Table:
    text = (resources.files("greenroom") / "data" / "memory" / "concepts.txt").read_text(encoding="utf-8")
    words: dict[str, set[str]] = {}
    phrases: dict[str, set[str]] = {}
    wider: dict[str, frozenset[str]] = {}
    parents: dict[str, list[str]] = {}
    kinds: set[str] = set()
    for line in text.splitlines():
        head, colon, rest = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        is_exact = head.endswith("!")
        name, *above = head.rstrip("!").replace("<", " ").split()
        if name.endswith("*"):
            name = name[:-1]
            kinds.add(name)
        parents[name] = above
        for language, listed in zip(LANGUAGES, rest.split("|"), strict=True):
            for entry in listed.split():
                word = " ".join(_words(entry.replace("_", " ")))
                if " " in word:
                    phrases.setdefault(f" {word} ", set()).add(name)
                    continue
                words.setdefault(f"{language}:{word}", set()).add(name)
                if len(word) > 3:  # short words mean other things elsewhere
                    words.setdefault(word, set()).add(name)
                    for stem in tokens(word, language)[:1] if "-" not in word and not is_exact else ():
                        words.setdefault(f"{language}={stem}", set()).add(name)
    for name in parents:
        above = [name]
        for one in above:
            above += parents[one]
        wider[name] = frozenset(above)
    return _Table(
        {word: frozenset(names) for word, names in words.items()},
        tuple((phrase, frozenset(names)) for phrase, names in phrases.items()),
        wider,
        frozenset(kinds),
    )
