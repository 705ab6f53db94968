"""A document's text cut into passages: by heading, then by sentence, 200 to 300 tokens each.

A passage is always a stretch of the text itself: `text[p.start : p.start + len(p.text)] == p.text`. Tokens
are estimated as four characters each. Knows Markdown's headings, lists, tables and fences, and the
abbreviations of English, Portuguese and Spanish that end in a dot.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["heading", "sentence", "list", "table", "code"]

TOKEN = 4
"""Characters a token, on average."""
FULL = 300 * TOKEN
ENOUGH = 200 * TOKEN
OVERLAP = 75 * TOKEN
"""A sentence up to this long is repeated at the start of the next passage."""
SEPARATOR = " › "

_heading = re.compile(r"(#{1,6})[ \t]")
_fence = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_item = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S")
_sentence_end = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s++(?=[\"'“‘«(\[¿¡*_`]*[A-ZÀ-ÖØ-Þ0-9])")
_short = re.compile(
    r"(?:^|[\s(])"
    r"(?:dr|dra|sr|sra|srta|prof|profa|mr|mrs|ms|st|nº|n|art|arts|fig|figs|p|pp|pág|cap|ex|p\. ?ex|e\.g"
    r"|i\.e|etc|vs|cf|vol|ed|av|inc|ltda?|jr|approx|aprox|ud|uds|ee\.uu|[A-Za-z])\.\Z",
    re.IGNORECASE,
)


class Unit(NamedTuple):
    """A piece that is better not cut: a sentence, a list, a table, a code block, or a heading line."""

    start: int
    end: int
    kind: Kind


class Piece(NamedTuple):
    """A passage: where it begins, its text, and the headings above it."""

    start: int
    text: str
    title: str


def estimate(text: str) -> int:
    """Tokens, roughly: four characters each, at least one."""
    return len(text) // TOKEN + 1


class _Size(NamedTuple):
    """In characters."""

    full: int
    overlap: int
    repeats: int
    """How many units the next passage may repeat."""


_AUTO = _Size(FULL, OVERLAP, 1)


def split(
    text: str, title: str, *, headings: bool = True, size: tuple[int, int] | None = None
) -> list[Piece]:
    """Cut a text. With `headings` lines that begin with `#` are headings and part of the passages' titles.

    `size` is the tokens of a passage at most, and how many of them may repeat the end of the one before;
    without it passages are as long as search likes them, and repeat a sentence.
    """
    lengths = _AUTO if size is None else _Size(size[0] * TOKEN, size[1] * TOKEN, len(text))
    path: list[tuple[int, str]] = []
    section: list[Unit] = []
    pieces: list[Piece] = []
    for unit in units(text, headings=headings):
        if unit.kind != "heading":
            section.append(unit)
            continue
        pieces += _pack(text, section, _title(title, path), lengths)
        section = []
        line = text[unit.start : unit.end]
        name = line.lstrip("#")
        level = len(line) - len(name)
        path = [one for one in path if one[0] < level] + [(level, " ".join(name.strip("# \t").split())[:200])]
    return pieces + _pack(text, section, _title(title, path), lengths)


def _title(title: str, path: list[tuple[int, str]]) -> str:
    names = [name for _, name in path if name]
    if not names or names[0] != title:
        names.insert(0, title)
    return SEPARATOR.join(name for name in names if name)


def _pack(text: str, section: list[Unit], title: str, size: _Size) -> list[Piece]:
    packed: list[Piece] = []
    current: list[Unit] = []
    for unit in (small for large in section for small in _fitting(text, large, size.full)):
        if current and unit.end - current[0].start > size.full:
            packed.append(_piece(text, current, title))
            current = _repeated(current, unit.end, size)
        current.append(unit)
    if current:
        packed.append(_piece(text, current, title))
    return packed


def _repeated(run: list[Unit], end: int, size: _Size) -> list[Unit]:
    """The last units of a passage that the next one, which must reach `end`, begins with."""
    kept = len(run)
    while (
        kept > 1
        and len(run) - kept < size.repeats
        and (run[kept - 1].kind == "sentence" or size.repeats > 1)
        and end - run[kept - 1].start <= size.full
        and run[-1].end - run[kept - 1].start <= size.overlap
    ):
        kept -= 1
    return run[kept:]


def _piece(text: str, run: list[Unit], title: str) -> Piece:
    return Piece(run[0].start, text[run[0].start : run[-1].end], title)


def _fitting(text: str, unit: Unit, full: int) -> Iterator[Unit]:
    """The unit, or parts of one larger than a passage: cut at line ends, else at spaces, else anywhere."""
    start = unit.start
    while unit.end - start > full:
        cut = text.rfind("\n", start + 1, start + full)
        if cut < 0:
            cut = text.rfind(" ", start + full * ENOUGH // FULL, start + full)
        if cut < 0:
            cut = start + full
        yield Unit(start, cut, unit.kind)
        start = cut
        while start < unit.end and text[start].isspace():
            start += 1
    if start < unit.end:
        yield Unit(start, unit.end, unit.kind)


def units(text: str, *, headings: bool = True) -> list[Unit]:
    """All pieces in order, none overlapping; blank lines between them belong to none."""
    found: list[Unit] = []
    kind: Kind = "sentence"
    start = end = -1
    fence = ""
    at = 0
    for line in text.splitlines(keepends=True):
        began, at = at, at + len(line)
        bare = line.strip()
        stop = began + len(line.rstrip())
        if fence:
            end = stop or end
            if bare.startswith(fence) and not bare.strip(fence[0]):
                _close(text, found, start, max(end, start), "code")
                fence, start = "", -1
            continue
        opening = _fence.match(line)
        this = _line_kind(line, bare, headings=headings)
        continues = start >= 0 and bool(bare) and (
            this == kind or (kind == "list" and this == "sentence")
        )  # fmt: skip
        if opening is not None or not continues or this == "heading":
            if start >= 0:
                _close(text, found, start, end, kind)
            start = -1
        if opening is not None:
            fence, start, end = opening[1], began, stop
        elif bare and start < 0:
            start, end, kind = began + len(line) - len(line.lstrip()), stop, this
            if this == "list":
                start = began
        elif bare:
            end = stop
    if start >= 0:
        _close(text, found, start, end, "code" if fence else kind)
    return _joined_lists(text, found)


def _line_kind(line: str, bare: str, *, headings: bool) -> Kind:
    if headings and bare.startswith("#") and _heading.match(bare) is not None:
        return "heading"
    if bare.startswith("|"):
        return "table"
    return "list" if _item.match(line) is not None else "sentence"


def _close(text: str, found: list[Unit], start: int, end: int, kind: Kind) -> None:
    if end <= start:
        return
    if kind != "sentence":
        found.append(Unit(start, end, kind))
        return
    at = start
    for mark in _sentence_end.finditer(text, start, end):
        stop = mark.start() + len(mark[0].rstrip())
        if mark[0].startswith(".") and _short.search(text[max(at, stop - 12) : mark.start() + 1]) is not None:
            continue
        found.append(Unit(at, stop, "sentence"))
        at = mark.end()
    if at < end:
        found.append(Unit(at, end, "sentence"))


def _joined_lists(text: str, found: list[Unit]) -> list[Unit]:
    """Lists whose items stand apart by blank lines become one unit again, while they fit a passage."""
    joined: list[Unit] = []
    for unit in found:
        last = joined[-1] if joined else None
        if (
            last is not None and unit.kind == last.kind == "list" and unit.end - last.start <= ENOUGH
            and not text[last.end : unit.start].strip()
        ):  # fmt: skip
            joined[-1] = Unit(last.start, unit.end, "list")
        else:
            joined.append(unit)
    return joined
