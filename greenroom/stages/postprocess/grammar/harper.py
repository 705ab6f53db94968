"""Harper, for English: only its rules of grammar, pronouns, set phrases and articles.

Loading it takes a second and 140 MiB, a sentence some 2 ms; so it is asked only where grammar is applied, or
where the operator says so. Spelling, style, names and capital letters are not asked of it: on clean text they
are most of its findings.
"""

from functools import cache
from typing import Any

from greenroom.exchange import Edit

_GROUPS = frozenset({"Grammar and Agreement", "Pronouns and Possession", "Phrase Corrections"})
_ALSO = ("AnA", "ThenThan", "RepeatedWords", "ModalOf", "ItsContraction", "ItsPossessive")
_NOT = frozenset({
    "MissingDeterminer", "MissingPreposition", "MassNouns", "NounVerbConfusion", "ToTwoToo", "SomeWithoutArticle",
    "SingleBe", "MoreAdjective", "DefiniteArticle", "SubjectAndObjectPronoun", "NeedToNoun", "VerbToAdjective",
})  # fmt: skip
"""Those that took correct text for wrong on documentation and encyclopedic prose."""


@cache
def _linter() -> Any:  # Any: harper has no stub for its native part
    import harper  # noqa: PLC0415  # loaded where it is asked for

    linter = harper.Linter()
    wanted: set[str] = set(_ALSO)
    for setting in linter.get_structured_lint_config()["settings"]:
        group = setting.get("Group")
        if group is not None and group["label"] in _GROUPS:
            wanted |= set(_names(group["child"]))
    wanted -= _NOT
    linter.set_lint_config({name: name in wanted for name in harper.get_default_lint_config()})
    return linter


def _names(tree: dict[str, Any]) -> list[str]:  # Any: as harper gives it
    names: list[str] = []
    for setting in tree["settings"]:
        if "Bool" in setting:
            names.append(setting["Bool"]["name"])
        elif "Group" in setting:
            names += _names(setting["Group"]["child"])
    return names


def faults(text: str, prose: list[tuple[int, int]], at: int = 0) -> list[Edit]:
    """What Harper would mend in a sentence, where it knows one way to; offsets count from `at`."""
    import harper  # noqa: PLC0415  # loaded where it is asked for

    linter = _linter()
    if not linter.is_likely_english(text):
        return []
    found: list[Edit] = []
    for lint in linter.lint(text, language=harper.Language.PLAINTEXT):
        start, end = lint.span.start, lint.span.end
        suggestions = lint.suggestions
        if not suggestions or suggestions[0].kind != harper.SuggestionKind.REPLACE:
            continue
        new, before = suggestions[0].replacement_text, text[start:end]
        if new == before or not any(first <= start and end <= last for first, last in prose):
            continue
        if any(word[:1].isupper() for word in before.split()[1:]) or any(map(str.isdigit, before)):
            continue
        found.append(
            Edit(
                start=at + start,
                end=at + end,
                text=new,
                before=before,
                rule="grammar.en.harper",
                reason=lint.message,
                confidence=0.9,
            )
        )
    return found
