"""The river of text: what every stage of one request did to it, ready to be shown.

Steps that did something become cards, the others one line per stage.
"""

import json
from collections import Counter, defaultdict
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from greenroom.server.pages import figures
from greenroom.server.pages.diff import Hunk, Piece, hunks, pieces
from greenroom.server.pages.glyphs import Run, runs
from greenroom.server.pages.record import ChangeView, EditView, Record, StepView

STAGES = {
    "preprocess": "Cleaned and counted",
    "ground": "Earlier turns and passages brought in",
    "check": "Looked over before anything leaves",
    "postprocess": "Tidied, cited, checked again, masks put back",
}
_MOST_STEPS = 400
_MOST_CHANGES = 20
_MOST_EDITS = 40
_LONGEST_NOTE = 600
_SHORT_NOTE = 48
"""Notes up to this length stand on the card, longer ones are folded."""
_LONGEST_SWAP = 60
_MARKED = frozenset({"sentences"})
"""Notes that are shown in the answer itself."""
_LONGEST_TEXT = 12_000
_LONGEST_RAW = 20_000
View = Literal["diff", "before", "after", "raw"]
"""How changes are shown: what went and came, the text before, the text after, or the step's own JSON."""
VIEWS: tuple[View, ...] = get_args(View)


class EditLine(NamedTuple):
    """Equal edits of one step, counted."""

    reason: str
    rule: str
    before: list[Run]
    after: list[Run]
    times: int
    applied: bool
    confidence: str
    is_masked: bool
    """The stored text has the replacement only."""


class TextChange(NamedTuple):
    """What one step did to one text; `balance` is like "+4 −9 characters"."""

    whose: str
    pieces: list[Piece]
    edits: list[EditLine]
    more_edits: int
    balance: str
    added: int
    removed: int


class Note(NamedTuple):
    """Something a step noted about its work."""

    name: str
    value: str


class Card(NamedTuple):
    """A step that did something."""

    step: str
    outcome: str
    time: str
    changes: list[TextChange]
    more_changes: int
    verdicts: int
    facts: list[Note]
    notes: list[Note]
    raw: str = ""
    """The step as JSON, where that is what is to be seen."""
    anchor: str = ""
    """What links lead to it by; empty where an earlier one of its name has it."""


class Quiet(NamedTuple):
    """A step that had nothing to do."""

    step: str
    outcome: str
    time: str
    notes: list[Note]


class QuietRun(NamedTuple):
    """Neighbouring steps that had nothing to do, shown as one line."""

    steps: list[Quiet]

    @property
    def has_notes(self) -> bool:
        """Whether there is more to show than the line."""
        return any(step.notes for step in self.steps)


class StageView(NamedTuple):
    """One of the four stages, or a stage this version does not know (then without a blurb)."""

    name: str
    blurb: str
    time: str
    parts: list[Card | QuietRun]


class Journey(NamedTuple):
    """Stages before the model and after it, as far as this version shows them."""

    inward: list[StageView]
    outward: list[StageView]
    left_out: int
    hides_values: bool
    """The texts show masks where the caller got values back, because values are not kept."""
    balances: list[tuple[int, int]]
    """Characters that each step put in and took out."""


def journey(record: Record, view: View = "diff") -> Journey:
    """Return the stages of a record in the order they ran."""
    balances: list[tuple[int, int]] = []
    anchors: set[str] = set()
    newest = record.newest_user()[0]
    earlier: defaultdict[tuple[int, int | None], list[EditView]] = defaultdict(list)
    by_stage: dict[str, list[Card | Quiet]] = {}
    spent: Counter[str] = Counter()
    micro = 1_000_000
    for step in record.stages[:_MOST_STEPS]:
        shown = _shown(step, earlier, newest, view)
        if isinstance(shown, Card) and step.step not in anchors:
            anchors.add(step.step)
            shown = shown._replace(anchor=anchor_of(step.step))
        by_stage.setdefault(step.stage, []).append(shown)
        balances.append(_balance(shown))
        spent[step.stage] += round(step.ms * micro)
        for change in step.changes:
            earlier[change.index, change.part] += [one for one in change.edits if one.applied]
    views = [
        StageView(
            name,
            STAGES.get(name, ""),
            figures.duration(spent[name] / micro),
            _folded(found),
        )
        for name, found in by_stage.items()
    ]
    return Journey(
        [view for view in views if view.name != "postprocess"],
        [view for view in views if view.name == "postprocess"],
        max(len(record.stages) - _MOST_STEPS, 0),
        any(_has_masked(one) for step in record.stages if step.step == "unmask" for one in step.changes),
        balances,
    )


def anchor_of(step: str) -> str:
    """Return what a link to a step's card leads to; empty for a name that can be none."""
    return f"step-{step}" if step.isidentifier() else ""


