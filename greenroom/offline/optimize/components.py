"""What of a prompt may be rewritten, and whether a rewrite is still the same prompt.

A component is one text: the role, a system or developer message, or a user message with words of its own.
Answers that stand in the prompt as examples are left alone. Knows prompt versions; no model.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from greenroom.prompts.version import Example, Examples, Message, PromptVersion
from greenroom.stages.language import detect

ROLE = "role"
NEW_SYSTEM = "system"
"""A system message that the prompt does not have yet; its text is empty until one is written."""
_PLACE = re.compile(r"(?<!\\)\{\{\s*(>?)\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_FEWEST_WORDS = 3
_GROWTH = 4
_ROOM = 4_000
"""A rewrite may have four times the characters of the text it replaces, and 4,000 in any case."""
_TELLING = 80
"""Characters from which on the language of a text is told surely enough to reject it."""

Lint = Callable[[PromptVersion], Sequence[str]]
"""The errors of lint in a version, a sentence each."""


def texts_of(version: PromptVersion) -> dict[str, str]:
    """Component → text: what a search may change. Never empty: see `NEW_SYSTEM`."""
    texts = {ROLE: version.techniques.role} if version.techniques.role else {}
    for place, message in enumerate(version.messages):
        if message.role == "assistant":
            continue
        words = len(_PLACE.sub(" ", message.text).split())
        if message.role != "user" or words >= _FEWEST_WORDS:
            texts[f"{message.role} {place + 1}"] = message.text
    return texts or {NEW_SYSTEM: ""}


def with_texts(version: PromptVersion, texts: Mapping[str, str]) -> PromptVersion:
    """The version with other texts for its components."""
    messages = [
        replace(message, text=texts.get(f"{message.role} {place + 1}", message.text))
        for place, message in enumerate(version.messages)
    ]
    if texts.get(NEW_SYSTEM):
        messages.insert(0, Message(role="system", text=texts[NEW_SYSTEM]))
    made = replace(version, messages=tuple(messages))
    if ROLE not in texts:
        return made
    return replace(made, techniques=replace(version.techniques, role=texts[ROLE]))


def with_examples(version: PromptVersion, added: Sequence[Example], similar: int = 0) -> PromptVersion:
    """The version showing more examples: all of them, or the `similar` most like each question."""
    before = version.examples.items if version.examples is not None else ()
    known = {repr((one.input, one.variables)) for one in before}
    items = (*before, *(one for one in added if repr((one.input, one.variables)) not in known))
    if not similar:
        return replace(version, examples=Examples(items=items))
    return replace(version, examples=Examples(items=items, choose="similar", k=similar))


def placeholders(text: str) -> Counter[str]:
    """The variables and partials of a template, as written in it, and how often each stands there."""
    return Counter(f"{{{{> {name}}}}}" if mark else f"{{{{{name}}}}}" for mark, name in _PLACE.findall(text))


def faults(texts: Mapping[str, str], base: PromptVersion, lint: Lint) -> list[str]:
    """Why a rewrite can't be taken, a sentence each; empty when it can.

    Each component keeps its placeholders and gains none, its language, and a bounded length; the whole must
    be a prompt, and lint must find no error in it that the prompt did not have before.
    """
    before = texts_of(base)
    found: list[str] = []
    for component, old in before.items():
        found += _text_faults(component, texts.get(component, old), old)
    if found:
        return found
    try:
        version = with_texts(base, texts)
        known = set(lint(base))
        return [one for one in lint(version) if one not in known]
    except ValueError as error:
        return [f"It is no prompt any more: {error}."]


def _text_faults(component: str, new: str, old: str) -> list[str]:
    if new == old:
        return []
    found = []
    wanted, given = placeholders(old), placeholders(new)
    lost = [one for one in wanted if one not in given]
    gained = [one for one in given if one not in wanted]
    if lost:
        found.append(f"The text of '{component}' lost {', '.join(lost)}.")
    if gained:
        found.append(f"The text of '{component}' has {', '.join(gained)}, which nothing fills.")
    if not new.strip() and old.strip():
        found.append(f"The text of '{component}' is empty.")
    most = max(_ROOM, _GROWTH * len(old))
    if len(new) > most:
        found.append(f"The text of '{component}' has {len(new)} characters; {most} are allowed.")
    spoken, written = _language(old), _language(new)
    if spoken and written and spoken != written:
        found.append(f"The text of '{component}' is in '{written}', but the prompt is in '{spoken}'.")
    return found


def _language(text: str) -> str | None:
    prose = _PLACE.sub(" ", text)
    if len(prose) < _TELLING:
        return None
    code, sureness = detect(prose)
    return code if sureness > 0.8 and code != "und" else None
