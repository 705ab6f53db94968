"""In which language a text is, told from a few hundred characters.

Two witnesses: how frequent its words (or, where a word is not known, their endings) are in eight languages,
and cld2. Made for short prompts in English, Portuguese and Spanish; knows French, Italian, German, Dutch and
Catalan well enough not to take them for one of these, and leaves the rest to cld2.
"""

import importlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from struct import Struct
from typing import Any

from greenroom.exchange import Exchange

UNKNOWN = "und"
"""The code of a text whose language cannot be told."""

_LANGUAGES = ("en", "pt", "es", "fr", "it", "de", "nl", "ca")
"""In the order of the table's columns (scripts/build_lexica.py)."""
_COUNTS_A_DECADE = 40
_SAMPLE_HEAD = 240
_SAMPLE_TAIL = 80
_MOST_WORDS = 60
_CEILING = 100
"""What one word can say against a language: 2.5 decades, in the table's counts."""
_PLAIN_CASE = 5 * _COUNTS_A_DECADE
"""A lead that ends the count early."""
_CAPITAL_SHARE = 0.4
"""What a capitalised word counts: half of them are names."""
_ENDING_SHARE = 0.7
_BOTH_SHARES = _CAPITAL_SHARE * _ENDING_SHARE
_ROW = 2 * len(_LANGUAGES)
"""Bytes of a row in memory: 60 words of at most 100 counts fit in two each."""
_counts = Struct(f"<{len(_LANGUAGES)}H").unpack
_SURE_VOTE = 1.6
"""Decades that a vote of cld2 weighs where it stands by it."""
_UNSURE_VOTE = 0.7
_FEW_WORDS = 4
"""Of fewer words cld2 knows less than it says."""
_OURS = (0.7, 0.7, 0.7, 0.0, 0.0, 0.0, 0.0, -1.2)
"""Decades for each language before anything is seen: who writes to this program."""
_PRIOR = 1.0
"""Decades that the language of the conversation so far weighs."""
_TRUST = 0.6
"""How much of the evidence the likelihood believes: words of one text are no independent witnesses."""
_LETTERS = {
    **dict.fromkeys("ãõ", (1,)),
    **dict.fromkeys("ñ¿¡", (2,)),
    **dict.fromkeys("áíóú", (1, 2, 7)),
    **dict.fromkeys("âêô", (1, 3)),
    **dict.fromkeys("äöü", (5, 6)),
    **dict.fromkeys("òìù", (4, 7)),
    **dict.fromkeys("œûîë", (3, 6)),
    "ß": (5,),
    "ç": (1, 3, 7),
    "à": (1, 3, 4, 7),
    "è": (3, 4, 7),
    "é": (1, 2, 3, 4, 7),
}
"""Letters and signs → the languages that have them."""
_LETTER_WEIGHT = 0.5
_KIN = {"gl": ("pt", "es"), "oc": ("fr", "ca"), "ast": ("es",), "af": ("nl",), "sco": ("en",), "lb": ("de",)}
"""Languages that short texts in ours are mistaken for."""
_BELIEVED = frozenset(
    (
        "cs", "cy", "da", "et", "eu", "fi", "hr", "hu", "id", "is", "lt", "lv", "ms", "nb", "nn", "no",
        "pl", "ro", "sk", "sl", "sq", "sv", "sw", "tl", "tr", "vi", "bs", "az", "uz", "so", "zu", "xh", "ht",
        "eo",
    )
)  # fmt: skip
"""Other languages in Latin letters that cld2 is believed about; the rest it mostly sees in names."""

_word = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_noisy = re.compile(r"[@/\\_=<>{}\[\]#$|`\d.](?:(?<!\.)|(?<=\w\.)(?=\w))").search
"""What no word of prose has; a full stop within a word is such a thing."""
_blank = re.compile(r"\s").search
_special = re.compile(f"[{''.join(_LETTERS)}]")
_other_script = re.compile(
    "[\u0370-\u1dff\u2c00-\ud7ff\uf900-\ufdff\ufe70-\uffdc\U00010000-\U0001efff\U00020000-\U0003ffff]"
)


@cache
def _table() -> tuple[Any, bytes]:  # Any: marisa_trie has no types
    """Words and "-endings" → row; the rows: how far each language is from the likeliest, in counts.

    A count is at most `_CEILING` and has two bytes, so that rows can be added as whole numbers.
    """
    folder = Path(str(files("greenroom") / "data" / "lexica"))
    trie = importlib.import_module("marisa_trie").Trie().mmap(str(folder / "languages.marisa"))
    counts = (folder / "languages.bytes").read_bytes()
    wide = bytearray(2 * len(counts))
    wide[::2] = counts.translate(bytes(min(one, _CEILING) for one in range(256)))
    return trie, bytes(wide)


@cache
def _cld2() -> Any:  # Any: the module has no types
    return importlib.import_module("pycld2")


