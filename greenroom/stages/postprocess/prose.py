"""Which characters of an answer are prose, told as its text comes in: not code, tables, quotations or maths.

Knows Markdown's lines and marks, and the pieces of a text in order; no language.
"""

import re
from typing import Literal

_events = re.compile(r"`+|~{3,}|[\n\"“”«»]|\$\$?")
_CLOSING = {'"': '"', "“": "”", "«": "»"}
_OTHER_LINES = ("|", ">", "#", "---", "===", "{", "[", "<")

LineKind = Literal["", "prose", "other"]


class ProseState:
    """Reads pieces of one text in order and says which stretches of each are prose.

    A piece must not end inside a run of marks, nor within the first word of a line. Lines
    that are tables, quotations, headings, rules or indented code are not prose as a whole; what stands in
    quotation marks, backticks or between dollar signs is not, up to the end of its line.
    """

    __slots__ = ("_fence", "_indent", "_is_blank", "_kind", "_maths", "_quote", "_ticks")

    def __init__(self) -> None:
        self._fence = ""
        self._ticks = 0
        self._quote = ""
        """The mark that would close the quotation we are in."""
        self._maths = ""
        self._kind: LineKind = ""
        """What the line is that we are in; "" at its beginning."""
        self._indent = 0
        """Blanks at the beginning of the line, as long as nothing else has come; a tab counts as nine."""
        self._is_blank = True
        """Whether the line has had nothing but blanks so far."""

    def read(self, piece: str) -> list[tuple[int, int]]:
        """The stretches of prose in this piece: (start, end), in order."""
        spans: list[tuple[int, int]] = []
        at, end = 0, len(piece)
        while at < end:
            if not self._kind:
                at = self._begin_line(piece, at)
                if at == end:
                    break
            found = _events.search(piece, at)
            stop = end if found is None else found.start()
            if stop > at:
                if self._kind == "prose" and not (self._fence or self._ticks or self._quote or self._maths):
                    spans.append((at, stop))
                self._is_blank = False
            if found is None:
                break
            at = found.end()
            self._pass(found[0])
        return spans

    def _begin_line(self, piece: str, at: int) -> int:
        """Tell what the line is by its first word; gives where that begins, the end while there is none."""
        start = at
        while at < len(piece) and piece[at] in " \t":
            at += 1
        self._indent += at - start + 8 * piece.count("\t", start, at)
        if at == len(piece):
            return at
        if piece[at] != "\n":
            is_item = piece[at] in "-*+" and piece[at + 1 : at + 2] in ("", " ")
            is_other = self._indent > (8 if is_item else 3) or piece.startswith(_OTHER_LINES, at)
            self._kind = "other" if is_other else "prose"
        return at

    def _pass(self, mark: str) -> None:
        first = mark[0]
        if first == "\n":
            self._kind = self._quote = ""
            self._is_blank = True
            self._ticks = self._indent = 0
            self._maths = self._maths if self._maths == "$$" else ""
            return
        begins_line, self._is_blank = self._is_blank, False
        if self._fence:
            if begins_line and first == self._fence[0] and len(mark) >= len(self._fence):
                self._fence = ""
                self._kind = "other"
        elif first in "`~" and len(mark) >= 3 and begins_line:
            self._fence = mark
        elif first == "`":
            self._ticks = 0 if self._ticks == len(mark) else self._ticks or len(mark)
        elif self._ticks or first == "~":
            return
        elif first == "$":
            self._maths = "" if self._maths else mark if len(mark) == 2 else ""
        elif self._quote:
            if mark == self._quote:
                self._quote = ""
        elif mark in _CLOSING:
            self._quote = _CLOSING[mark]
