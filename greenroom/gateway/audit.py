"""From the verdicts of an exchange to the lines of the audit log.

Looks up what each verdict is about only to hash it: an edit knows its text, other verdicts point into the
texts as they came.
"""

from greenroom.exchange import Exchange, StepRecord, Verdict
from greenroom.store.audit import Line, keyed_hash

_SENSITIVE = frozenset({"personal_data", "secret"})
_Place = tuple[int, int, int, str]


def lines_of(exchange: Exchange, key: bytes) -> tuple[Line, ...]:
    """One line for each verdict. About 4 µs each, nothing without."""
    lines: list[Line] = []
    for record in exchange.steps:
        if record.verdicts:
            edited = _edited(record)
            lines += [_line(exchange, record.step, one, edited, key) for one in record.verdicts]
    return tuple(lines)


def _line(exchange: Exchange, step: str, one: Verdict, edited: dict[_Place, str], key: bytes) -> Line:
    caller = exchange.caller
    value = edited.get((one.index, one.start, one.end, one.rule)) or _pointed_at(exchange, one)
    return Line(
        at_ns=exchange.created_ns, project=caller.project, app=exchange.app, key=caller.key_id,
        exchange=exchange.id, step=step, rule=one.rule, category=one.category, severity=one.severity,
        place=one.where, action=one.action, policy=one.policy, shadow=one.shadow, would=one.would or "",
        message=one.index, start=one.start, stop=one.end,
        value=keyed_hash(key, caller.project, value) if value else "",
    )  # fmt: skip


def _edited(record: StepRecord) -> dict[_Place, str]:
    return {
        (change.index, edit.start, edit.end, edit.rule): edit.before
        for change in record.changes
        for edit in change.edits
    }


def _pointed_at(exchange: Exchange, one: Verdict) -> str:
    """The span in the texts as they came; empty where it is not sure that this is what was found.

    A message may have several texts, and steps may have changed an answer before it was looked at: what is
    sensitive was noted among the redactions, which tells.
    """
    if one.where == "output":
        texts = exchange.reply_raw
    elif one.where == "passage":
        texts = [passage.text for passage in exchange.passages[max(one.index, 0) :][:1]]
    else:
        texts = [text.original for text in exchange.request.texts if text.index == one.index]
    spans = [text[one.start : one.end] for text in texts if len(text) >= one.end]
    if one.category in _SENSITIVE:
        return next((span for span in spans if span in exchange.redactions), "")
    return spans[0] if len(spans) == 1 and one.where != "output" else ""
