"""How the judges read a text: plain, without its disguises, and what is hidden in it by an encoding.

A reading is folded Latin-1: small letters without accents, one byte a character, with a way back to the text
as it came. Most texts have one reading that costs an encode and a translate; a look by RE2 says when there is
more to do. Invisible characters, tags, styled letters, look-alikes of other scripts and spaced letters are
undone in the reading itself; leet, base64, hex, URL encoding, escapes, rot13 and reversed text give further
ones, at most two deep and 64 kB in all. Look-alikes are folded only in words that mix scripts, and in words
of nothing else where such words are: Russian and Greek stay as they are.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from greenroom.stages.check.decoding import decoded
from greenroom.stages.check.linear import bytes_searcher, pattern_set
from greenroom.stages.check.lookalikes import ALIKE
from greenroom.stages.check.tables import words
from greenroom.stages.check.unspaced import ends

DEPTH = 2
BUDGET = 65_536
"""Characters of further readings made of one text."""


class Reading(NamedTuple):
    """One way to read a text."""

    folded: bytes
    kind: str = ""
    """What had to be undone, outermost first: "", "leet", "base64 rot13", …"""
    places: Sequence[int] | None = None
    """Where each byte stands in the text as it came; None: where it stands here."""
    inside: tuple[int, int] | None = None
    """The encoded stretch of which all of this is made, if it is."""

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the text as it came."""
        if self.inside is not None:
            return self.inside
        if self.places is None:
            return start, end
        there = self.places[start:end]
        return (min(there), max(there) + 1) if there else (0, 0)


def _fold_table() -> bytes:
    table = bytearray(range(256))
    for code in range(256):
        base = unicodedata.normalize("NFKD", chr(code)).lower()[:1]
        table[code] = ord(base) if base.isascii() and base else ord(chr(code).lower()) & 255
    return bytes(table)


_FOLD = _fold_table()
_TYPOGRAPHY = (
    ("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2013", "-"), ("\u2014", "-"),
    ("\u2026", "."), ("\u2022", "-"), ("\u00a0", " "), ("\u202f", " "),
)  # fmt: skip
"""What well-set prose has, in plain form, one for one."""

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff\\p{Mn}"
)
_STYLED = (
    "\u0250-\u02af\u02b0-\u02e3\u1d00-\u1dbf\u2070-\u209c\u2100-\u214f\u2460-\u24ff\ua730-\ua7ff\ufb00-\ufb06"
    "\uff01-\uff5e\U0001d400-\U0001d7ff\U0001f130-\U0001f189"
)
_OTHER = r"[\p{Greek}\p{Cyrillic}\p{Armenian}\p{Cherokee}]"
_strange = bytes_searcher(rf"[{_INVISIBLE}{_STYLED}]|[A-Za-z]{_OTHER}|{_OTHER}[A-Za-z]")
_words = re.compile(r"\w+").finditer
_has_latin = re.compile(r"[A-Za-z]").search
_has_other = re.compile(r"[\u0370-\u058f\u13a0-\u13ff]").search
_invisible = re.compile("[" + _INVISIBLE.replace("\\p{Mn}", "") + "]").match


def fold(text: str) -> bytes:
    """Small letters without accents, one byte a character, `?` for what Latin-1 lacks."""
    return text.encode("latin-1", "replace").translate(_FOLD)


def plain(text: str) -> tuple[str, Reading]:
    """The text without its disguises, and its plain reading; both stand at the same places."""
    kind, places = "", None
    if text.isascii():
        return text, Reading(text.encode().translate(_FOLD))
    try:
        raw = text.encode("latin-1")
        is_strange = b"\xad" in raw
    except UnicodeEncodeError:
        for odd, usual in _TYPOGRAPHY:
            text = text.replace(odd, usual)
        is_strange = _strange(text.encode("utf-8", "replace")) is not None
        raw = b"" if is_strange else text.encode("latin-1", "replace")
    if is_strange:
        text, places, kind = _undisguised(text)
        raw = text.encode("latin-1", "replace")
    return text, Reading(raw.translate(_FOLD), kind, places)


def readings(text: str) -> list[Reading]:
    """All readings of a text, the plain one first."""
    shown, one = plain(text)
    return further(shown, one, _look(one.folded) or ())


def further(text: str, one: Reading, hits: Iterable[int]) -> list[Reading]:
    """All readings of a text whose plain reading is `one`; `hits` are the places of `LOOKS` that match it."""
    found = frozenset(hits)
    return list(_all(text, one, found, DEPTH)) if found else [one]


