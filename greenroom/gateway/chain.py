"""The filters of one text of an answer, in order, and what each of them did.

Knows contracts; no concrete filter.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter_ns
from typing import NamedTuple

from greenroom.contracts import PLAIN_NOT, PLAIN_WORD, Ease, PostStep, TextFilter
from greenroom.errors import StepFailed
from greenroom.exchange import Change, Edit, Exchange, StepRecord

log = logging.getLogger("greenroom.pipeline")

_ROOM = 4096
"""Characters after which the filters see what went ahead of them, whatever they say."""
_unusual = re.compile(PLAIN_NOT).search
_capital = re.compile(r" [A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]*[,.;]?\Z").match
_lone = re.compile(r"(?:\A| )[xyzXYZ]\Z").search


class PostEntry(NamedTuple):
    """A postprocess step and what happens when it breaks."""

    step: PostStep
    refuse_on_error: bool


class _Link:
    """One filter of a chain. A broken one refuses the answer, or from then on lets text pass."""

    __slots__ = ("ease", "filter", "record", "refuses", "tail")

    def __init__(self, one: TextFilter, record: StepRecord, refuses: bool) -> None:
        self.filter: TextFilter | None = one
        self.record = record
        self.refuses = refuses
        self.ease: Callable[[], Ease | None] | None = getattr(one, "ease", None)
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
    """Feeds text through filters: what one lets go is fed to the next; flushing goes from first to last.

    Plain words go ahead of the filters as long as every filter is at ease with that: what they would hold is
    kept back here, and they are shown the words later, in one piece, before any of them matters.
    """

    __slots__ = (
        "_ahead_still",
        "_begun",
        "_held",
        "_links",
        "_room",
        "_room_at_first",
        "_seen",
        "_shown",
        "rejected",
    )

    def __init__(self, links: Sequence[_Link]) -> None:
        self._links = links
        self._seen: list[str] = []
        self._shown = 0
        """How many of `_seen` the filters were shown."""
        self._room = self._room_at_first = 0
        """How many characters may still go ahead of the filters, and how many there were to begin with."""
        self._held = ""
        """The last word: what has come and has not been let go, while there is room."""
        self._begun = 0
        """How long `_held` was when the filters were last shown something: this much they hold of it."""
        self._ahead_still = 0
        """How much of what went ahead the filters have been shown and still hold."""
        self.rejected: StepRecord | None = None
        """The step that stopped the text, if one did."""

    def feed(self, text: str) -> str:
        """What may be sent now that `text` has come. Raises StepFailed."""
        self._seen.append(text)
        room = self._room - len(text)
        is_plain = _unusual(text) is None or _capital(text) is not None
        if room > 0 and is_plain:
            held = self._held
            cut = text.rfind(" ")
            if cut == 0 and len(held) > 2 and 1 < len(text) <= PLAIN_WORD:
                self._room = room
                self._held = text
                return held
            whole = held + text
            if len(whole) <= PLAIN_WORD:
                # A blank at the end may yet be taken out, and the word before it go on.
                cut = max(whole.rfind(" ", 0, len(whole.rstrip(" "))), 0)
                if _lone(whole, 0, cut) is None:
                    self._room = room
                    self._held = whole[cut:]
                    return whole[:cut]
        return self._show(is_plain)

    def _show(self, is_plain: bool) -> str:
        """Let the filters see all they have not seen; gives what may be sent beyond what went ahead."""
        ahead = self._ahead()
        text = self._owed()
        for link in self._links:
            text = link.feed(text)
            if self._is_rejected(link):
                return ""
            if not text:
                break
        self._ahead_still = max(0, ahead - len(text))
        if is_plain and not self._ahead_still:
            self._ease()
        return text[ahead:]

    def _ahead(self) -> int:
        """How much of what the filters will let go was sent already. Ends the ease."""
        ahead = self._ahead_still + self._begun + self._room_at_first - self._room - len(self._held)
        self._room = self._room_at_first = self._begun = 0
        self._held = ""
        return ahead

    def _owed(self) -> str:
        """What the filters have not seen."""
        seen = self._seen
        owed = seen[-1] if len(seen) - self._shown == 1 else "".join(seen[self._shown :])
        self._shown = len(seen)
        return owed

    def _ease(self) -> None:
        """Ask the filters whether plain words may go ahead of them."""
        room, held = _ROOM, ""
        for link in self._links:
            if link.filter is None:
                continue
            ease = link.ease() if link.ease is not None else None
            if ease is None:
                return
            room = min(room, ease.room)
            held = ease.held + held
        if " " in held[1:] or len(held) > PLAIN_WORD or _unusual(held) is not None:
            return
        self._room = self._room_at_first = room
        self._held = held
        self._begun = len(held)

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
        ahead = self._ahead()
        text = self._owed()
        for link in self._links:
            text = (link.feed(text) if text else "") + link.flush()
            if self._is_rejected(link):
                return ""
        return text[ahead:]

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
        sentences: list[dict[str, int]] = []
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
                judged = one.notes.get("sentences")
                if isinstance(judged, list):
                    sentences = judged
            if one.edits:
                _shift_spans(sentences, one.edits)
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


def _shift_spans(spans: list[dict[str, int]], edits: Sequence[Edit]) -> None:
    """Keep judged sentences where they stand although later filters changed the text within and before."""
    for span in spans:
        start, end = span["start"], span["end"]
        for edit in edits:
            if edit.applied and edit.start < end:
                by = len(edit.text) - (edit.end - edit.start)
                span["end"] += by
                span["start"] += by if edit.end <= start else 0


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
