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
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from greenroom.stages.check.decoding import decoded
from greenroom.stages.check.linear import bytes_searcher, pattern_set
from greenroom.stages.check.lookalikes import ALIKE
from greenroom.stages.check.tables import words

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
_STYLED = "\u02b0-\u02e3\u1d00-\u1dbf\u2070-\u209c\u2100-\u214f\u2460-\u24ff\ufb00-\ufb06\uff01-\uff5e\U0001d400-\U0001d7ff\U0001f130-\U0001f189\ua730-\ua7ff\u0250-\u02af"
_OTHER = r"[\p{Greek}\p{Cyrillic}\p{Armenian}\p{Cherokee}]"
_strange = bytes_searcher(rf"[{_INVISIBLE}{_STYLED}]|[A-Za-z]{_OTHER}|{_OTHER}[A-Za-z]")
_mixed = re.compile(r"(?=\w*[A-Za-z])(?=\w*[\u0370-\u058f\u13a0-\u13ff])\w+")
_other_words = re.compile(r"[\u0370-\u058f\u13a0-\u13ff]+").finditer
_invisible = re.compile("[" + _INVISIBLE.replace("\\p{Mn}", "") + "]").match


def fold(text: str) -> bytes:
    """Small letters without accents, one byte a character, `?` for what Latin-1 lacks."""
    return text.encode("latin-1", "replace").translate(_FOLD)


def readings(text: str) -> list[Reading]:
    """All readings of a text, the plain one first."""
    kind, places = "", None
    if not text.isascii():
        try:
            raw = text.encode("latin-1")
        except UnicodeEncodeError:
            for odd, plain in _TYPOGRAPHY:
                text = text.replace(odd, plain)
            if _strange(text.encode("utf-8", "replace")) is not None:
                text, places, kind = _undisguised(text)
            raw = text.encode("latin-1", "replace")
        if b"\xad" in raw:
            text, places, kind = _undisguised(text)
            raw = text.encode("latin-1", "replace")
    else:
        raw = text.encode()
    plain = Reading(raw.translate(_FOLD), kind, places)
    hits = _look(raw)
    if not hits:
        return [plain]
    return list(_all(text, plain, frozenset(hits), DEPTH))


def _all(text: str, plain: Reading, hits: frozenset[int], depth: int) -> Iterator[Reading]:
    came = plain
    if SPACED in hits:
        plain = _joined(plain)
    yield plain
    if LEET in hits:
        found = _unleeted(plain)
        if found is not None:
            yield found
    for sign, kind, turn in ((ROT13, "rot13", _rot13), (BACKWARDS, "reversed", _backwards)):
        if sign in hits:
            turned = turn(plain.folded)
            if _common(turned) > _common(plain.folded):
                places = plain.places if turn is _rot13 else _reversed(plain)
                yield Reading(turned, _chain(plain.kind, kind), places, plain.inside)
    if ENCODED & hits and depth:
        yield from _decoded(text, came, depth)


def _decoded(text: str, plain: Reading, depth: int) -> Iterator[Reading]:
    room = BUDGET
    for start, end, kind, inner in decoded(text):
        room -= len(inner)
        if room < 0:
            return
        span = plain.inside or plain._replace(inside=None).original(start, end)
        raw = inner.encode("latin-1", "replace")
        reading = Reading(raw.translate(_FOLD), _chain(plain.kind, kind), None, span)
        yield from _all(inner, reading, frozenset(_look(raw) or ()), depth - 1)


def _chain(before: str, kind: str) -> str:
    return f"{before} {kind}".strip()


# what a text must have for a further reading to be tried; all in one pass

LEET, SPACED, ROT13, BACKWARDS = range(4)
ENCODED = frozenset((4, 5, 6, 7))
_look = pattern_set((
    r"(?i)[a-z][0134578@$!|]+[a-z]|[^0-9a-z][0134578@$][a-z]+[0134578@$]|(?:^|[ \n])[134570@$][a-z]{3}",
    r"(?i)(?:^|[^a-z0-9])(?:[a-z0-9@$][ ._*|/-]{1,3}){5}[a-z0-9@$](?:[^a-z0-9]|$)",
    r"(?i)\b(?:gur|naq|lbh|lbhe|vtaber|cebzcg|nyy|abj|jvgu|flfgrz|vafgehpg\w*|dhr|cnen|gbqnf|gbqb|ybf|ynf|qry|hzn|pbz|frh|gh|anb|aab|pbzb|fva|lb)\b",
    r"(?i)\b(?:eht|dna|uoy|ruoy|siht|taht|htiw|tpmorp|erongi|snoitcurtsni|euq|arap|ecov|uoc|oan|amu|anu|sadot|sodot|odot|rop|moc|omoc|etse|us|ut|ues)\b",
    r"[A-Za-z0-9+/_-]{20}",
    r"(?:[0-9a-fA-F]{2}[ :,-]?){10}|(?:\\x[0-9a-fA-F]{2}){4}|(?:[01]{8} ?){5}",
    r"%[0-9A-Fa-f]{2}[^%]{0,8}%[0-9A-Fa-f]{2}[^%]{0,8}%[0-9A-Fa-f]{2}",
    r"(?:\\u00[0-9a-fA-F]{2}){4}|(?:&#x?[0-9a-fA-F]{2,4};){4}",
))  # fmt: skip

