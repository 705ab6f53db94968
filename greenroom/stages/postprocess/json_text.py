"""JSON as models write it: found in what stands around it, and mended where it is broken.

Knows one text and no schema. What is valid keeps its own bytes; what is broken is read leniently by
json-repair, after quotation marks and literals that it does not know were made plain.
"""

import json
import re
from ast import literal_eval
from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple, SupportsIndex

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

LONGEST = 128 * 1024
"""Characters of broken JSON that are mended: at about 30 µs a value, a second's work at most."""
_MOST_PLACES = 200
"""Brackets at which JSON is looked for."""

_strict: Decoder[Any] = Decoder()  # Any: JSON
_encode = Encoder().encode
_lenient = json.JSONDecoder(strict=False)
_fence = re.compile(r"(?<!`)```[ \t]*([\w+-]*)[^\n`]*\n")
_fence_end = re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)
_opening = re.compile(r"[{\[]")
_bracket_or_quote = re.compile(
    r'[{}\[\]]|"(?:[^"\\\n]|\\.)*+"' r"|(?<=[{\[,: ])'(?:[^'\\\n]|\\.)*+'(?=\s*[,:}\]])"
)
_like_object = re.compile(
    r"\{\s*(?:\}|(?://[^\n]*\n|#[^\n]*\n|/\*.*?\*/|\s)*(?:[\"'“”„‘’`\\]|[\w$.-]+\s*[:=：]))"
)
_odd_quote = re.compile(r"[{\[]\s*[“”„‟‘’`«]")
_straight = re.compile(r'"(?:[^"\\]|\\.)*+"' r"|(?<=[{\[,:\s])'(?:[^'\\\n]|\\.)*+'(?=\s*[,:}\]])")
_plain_quotes = str.maketrans({**dict.fromkeys("“”„‟«»", '"'), "：": ":", "，": ","})
_odd_single = re.compile(r"(?<=[{\[,:\s])[‘’`](?!\s)|[‘’`](?=\s*[,:}\]])")
_empty = re.compile(r"(?<=[\[,\s])(?P<none>\"\"|'')(?=\s*[,\]])" r'|"(?:[^"\\]|\\.)*+"|\[\s*\]|\{\s*\}')
_commas = re.compile(r",(?:\s*,)+")
_no_colon = re.compile(r"(\{\s*\"[^\"\n]*\")\s+(?=[\d\[{])")
_half_quoted = re.compile(r"(?<=[{,])(\s*)\"(\w+)\s*:(?=\s*[\d\[\"{tfn-])")
_bare = re.compile(r"\s*\"[^\"\n]{1,100}\"\s*:")
_literal = re.compile(
    r"(?<=[:,\[\s])(?:undefined|nil|NIL|NULL|Null|[+-]?(?:NaN|nan|Infinity|inf))(?=\s*[,}\]\n])"
)
_arrow = re.compile(r"(?<=[\w\"'])(\s*)(?:=>|=)(?=\s*[\"'\d\[{tfn-])")
_glued = re.compile(r"([\"'])\s*\+\s*\1")


_EMPTY = "\ue000"
"""Stands for what is empty while json-repair reads, once in strings and twice in lists and objects."""
_foreign_escape = re.compile(r"""(?<!\\)(?:\\\\)*\\(?!['"\\nrtuxabfv0-7\n])""")


class Found(NamedTuple):
    """One JSON value of a text: `text[start:end]` holds it, whole only when `is_valid`."""

    value: Any  # Any: JSON
    start: int
    end: int
    is_valid: bool
    is_cut: bool = False
    """Whether the text ended before the value did."""


