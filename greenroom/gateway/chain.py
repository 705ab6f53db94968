"""The filters of one text of an answer, in order, and what each of them did.

Knows contracts; no concrete filter.
"""

from collections.abc import Iterable, Sequence
from time import perf_counter_ns

from greenroom.contracts import PostStep, TextFilter
from greenroom.exchange import Change, Exchange, StepRecord


class Chain:
    """Feeds text through filters: what one lets go is fed to the next; flushing goes from first to last."""

    __slots__ = ("_filters", "_seen", "rejected")

    def __init__(self, filters: Sequence[tuple[TextFilter, StepRecord]]) -> None:
        self._filters = filters
        self._seen: list[str] = []
        self.rejected: StepRecord | None = None
        """The step that stopped the text, if one did."""

    def feed(self, text: str) -> str:
        """What may be sent now that `text` has come."""
        self._seen.append(text)
        for one, record in self._filters:
            began = perf_counter_ns()
            text = one.feed(text)
            record.ns += perf_counter_ns() - began
            if one.rejected is not None:
                self.rejected = record
                return ""
            if not text:
                return ""
        return text

    def flush(self) -> str:
        """What is left to send at the end."""
        text = ""
        for one, record in self._filters:
            began = perf_counter_ns()
            text = (one.feed(text) if text else "") + one.flush()
            record.ns += perf_counter_ns() - began
            if one.rejected is not None:
                self.rejected = record
                return ""
        return text

    @property
    def raw(self) -> str:
        """All the text that came."""
        return "".join(self._seen)

    def report(self, index: int) -> None:
        """Write into the step records what each filter changed and found. Call once, at the end."""
        text: str | None = None
        for one, record in self._filters:
            if one.verdicts:
                record.verdicts += one.verdicts
            if one.notes:
                record.notes |= one.notes
            if one.edits:
                before = self.raw if text is None else text
                text = _apply(before, one)
                record.changes.append(
                    Change(
                        role="assistant",
                        index=-1,
                        part=index or None,
                        before=before,
                        after=text,
                        edits=one.edits,
                    )
                )
                if any(edit.applied for edit in one.edits):
                    record.outcome = "changed"
            if one.rejected is not None:
                record.outcome = "refused"


def _apply(before: str, done: TextFilter) -> str:
    pieces: list[str] = []
    at = 0
    for edit in done.edits:
        if edit.applied:
            pieces += (before[at : edit.start], edit.text)
            at = edit.end
    return "".join((*pieces, before[at:]))


def open_chain(
    steps: Sequence[PostStep], records: Iterable[StepRecord], exchange: Exchange, where: str
) -> Chain | None:
    """The chain that this exchange needs for a text, or None when no step has anything to do."""
    filters = []
    for step, record in zip(steps, records, strict=True):
        opened = step.open(exchange, where)
        if opened is not None:
            filters.append((opened, record))
    return Chain(filters) if filters else None