def _all(text: str, came: Reading, hits: frozenset[int], depth: int) -> Iterator[Reading]:
    one = _joined(came) if SPACED in hits else came
    yield one
    if LEET in hits:
        found = _unleeted(one)
        if found is not None:
            yield found
    if ROT13 in hits:
        # Accented letters are not turned, so the turn comes before the folding.
        raw = text.encode("latin-1", "replace") if one is came else one.folded
        turned = raw.translate(_ROT13).translate(_FOLD)
        if _common(turned) > _common(one.folded):
            yield Reading(turned, _chain(one.kind, "rot13"), one.places, one.inside)
    if BACKWARDS in hits:
        turned = one.folded[::-1]
        if _common(turned) > _common(one.folded):
            places = (one.places or range(len(turned)))[::-1]
            yield Reading(turned, _chain(one.kind, "reversed"), places, one.inside)
    if depth and not hits.isdisjoint(ENCODED):
        yield from _decoded(text, came, hits, depth)


def _decoded(text: str, came: Reading, hits: frozenset[int], depth: int) -> Iterator[Reading]:
    room = BUDGET
    kinds = [kind for sign, own in ENCODED.items() if sign in hits for kind in own]
    for start, end, kind, inner in decoded(text, kinds):
        room -= len(inner)
        if room < 0:
            return
        raw = inner.encode("latin-1", "replace")
        one = Reading(raw.translate(_FOLD), _chain(came.kind, kind), None, came.original(start, end))
        yield from _all(inner, one, frozenset(_look(one.folded) or ()), depth - 1)


def _chain(before: str, kind: str) -> str:
    return f"{before} {kind}".strip()


# what a text must have for a further reading to be tried; all in one pass

LEET, SPACED, ROT13, BACKWARDS = range(4)
ENCODED = {4: ("base64",), 5: ("hex", "binary"), 6: ("url",), 7: ("escapes", "entities")}
"""Which encodings are tried for which sign."""
_TURNED = (
    "gur|naq|lbh|lbhe|vtaber|cebzcg|nyy|abj|jvgu|flfgrz|vafgehpg\\w*|dhr|cnen|gbqnf|gbqb|ybf|ynf|qry|hzn|pbz|"
    "frh|anb|aab|pbzb|fva|qr|qb|qn|rz|yn|nf|bf|zl|vf|zr|ra|bs|fubj|gryy|zbfger|qvzr"
)
_REVERSED = (
    "eht|dna|uoy|ruoy|siht|taht|htiw|tpmorp|erongi|snoitcurtsni|euq|arap|ecov|oan|amu|anu|sadot|sodot|ed|od|fo|"
    "ym|sod|wohs|llet"
)
LOOKS = (
    r"[a-z][0134578@$!|]+[a-z]|[^0-9a-z][0134578@$][a-z]+[0134578@$]|(?:^|[ \n])[134570@$][a-z]{3}",
    r"(?:^|[^a-z0-9])(?:[a-z0-9@$][ ._*|/-]{1,3}){5}[a-z0-9@$](?:[^a-z0-9]|$)",
    rf"\b(?:{_TURNED})\b",
    rf"\b(?:{_REVERSED})\b",
    r"[a-z0-9+/_-]{20}",
    r"(?:[0-9a-f]{2}[ :,-]?){10}|(?:\\x[0-9a-f]{2}){4}|(?:[01]{8} ?){5}",
    r"%[0-9a-f]{2}[^%]{0,8}%[0-9a-f]{2}[^%]{0,8}%[0-9a-f]{2}",
    r"(?:\\u00[0-9a-f]{2}){4}|(?:&#x?[0-9a-f]{2,4};){4}",
)  # fmt: skip
"""What a folded text has where a further reading may be made, by the numbers above."""

_look = pattern_set(LOOKS)

_common_words = re.compile(
    rb"\b(?:the|and|you|your|this|that|with|all|now|not|for|are|is|to|of|in|my|me|what|how|from|have|ignore|"
    rb"prompt|system|instructions|previous|que|para|com|uma|um|nao|seu|sua|voce|todas|todos|tudo|de|do|da|os|"
    rb"as|por|mais|como|el|la|los|las|del|una|un|con|sin|tu|tus|su|sus|es|en|instrucoes|instrucciones|"
    rb"anteriores|regras|reglas|show|tell|reveal|key|password|mostre|diga|muestra|dime|senha|clave|chave)\b"
).findall


def _common(folded: bytes) -> int:
    """How many small words of English, Portuguese and Spanish a text has."""
    return len(_common_words(folded[:4000]))


_ROT13 = bytes(
    (one - 97 + 13) % 26 + 97 if 97 <= one <= 122 else (one - 65 + 13) % 26 + 65 if 65 <= one <= 90 else one
    for one in range(256)
)


# leet: digits and signs for letters, in words that have both

_LEET = bytes.maketrans(b"0134578@$!|+", b"oieastbasiit")
_leet_words = re.compile(rb"[a-z0-9@$!|+]+").finditer
_has_letter = re.compile(rb"[a-z]").search
_has_leet = re.compile(
    rb"[a-z][013457@$!|+]+[a-z]|\A[01345@$][a-z]*[013457@$]?[a-z]|\A[a-z]+[013457@$]+\Z"
).search
_CODES = words(
    "mp3 mp4 h264 h265 s3 ec2 k8s i18n l10n b2b b2c c3po utf8 base64 rot13 a1 4k 3d 2d 5g 4g 1st 3rd 4th"
)