def _balance(shown: Card | Quiet) -> tuple[int, int]:
    if isinstance(shown, Quiet):
        return 0, 0
    return sum(one.added for one in shown.changes), sum(one.removed for one in shown.changes)


def _has_masked(change: ChangeView) -> bool:
    return any(
        one.applied and one.text and change.before[one.start : one.end] == one.text for one in change.edits
    )


def _folded(shown: list[Card | Quiet]) -> list[Card | QuietRun]:
    parts: list[Card | QuietRun] = []
    for one in shown:
        if isinstance(one, Card):
            parts.append(one)
        elif parts and isinstance(parts[-1], QuietRun):
            parts[-1].steps.append(one)
        else:
            parts.append(QuietRun([one]))
    return parts


def _shown(
    step: StepView, earlier: dict[tuple[int, int | None], list[EditView]], newest: int, view: View
) -> Card | Quiet:
    changes = [one for one in step.changes if one.edits or one.before != one.after]
    notes = read_notes(step.notes)
    if not changes and not step.verdicts and step.outcome in {"unchanged", "skipped"}:
        return Quiet(step.step, step.outcome, figures.duration(step.ms), notes)
    return Card(
        step.step,
        step.outcome,
        figures.duration(step.ms),
        [_text_change(one, earlier, newest, view) for one in changes[:_MOST_CHANGES]],
        max(len(changes) - _MOST_CHANGES, 0),
        len(step.verdicts),
        [note for note in notes if len(note.value) <= _SHORT_NOTE],
        [note for note in notes if len(note.value) > _SHORT_NOTE],
        _raw(step) if view == "raw" else "",
    )


def _raw(step: StepView) -> str:
    text = json.dumps(msgspec.to_builtins(step), ensure_ascii=False, indent=2, default=str)
    return text if len(text) <= _LONGEST_RAW else text[:_LONGEST_RAW] + "…"


def _text_change(
    change: ChangeView, earlier: dict[tuple[int, int | None], list[EditView]], newest: int, view: View
) -> TextChange:
    found = hunks(change, earlier.get((change.index, change.part), ()))
    seen = [hunk for hunk in found if not hunk.is_masked(change.before)]
    added = sum(len(hunk.text) for hunk in seen)
    removed = sum(hunk.end - hunk.start for hunk in seen)
    balance = f"+{added:,} −{removed:,} characters" if seen else "stored as the mask"
    lines, more = _edit_lines(change)
    return TextChange(
        _whose(change, newest),
        _pieces(change, found, view),
        lines,
        more,
        balance if found else "nothing applied",
        added,
        removed,
    )


def _pieces(change: ChangeView, found: list[Hunk], view: View) -> list[Piece]:
    if view in ("diff", "raw"):
        return pieces(change.before, found) if found and view == "diff" else []
    text = change.before if view == "before" else change.after
    shown = [Piece("same", runs(text[:_LONGEST_TEXT]))]
    if len(text) > _LONGEST_TEXT:
        shown.append(Piece("skip", [], skipped=len(text) - _LONGEST_TEXT))
    return shown


def _whose(change: ChangeView, newest: int) -> str:
    if change.index < 0:
        return "the reply"
    if change.index == newest:
        return "the newest message"
    return f"{change.role or 'a'} message {change.index + 1}"


def _edit_lines(change: ChangeView) -> tuple[list[EditLine], int]:
    counted: Counter[tuple[str, str, str, str, bool, float]] = Counter()
    for one in change.edits:
        # Edits count in the text as it came, so `before` is cut out only where the step did not keep it.
        was = one.before or (change.before[one.start : one.end] if len(change.edits) == 1 else "")
        counted[one.reason, one.rule, _short(was), _short(one.text), one.applied, one.confidence] += 1
    lines = [
        EditLine(
            reason,
            rule,
            runs(was if was != text else "", all_of_them=True),
            runs(text, all_of_them=True),
            count,
            applied,
            figures.score(confidence) if confidence < 1 else "",
            bool(text) and was == text,
        )
        for (reason, rule, was, text, applied, confidence), count in counted.most_common(_MOST_EDITS)
    ]
    return lines, max(len(counted) - _MOST_EDITS, 0)


def _short(text: str) -> str:
    shown = text.replace("\n", "↵")
    return shown if len(shown) <= _LONGEST_SWAP else shown[:_LONGEST_SWAP] + "…"


def read_notes(notes: dict[str, Any]) -> list[Note]:  # Any: each step notes what it likes
    """Return notes as names and short texts; lists and tables as JSON."""
    return [Note(name, _note_text(value)) for name, value in list(notes.items())[:30] if name not in _MARKED]


def _note_text(value: Any) -> str:  # Any: see above
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_NOTE else text[:_LONGEST_NOTE] + "…"
