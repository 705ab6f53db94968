"""Personal numbers: what a run of digits is, by its layout, its check digits and the words before it.

A run is cut into groups of digits; every window of up to seven groups that could stand alone is tried.
Knows only digits: identifiers with letters are in `codes`, dates of birth in `people`.
"""

import re
from collections.abc import Iterable, Iterator

from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.cues import NO_CUE, REACH, Cue, nearest
from greenroom.stages.check.identifiers import (
    is_american_phone,
    is_brazilian_phone,
    is_card,
    is_cnh,
    is_cnpj,
    is_cns,
    is_cpf,
    is_example,
    is_international,
    is_pis,
    is_spanish_phone,
    is_ssn,
    is_titulo,
)
from greenroom.stages.check.linear import Span, spots
from greenroom.stages.check.tables import words

ANCHOR = r"(?:^|[^0-9A-Za-z_])\d(?:[ .\-()]{0,3}\d){6}|\+\(?\d(?:[ .\-/()]{0,3}\d){6}"
"""Seven digits or more, the least that is looked at.

Every layout with a slash has seven digits before it, unless a plus leads: «12/03/2026» is not looked at.
"""

LABELS = frozenset(
    ("CPF", "CNPJ", "CNH", "PIS", "TITULO_ELEITOR", "CNS", "RG", "CEP", "CREDIT_CARD", "US_SSN", "PHONE")
)

runs = spots(r"[+(]{0,2}\d(?:[ .\-/()]{0,3}\d){6,}")
_groups = re.compile(r"\d+").finditer
_extension = re.compile(r" ?x\d{1,6}\b").match
_said_after = re.compile(
    r"[ \-\\,(]{0,3}(?:office|fax|mobile|cell|celular|landline|desk)\b", re.IGNORECASE
).match

_MAX_GROUPS, _MIN_DIGITS, _MAX_DIGITS = 7, 7, 19

_CPF = words("3.3.3-2|3 3 3 2|11|9-2|3.3.3.2|3-3-3-2|3 3 3-2|3.3.3 2|3.3.3/2", "|")
_CNPJ = words("2.3.3/4-2|14|8/4-2|2 3 3 4 2|2.3.3.4-2|2 3 3/4-2|2.3.3/4 2|12-2|2.3.3/4.2|2.3.3-4-2", "|")
_PIS = words("3.5.2-1|11|3.5.2.1|3 5 2 1|3.5.2/1|3-5-2-1|3.5.2 1|10-1", "|")
_TITULO = words("12|4 4 4|4.4.4|8 4|8 2 2|10-2|8-4|4-4-4", "|")
_CNS = words("15|3 4 4 4|3.4.4.4|3-4-4-4", "|")
_RG = words("2.3.3-1|2.3.3|1.3.3|1.3.3-1|2.3.3.1|8-1|7|8|9|10|2 3 3 1|7-1|2.3.3/1", "|")
_CEP = words("5-3|2.3-3|8|2 3-3|5 3", "|")
_CARD = words(
    "16|15|14|13|19|18|4 4 4 4|4-4-4-4|4.4.4.4|4 6 5|4-6-5|4.6.5|4 6 4|4-6-4|4 4 4 4 3|4-4-4-4-3|"
    "4 4 4 3|4 4 4 1",
    "|",
)
_SSN = words("3-2-4|3 2 4|9|3.2.4", "|")
_BRAZILIAN = words(
    "2) 5-4|2) 4-4|2)5-4|2)4-4|2 5-4|2 4-4|2 1 4-4|2 1 4 4|2-5-4|2) 1 4-4|2) 1 4 4|2) 5 4|2) 4 4|2)9|2) 9|"
    "2) 8|2) 5.4|2.5.4|2.5-4|2 5 4|2) 1-4-4|2-1-4-4",
    "|",
)
_AMERICAN = words("3) 3-4|3)3-4|3-3-4|3.3.4|3) 3 4|3) 3.4|3)-3-4|3)3 4", "|")
_DATES = words("2/2/4|2-2-4|2.2.4|4-2-2|4/2/2|1/1/4|1/2/4|2/1/4|4.2.2|2/2/2|1-2-4|2-1-4", "|")
_COUNTRY_LENGTHS = {
    "55": (12, 13), "34": (11, 11), "1": (11, 11), "351": (12, 12), "44": (12, 12), "52": (12, 13),
    "54": (12, 13), "57": (12, 12), "56": (11, 11), "51": (11, 11), "33": (11, 11),
}  # fmt: skip
_FREE_CALLS = ("0800", "0300", "1800", "1888", "1877")
_MONEY = "$€£#"
_NATIONAL = words("3 4-4|3 5-4|3) 4-4|3) 5-4", "|")
"""Brazilian numbers with the zero of a trunk call."""
_SPANISH = words("9|3 3 3|3 2 2 2|3-3-3|3.3.3|2 3 2 2|3 6", "|")
_CALLING = frozenset(("PHONE", "REACH"))
"""Cues that make a telephone of digits in any layout."""
_LAYOUTS = frozenset().union(
    _CPF, _CNPJ, _PIS, _TITULO, _CNS, _RG, _CEP, _CARD, _SSN, _BRAZILIAN, _AMERICAN, _NATIONAL, _SPANISH,
    ("10", "11", "12", "17", "1-3-3-4"),
)  # fmt: skip
"""All that `_classify` knows; in another layout only a telephone is seen, where words or a plus say so."""


