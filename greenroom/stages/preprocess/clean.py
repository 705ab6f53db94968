"""`clean`: odd characters out, one form in, before anything else reads a prompt.

Works on every text of the request that people, tools or operators wrote; never on the JSON of tool calls.
Text that is already plain is told by the one look that the detectors need as well.
Invisible characters go everywhere; visible changes stay out of code, links, paths, JSON and tables.
"""

import asyncio
import importlib
import re
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

import re2  # type: ignore[import-untyped]  # has no stubs

from greenroom.contracts import Mode, StepConfig
from greenroom.exchange import Change, Exchange, Reply, Stage, Text
from greenroom.stages.preprocess.invisible import SPACES, UNSEEN, Found, Rule, edits_of, unseen
from greenroom.stages.protect import VERBATIM, protected_spans
from greenroom.stages.sight import GAPS_HIT, UNTIDY_HIT, anchors, sight_of

MOJIBAKE = Rule("clean.mojibake", "wrongly decoded characters restored")
COMPOSED = Rule("clean.nfc", "letters and their marks composed (NFC)")
SPACES_JOINED = Rule("clean.white_space", "repeated spaces made one")
BLANK_LINES = Rule("clean.blank_lines", "repeated blank lines made one")

_LIMIT = 256
"""Edits recorded for one text and pass: positions are mapped through them later, one by one."""
_LONGEST_CLUSTER = 31
"""A letter and 30 marks (the stream-safe format of UAX #15): sorting longer runs of marks is quadratic."""
_LONGEST_DECODED = 200_000
"""Characters in which broken decoding is looked for; about 0.2 s when all of them are broken."""

_ASCII = bytes(range(32, 127)) + b"\n\t"
_SUSPECT = bytes((0xA4, 0xA5, 0xA6, 0xAD, 0xC2, 0xC3, 0xC4, 0xC5, 0xD0))
_LATIN = _ASCII + bytes(range(0xA1, 0x100)).translate(None, _SUSPECT)
"""Latin-1 that needs no second look: no controls, no odd spaces, no letter that broken decoding leaves."""

_COMPOSED_OTHERWISE = "\u037e\u0387\u1f71\u1f73\u1f75\u1f77\u1f79\u1f7b\u1f7d\u2126\u212a\u212b"
"""Signs that are the same as another one (Ohm and Omega)."""
_JAMO = "\u1161-\u1175\u11a8-\u11c2"
_TRAIL = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""What the continuation bytes of UTF-8 look like when read as Windows-1252."""
_BROKEN = (
    f"[\xc2-\xdf][{_TRAIL}]|[\xe0-\xef][{_TRAIL}][{_TRAIL}]|\xf0\u0178[{_TRAIL}]"
    "|[ \n]\xc3[\xa0 ] |[\x80-\x9f]"
)
_broken = re2.compile(_BROKEN).search
_unusual = re2.compile(f"[{SPACES}{UNSEEN}{_JAMO}{_COMPOSED_OTHERWISE}]|\\p{{M}}|{_BROKEN}").search
_long_marks = re2.compile(f"\\p{{M}}{{{_LONGEST_CLUSTER - 1}}}").search
_CLUSTER = re2.compile(f"[^\\p{{M}}{_JAMO}]?[\\p{{M}}{_JAMO}]+|[{_COMPOSED_OTHERWISE}]")
_BROKEN_RUN = re.compile(f"[\xc2-\xf4{_TRAIL}]+")
_GAP = re.compile(r"(?<=\S)[ ]{2,}+(?=\S)|(?<!\n)\n{3,}+|(?<![ \n])[ \n]++\Z")
_MARKER = re.compile(r"[ \t]*(?:[-*+>]|\d{1,9}[.)]|#{1,6})\Z").match


class CleanConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.clean]: odd characters out of every prompt."""

    white_space: Mode = "observe"
    """Repeated spaces and blank lines outside protected spans: recorded, or also made one."""


class Protection:
    """Where only invisible characters of a text may be touched; worked out when first asked."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._bounds: list[int] | None = None

    def __call__(self, position: int) -> bool:
        """Whether `position` lies in code, a link, a path, JSON, a table or the like."""
        if self._bounds is None:
            spans = protected_spans(self._text, VERBATIM)
            self._bounds = [bound for start, end, _ in spans for bound in (start, end)]
        return bisect_right(self._bounds, position) % 2 == 1


class Clean:
    """Removes what nobody sees, undoes broken decoding, composes letters (NFC, never NFKC).

    Left as they are: compositions that would make a text longer, compatibility ideographs, letters with more
    than 30 marks, and broken decoding in texts of more than 200,000 characters (noted). Every edit is
    recorded with its rule; positions count in the text as it came.
    """

    name = "clean"
    stage: Stage = "preprocess"

    def __init__(self, config: CleanConfig) -> None:
        self._applies = config.mode == "apply"
        self._white_space = config.white_space
        self._looks_at_space = config.white_space != "off"
        self._signs = frozenset((UNTIDY_HIT, GAPS_HIT) if self._looks_at_space else (UNTIDY_HIT,))
        anchors()  # made now, not while the first request waits

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Clean the texts; never answers. The first broken decoding of a process loads ftfy, in a thread."""
        sight = sight_of(exchange)
        if self._signs.isdisjoint(sight.hits) and (sight.is_latin or _is_usual("\n".join(sight.texts))):
            return None
        record = exchange.steps[-1]
        for text in exchange.request.texts:
            if text.kind != "content" or (self._is_plain(text.value) and text.value[-1:] != " "):
                continue
            is_broken = _is_broken(text.value)
            if is_broken and len(text.value) > _LONGEST_DECODED:
                record.notes["not_decoded"] = "text too long"
                is_broken = False
            if is_broken and "ftfy" not in sys.modules:
                await asyncio.to_thread(importlib.import_module, "ftfy")
            change = self._clean(text, is_broken)
            if change is not None:
                record.changes.append(change)
        return None

    def _is_plain(self, text: str) -> bool:
        """Whether no rule could find anything."""
        return not (self._looks_at_space and _has_gaps(text)) and _is_usual(text)

    def _clean(self, text: Text, is_broken: bool) -> Change | None:
        done: list[Change] = []
        if is_broken:
            self._pass(text, restored(text.value), done)
        self._pass(text, unseen(text.value, Protection(text.value)), done)
        if not text.value.isascii() and _encodes(text.value):
            self._pass(text, composed(text.value), done)
        if self._looks_at_space:
            self._pass(text, wide_gaps(text.value), done, applies=self._white_space == "apply")
        if not done:
            return None
        edits = sorted((edit for change in done for edit in change.edits), key=lambda edit: edit.start)
        return Change(
            role=text.role,
            index=text.index,
            part=text.part,
            before=done[0].before,
            after=text.value,
            edits=edits,
        )

    def _pass(self, text: Text, found: Iterable[Found], done: list[Change], *, applies: bool = True) -> None:
        edits = edits_of(text.value, found, _LIMIT)
        if edits:
            for edit in edits:
                edit.applied = applies and self._applies
            done.append(text.edit(edits))


