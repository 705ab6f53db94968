"""`clean`: odd characters out, one form in, before anything else reads a prompt.

Works on every text of the request that people, tools or operators wrote; never on the JSON of tool calls. Text
that is already plain is told by three looks at all texts at once and costs about a microsecond per 500
characters. Invisible characters go everywhere; visible changes stay out of code, links, paths, JSON and tables.
"""

import asyncio
import importlib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from typing import Literal

import re2

from greenroom.contracts import Mode, StepConfig
from greenroom.exchange import Change, Edit, Exchange, Reply, Stage, Text
from greenroom.stages.preprocess.invisible import SPACES, UNSEEN, invisible_edits
from greenroom.stages.protect import VERBATIM, protected_spans

_LIMIT = 256
"""Edits recorded for one text and pass: positions are mapped through them later, one by one."""
_LONGEST_MARKS = 30
"""Marks on one letter that are still composed (the stream-safe format of UAX #15); sorting more is quadratic."""

_ASCII = bytes(range(32, 127)) + b"\n\t"
_LATIN = _ASCII + bytes(sorted(set(range(0xA1, 0x100)) - {0xAD, 0xA4, 0xA5, 0xA6, 0xC2, 0xC3, 0xC4, 0xC5, 0xD0}))
"""Latin-1 that needs no second look: no controls, no odd spaces, no letter that broken decoding leaves."""

_SINGLE = "\u037e\u0387\u1f71\u1f73\u1f75\u1f77\u1f79\u1f7b\u1f7d\u2126\u212a\u212b"
_JAMO = "\u1161-\u1175\u11a8-\u11c2"
_CONTINUED = "\x80-\xbf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"  # noqa: E501  # one alphabet
_MOJIBAKE = (
    rf"[\xc2-\xdf][{_CONTINUED}]|[\xe0-\xef][{_CONTINUED}][{_CONTINUED}]|\xf0\u0178[{_CONTINUED}]|"
    r"[ \n]\xc3[\xa0 ] |[\x80-\x9f]"
)
"""UTF-8 read as Windows-1252: a lead byte's letter and the signs of its continuation bytes."""
_unusual = re2.compile(rf"[{SPACES}{UNSEEN}{_JAMO}{_SINGLE}]|\p{{M}}|{_MOJIBAKE}").search
_mojibake = re2.compile(_MOJIBAKE).search
_composable = re2.compile(rf"[{_JAMO}{_SINGLE}]|\p{{M}}").search
_CLUSTER = re2.compile(rf"[^\p{{M}}{_JAMO}]?[\p{{M}}{_JAMO}]+|[{_SINGLE}]")
_BROKEN_RUN = re.compile(rf"[\xc2-\xf4{_CONTINUED}]+")
_WIDE_GAP = re.compile(r"(?<=\S)[ ]{2,}+(?=\S)|\n{3,}+|[ \n]{2,}+\Z")
_MARKER = re.compile(r"[ \t]*(?:[-*+>]|\d{1,9}[.)]|#{1,6})\Z").match


class CleanConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.clean]: odd characters out of every prompt."""

    white_space: Literal["off", "observe", "suggest", "apply"] = "observe"
    """Repeated spaces and blank lines outside protected spans: recorded, or also made one."""


class Clean:
    """Removes what nobody sees, undoes broken decoding, composes letters (NFC, never NFKC).

    Compositions that would make a text longer, compatibility ideographs, and letters with more than 30 marks
    are left as they are. Records every edit with its rule in the text as it came.
    """

    name = "clean"
    stage: Stage = "preprocess"

    def __init__(self, config: CleanConfig) -> None:
        self._applies = config.mode == "apply"
        self._white_space: Mode = config.white_space
        self._looks_at_space = config.white_space != "off"

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Clean the texts; never answers. The first broken encoding of a process loads ftfy in a thread."""
        texts = exchange.request.texts
        whole = "\0" if len(texts) > 1024 else "\n".join([text.value for text in texts])
        if self._is_plain(whole):
            return None
        changes = exchange.steps[-1].changes
        for text in texts:
            if text.kind != "content" or self._is_plain(text.value):
                continue
            if _encodes(text.value) and _mojibake(text.value):
                await _load_ftfy()
            change = self._clean(text)
            if change is not None:
                changes.append(change)
        return None

    def _is_plain(self, text: str) -> bool:
        """Whether no rule could find anything."""
        if self._looks_at_space and ("  " in text or "\n\n\n" in text):
            return False
        try:
            if text.isascii():
                return not text.encode("latin-1").translate(None, _ASCII)
            return not text.encode("latin-1").translate(None, _LATIN) or not _unusual(text)
        except UnicodeEncodeError:
            return _encodes(text) and not _unusual(text)

    def _clean(self, text: Text) -> Change | None:
        done: list[Change] = []
        encodes = _encodes(text.value)
        if encodes and _mojibake(text.value):
            self._do(text, mojibake_edits(text.value, Protection(text.value)), self._applies, done)
        edits = invisible_edits(text.value, Protection(text.value), _LIMIT)
        self._do(text, edits, self._applies, done)
        if not text.value.isascii() and _encodes(text.value) and _composable(text.value):
            self._do(text, composition_edits(text.value, Protection(text.value)), self._applies, done)
        if self._looks_at_space:
            applies = self._applies and self._white_space == "apply"
            self._do(text, space_edits(text.value, Protection(text.value)), applies, done)
        if not done:
            return None
        edits = sorted((edit for change in done for edit in change.edits), key=lambda edit: edit.start)
        first = done[0]
        return Change(
            role=text.role, index=text.index, part=text.part, before=first.before, after=text.value, edits=edits
        )

    @staticmethod
    def _do(text: Text, edits: list[Edit], applies: bool, done: list[Change]) -> None:
        if edits:
            for edit in edits:
                edit.applied = applies
            done.append(text.edit(edits))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
