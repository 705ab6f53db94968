"""Why a request ended as it did, in sentences: what refused it, what failed, who answered instead."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.glyphs import Run, runs
from greenroom.server.pages.journey import anchor_of
from greenroom.server.pages.record import AttemptView, Record, StepView, VerdictView

_MOST = 8
_LONGEST = 160
_BEFORE_MODEL = frozenset({"preprocess", "ground", "check"})
_LIMITS = {
    "insufficient_quota": "a budget that counts it is used up",
    "rate_limit_exceeded": "its key had reached a limit",
    "price_unknown": "a budget counts it, and what its model costs is not known",
    "not_allowed": "its key may not do this",
    "model_not_found": "nothing goes by the name of the model it asked for",
    "context_length_exceeded": "it is longer than the model's window",
}
"""What refuses without being a step, by the code of the error."""


class Point(NamedTuple):
    """One reason; `quote` is the text it is about."""

    text: str
    quote: list[Run]
    anchor: str
    """Where on the page more of it stands."""


class Explanation(NamedTuple):
    """What happened, in a sentence, and why."""

    tone: str
    """`refused`, `failed`, `cached`, `cancelled`, or `noted` for an answer with something to be said."""
    sentence: str
    points: list[Point]


def explain(record: Record) -> Explanation | None:
    """Return why a request ended as it did; None for an answer on which nothing is to be said."""
    if record.outcome == "refused":
        return _refused(record)
    if record.outcome == "failed":
        return Explanation("failed", _failed(record), _attempts(record) + _broken(record))
    if record.outcome == "cancelled":
        return Explanation("cancelled", "The client left before the answer was complete.", _attempts(record))
    if record.outcome == "cached":
        how = "a question that means the same" if record.cache == "semantic" else "an equal request"
        return Explanation("cached", f"The answer was kept from {how}: no model was asked.", [])
    points = _attempts(record) if len(record.model.attempts) > 1 else []
    points += _broken(record) + _blocked_but_answered(record)
    if not points:
        return None
    if len(record.model.attempts) > 1:
        failed = sum(_is_bad(one) for one in record.model.attempts)
        sentence = (
            f"It was answered after {_times(failed)} that did not."
            if failed
            else "It was asked more than once."
        )
    else:
        sentence = "It was answered, but not everything went as it should."
    return Explanation("noted", sentence, points)


def _refused(record: Record) -> Explanation:
    step = next((one for one in record.stages if one.outcome == "refused"), None)
    if step is None:
        said = "No step refused it" if record.stages else "It was refused before any step ran"
        code = record.error or ""
        why = code or "a limit, a budget or a rule of the key"
        if code in _LIMITS:
            why = f"{_LIMITS[code]} ({code})"
        return Explanation("refused", f"{said}: {why}.", [])
    when = "before any model saw it" if not record.model.is_called else "after the model had answered"
    if step.stage in _BEFORE_MODEL and record.model.is_called:
        when = "before the answer was given"
    points = [_verdict(record, one) for one in _blocking(step)[:_MOST]]
    score = step.notes.get("score")
    if not points and isinstance(score, int | float):
        points.append(Point(f"Its score was {figures.score(float(score))}.", [], "verdicts-title"))
    return Explanation("refused", f"The step {step.step} refused it {when}.", points + _broken(record, step))


def _blocking(step: StepView) -> Sequence[VerdictView]:
    blocking = [one for one in step.verdicts if one.action == "block"]
    return blocking or step.verdicts


def _verdict(record: Record, one: VerdictView) -> Point:
    what = f"{one.rule} ({one.category.replace('_', ' ')})" if one.category else one.rule
    said = f"{what} in the {_where(one)}, severity {one.severity}"
    if one.score is not None:
        said += f", score {figures.score(one.score)}"
    said += (
        f"; the policy {one.policy} says to {one.action}"
        if one.policy
        else f"; to {one.action} is the step's setting"
    )
    return Point(f"{said}.", runs(_span(record, one), all_of_them=True), "verdicts-title")


def _where(one: VerdictView) -> str:
    return {"input": "prompt", "output": "answer", "passage": "passages", "tool": "tool's result"}.get(
        one.where, one.where or "prompt"
    )


def _span(record: Record, one: VerdictView) -> str:
    if one.where == "passage":
        return ""
    index = one.index
    if index is None:
        index = -1 if one.where == "output" else record.newest_user()[0]
    text = record.text_of(index) if index >= 0 or one.where == "output" else ""
    span = text[one.start : one.end] if 0 <= one.start < one.end <= len(text) else ""
    return span if len(span) <= _LONGEST else span[:_LONGEST] + "…"


def _failed(record: Record) -> str:
    tried = record.model.attempts
    step = next((one for one in record.stages if one.outcome == "failed"), None)
    if not tried:
        if step is not None:
            return f"The step {step.step} failed, and no model was asked."
        return "It failed before a model was asked."
    targets = list(dict.fromkeys(one.target for one in tried))
    among = f"{targets[0]}" if len(targets) == 1 else f"{len(targets)} targets"
    return f"{_times(len(tried)).capitalize()} of {among} gave no answer that could be used."


def _attempts(record: Record) -> list[Point]:
    points = []
    for (target, status, error), group in groupby(
        record.model.attempts, key=lambda one: (one.target, one.status, one.error)
    ):
        calls = list(group)
        said = "did not answer" if status is None else f"answered {status}"
        times = f", {len(calls)} times" if len(calls) > 1 else ""
        why = f": {error}" if error else ""
        took = figures.duration(sum(one.ms for one in calls))
        points.append(Point(f"{target} {said}{times}{why} ({took}).", [], "model"))
    return points[:_MOST]


def _broken(record: Record, but: StepView | None = None) -> list[Point]:
    """Steps that failed and were passed over."""
    return [
        Point(
            f"The step {one.step} failed after {figures.duration(one.ms)} and was passed over.",
            [],
            anchor_of(one.step),
        )
        for one in record.stages
        if one.outcome == "failed" and one is not but
    ][:_MOST]


def _blocked_but_answered(record: Record) -> list[Point]:
    return [
        _verdict(record, one)
        for one in record.all_verdicts
        if one.action == "block" and one.where != "passage"
    ][:_MOST]


def _is_bad(one: AttemptView) -> bool:
    return one.error is not None or (one.status or 0) >= 400


def _times(number: int) -> str:
    return "one call" if number == 1 else f"{number} calls"
