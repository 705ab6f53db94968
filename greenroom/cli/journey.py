"""A record at the terminal: stage by stage, step by step, what was done to which text and why."""

from typing import TYPE_CHECKING, Any

from greenroom.cli.output import console, printable
from greenroom.server.pages.diff import hunks, pieces
from greenroom.server.pages.record import ChangeView, EditView, Record, StepView, read_record

if TYPE_CHECKING:
    from rich.text import Text

_STAGES = ("preprocess", "ground", "check", "postprocess")
_OUTCOME_STYLES = {"changed": "green", "refused": "bold red", "failed": "bold red", "skipped": "dim"}
_MARKS = {"insert": ("{+", "+}"), "delete": ("[-", "-]")}
_STYLES = {"insert": "green", "delete": "red strike"}


def print_journey(row: dict[str, Any]) -> None:  # Any: JSON
    """Print what every step did: milliseconds, outcome, coloured differences with reasons, findings, notes.

    Where there is no colour, `[-gone-]` and `{+new+}` stand for it.
    """
    record = read_record(row)
    if record is None:
        return
    out = console()
    earlier: dict[tuple[int, int | None], list[EditView]] = {}
    for stage in _STAGES:
        steps = [one for one in record.stages if one.stage == stage]
        if stage == "postprocess":
            _print_model(record)
        spent = sum(one.ms for one in steps)
        out.print(f"{stage}  {spent:.3f} ms" if steps else f"{stage}  –", style="bold")
        for step in steps:
            _print_step(step, earlier)
        if stage == "ground" and record.passages:
            for passage in record.passages:
                score = "" if passage.score is None else f"  {passage.score:.3f}"
                out.print(f"    {printable(passage.title or passage.document)}{score}", style="dim")
    out.print()


def _print_model(record: Record) -> None:
    out = console()
    model = record.model
    for attempt in model.attempts:
        said = attempt.error or attempt.status or ""
        out.print(f"model  {attempt.target}  {attempt.ms:.1f} ms  {said}", style="bold")
    if model.why:
        out.print(f"    {printable(model.why)}", style="dim")


def _print_step(step: StepView, earlier: dict[tuple[int, int | None], list[EditView]]) -> None:
    from rich.text import Text  # noqa: PLC0415  # rich costs 100 ms; --json needs none of it

    out = console()
    line = Text(f"  {step.step:<10} {step.ms:8.3f} ms  ")
    line.append(step.outcome, style=_OUTCOME_STYLES.get(step.outcome, "dim"))
    out.print(line)
    for change in step.changes:
        place = (change.index, change.part)
        out.print(_difference(change, earlier.get(place, [])))
        for reason, applied in dict.fromkeys((one.reason, one.applied) for one in change.edits if one.reason):
            out.print(f"      {'' if applied else 'seen, left as it is: '}{printable(reason)}", style="dim")
        earlier.setdefault(place, []).extend(one for one in change.edits if one.applied)
    for verdict in step.verdicts:
        by = f", by {printable(verdict.policy)}" if verdict.policy else ""
        if verdict.shadow:
            by += f" (shadow: {printable(verdict.shadow)} would {verdict.would})"
        out.print(
            f"    {verdict.action}: {verdict.rule} in the {verdict.where or 'text'}{by}", style="yellow"
        )
    told = [
        f"{name}: {' '.join(printable(str(value)).split())}"
        for name, value in step.notes.items()
        if name != "annotations"  # the citations stand below the answer
    ]
    if told:
        out.print("    " + " · ".join(told), style="dim")


def _difference(change: ChangeView, earlier: list[EditView]) -> "Text":
    from rich.text import Text  # noqa: PLC0415  # as above

    plain = not console().is_terminal
    line = Text(f"    {change.role}: ")
    for piece in pieces(change.before, hunks(change, earlier)):
        if piece.kind == "skip":
            line.append(f" … {piece.skipped} characters … ", style="dim")
            continue
        text = "".join(f"<{run.text}>" if run.is_badge else printable(run.text) for run in piece.runs)
        before, after = _MARKS.get(piece.kind, ("", "")) if plain else ("", "")
        line.append(before + text + after, style=_STYLES.get(piece.kind, ""))
    return line
