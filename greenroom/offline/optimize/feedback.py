"""What went well and what not with one answer, for the model that rewrites the prompt.

Made from the exchange's record: what each step changed, found or refused, the scorer's reason, and where the
answer broke its schema. Knows no model. Texts are cut, so that a reflection stays affordable.
"""

from collections.abc import Iterator
from typing import Any

from msgspec.json import encode

from greenroom.offline.bench import Trial

Json = dict[str, Any]  # Any: JSON
LONGEST = 1_200
"""Characters of one text: of an input, an answer or what was expected."""
_MOST_NOTES = 12
_MOST_EDITS = 3
"""Of one step."""


def shorten(text: str, limit: int = LONGEST) -> str:
    """`text`, or its two ends around a mark that says how much was left out."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]} […{len(text) - head - tail} characters left out…] {text[-tail:]}"


def asked(trial: Trial) -> str:
    """The input of a sample as text."""
    sample = trial.sample
    if sample.variables:
        return shorten("\n".join(f"{name}: {_plain(value)}" for name, value in sample.variables.items()))
    newest = sample.messages[-1] if sample.messages else {}
    return shorten(_plain(newest.get("content", "")))


def expected(trial: Trial) -> str | None:
    """What was expected, as text; None where that is not known."""
    return None if trial.sample.expected is None else shorten(_plain(trial.sample.expected))


def notes(trial: Trial) -> list[str]:
    """What is to be said of an answer, a line each, the most telling first."""
    output = trial.output
    lines = [f"{output.outcome}: {output.error}"] if output.error else []
    if output.outcome == "refused" and not output.error:
        lines.append("refused by a check")
    lines += [f"{one.name}: {one.error or one.reason}" for one in trial.scores if one.error or one.reason]
    lines.extend(_of_steps(output.record))
    return [shorten(" ".join(line.split()), 400) for line in lines[:_MOST_NOTES]]


def _of_steps(record: Json) -> Iterator[str]:
    """What each step did, from the stages of a record (SPEC 7)."""
    text = (record.get("reply") or {}).get("text") or ""
    for entry in record.get("stages") or ():
        name, outcome, said = entry.get("step"), entry.get("outcome"), entry.get("notes") or {}
        if outcome in {"refused", "failed"}:
            yield f"{name} {outcome} {said.get('reason') or said.get('error') or ''}".strip()
        elif said.get("reason"):  # what `conform` says of an answer that breaks its schema
            yield f"{name}: {said.get('form') or outcome}: {said['reason']}"
        for reason in said.get("asked_again") or ():
            yield f"{name}: asked again: {_plain(reason)}"
        for change in entry.get("changes") or ():
            for edit in (change.get("edits") or ())[:_MOST_EDITS]:
                yield f"{name} changed the {change.get('role')} text: {edit.get('reason')}"
        for verdict in (entry.get("verdicts") or ())[:_MOST_EDITS]:
            where = f"in the {verdict.get('where')} ({verdict.get('action')})"
            yield f"{name} found {verdict.get('rule')} {where}"
        for sentence in said.get("sentences") or ():
            if sentence.get("label") == "not":
                yield f"{name}: no passage supports: {text[sentence['start'] : sentence['end']]}"
    if record.get("finish_reason") == "length":
        yield "the answer was cut off: it was too long"


def _plain(value: Any) -> str:  # Any: JSON
    return value if isinstance(value, str) else encode(value).decode()