_common_words = re.compile(
    rb"\b(?:the|and|you|your|this|that|with|all|now|not|for|are|is|to|of|in|my|me|what|how|from|have|ignore|"
    rb"prompt|system|instructions|previous|que|para|com|uma|um|nao|seu|sua|voce|todas|todos|tudo|de|do|da|os|"
    rb"as|por|mais|como|el|la|los|las|del|una|un|con|sin|tu|tus|su|sus|es|en|instrucoes|instrucciones|"
    rb"anteriores|regras|reglas)\b"
).findall


def _common(folded: bytes) -> int:
    """How many small words of English, Portuguese and Spanish a text has."""
    return len(_common_words(folded[:4000]))


_ROT13 = bytes(
    (one - 97 + 13) % 26 + 97 if 97 <= one <= 122 else (one - 65 + 13) % 26 + 65 if 65 <= one <= 90 else one
    for one in range(256)
)


def _rot13(folded: bytes) -> bytes:
    return folded.translate(_ROT13)


def _backwards(folded: bytes) -> bytes:
    return folded[::-1]


def _reversed(plain: Reading) -> Sequence[int]:
    return (plain.places or range(len(plain.folded)))[::-1]


# leet: digits and signs for letters, in words that have both

_LEET = bytes.maketrans(b"0134578@$!|+", b"oieastbasiit")
_leet_words = re.compile(rb"[a-z0-9@$!|+]*[a-z][a-z0-9@$!|+]*").finditer
_has_leet = re.compile(rb"[a-z][013457@$!|+]+[a-z]|\A[01345@$][a-z]*[013457@$]?[a-z]|\A[a-z]+[013457@$]+\Z").search
_CODES = words("mp3 mp4 h264 h265 s3 ec2 k8s i18n l10n b2b b2c c3po utf8 base64 rot13 a1 4k 3d 2d 5g 4g 1st 3rd 4th")


def _unleeted(plain: Reading) -> Reading | None:
    """None where no more than one word would change: that is a product's name, not a disguise."""
    made = bytearray(plain.folded)
    changed = 0
    for word in _leet_words(plain.folded):
        piece = word[0]
        if len(piece) > 24 or piece.isalpha() or _has_leet(piece) is None or piece.decode() in _CODES:
            continue
        start = word.start()
        ending = piece.rstrip(b"!|+")
        made[start : start + len(ending)] = ending.translate(_LEET)
        changed += 1
    if changed < 2:
        return None
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
        narrow = min(map(len, _gaps(run[0])))
        at = start
        while at < end:
            stop = at + 1
            pieces.append(folded[at:stop])
            kept.append(places[at])
            while stop < end and folded[stop] in b" ._*|/-":
                stop += 1
            if stop - at - 1 > narrow:
                pieces.append(b" ")
                kept.append(places[at + 1])
            at = stop
        last = end
    if not last:
        return plain
    pieces.append(folded[last:])
    kept += places[last:]
    return Reading(b"".join(pieces), _chain(plain.kind, "spaced"), kept, plain.inside)


# what nobody sees, and what looks like something else


def _undisguised(text: str) -> tuple[str, list[int] | None, str]:
    """The text without invisible characters and marks, tags decoded, styles and look-alikes folded."""
    mixed = _mixed.search(text) is not None
    alike = _alike(text) if mixed else {}
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
_USUAL_MARKS = "\u0300\u0301\u0302\u0303\u0308\u0327"
"""Grave, acute, circumflex, tilde, diaeresis, cedilla: letters written in two parts, as macOS does."""


def _alike(text: str) -> dict[int, str]:
    """Place → Latin letter, for look-alikes in words that mix scripts, and in words of look-alikes alone."""
    found: dict[int, str] = {}
    spans = [one.span() for one in _mixed.finditer(text)]
    spans += [one.span() for one in _other_words(text) if all(letter in ALIKE for letter in one[0])]
    for start, end in spans:
        for place in range(start, end):
            letter = ALIKE.get(text[place])
            if letter is not None:
                found[place] = letter
    return found

