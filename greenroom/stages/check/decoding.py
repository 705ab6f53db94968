"""Text hidden by an encoding: base64, hex, binary, URL encoding and escapes, found and decoded.

Only what decodes to readable text counts. Linear in the text.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

_LEAST = 8
"""Characters that a decoded text has at least."""

_base64_run = re.compile(r"[A-Za-z0-9+/_-]{16,65536}={0,2}").finditer
_hex_run = re.compile(r"(?:0x)?(?:(?:\\x|0x)?[0-9a-fA-F]{2}[ :,-]?){8,32768}").finditer
_hex_digits = re.compile(r"\\x|0x|[ :,-]").sub
_binary_run = re.compile(r"(?:[01]{8}[ ,]?){4,8192}").finditer
_token = re.compile(r"\S+").finditer
_escape_run = re.compile(r"(?:\\u00[0-9a-fA-F]{2} ?){4,8192}").finditer
_entity_run = re.compile(r"(?:&#x?[0-9a-fA-F]{2,4}; ?){4,8192}").finditer
_escaped = re.compile(r"\\u00([0-9a-fA-F]{2})").sub


def decoded(text: str, kinds: Iterable[str]) -> Iterator[tuple[int, int, str, str]]:
    """Start and end of each stretch in these encodings, the encoding's name, and the text it holds."""
    for kind in kinds:
        find, decode = _KINDS[kind]
        for run in find(text):
            inner = decode(run[0])
            if inner is not None and len(inner) >= _LEAST and _is_readable(inner):
                yield run.start(), run.end(), kind, inner


def _url_runs(text: str) -> Iterator[re.Match[str]]:
    return (one for one in _token(text) if one[0].count("%") > 2)


def _from_base64(run: str) -> str | None:
    plain = run.rstrip("=").replace("-", "+").replace("_", "/")
    for cut in range(4):  # a word may stick to its front
        piece = plain[cut:]
        piece = piece[: len(piece) - (len(piece) % 4 == 1)]
        found = _utf8(b64decode(piece + "=" * (-len(piece) % 4)))
        if found is not None and _is_readable(found):
            return found
    return None


def _from_hex(run: str) -> str | None:
    digits = _hex_digits("", run)
    return _utf8(bytes.fromhex(digits[: len(digits) & ~1]))


def _from_binary(run: str) -> str | None:
    bits = run.replace(" ", "").replace(",", "")
    return _utf8(bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8)))


def _from_url(run: str) -> str | None:
    return unquote(run.replace("+", " "), errors="replace")


def _from_escapes(run: str) -> str | None:
    return _escaped(lambda one: chr(int(one[1], 16)), run)


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # The end may have been cut in the middle of a character.
        return data[: error.start].decode() if error.start > len(data) - 4 else None


def _is_readable(text: str) -> bool:
    """Nine characters of ten are letters, digits, blanks or common signs, and most are letters."""
    sample = text[:400]
    fine = sum(one.isalnum() or one in " \n\t.,;:!?'\"()-_/[]<>{}|#*=@$%&+" for one in sample)
    letters = sum(one.isalpha() and ord(one) < 0x250 for one in sample)
    return fine * 10 >= len(sample) * 9 and letters * 10 >= len(sample) * 6


def _from_entities(text: str) -> str:
    from html import unescape  # noqa: PLC0415  # 2,000 names that few texts use

    return unescape(text)


Kind = tuple[Callable[[str], Iterator[re.Match[str]]], Callable[[str], str | None]]
_KINDS: dict[str, Kind] = {
    "base64": (_base64_run, _from_base64),
    "hex": (_hex_run, _from_hex),
    "binary": (_binary_run, _from_binary),
    "url": (_url_runs, _from_url),
    "escapes": (_escape_run, _from_escapes),
    "entities": (_entity_run, _from_entities),
}