def language_of(exchange: Exchange) -> tuple[str, float]:
    """The language of the newest user text, told once per exchange and kept in `exchange.language`.

    The user's earlier messages in the request tip the scale where the newest alone says little; "und" and
    0.0 where nothing tells. Cost: about 60 µs the first time, then nothing.
    """
    known = exchange.language
    if known is None:
        spoken = [text.value for text in exchange.request.texts if text.role == "user"]
        before = ""
        if len(spoken) > 1 and len(spoken[-1]) < _SAMPLE_HEAD:
            code, sureness = detect(" ".join(spoken[-4:-1])[-_SAMPLE_HEAD:])
            before = code if sureness > 0.6 else ""
        known = exchange.language = detect(spoken[-1], before) if spoken else (UNKNOWN, 0.0)
    return known


def detect(text: str, before: str = "") -> tuple[str, float]:
    """The language of a text as ISO 639 code, and how likely that is (0 to 1); "und" when nothing tells.

    Looks at the first 240 and last 80 characters; `before` is the language of what was said before. Cost:
    about 60 µs, and once 10 ms to load cld2.
    """
    sample = (
        text if len(text) <= _SAMPLE_HEAD + _SAMPLE_TAIL else f"{text[:_SAMPLE_HEAD]} {text[-_SAMPLE_TAIL:]}"
    )
    prose = _prose(sample)
    if prose is not sample and _word.search(prose):
        sample = prose
    voted, share, is_reliable = _ask_cld2(sample)
    if not _is_latin(sample) and len(_other_script.findall(sample)) * 3 > len(sample):
        return (voted, share) if voted else (UNKNOWN, 0.0)
    scores, words, known = _score(sample)
    if not words:
        return UNKNOWN, 0.0
    if voted in _BELIEVED and is_reliable and words > 2 and share > 0.5 and known < 0.5 * words:
        return voted, round(share * 0.9, 3)
    vote = share * (_SURE_VOTE if is_reliable else _UNSURE_VOTE) * min(1.0, words / _FEW_WORDS)
    for kin in _KIN.get(voted, (voted,)):
        if kin in _LANGUAGES:
            scores[_LANGUAGES.index(kin)] += vote
    if before in _LANGUAGES:
        scores[_LANGUAGES.index(before)] += _PRIOR
    best = max(scores)
    likely = 1 / sum(10 ** ((score - best) * _TRUST) for score in scores)
    if likely < 0.3 or (not known and not voted):
        return UNKNOWN, 0.0
    return _LANGUAGES[scores.index(best)], round(likely, 3)


def _prose(sample: str) -> str:
    """The sample with a blank for each noisy token; itself where there is none."""
    pieces: list[str] = []
    at = 0
    while (hit := _noisy(sample, at)) is not None:
        start = hit.start()
        blank = _blank(sample, start)
        while start > at and not sample[start - 1].isspace():
            start -= 1
        pieces.append(sample[at:start])
        at = len(sample) if blank is None else blank.start()
    if not pieces:
        return sample
    pieces.append(sample[at:])
    return " ".join(pieces)


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _score(sample: str) -> tuple[list[float], int, int]:
    """Decades for or against each language; how many words there are, and how many are known."""
    trie, table = _table()
    sums = [0, 0, 0, 0]  # of words, capitalised ones, endings, and those of capitalised words
    found = _word.findall(sample)[:_MOST_WORDS]
    opening = found[0] if found and sample.startswith(found[0]) else ""
    words = known = 0
    for word in found:
        if words & 7 == 0 and words:
            first, second = sorted(_against(sums))[:-3:-1]
            if first - second > _PLAIN_CASE:
                break
        kind = 1 if word[0].isupper() and (words or not opening) else 0
        words += 1
        small = word.lower()
        row = trie.get(small, -1)
        if row < 0:
            row = _ending_row(trie, small)
            kind += 2
            if row < 0:
                continue
        else:
            known += 1
        row *= _ROW
        sums[kind] += int.from_bytes(table[row : row + _ROW], "little")
    against = _against(sums)
    scores = [ours + one / _COUNTS_A_DECADE for ours, one in zip(_OURS, against, strict=True)]
    if not sample.isascii():
        for letter in set(_special.findall(sample)):
            for number in _LETTERS[letter]:
                scores[number] += _LETTER_WEIGHT
    return scores, words, known


def _against(sums: list[int]) -> list[float]:
    """What rows, added up by the weight of their words, say against each language."""
    rows = [_counts(one.to_bytes(_ROW, "little")) for one in sums]
    return [
        -(plain + _CAPITAL_SHARE * capital + _ENDING_SHARE * ending + _BOTH_SHARES * both)
        for plain, capital, ending, both in zip(*rows, strict=True)
    ]


def _ending_row(trie: Any, word: str) -> int:  # Any: marisa_trie has no types
    if len(word) > 3:
        for length in (5, 4, 3, 2):
            row: int = trie.get(f"-{word[-length:]}", -1)
            if row >= 0:
                return row
    return -1


def _ask_cld2(sample: str) -> tuple[str, float, bool]:
    """What cld2 says, of which share of the text, and whether it stands by it."""
    cld2 = _cld2()
    try:
        is_reliable, _, found = cld2.detect(sample, bestEffort=True)
    except (cld2.error, UnicodeEncodeError):
        return "", 0.0, False
    _, code, percent, _ = found[0]
    if code == "un":
        return "", 0.0, False
    return code.partition("-")[0], percent / 100, is_reliable
