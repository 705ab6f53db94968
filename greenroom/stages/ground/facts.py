"""Facts that a user states about themself, by rules and without a model: «meu nome é…», «I moved to…».

Only whole statements in the first person count: no question, no wish or supposition, nothing quoted, no
material of a task («translate: I live in Rome»), and nothing that holds a mask. Knows no store; what a fact
replaces is decided there, by `slot` and `value`.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from greenroom.stages.ground.sayings import SLOTS, Rule, sayings

_LOOKED_AT = 8_000
"""Characters of a turn that may hold facts: longer ones are material."""
_SENTENCE = 400
_MOST_FACTS = 20
_VALUE = 60

_line = re.compile(r"[^\n]+")
_sentence = re.compile(r"[^.!?;]*(?:[.](?=\w)[^.!?;]*)*[.!?;]*")
_quoted = re.compile(
    r"\"[^\"\n]{0,400}\"|“[^”\n]{0,400}”|«[^»\n]{0,400}»|`[^`\n]{0,400}`|(?<!\w)'[^'\n]{2,400}'(?!\w)"
)
_fence = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_mask = re.compile(r"<[A-Z][A-Z_]*_\d+>|\[[A-Z][A-Z_]*\]|\*{3,}")
_denial = re.compile(
    r"\b(?:not|never|no longer|n't|n’t|don't|don’t|não|nao|nunca|jamais|nem|no|ya no)(?: \w+){0,3} *$",
    re.IGNORECASE,
)
_DENYING = frozenset(("dislike", "diet", "allergy"))
"""Slots whose own rules hold a denial."""
_article = re.compile(r"^(?:an?|the|my|uma?|os?|as?|meu|minha|una?|el|la|los|las|mi) ", re.IGNORECASE)
_tail = re.compile(
    r" (?:and|but|because|since|for|so|with|where|when|who|which|while|at the moment|right now|now|"
    r"these days|anymore|"
    r"e|mas|porque|pois|desde|com|onde|quando|que|faz|há|agora|atualmente|hoje|por|numa?|"
    r"y|pero|porque|desde|con|donde|cuando|hace|ahora|actualmente|hoy|en una?|"
    r"at an?|in an?|next|last|yesterday|today|tomorrow|this)(?= |$).*$",
    re.IGNORECASE,
)

_word = re.compile(r"[^\W\d_]+")
_ENGLISH = frozenset(("i", "my", "our", "we", "me", "allergic", "the"))
"""One of these is in every English sentence that a rule fits."""
_IBERIAN = frozenset(_word.findall("""
    o os as um uma uns umas é eu meu minha meus minhas nosso nossa me nos não de do da dos das em na nas
    ao aos à às para pra pro por pelo pela que se com sou tenho moro vivo fui agora já e y el la los las
    un una unos unas yo mi mis nuestro nuestra del al en lo le no soy tengo ahora ya con es trabajo
    trabalho estoy estou odeio odio detesto adoro amo prefiro prefiero curto sofro sufro padezco curso
    estudo estudio falo hablo dirijo conduzco manejo comprei compré casei adotei adopté adotamos
    adoptamos aprendo embarco viajo vuelo
    """))  # fmt: skip
"""One of these is in every Portuguese or Spanish one."""


class Fact(NamedTuple):
    """Something a user said of themself."""

    slot: str
    """What it is about, as "home" or "mine:dance class"; a newer one replaces an older one."""
    value: str
    """Folded; the same slot with the same value is the same fact."""
    text: str
    """The sentence, as it stands in the turn; where that holds a mask, the part without."""
    concepts: tuple[str, ...]
    """Concepts by which questions ask for it."""
    about: str
    """Words by which questions ask for it."""


def facts_in(text: str) -> list[Fact]:
    """The facts a user's turn states, in order; of one sentence each slot once.

    Cost: about 0.3 ms a sentence of 60 characters; at most the first 8,000 characters are looked at.
    """
    found: list[Fact] = []
    for sentence, plain in _statements(text[:_LOOKED_AT]):
        slots: set[str] = set()
        words = frozenset(_word.findall(plain.casefold()))
        for slot, pattern in _rules_for(words):
            match = pattern.search(plain)
            if match is None or _mask.search(match[0]):
                continue
            fact = _fact(slot, match, sentence, _is_denied(slot, match, plain))
            if fact is None or fact.slot in slots or (slot == "mine" and slots):
                continue
            slots.add(fact.slot)
            found.append(fact)
            if len(found) == _MOST_FACTS:
                return found
    return found


def _rules_for(words: frozenset[str]) -> Iterator[Rule]:
    rules = sayings().rules
    if words & _ENGLISH:
        yield from rules["en"]
    if words & _IBERIAN:
        yield from rules["pt"]
        yield from rules["es"]


def _is_denied(slot: str, match: re.Match[str], plain: str) -> bool:
    """Whether the sentence says that this is not so, or no longer."""
    begins = match.start()
    until = begins if slot in _DENYING or match.groupdict().get("v") is None else match.start("v")
    return _denial.search(plain, max(0, begins - 20), until) is not None


def _fact(slot: str, match: re.Match[str], sentence: str, is_denied: bool) -> Fact | None:
    groups = match.groupdict()
    value = _value(groups.get("v") or "")
    kind = _folded(groups.get("k") or "")
    known = SLOTS[slot]
    if slot in {"like", "dislike"}:  # each thing is liked or not, and that may change
        is_denied = is_denied != (slot == "dislike")
        name = "taste"
    elif slot in {"kin", "pet", "favourite", "mine"}:
        if slot == "mine" and (len(kind.split()) > 7 or not value):
            return None
        name = f"{slot}:{kind}"
    else:
        name = slot
    if not known.is_single:
        name = f"{name}={value}"
    if is_denied:
        value = f"not {value}"
    about = " ".join(
        filter(
            None,
            (
                groups.get("k"),
                groups.get("v") if slot in {"like", "dislike", "own", "plan", "travel"} else "",
            ),
        )
    )
    text = match[0].strip() if _mask.search(sentence) else sentence
    return Fact(name, value, text, known.concepts, about)


def is_statement(text: str) -> bool:
    """Whether a turn says something: not only questions, tasks and suppositions. A long one is taken to."""
    return len(text) > _SENTENCE or any(
        sayings().task.match(plain.lstrip(" ¡")) is None for _, plain in _statements(text[:_LOOKED_AT])
    )


def fact_of(text: str) -> Fact:
    """What a person wrote down as a fact: by the rules where one fits, else a fact that replaces nothing."""
    found = facts_in(text)
    if found:
        return found[0]._replace(text=text)
    value = _folded(text)[:200]
    return Fact(f"note={value}", value, text, (), text)


def _statements(text: str) -> Iterator[tuple[str, str]]:
    """Sentences that state something, each as it stands and without what is quoted in it."""
    if "```" in text:
        text = _fence.sub("\n", text)
    for line in _line.findall(text):
        head, colon, _ = line.partition(":")
        if colon and sayings().task.search(head[-200:]):
            if line.rstrip().endswith(":") or not head.strip():
                return  # all that follows is the task's material
            continue
        if line.lstrip()[:1] in {">", "|", "#"}:
            continue
        for one in _sentence.findall(line):
            sentence = one.strip()
            if not 5 <= len(sentence) <= _SENTENCE or sentence.endswith("?") or sentence[0] == "¿":
                continue
            plain = _quoted.sub(" ", sentence)
            if not sayings().idle.search(plain):
                yield sentence.rstrip(";"), plain


def _value(text: str) -> str:
    """Folded, without articles and what only follows it."""
    return _article.sub("", _tail.sub("", _folded(text))).strip(" '’\"-")[:_VALUE]


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(one for one in plain if not unicodedata.combining(one)).split())