def _has_gaps(text: str) -> bool:
    # rfind: three times as fast as `in` on CPython for a needle of two
    return text.rfind("  ") >= 0 or ("\n" in text and text.rfind("\n\n\n") >= 0)


def _is_usual(text: str) -> bool:
    """Whether no rule but those for white space could find anything."""
    try:
        plain = _ASCII if text.isascii() else _LATIN
        if not text.encode("latin-1").translate(None, plain):
            return True
    except UnicodeEncodeError:
        pass
    return not text.isascii() and _encodes(text) and not _unusual(text)


def _encodes(text: str) -> bool:
    """Whether the text has no half of a broken character, which no pattern and no wire takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_broken(text: str) -> bool:
    return not text.isascii() and _encodes(text) and _broken(text) is not None


def restored(text: str) -> Iterator[Found]:
    """Undo UTF-8 that was read in another encoding, line by line, where ftfy agrees.

    Protected spans are left alone. Cost: 80 ms once to load ftfy, then 1.5 µs a character of such lines.
    """
    ftfy: Any = importlib.import_module("ftfy")  # Any: loaded on first need, 80 ms
    is_protected = Protection(text)
    start = 0
    for line in text.split("\n"):
        if _broken(f"\n{line}"):
            fixed: str = ftfy.fix_encoding(line)
            if fixed != line:
                for first, last, new in _differences(line, fixed, ftfy):
                    if not is_protected(start + first) and not is_protected(start + last - 1):
                        yield Found(start + first, start + last, new, MOJIBAKE)
        start += len(line) + 1


def _differences(line: str, fixed: str, ftfy: Any) -> list[tuple[int, int, str]]:
    """The smallest stretches that make `fixed` of `line`: run by run where that gives the same."""
    runs = [(*run.span(), ftfy.fix_encoding(run[0])) for run in _BROKEN_RUN.finditer(line)]
    pieces: list[str] = []
    at = 0
    for start, end, new in runs:
        pieces += (line[at:start], new)
        at = end
    if "".join((*pieces, line[at:])) == fixed:
        return [(start, end, new) for start, end, new in runs if new != line[start:end]]
    shorter = min(len(line), len(fixed))
    left = next((n for n in range(shorter) if line[n] != fixed[n]), shorter)
    right = next((n for n in range(shorter - left) if line[-1 - n] != fixed[-1 - n]), shorter - left)
    return [(left, len(line) - right, fixed[left : len(fixed) - right])]


def composed(text: str) -> Iterator[Found]:
    """Letters and marks that NFC writes as one, cluster by cluster; never longer than before."""
    if _long_marks(text) is None and unicodedata.is_normalized("NFC", text):
        return
    is_protected = Protection(text)
    for match in _CLUSTER.finditer(text):
        cluster: str = match[0]
        if len(cluster) > _LONGEST_CLUSTER:
            continue
        new = unicodedata.normalize("NFC", cluster)
        if new != cluster and len(new) <= len(cluster) and not is_protected(match.start()):
            yield Found(match.start(), match.end(), new, COMPOSED)


def wide_gaps(text: str) -> Iterator[Found]:
    """Runs of spaces and of blank lines in prose; not indentation, list markers, hard line breaks."""
    is_protected = Protection(text)
    for match in _GAP.finditer(text):
        start, end = match.span()
        gap = match[0]
        if is_protected(start) or is_protected(end - 1):
            continue
        if " " not in gap and len(gap) < 3:
            continue  # a line end or one blank line is a fair way to end a prompt
        if end == len(text):
            yield Found(start, end, "", BLANK_LINES if "\n" in gap else SPACES_JOINED)
        elif gap[0] == "\n":
            yield Found(start, end, "\n\n", BLANK_LINES)
        else:
            margin = max(0, start - 12)
            line = max(text.rfind("\n", margin, start) + 1, margin)
            if not _MARKER(text, line, start):
                yield Found(start, end, " ", SPACES_JOINED)
