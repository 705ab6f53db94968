"""What one step did to one text, as pieces to show: kept, taken out, put in, passed over.

The step's own edits are followed where they lead from `before` to `after`; otherwise words are compared.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from greenroom.server.pages.glyphs import Run, runs
from greenroom.server.pages.record import ChangeView, EditView

_WORD = re.compile(r"\w+|[^\S\n]+|\n|[^\w\s]")
_CONTEXT = 160
"""Unchanged characters shown on each side of a change."""
_LONGEST = 1_500
"""Characters of one inserted or deleted stretch that are shown."""
_SPACES = str.maketrans({" ": "␣", "\n": "↵\n", "\t": "⇥\t"})
"""What stands for white space where nothing else changed; otherwise it could not be seen."""
_MOST_HUNKS = 300
_MOST_TOKENS = 3_000
"""Past this the comparison of words costs more than it tells."""


class Hunk(NamedTuple):
    """`before[start:end]` became `text`."""

    start: int
    end: int
    text: str
    reason: str = ""

    def is_masked(self, before: str) -> bool:
        """Whether the stored text holds the replacement already, because the original is not kept."""
        return bool(self.text) and before[self.start : self.end] == self.text


class Piece(NamedTuple):
    """A stretch to show. `skip` carries the number of characters passed over.

    `masked` was replaced by what the stored text shows in its place anyway: the recorder keeps no original.
    """

    kind: Literal["same", "insert", "delete", "masked", "skip"]
    runs: list[Run]
    reason: str = ""
    skipped: int = 0


def hunks(change: ChangeView, earlier: Sequence[EditView] = ()) -> list[Hunk]:
    """Return what changed, in order, counted in `change.before`.

    `earlier` are the applied edits of former steps on the same text: edits count in the text as it came,
    so these tell how far everything has moved since.
    """
    applied = sorted((one for one in change.edits if one.applied), key=lambda one: (one.start, one.end))
    direct = [Hunk(one.start, one.end, one.text, one.reason) for one in applied]
    if applied and _leads_to(direct, change):
        return direct
    moved = [_moved(one, earlier) for one in applied]
    if applied and _leads_to(moved, change):
        return moved
    found = compare_words(change.before, change.after)
    if len(found) == len(applied):
        return [hunk._replace(reason=one.reason) for hunk, one in zip(found, applied, strict=True)]
    return found


def compare_words(before: str, after: str) -> list[Hunk]:
    """Return the differences between two texts, word by word; one replacement when they are too long."""
    head = _common(before, after)
    while head and before[head - 1].isalnum():  # words are compared whole
        head -= 1
    tail = _common(before[head:][::-1], after[head:][::-1])
    while tail and before[len(before) - tail].isalnum():
        tail -= 1
    old = _WORD.findall(before[head : len(before) - tail])
    new = _WORD.findall(after[head : len(after) - tail])
    if not old and not new:
        return []
    if len(old) + len(new) > _MOST_TOKENS:
        return [Hunk(head, len(before) - tail, after[head : len(after) - tail])]
    starts = [head]
    for token in old:
        starts.append(starts[-1] + len(token))
    return [
        Hunk(starts[a], starts[b], "".join(new[c:d]))
        for kind, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes()
        if kind != "equal"
    ]


def pieces(before: str, changed: Iterable[Hunk]) -> list[Piece]:
    """Return the text with its changes, long unchanged stretches left out."""
    shown: list[Piece] = []
    at = 0
    for number, hunk in enumerate(changed):
        if number == _MOST_HUNKS:
            break
        shown += _kept(before[at : hunk.start], is_first=at == 0, is_last=False)
        if hunk.is_masked(before):
            shown += _changed("masked", hunk.text, hunk.reason)
            at = hunk.end
            continue
        if hunk.end > hunk.start:
            shown += _changed("delete", before[hunk.start : hunk.end], hunk.reason)
        if hunk.text:
            shown += _changed("insert", hunk.text, hunk.reason)
        at = hunk.end
    return shown + _kept(before[at:], is_first=at == 0, is_last=True)


def _changed(kind: Literal["insert", "delete", "masked"], text: str, reason: str) -> list[Piece]:
    if text.isspace():
        text = text.translate(_SPACES)
    shown = [Piece(kind, runs(text[:_LONGEST], all_of_them=True), reason)]
    if len(text) > _LONGEST:
        shown.append(Piece("skip", [], skipped=len(text) - _LONGEST))
    return shown


def _kept(text: str, *, is_first: bool, is_last: bool) -> list[Piece]:
    if not text:
        return []
    head = 0 if is_first else _CONTEXT
    tail = 0 if is_last else _CONTEXT
    if is_first and is_last:
        head = 2 * _CONTEXT
    if len(text) <= head + tail + _CONTEXT // 2:
        return [Piece("same", runs(text))]
    shown = [Piece("same", runs(text[:head]))] if head else []
    shown.append(Piece("skip", [], skipped=len(text) - head - tail))
    if tail:
        shown.append(Piece("same", runs(text[-tail:])))
    return shown


def _leads_to(changed: list[Hunk], change: ChangeView) -> bool:
    at = 0
    parts: list[str] = []
    for hunk in changed:
        if not at <= hunk.start <= hunk.end <= len(change.before):
            return False
        parts += (change.before[at : hunk.start], hunk.text)
        at = hunk.end
    parts.append(change.before[at:])
    return "".join(parts) == change.after


def _moved(edit: EditView, earlier: Sequence[EditView]) -> Hunk:
    by = sum(len(one.text) - (one.end - one.start) for one in earlier if one.end <= edit.start)
    within = sum(len(one.text) - (one.end - one.start) for one in earlier if edit.start < one.end <= edit.end)
    return Hunk(edit.start + by, edit.end + by + within, edit.text, edit.reason)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts share at their beginning, by halving: slices compare fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
