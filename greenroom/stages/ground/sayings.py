"""How people say what stays true of them: the rules of `facts`, read from `data/memory/sayings.txt` on
first need.

Knows the file's form and the slots; judges nothing.
"""

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

Rule = tuple[str, re.Pattern[str]]
"""A slot, and a pattern whose groups are `v`, the value, and `k`, the kind of thing."""


class Slot(NamedTuple):
    """What a rule's facts are about."""

    concepts: tuple[str, ...]
    """Concepts by which questions ask for it."""
    is_single: bool = True
    """A newer one takes an older one's place; otherwise each value stands for itself."""


SLOTS = {
    "name": Slot(("me", "name")),
    "age": Slot(("age",)),
    "birthday": Slot(("birthday", "date", "day", "age")),
    "origin": Slot(("origin",)),
    "home": Slot(("home",)),
    "job": Slot(("job",)),
    "employer": Slot(("employer", "job")),
    "kin": Slot(("name",), is_single=False),
    "pet": Slot(("pet", "name"), is_single=False),
    "car": Slot(("car", "brand", "model")),
    "team": Slot(("team", "football", "sport")),
    "allergy": Slot(("allergy", "food"), is_single=False),
    "diet": Slot(("diet", "food", "allergy")),
    "like": Slot(("like",), is_single=False),
    "dislike": Slot(("dislike", "like"), is_single=False),
    "favourite": Slot(("like",)),
    "language": Slot(("language",), is_single=False),
    "study": Slot(("study", "school")),
    "plan": Slot(("plan",), is_single=False),
    "travel": Slot(("travel", "plan"), is_single=False),
    "health": Slot(("health", "illness"), is_single=False),
    "status": Slot(("partner",)),
    "own": Slot((), is_single=False),
    "mine": Slot(()),
}
"""Every slot. `kin`, `pet` and `favourite` are kept per kind; `mine` per thing: «my X is Y»."""

LANGUAGES = ("en", "pt", "es")


class Sayings(NamedTuple):
    """What the file holds, compiled."""

    rules: dict[str, tuple[Rule, ...]]
    """By language; of one sentence each slot takes its first value."""
    idle: re.Pattern[str]
    """In a sentence that states nothing: a wish, a supposition, a story."""
    task: re.Pattern[str]
    """Before material: «translate: …»."""


@cache
def sayings() -> Sayings:
    """The rules. Takes 0.3 s the first time."""
    sections: dict[str, list[tuple[str, str]]] = {}
    text = (resources.files("greenroom") / "data" / "memory" / "sayings.txt").read_text(encoding="utf-8")
    lines: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("["):
            lines = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            name, _, pattern = line.partition(" ")
            lines.append((name, pattern))
    pieces = [(f"{{{name}}}", pattern) for name, pattern in sections["pieces"]]
    return Sayings(
        {
            language: tuple((slot, _compiled(pattern, pieces)) for slot, pattern in sections[language])
            for language in LANGUAGES
        },
        re.compile("|".join(pattern for _, pattern in sections["idle"]), re.IGNORECASE),
        re.compile(sections["task"][0][1], re.IGNORECASE),
    )


def _compiled(pattern: str, pieces: list[tuple[str, str]]) -> re.Pattern[str]:
    for name, piece in pieces:
        pattern = pattern.replace(name, piece)
    return re.compile(pattern, re.IGNORECASE)