def _unleeted(plain: Reading) -> Reading | None:
    """None where no more than one word would change: that is a product's name, not a disguise."""
    candidates = [
        word
        for word in _leet_words(plain.folded)
        if len(word[0]) <= 24 and not word[0].isalpha() and word[0].decode() not in _CODES
        if word[0] in (b"0", b"3", b"4") or _has_letter(word[0])
    ]
    if sum(_has_leet(word[0]) is not None for word in candidates) < 2:
        return None
    made = bytearray(plain.folded)
    for word in candidates:
        start, piece = word.start(), word[0].rstrip(b"!|+")
        made[start : start + len(piece)] = piece.translate(_LEET)
    return Reading(bytes(made), _chain(plain.kind, "leet"), plain.places, plain.inside)


# spaced letters: «i g n o r e», «i.g.n.o.r.e»

_spaced = re.compile(rb"(?<![a-z0-9@$])(?:[a-z0-9@$][ ._*|/-]{1,3}){4,}[a-z0-9@$](?![a-z0-9@$])").finditer
_gaps = re.compile(rb"[ ._*|/-]+").findall


def _joined(plain: Reading) -> Reading:
    """The reading with spaced letters as words; gaps wider than the others part words."""
    folded = plain.folded
    places = plain.places or range(len(folded))
    pieces: list[bytes] = []
    kept: list[int] = []
    last = 0
    for run in _spaced(folded):
        start, end = run.span()
        pieces.append(folded[last:start])
        kept += places[last:start]
        for word in _parted(run[0], start):
            pieces.append(bytes(folded[at] for at in word) + b" ")
            kept += [places[at] for at in word]
            kept.append(kept[-1])
        pieces[-1] = pieces[-1][:-1]
        kept.pop()
        last = end
    if not last:
        return plain
    pieces.append(folded[last:])
    kept += places[last:]
    return Reading(b"".join(pieces), _chain(plain.kind, "spaced"), kept, plain.inside)


def _parted(run: bytes, start: int) -> Iterator[list[int]]:
    """The places of each word's letters: parted by wider gaps where there are some, else by known words."""
    gaps = _gaps(run)
    narrow = min(map(len, gaps))
    letters = [at for at, one in enumerate(run) if one not in b" ._*|/-"]
    if max(map(len, gaps)) == narrow:
        at = 0
        for end in ends(bytes(run[place] for place in letters).decode()):
            yield [start + place for place in letters[at:end]]
            at = end
        return
    word = [start + letters[0]]
    for before, place in pairwise(letters):
        if place - before - 1 > narrow:
            yield word
            word = []
        word.append(start + place)
    yield word


# what nobody sees, and what looks like something else


def _undisguised(text: str) -> tuple[str, list[int] | None, str]:
    """The text without invisible characters and marks, tags decoded, styles and look-alikes folded."""
    alike = _alike(text)
    out: list[str] = []
    places: list[int] = []
    kinds: dict[str, None] = {"homoglyph": None} if alike else {}
    for place, character in enumerate(text):
        if character.isascii():
            plain = character
        elif 0xE0020 <= ord(character) <= 0xE007E:
            plain = chr(ord(character) - 0xE0000)
            if "tags" not in kinds:
                plain = "\n" + plain  # hidden text is a line of its own
            kinds["tags"] = None
        elif _invisible(character):
            if character not in "\ufe0e\ufe0f\u200d":
                kinds["invisible"] = None
            continue
        elif place in alike:
            plain = alike[place]
        else:
            plain = _STYLES.get(character) or unicodedata.normalize("NFKC", character)
            if len(plain) > _LONGEST_FOLD:
                plain = character
            if unicodedata.combining(character):
                if character not in _USUAL_MARKS:
                    kinds["marks"] = None
                continue
            if plain != character:
                kinds["styled"] = None
        out.append(plain)
        places += [place] * len(plain)
    return "".join(out), places, " ".join(kinds)


_STYLES = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡɩɾ", "abcdefghijklmnoprstuvwyzagir", strict=True))
_LONGEST_FOLD = 4
"""Letters that one sign may stand for; U+FDFA stands for eighteen, and a text of it would fill the memory."""
_USUAL_MARKS = "\u0300\u0301\u0302\u0303\u0308\u0327"
"""Grave, acute, circumflex, tilde, diaeresis, cedilla: letters written in two parts, as macOS does."""


def _alike(text: str) -> dict[int, str]:
    """Place → Latin letter, for look-alikes in words that mix scripts, and in words of look-alikes alone."""
    others = [word for word in _words(text) if _has_other(word[0])]
    if not any(_has_latin(word[0]) for word in others):
        return {}
    found: dict[int, str] = {}
    for word in others:
        if not _has_latin(word[0]) and any(letter not in ALIKE for letter in word[0]):
            continue
        start, end = word.span()
        for place in range(start, end):
            letter = ALIKE.get(text[place])
            if letter is not None:
                found[place] = letter
    return found
