"""Where values stand in a text, the text with masks instead, and how positions move by that."""

from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import AnyStr


class Shift:
    """How positions in a text move when values in it are replaced."""

    __slots__ = ("_spans", "hidden", "text", "whole")

    def __init__(self, text: str, spans: list[tuple[int, int, str]]) -> None:
        self.text = text
        self.hidden = replaced(text, spans, "") if spans else text
        self.whole: dict[tuple[int, int], tuple[int, int]] = {}
        """Where whole values lie now: most findings are one."""
        self._spans = spans
        moved = 0
        for start, end, mask in spans:
            length = len(mask)
            self.whole[start, end] = (start + moved, start + moved + length)
            moved += length - (end - start)

    def at(self, position: int, *, is_end: bool = False) -> int:
        """Where a position of the old text lies in the new one."""
        position = min(max(position, 0), len(self.text))
        place = bisect_right(self._spans, position, key=lambda span: span[0]) - 1
        if place < 0:
            return position
        start, end, _ = self._spans[place]
        new_start, new_end = self.whole[start, end]
        if position >= end:
            return position - end + new_end
        return new_end if is_end and position > start else new_start


def find(text: AnyStr, values: Iterable[tuple[AnyStr, AnyStr]]) -> list[tuple[int, int, AnyStr]]:
    """Where values stand: sorted, not overlapping, the longest first served."""
    taken: list[tuple[int, int, AnyStr]] = []
    present = [pair for pair in values if pair[0] in text]
    if len(present) == 1:  # nothing can overlap
        ((value, mask),) = present
        at = text.find(value)
        while at >= 0:
            end = at + len(value)
            taken.append((at, end, mask))
            at = text.find(value, end)
        return taken
    for value, mask in present:
        at = text.find(value)
        while at >= 0:
            end = at + len(value)
            place = bisect_right(taken, at, key=lambda span: span[0])
            if place and taken[place - 1][1] > at:
                at = text.find(value, taken[place - 1][1])
            elif place < len(taken) and taken[place][0] < end:
                at = text.find(value, at + 1)
            else:
                insort(taken, (at, end, mask))
                at = text.find(value, end)
    return taken


def replaced(text: AnyStr, spans: list[tuple[int, int, AnyStr]], empty: AnyStr) -> AnyStr:
    """The text with what stands for its values; `empty` joins the pieces."""
    if len(spans) == 1:
        ((start, end, mask),) = spans
        return text[:start] + mask + text[end:]
    pieces: list[AnyStr] = []
    at = 0
    for start, end, mask in spans:
        pieces += (text[at:start], mask)
        at = end
    pieces.append(text[at:])
    return empty.join(pieces)
