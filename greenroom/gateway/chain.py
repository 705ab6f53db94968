"""The filters of one text of an answer, in order, and what each of them did.

Knows contracts; no concrete filter.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter_ns
from typing import NamedTuple

from greenroom.contracts import PostStep, TextFilter
from greenroom.errors import StepFailed
from greenroom.exchange import Change, Edit, Exchange, StepRecord

log = logging.getLogger("greenroom.pipeline")


class PostEntry(NamedTuple):
    """A postprocess step and what happens when it breaks."""

    step: PostStep
    refuse_on_error: bool


class _Link:
    """One filter of a chain. A broken one refuses the answer, or from then on lets text pass."""

    __slots__ = ("filter", "record", "refuses", "tail")

    def __init__(self, one: TextFilter, record: StepRecord, refuses: bool) -> None:
        self.filter: TextFilter | None = one
        self.record = record
        self.refuses = refuses
        self.tail = ""
        """What the filter may be holding: given back as it came if the filter breaks."""

    def feed(self, text: str) -> str:
        one = self.filter
        if one is None:
            return text
        began = perf_counter_ns()
        try:
            out = one.feed(text)
        except Exception as error:  # noqa: BLE001  # a step's own fault; recorded, and `on_error` decides
            return self._broken(error) + text
        self.record.ns += perf_counter_ns() - began
        if out is not text:
            # Exact while the filter has changed nothing; after that it may be off by the size of an edit.
            held = max(0, len(self.tail) + len(text) - len(out))
            self.tail = (self.tail + text)[-held:] if held else ""
        return out

    def flush(self) -> str:
        one = self.filter
        if one is None:
            return ""
        began = perf_counter_ns()
        try:
            out = one.flush()
        except Exception as error:  # noqa: BLE001  # as in `feed`
            return self._broken(error)
        self.record.ns += perf_counter_ns() - began
        return out

    def whole(self, text: str) -> str:
        one = self.filter
        if one is None:
            return text
        try:
            whole: Callable[[str], str] | None = getattr(one, "whole", None)
            return whole(text) if whole is not None else one.feed(text) + one.flush()
        except Exception as error:  # noqa: BLE001  # as in `feed`
            return self._broken(error) + text

    def _broken(self, error: Exception) -> str:
        self.filter = None
        self.record.outcome = "failed"
        self.record.notes["error"] = type(error).__name__
        log.error(
            "step failed", extra={"step": self.record.step, "error": type(error).__name__}, exc_info=error
        )
        if self.refuses:
            raise StepFailed(self.record.step) from error
        tail, self.tail = self.tail, ""
        return tail


class Chain:
    """Feeds text through filters: what one lets go is fed to the next; flushing goes from first to last."""

    __slots__ = ("_links", "_seen", "rejected")

    def __init__(self, links: Sequence[_Link]) -> None:
        self._links = links
        self._seen: list[str] = []
        self.rejected: StepRecord | None = None
        """The step that stopped the text, if one did."""

    def feed(self, text: str) -> str:
        """What may be sent now that `text` has come. Raises StepFailed."""
        self._seen.append(text)
        for link in self._links:
            text = link.feed(text)
            if self._is_rejected(link):
                return ""
            if not text:
                return ""
        return text

    def whole(self, text: str) -> str:
        """All of a text at once. Raises StepFailed."""
        self._seen.append(text)
        began = perf_counter_ns()
        for link in self._links:
            text = link.whole(text)
            ended = perf_counter_ns()
            record, one = link.record, link.filter
            record.ns += ended - began
            if one is not None and one.rejected is not None:
                self.rejected = record
                return ""
            began = ended
        return text

    def flush(self) -> str:
        """What is left to send at the end. Raises StepFailed."""
        text = ""
        for link in self._links:
            text = (link.feed(text) if text else "") + link.flush()
            if self._is_rejected(link):
                return ""
        return text

    def _is_rejected(self, link: _Link) -> bool:
        if link.filter is not None and link.filter.rejected is not None:
            self.rejected = link.record
            return True
        return False

    @property
    def raw(self) -> str:
        """All the text that came."""
        return "".join(self._seen)

    def report(self, index: int) -> None:
        """Write into the step records what each filter changed and found. Call once, at the end."""
        text: str | None = None
        annotations: list[dict[str, dict[str, int]]] = []
        for link in self._links:
            one, record = link.filter, link.record
            if one is None:
                continue
            if one.verdicts:
                record.verdicts += one.verdicts
            found = None
            if one.notes:
                record.notes |= one.notes
                found = one.notes.get("annotations")
                if isinstance(found, list):
                    annotations = found
            if one.edits:
                if found is not annotations:
                    _shift(annotations, one.edits)
                before = self.raw if text is None else text
                text = _apply(before, one)
                change = Change(
                    role="assistant", index=-1, part=index or None, before=before, after=text, edits=one.edits
                )
                record.changes.append(change)
                if any(edit.applied for edit in one.edits):
                    record.outcome = "changed"
            if one.rejected is not None:
                record.outcome = "refused"


def _shift(annotations: list[dict[str, dict[str, int]]], edits: Sequence[Edit]) -> None:
    """Keep citations where their markers stand although later filters changed the text before them."""
    for annotation in annotations:
        place = annotation["file_citation"]
        index = place["index"]
        place["index"] += sum(
            len(edit.text) - (edit.end - edit.start) for edit in edits if edit.applied and edit.end <= index
        )


def _apply(before: str, done: TextFilter) -> str:
    pieces: list[str] = []
    at = 0
    for edit in done.edits:
        if edit.applied:
            pieces += (before[at : edit.start], edit.text)
            at = edit.end
    return "".join((*pieces, before[at:]))


def open_chain(
    entries: Sequence[PostEntry], records: Iterable[StepRecord], exchange: Exchange, where: str
) -> Chain | None:
    """The chain that this exchange needs for a text, or None when no step has anything to do.

    Raises: StepFailed when a step that must not be missed can't be opened.
    """
    links = []
    for (step, refuses), record in zip(entries, records, strict=True):
        try:
            opened = step.open(exchange, where)
        except Exception as error:  # a step's own fault; recorded, and `on_error` decides
            record.outcome = "failed"
            record.notes["error"] = type(error).__name__
            log.exception("step failed", extra={"step": record.step})
            if refuses:
                raise StepFailed(record.step) from error
            continue
        if opened is not None:
            links.append(_Link(opened, record, refuses))
    return Chain(links) if links else None
