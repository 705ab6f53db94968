"""In which language a text is, told from a few hundred characters.

Two witnesses: how frequent its words (or, where a word is not known, their endings) are in eight languages,
and cld2. Made for short prompts in English, Portuguese and Spanish; knows French, Italian, German, Dutch and
Catalan well enough not to take them for one of these, and leaves the rest to cld2.
"""

import importlib
import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

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
_WEIGHTS = ((70, 28), (100, 40))
"""In hundredths: of an ending and a capitalised word's, of a word and a capitalised one (half are names)."""
_DECADE = 100 * _COUNTS_A_DECADE
_PLAIN_CASE = 5 * _DECADE
"""A lead that ends the count early."""
_ROW = len(_LANGUAGES)
_WIDE = 4 * _ROW
"""Bytes of rows added up: 60 words of at most 100 counts, in hundredths, fit in four each."""
_counts = Struct(f"<{_ROW}I").unpack
_SURE_VOTE = 1.6
"""Decades that a vote of cld2 weighs where it stands by it."""
_UNSURE_VOTE = 0.7
_SAFE_LEAD = 2.0
"""A lead in decades that no vote of cld2 takes, nor makes so small that the language would be unknown."""
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

_blank = re.compile(r"\s").search


class _Script(NamedTuple):
    """What a sample is read with."""

    words: Callable[[str], list[str]]
    word: Callable[[str], re.Match[str] | None]
    noisy: Callable[[str, int], re.Match[str] | None]
    """Finds what no word of prose has; a full stop within a word is such a thing."""
    special: Callable[[str], list[str]]


def _script(letter: str, digit: str, special: str) -> _Script:
    word = re.compile(f"{letter}+(?:['’]{letter}+)?")
    noisy = re.compile(rf"[@/\\_=<>{{}}\[\]#$|`{digit}.](?:(?<!\.)|(?<=\w\.)(?=\w))")
    return _Script(word.findall, word.search, noisy.search, re.compile(f"[{special}]").findall)


_LETTER = r"[^\W\d_]"
_ANY = _script(_LETTER, r"\d", "".join(_LETTERS))
_LATIN = _script(
    f"[{''.join(filter(re.compile(_LETTER).match, map(chr, range(256))))}]",
    "0-9",
    "".join(letter for letter in _LETTERS if ord(letter) < 256),
)
"""The same for texts that Latin-1 holds: sets of its characters cost a tenth of what classes of all do."""
_other_script = re.compile(
    "[\u0370-\u1dff\u2c00-\ud7ff\uf900-\ufdff\ufe70-\uffdc\U00010000-\U0001efff\U00020000-\U0003ffff]"
)


@cache
def _table() -> tuple[Any, bytes]:  # Any: marisa_trie has no types
    """Words and "-endings" → row; the rows: how far each language is from the likeliest, in counts."""
    folder = Path(str(files("greenroom") / "data" / "lexica"))
    trie = importlib.import_module("marisa_trie").Trie()
    trie.load(str(folder / "languages.marisa"))  # mapped, it would keep a descriptor
    counts = (folder / "languages.bytes").read_bytes()
    return trie, counts.translate(bytes(min(one, _CEILING) for one in range(256)))


@cache
def _cld2() -> Any:  # Any: the module has no types
    return importlib.import_module("pycld2")


def language_of(exchange: Exchange) -> tuple[str, float]:
    """The language of the newest user text, told once per exchange and kept in `exchange.language`.

    The user's earlier messages in the request tip the scale where the newest alone says little; "und" and
    0.0 where nothing tells. Cost: about 40 µs the first time, then nothing.
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
    about 40 µs, and once 10 ms to load cld2.
    """
    sample, script = _sample(text)
    return _voted(sample, *_score(sample, script), before)


def is_in(code: str, text: str) -> bool:
    """Whether `detect` says this of our languages: cld2 is not asked where its vote would not change that."""
    sample, script = _sample(text)
    scores, words, known = _score(sample, script)
    own = scores[_LANGUAGES.index(code)]
    first, second = sorted(scores)[:-3:-1]
    if first - own > _SURE_VOTE:
        return False
    if own == first and first - second > _SAFE_LEAD and known and 2 * known >= words and script is _LATIN:
        return True
    return _voted(sample, scores, words, known)[0] == code


def _sample(text: str) -> tuple[str, _Script]:
    """Beginning and end, without noise where something is left then, and what to read them with."""
    if len(text) > _SAMPLE_HEAD + _SAMPLE_TAIL:
        text = f"{text[:_SAMPLE_HEAD]} {text[-_SAMPLE_TAIL:]}"
    script = _LATIN if _is_latin(text) else _ANY
    prose = _prose(text, script)
    return text if prose is text or script.word(prose) is None else prose, script


def _voted(sample: str, scores: list[float], words: int, known: int, before: str = "") -> tuple[str, float]:
    """What the words say, and cld2, and the conversation so far."""
    voted, share, is_reliable = _ask_cld2(sample)
    if not _is_latin(sample) and len(_other_script.findall(sample)) * 3 > len(sample):
        return (voted, share) if voted else (UNKNOWN, 0.0)
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


def _prose(sample: str, script: _Script) -> str:
    """The sample with a blank for each noisy token; itself where there is none."""
    pieces: list[str] = []
    at = 0
    while (hit := script.noisy(sample, at)) is not None:
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


def _score(sample: str, script: _Script) -> tuple[list[float], int, int]:
    """Decades for or against each language; how many words there are, and how many are known."""
    found = script.words(sample)[:_MOST_WORDS]
    words = known = total = 0
    for word in found:
        if words & 7 == 0 and words:
            first, second = sorted(_against(total))[:-3:-1]
            if first - second > _PLAIN_CASE:
                break
        if words == 0 and sample.startswith(word):
            one, is_known = _weighed(word, is_capital=False)
        else:
            one, is_known = _told(word)
        words += 1
        known += is_known
        total += one
    scores = [ours + one / _DECADE for ours, one in zip(_OURS, _against(total), strict=True)]
    if not sample.isascii():
        for letter in set(script.special(sample)):
            for number in _LETTERS[letter]:
                scores[number] += _LETTER_WEIGHT
    return scores, words, known


def _against(total: int) -> list[int]:
    """What rows, added up, say against each language."""
    return [-one for one in _counts(total.to_bytes(_WIDE, "little"))]


@lru_cache(8192)
def _told(word: str) -> tuple[int, bool]:
    """What a word within a text says: most of a text's words are those of any text."""
    return _weighed(word, is_capital=word[0].isupper())


def _weighed(word: str, *, is_capital: bool) -> tuple[int, bool]:
    """Its row, or its ending's, by what such a word weighs; whether the word itself is known."""
    trie, table = _table()
    small = word.lower()
    row: int = trie.get(small, -1)
    is_known = row >= 0
    if not is_known:
        row = _ending_row(trie, small)
        if row < 0:
            return 0, False
    wide = bytearray(_WIDE)
    wide[::4] = table[row * _ROW : (row + 1) * _ROW]
    return _WEIGHTS[is_known][is_capital] * int.from_bytes(wide, "little"), is_known


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
