"""The journey of one request as eight stops in a row: what each did, how long it took, what it cost."""

from collections.abc import Sequence
from typing import NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.record import Record, StepView

_OUT_CHECKS = frozenset({"guard"})


class Stop(NamedTuple):
    """One stop; `state` is fine, changed, refused, failed, skipped or unreached."""

    title: str
    anchor: str
    tone: str
    state: str
    line: str
    detail: str
    time: str


def stops(record: Record, balances: Sequence[tuple[int, int]]) -> list[Stop]:
    """Return the stops in the order of the way; `balances` are what each step put in and took out."""
    by: dict[str, list[StepView]] = {"preprocess": [], "ground": [], "check": [], "postprocess": []}
    for step in record.stages:
        by.setdefault(step.stage, []).append(step)
    out = [one for one in by["postprocess"] if one.step in _OUT_CHECKS]
    after = [one for one in by["postprocess"] if one.step not in _OUT_CHECKS]
    balance = {id(step): moved for step, moved in zip(record.stages, balances, strict=False)}
    asked = record.newest_user()[1]
    reply = (record.reply.text or record.reply.raw or "") if record.reply else ""
    return [
        Stop("Came in", "came-in", "in", "fine", f"{len(asked):,} characters",
             record.language.told if record.language else "", ""),
        _steps("Preprocess", "preprocess", by["preprocess"], balance, "as it came"),
        _ground(record, by["ground"]),
        _checks("Safety in", "check", by["check"]),
        _model(record),
        _steps("Postprocess", "postprocess", after, balance, "as it was said"),
        _checks("Safety out", "postprocess", out),
        Stop("Went out", "went-out", "out", _last_state(record), _went(record, reply), "", ""),
    ]  # fmt: skip


def _last_state(record: Record) -> str:
    return record.outcome if record.outcome in ("refused", "failed") else "fine"


def _went(record: Record, reply: str) -> str:
    if record.outcome == "refused":
        return "a refusal"
    return f"{len(reply):,} characters" if reply else "nothing"


def _state(steps: Sequence[StepView]) -> str:
    """The worst of what steps did."""
    found = {one.outcome for one in steps}
    if not steps:
        return "unreached"
    for name in ("refused", "failed", "changed"):
        if name in found:
            return name
    return "skipped" if found == {"skipped"} else "fine"


def _steps(
    title: str, stage: str, steps: Sequence[StepView], balance: dict[int, tuple[int, int]], else_: str
) -> Stop:
    added = sum(balance.get(id(one), (0, 0))[0] for one in steps)
    removed = sum(balance.get(id(one), (0, 0))[1] for one in steps)
    state = _state(steps)
    line = f"+{added:,} −{removed:,} characters" if added or removed else else_
    if state == "unreached":
        line = "not reached"
    changed = [one.step for one in steps if one.outcome in ("changed", "refused", "failed")]
    return Stop(title, stage, stage, state, line, ", ".join(changed[:3]), _time(steps))


def _ground(record: Record, steps: Sequence[StepView]) -> Stop:
    parts = []
    if record.passages:
        parts.append(f"{len(record.passages)} passage{'s' if len(record.passages) > 1 else ''}")
    if record.recalled:
        parts.append(f"{len(record.recalled)} recalled")
    cited = sum(one.cited for one in record.passages)
    state = _state(steps)
    if parts and state == "fine":
        state = "changed"
    line = ", ".join(parts) or ("not reached" if state == "unreached" else "nothing added")
    return Stop("Ground", "ground", "ground", state, line, f"{cited} cited" if cited else "", _time(steps))


def _checks(title: str, stage: str, steps: Sequence[StepView]) -> Stop:
    counts: dict[str, int] = {}
    for step in steps:
        for one in step.verdicts:
            counts[one.action] = counts.get(one.action, 0) + 1
    state = _state(steps)
    line = ", ".join(f"{count} {action}" for action, count in counts.items()) or "clean"
    if state == "unreached":
        line = "not reached"
    refused = next((one.step for one in steps if one.outcome == "refused"), "")
    anchor = "verdicts-title" if counts else stage
    detail = f"by {refused}" if refused else f"{len(steps)} checks" if len(steps) > 1 else ""
    return Stop(title, anchor, "check", state, line, detail, _time(steps))


def _model(record: Record) -> Stop:
    tried = [one for one in record.model.attempts if one.is_call]
    if not tried:
        if record.outcome == "cached":
            return Stop("Model", "model", "model", "skipped", "kept answer", "not asked", "")
        return Stop("Model", "model", "model", "unreached", "not asked", "", "")
    failed = sum(one.error is not None or (one.status or 0) >= 400 for one in tried)
    state = "failed" if failed == len(tried) else "fine"
    detail = figures.dollars(record.cost_usd) if record.cost_usd is not None else "cost unknown"
    if failed:
        detail += f", {failed} failed"
    name = record.model.used or tried[-1].target
    return Stop(
        "Model", "model", "model", state, name, detail, figures.duration(sum(one.ms for one in tried))
    )


def _time(steps: Sequence[StepView]) -> str:
    return figures.duration(sum(one.ms for one in steps)) if steps else ""