def find_numbers(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Every personal number of `text` in its `runs`, in order, not overlapping."""
    for start, end in spans:
        yield from _in_run(text, start, end)


class _Run:
    """A run of digits cut into groups, so that a window of them is a slice of `digits`."""

    __slots__ = ("begins", "digits", "ends", "offsets", "parts", "start")

    def __init__(self, text: str, start: int, end: int) -> None:
        self.start = start
        self.begins: list[int] = []
        self.ends: list[int] = []
        self.offsets = [0]
        """Digits before each group; one more than there are groups."""
        self.parts: list[str] = []
        """What each group adds to a layout: what stands before it, and how many digits it has."""
        pieces: list[str] = []
        before, count = 0, 0
        run = text[start:end]
        for group in _groups(run):
            begin, stop = group.span()
            pieces.append(run[begin:stop])
            count += stop - begin
            self.begins.append(start + begin)
            self.ends.append(start + stop)
            self.offsets.append(count)
            self.parts.append(f"{run[before:begin]}{stop - begin}")
            before = stop
        self.digits = "".join(pieces)


def _in_run(text: str, start: int, end: int) -> Iterator[Candidate]:
    run = _Run(text, start, end)
    first = 0
    while first < len(run.begins):
        found = _longest_at(text, run, first)
        if found is None:
            first += 1
            continue
        yield found[0]
        first = found[1] + 1


def _longest_at(text: str, run: _Run, first: int) -> tuple[Candidate, int] | None:
    """The surest, then longest number that begins with group `first`, and its last group."""
    offsets = run.offsets
    begun, count = offsets[first], len(run.begins)
    stop = min(first + _MAX_GROUPS, count)
    if offsets[stop] - begun < _MIN_DIGITS:
        return None
    lead = at = run.begins[first]
    while lead and at - lead < 2 and text[lead - 1] in "+(":
        lead -= 1
    if not _may_begin(text, lead):
        return None
    best: tuple[Candidate, int] | None = None
    cue: Cue | None = None
    marks = text[lead:at]
    parts, layout = run.parts, ""
    for last in range(first, stop):
        size = offsets[last + 1] - begun
        if size < _MIN_DIGITS:
            continue
        if size > _MAX_DIGITS:
            break
        if layout:
            layout += parts[last]
        else:
            layout = str(offsets[first + 1] - begun) + "".join(parts[first + 1 : last + 1])
        end = run.ends[last]
        if not _may_end(text, end):
            continue
        if cue is None:  # what stands in the run are no words
            cue = nearest(text, lead) if lead and lead - run.start < REACH else NO_CUE
        is_known = layout in _LAYOUTS or "+" in marks or cue.kind in _CALLING
        # Else only a word behind it could say that this is a telephone: none where more digits follow.
        if not is_known and (last + 1 < count or cue.kind == "OTHER"):
            continue
        found = _classify(text, lead, at, end, layout, run.digits[begun : begun + size], cue)
        if found is not None and (best is None or found.score >= best[0].score):
            best = (found, last)
    return best


def _may_begin(text: str, at: int) -> bool:
    if not at:
        return True
    before = text[at - 1]
    if before.isalnum() or before == "_":
        return False
    return not (
        before in ".,-/:" and at > 1 and text[at - 2].isalnum() and (before != ":" or text[at - 2].isdigit())
    )


def _may_end(text: str, end: int) -> bool:
    after = text[end : end + 2]
    if not after:
        return True
    if after[0].isalnum():
        return after[0] == "x" and after[1:].isdigit()
    return after[0] != "_" and not (after[0] in ".,-/%" and after[1:].isdigit())


def _classify(
    text: str, lead: int, at: int, end: int, layout: str, digits: str, cue: Cue
) -> Candidate | None:
    """The one thing that these digits are, or None."""
    kind, near = cue.kind, cue.distance < 40
    formatted = not layout.isdigit()
    unsaid = kind != "OTHER"
    if layout in _CPF and is_cpf(digits):
        said = kind == "CPF"
        others = (("PIS", is_pis), ("CNH", is_cnh))
        if not any(kind == name and test(digits) for name, test in others) and (
            said or formatted or (unsaid and not (kind in {"PHONE", "REACH"} and is_brazilian_phone(digits)))
        ):
            return Candidate(at, end, "br.cpf", "CPF", 1.0 if said or formatted else 0.85)
    if layout in _CNPJ and is_cnpj(digits) and (kind == "CNPJ" or formatted or unsaid):
        return Candidate(at, end, "br.cnpj", "CNPJ", 1.0 if kind == "CNPJ" or formatted else 0.85)
    if (
        layout in _PIS
        and (kind == "PIS" or (formatted and unsaid and layout[:3] == "3.5"))
        and is_pis(digits)
    ):
        return Candidate(at, end, "br.pis", "PIS")
    if kind == "CNH" and layout in _CPF and is_cnh(digits):
        return Candidate(at, end, "br.cnh", "CNH")
    if kind == "TITULO_ELEITOR" and layout in _TITULO and is_titulo(digits):
        return Candidate(at, end, "br.titulo_eleitor", "TITULO_ELEITOR")
    if layout in _CNS and (kind == "CNS" or (formatted and unsaid and layout[1] == " ")) and is_cns(digits):
        return Candidate(at, end, "br.cns", "CNS")
    if (layout in _CARD or (kind == "CREDIT_CARD" and layout in {"12", "17"})) and unsaid and is_card(digits):
        return Candidate(
            at, end, "credit_card", "CREDIT_CARD", 1.0 if kind == "CREDIT_CARD" or formatted else 0.9
        )
    if layout in _SSN and (kind == "US_SSN" or (layout == "3-2-4" and unsaid)) and is_ssn(digits):
        return Candidate(at, end, "us.ssn", "US_SSN", 1.0 if kind == "US_SSN" else 0.85)
    if kind == "RG" and near and layout in _RG and digits != digits[0] * len(digits):
        tail = 2 if text[end : end + 2] in ("-X", "-x") and len(digits) < 10 else 0
        return Candidate(at, end + tail, "br.rg", "RG", 0.95)
    if layout in _CEP and not is_example(digits):
        if kind == "CEP" and near:
            return Candidate(at, end, "br.cep", "CEP")
        if kind == "ADDRESS" and layout in {"5-3", "2.3-3"}:
            return Candidate(at, end, "br.cep", "CEP", 0.85)
    return _phone(text, lead, at, end, layout, digits, cue)


def _phone(text: str, lead: int, at: int, end: int, layout: str, digits: str, cue: Cue) -> Candidate | None:
    kind = cue.kind
    marks = text[lead:at]
    if not 7 <= len(digits) <= 15 or is_example(digits) or layout in _DATES or digits[:4] in _FREE_CALLS:
        return None
    score = 0.0
    if "+" in marks:
        # «+55 (11) 98765-4321»: the parentheses stay in the layout, only the digits count.
        if _is_whole_international(digits) and ". " not in layout and "  " not in layout:
            score = 0.98
    elif ("2)" in layout[:2]) == ("(" in marks) and layout in _BRAZILIAN and is_brazilian_phone(digits):
        distinct = "(" in marks or (len(digits) == 11 and ("-" in layout or layout == "2 1 4 4"))
        score = 0.95 if distinct and kind != "OTHER" else 0.9 if kind in {"PHONE", "REACH"} else 0.0
    elif ("3)" in layout[:2]) == ("(" in marks) and layout in _AMERICAN and is_american_phone(digits):
        score = 0.95 if kind != "OTHER" else 0.0
    elif layout in _NATIONAL and digits[0] == "0" and is_brazilian_phone(digits[1:]):
        score = 0.9 if kind != "OTHER" else 0.0
    elif layout == "1-3-3-4" and digits[0] == "1" and is_american_phone(digits[1:]) and kind != "OTHER":
        score = 0.95
    elif layout in _SPANISH and is_spanish_phone(digits):
        score = 0.9 if kind == "PHONE" else 0.85 if kind == "REACH" and cue.distance < 24 else 0.0
    elif layout in {"10", "11"} and kind in {"PHONE", "REACH"}:
        national = is_brazilian_phone(digits) or is_american_phone(digits) or kind == "PHONE"
        score = 0.9 if national else 0.0
    formatted = not layout.isdigit()
    if not score and _is_phone_shaped(layout, digits):
        if kind == "PHONE" and cue.distance < (24 if formatted else 12):
            score = 0.85
        elif (kind == "REACH" and cue.distance < 8 and formatted) or (
            kind != "OTHER" and _said_after(text, end)
        ):
            score = 0.8
    before = text[max(lead - 6, 0) : lead].strip(" -.)")
    if not score or before[-1:] in tuple(_MONEY) or before[-4:] in _FREE_CALLS:
        return None
    extension = _extension(text, end)
    begin = (
        lead if marks.count("(") == text[at:end].count(")") or marks == "+" else lead + marks.rfind("(") + 1
    )
    return Candidate(begin, extension.end() if extension else end, "phone", "PHONE", score)


def _is_whole_international(digits: str) -> bool:
    for size in (1, 2, 3):
        lengths = _COUNTRY_LENGTHS.get(digits[:size])
        if lengths is not None:
            return lengths[0] <= len(digits) <= lengths[1] and is_international(digits)
    return is_international(digits)


def _is_phone_shaped(layout: str, digits: str) -> bool:
    if layout == "4-4" and digits[:2] in ("19", "20") and digits[4:6] in ("19", "20"):
        return False
    return "/" not in layout and ". " not in layout and "   " not in layout
