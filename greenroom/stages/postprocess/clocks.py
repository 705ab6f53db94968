"""Times of day: in digits ("16:40", "9 p.m."), and in words ("half past six", "las seis y media")."""

import re
from collections.abc import Iterator

from greenroom.stages.postprocess.measures import WORDS, word_set
from greenroom.stages.postprocess.numerals import overlaps

Clock = tuple[int, int, int]
"""(start, end, minute of the day; below 720 where nothing tells morning from evening)."""

_clock = re.compile(
    r"\b(?P<h>[01]?\d|2[0-3])(?:(?:(?::|\.(?=\d\d\s*[ap]\.?\s?m\b))(?P<m>[0-5]\d)"
    r"|(?P<gap>\s?)h(?P<m2>[0-5]\d)?)(?![\w])"
    r"(?:\s*(?P<p>[ap])\.?\s?m\b\.?)?|\s*(?P<p2>[ap])\.?\s?m\b\.?)",
    re.IGNORECASE,
)
_o_clock = re.compile(r"\b(?:às|as|las|at|das|by)\s\Z", re.IGNORECASE)
_ONE = {"en": "one", "pt": "uma", "es": "una"}
_HOURS = {
    code: {_ONE[code]: 1}
    | {word: int(value) for word, value in words.items() if 1 < value < 13 and word != "twice"}
    for code, words in WORDS.items()
}  # fmt: skip
_NAMED = {
    code: rf"(?P<h>[01]?\d|2[0-4]|{'|'.join(sorted(hours, key=len, reverse=True))})"
    for code, hours in _HOURS.items()
}
_PARTS = {
    "half": 30, "quarter": 15, "five": 5, "ten": 10, "twenty": 20, "twenty-five": 25,
    "meia": 30, "quinze": 15, "dez": 10, "vinte": 20, "quarenta e cinco": 45, "trinta": 30,
    "media": 30, "cuarto": 15, "diez": 10, "veinte": 20,
}  # fmt: skip
_spoken = {
    "en": re.compile(
        rf"\b(?:(?P<part>half|(?:a\s+)?quarter|twenty-five|twenty|ten|five)\s+(?P<side>past"
        rf"|to)\s+)?{_NAMED['en']}\b"
        r"(?P<clock>\s*o['’]clock)?(?P<day>\s+(?:in\s+the\s+(?:morning|afternoon|evening)|at\s+night))?",
        re.IGNORECASE,
    ),
    "pt": re.compile(
        rf"\b(?:(?P<at>às|até\s+as|das|pelas|as|à)\s+)?{_NAMED['pt']}\b(?:\s*h(?:oras?)?\b)?"
        r"(?:\s+(?P<side>e)\s+(?P<part>meia|quinze|quarenta\s+e\s+cinco|vinte|dez|trinta)\b(?!\s+e\b))?"
        r"(?P<day>\s+da\s+(?:manhã|tarde|noite|madrugada))?(?P<ends>(?=\s*(?:[.,;:)]|$)))?",
        re.IGNORECASE,
    ),
    "es": re.compile(
        rf"\b(?:(?P<at>(?:a|de|desde|hasta|sobre|y)\s+las?)\s+)?{_NAMED['es']}\b"
        r"(?:\s+(?P<side>y|menos)\s+(?P<part>media|cuarto|diez|veinte)\b)?"
        r"(?P<day>\s+de\s+la\s+(?:mañana|tarde|noche|madrugada))?(?P<ends>(?=\s*(?:[.,;:)]|$)))?",
        re.IGNORECASE,
    ),
}
_SPEAKS = word_set(
    "clock past to morning afternoon evening night manhã tarde noite madrugada às as até meia mañana"
    " noche las la"
)
"""Words that a time in words has in it."""
_has_digit = re.compile(r"\d").search
_LATE = ("afternoon", "evening", "night", "tarde", "noite", "noche")


def clocks(text: str, language: str, words: frozenset[str], taken: list[tuple[int, int]]) -> Iterator[Clock]:
    """Those outside the spans that are taken; each span is added to them. `words` are those of the text."""
    for found in _clock.finditer(text):
        start, end = found.span()
        if overlaps(taken, start, end):
            continue
        if found["gap"] and _o_clock.search(text, 0, start) is None:
            continue  # "12 h" is how long, unless it says at
        taken.append((start, end))
        half = (found["p"] or found["p2"] or "").lower()
        hour = int(found["h"])
        if half:
            hour = hour % 12 + (12 if half == "p" else 0)
        yield start, end, hour * 60 + int(found["m"] or found["m2"] or 0)
    if (
        language in _spoken
        and not words.isdisjoint(_SPEAKS)
        and (not words.isdisjoint(_HOURS[language]) or _has_digit(text))
    ):
        yield from _in_words(text, language, taken)


def _in_words(text: str, language: str, taken: list[tuple[int, int]]) -> Iterator[Clock]:
    for found in _spoken[language].finditer(text):
        got = found.groupdict()
        start, end = found.span()
        is_told = got["day"] or (got.get("clock")) or (got.get("at") and (got.get("part") or got.get("ends")))
        is_told = is_told or (language == "en" and got.get("part"))
        if not is_told or overlaps(taken, start, end):
            continue
        if got.get("at") in {"das", "as"} and not (got["day"] or got.get("part")):
            continue
        word = found["h"].lower()
        hour = int(word) if word.isdigit() else _HOURS[language][word]
        part = " ".join((got.get("part") or "").lower().split()).removeprefix("a ")
        minutes = _PARTS.get(part, 0) * (-1 if (got.get("side") or "").lower() in {"to", "menos"} else 1)
        day = (got["day"] or "").lower()
        if day.endswith(_LATE) and hour < 12:
            hour += 12
        taken.append((start, end))
        yield start, end, hour * 60 + minutes
