"""`/v1/moderations` as OpenAI's client speaks it: what is asked, and verdicts as its thirteen categories.

Knows the dialect and verdicts; runs no check.
"""

from collections.abc import Iterable, Sequence

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest
from greenroom.exchange import Verdict
from greenroom.wire.openai_request import malformed

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
    "self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence",
    "violence/graphic",
)  # fmt: skip
_NAMES: dict[str, tuple[str, ...]] = {
    "insult": ("harassment",),
    "harassment": ("harassment",),
    "threat": ("harassment", "harassment/threatening", "violence"),
    "hate": ("hate",),
    "sexual": ("sexual",),
    "self-harm": ("self-harm",),
    "violence": ("violence",),
}
"""Our categories of offense → OpenAI's; what has no entry, profanity for instance, is told as our own."""
_FAMILIES = ("omni-moderation", "text-moderation")
OWN = "greenroom/"

MOST_INPUTS = 128
MOST_CHARACTERS = 200_000
"""Of all inputs together: about a tenth of a second of checks."""


class _Part(Struct):
    type: str
    text: str | None = None


class _Body(Struct):
    input: str | list[str | _Part]
    model: str = "omni-moderation-latest"


class Asked(Struct, frozen=True):
    """What is to be looked at: for each result its texts. `app` is None where OpenAI's own model is named."""

    app: str | None
    inputs: list[list[str]]


_body = Decoder(_Body)


def parse(raw: bytes) -> Asked:
    """Read a body. Raises: MalformedRequest naming the field, for images too, which nothing here can see."""
    try:
        body = _body.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw) from None
    inputs = _inputs(body.input)
    if not inputs:
        raise MalformedRequest("'input' is empty: give a text, or a list of them.", "input")
    if len(inputs) > MOST_INPUTS:
        raise MalformedRequest(
            f"'input' has {len(inputs)} texts; {MOST_INPUTS} at once are the most.", "input"
        )
    size = sum(len(text) for texts in inputs for text in texts)
    if size > MOST_CHARACTERS:
        raise MalformedRequest(
            f"'input' has {size} characters; {MOST_CHARACTERS} at once are the most. Send it in pieces.",
            "input",
        )
    return Asked(None if body.model.startswith(_FAMILIES) else body.model.removeprefix(OWN), inputs)


def _inputs(given: str | list[str | _Part]) -> list[list[str]]:
    if isinstance(given, str):
        return [[given]]
    texts: list[str] = []
    for one in given:
        if isinstance(one, str):
            texts.append(one)
        elif one.type == "text" and one.text is not None:
            texts.append(one.text)
        elif one.type == "image_url":
            raise MalformedRequest(
                "Images can't be looked at here, and what was not looked at is not called clean: send the "
                "text without them.",
                "input",
            )
        else:
            raise MalformedRequest("A part of 'input' must be {'type': 'text', 'text': …}.", "input")
    is_parts = [not isinstance(one, str) for one in given]
    if any(is_parts) and not all(is_parts):
        raise MalformedRequest("'input' is either a list of texts or a list of parts, not both.", "input")
    return [texts] if any(is_parts) else [[text] for text in texts]


def result(verdicts: Sequence[Verdict], refusal: str | None, facts: dict[str, object]) -> dict[str, object]:
    """One result. Flagged is what one of the categories fits, or what the app would refuse.

    What was only recorded (`log`) flags nothing. `facts` go under `greenroom`, with our own categories.
    """
    scores = dict.fromkeys(CATEGORIES, 0.0)
    own: dict[str, float] = {}
    for one in verdicts:
        if one.action == "log":
            continue
        own[one.category] = max(own.get(one.category, 0.0), one.score)
        for name in _theirs(one):
            scores[name] = max(scores[name], one.score)
    flagged = {name for name in CATEGORIES if scores[name] > 0}
    return {
        "flagged": bool(flagged) or refusal is not None,
        "categories": {name: name in flagged for name in CATEGORIES},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
        "greenroom": {
            **facts, "refused": refusal is not None, "refusal": refusal, "categories": own,
            "verdicts": [
                {"step": one.step, "rule": one.rule, "category": one.category, "severity": one.severity,
                 "score": one.score, "start": one.start, "end": one.end, "action": one.action}
                for one in verdicts
            ],
        },
    }  # fmt: skip


def _theirs(one: Verdict) -> Iterable[str]:
    """OpenAI's categories for a verdict, by its category or by a word of its rule."""
    for word in (one.category, *one.rule.split(".")):
        names = _NAMES.get(word.replace("_", "-"))
        if names is not None:
            return names
    return ()