def read(text: str) -> Any:  # Any: JSON
    """The value of a text that is JSON (RFC 8259) and nothing else. Raises ValueError."""
    try:
        return _strict.decode(text)
    except (DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def write(value: Any) -> str:  # Any: JSON
    """The shortest JSON of a value, letters as they are."""
    return _encode(value).decode()


def find(text: str) -> list[Found]:
    """All values in a text that are objects or arrays, the likeliest to be meant first.

    A value alone in the text, or in a fence, comes before others; of several that stand side by side the
    first, of several with words between them the last. Broken ones come after whole ones.
    """
    fenced = list(_fenced(text))
    for start, end in fenced:
        found = _at(text, start, end)
        if found is not None and found.is_valid:
            return [found, *_scan(text)]
    scanned = _scan(text)
    for start, end in fenced:
        found = _at(text, start, end)
        if found is not None:
            return [found, *scanned]
    return scanned


def _at(text: str, start: int, end: int) -> Found | None:
    inside = _scan(text[start:end])
    if not inside:
        return None
    one = inside[0]
    return one._replace(start=one.start + start, end=one.end + start)


def _fenced(text: str) -> Iterator[tuple[int, int]]:
    """What stands in code fences, those called JSON first; a fence inside a string of JSON ends none."""
    if "```" not in text:
        return
    blocks: list[tuple[bool, int, int]] = []
    at = 0
    while (opening := _fence.search(text, at)) is not None and len(blocks) < _MOST_PLACES:
        closing = _fence_end.search(text, opening.end())
        end = closing.start() if closing is not None else len(text)
        blocks.append((opening[1].lower() not in {"json", "json5", "jsonc"}, opening.end(), end))
        at = closing.end() if closing is not None else len(text)
    for _, start, end in sorted(blocks, key=lambda block: block[0]):
        yield start, end


def _scan(text: str) -> list[Found]:
    whole: list[Found] = []
    broken: list[Found] = []
    at = 0
    for _ in range(_MOST_PLACES):
        opening = _opening.search(text, at)
        if opening is None or (at == 0 and _bare.match(text, 0, opening.start()) is not None):
            break
        start = opening.start()
        try:
            value, end = _lenient.raw_decode(text, start)
        except (ValueError, RecursionError):
            end, is_cut = _close(text, start)
            piece = text[start:end]
            if opening[0] == "{" and _like_object.match(piece) is None:
                at = start + 1 if is_cut else end
                continue
            if opening[0] == "[" and not _is_array(piece):
                at = start + 1
                continue
            mended = mend(piece)
            if mended is not None:
                broken.append(Found(mended, start, end, is_valid=False, is_cut=is_cut))
            at = end
        else:
            whole.append(_whole(text, value, start, end))
            at = end
    if not (whole or broken) and _bare.match(text) is not None:
        mended = mend("{" + text)  # the bracket it should begin with is missing
        if mended:
            broken.append(Found(mended, 0, len(text), is_valid=False))
    cited = [one for one in whole if _is_citation(one.value)]
    whole = [one for one in whole if one not in cited]
    return [*_ordered(text, whole), *_ordered(text, broken), *cited]


def _whole(text: str, value: Any, start: int, end: int) -> Found:  # Any: JSON
    """A value that Python reads; line ends in strings, NaN and the like are still none of JSON."""
    try:
        read(text[start:end])
    except ValueError:
        return Found(_finite(value), start, end, is_valid=False)
    return Found(value, start, end, is_valid=True)


def _ordered(text: str, found: list[Found]) -> list[Found]:
    if len(found) < 2:
        return found
    objects = [one for one in found if isinstance(one.value, dict)]
    arrays = [one for one in found if not isinstance(one.value, dict)]
    first, last = found[0], found[-1]
    between = text[first.end : last.start]
    for one in found[1:-1]:
        between = between.replace(text[one.start : one.end], "", 1)
    if between.strip(" \t\r\n,;"):
        objects.reverse()
        arrays.reverse()
    return [*objects, *arrays]


def _is_citation(value: Any) -> bool:  # Any: JSON
    return isinstance(value, list) and len(value) < 4 and all(isinstance(one, int) for one in value)


def _is_array(piece: str) -> bool:
    """Whether a bracket begins an array and not a citation or a word's gloss."""
    inside = piece[1:].lstrip()
    return inside[:1] in {"{", "[", '"', "'", "“", "‘", "`"} or (inside[:1].isdigit() and "," in inside)


def _close(text: str, start: int) -> tuple[int, bool]:
    """Where a broken value that begins at a bracket ends, and whether only the text's end ends it."""
    depth = 0
    for one in _bracket_or_quote.finditer(text, start):
        sign = one[0]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
            if depth == 0 and not text[one.end() :].lstrip().startswith((",", "]", "}", ":")):
                return one.end(), False
            depth = max(depth, 1)
    end = len(text.rstrip())
    if text[start:end].endswith("```"):
        end -= 3
    return end, depth > 0


def mend(text: str) -> Any:  # Any: JSON
    """The object or array that a broken text was meant to be, or None.

    Nothing is invented: what is missing at the end is closed, numbers that are none (NaN) become null.
    """
    if len(text) > LONGEST:
        return None
    printed = _python(text)
    if printed is not None:
        return printed
    from json_repair import loads  # noqa: PLC0415  # 5 MiB that most answers never need

    is_odd = _odd_quote.search(text) is not None or "：" in text
    if is_odd or _commas.search(text) is not None:
        text = _outside_strings(text, is_odd=is_odd)
    text = _empty.sub(_kept_empty, text)  # json-repair drops what is empty
    text = _literal.sub("null", text)
    text = _no_colon.sub(r"\1: ", text)
    if text.count('"') % 2:
        text = _half_quoted.sub(r'\1"\2":', text, count=1)
    text = _glued.sub("", text)
    text = _arrow.sub(r"\1:", text) if ":" not in text else text
    try:
        value = loads(_Patient(text), skip_json_loads=True)
    except (ValueError, RecursionError, IndexError, AttributeError, TypeError):
        return None  # json-repair has no promise about what it raises
    return _finite(value) if isinstance(value, dict | list) else None


class _Patient(str):
    """A text that may be read so many times and no more: of some, json-repair reads all for each letter."""

    __slots__ = ("_left",)

    def __init__(self, text: str) -> None:
        self._left = 20_000 + 6 * len(text)  # it takes 2 to 4 of each

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        self._left -= 1
        if self._left < 0:
            raise ValueError("This takes too long to be mended.")
        return super().__getitem__(key)


def _python(text: str) -> Any:  # Any: JSON
    """What Python prints, read by Python; None for anything else."""
    if "'" not in text or _foreign_escape.search(text) is not None:
        return None
    try:
        value = literal_eval(text)
        return _encodable(value) if isinstance(value, dict | list) else None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _encodable(value: Any) -> Any:  # Any: Python's own
    if isinstance(value, dict):
        return {str(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_encodable(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return _finite(value)
    raise ValueError("JSON has no such value.")


def _kept_empty(found: re.Match[str]) -> str:
    if found["none"] is not None:
        return f'"{_EMPTY}"'
    if found[0][0] == '"':
        return found[0]
    return f'["{_EMPTY}{_EMPTY}"]' if found[0][0] == "[" else f'{{"{_EMPTY}{_EMPTY}":0}}'


def _outside_strings(text: str, *, is_odd: bool) -> str:
    pieces: list[str] = []
    at = 0
    for one in _straight.finditer(text):
        pieces += (_plain(text[at : one.start()], is_odd), one[0])
        at = one.end()
    return "".join((*pieces, _plain(text[at:], is_odd)))


def _plain(text: str, is_odd: bool) -> str:
    if is_odd:
        text = _odd_single.sub("'", text).translate(_plain_quotes)
    return _commas.sub(",", text)


def _finite(value: Any) -> Any:  # Any: JSON
    if isinstance(value, dict):
        return {} if _EMPTY * 2 in value else {_text(str(key)): _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [] if value == [_EMPTY * 2] else [_finite(one) for one in value]
    if isinstance(value, str):
        return _text(value)
    return None if isinstance(value, float) and not isfinite(value) else value


def _text(text: str) -> str:
    if _EMPTY not in text:
        return text
    text = text.replace(f'["{_EMPTY}{_EMPTY}"]', "[]").replace(f'{{"{_EMPTY}{_EMPTY}":0}}', "{}")
    return text.replace(f'"{_EMPTY}"', '""').replace(_EMPTY, "")
