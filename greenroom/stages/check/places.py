"""Postal addresses: a kind of street, a name and a number, as in Brazil, Spain or the United States.

Kinds of street that are also plain words («vale», «parque», «club») count only where the text speaks of an
address.
"""

import re
from collections.abc import Iterable, Iterator

from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.cues import nearest
from greenroom.stages.check.linear import Span, spots
from greenroom.stages.check.people import CAPITALS, MONTHS
from greenroom.stages.check.tables import words

SURE = (
    "rua|avenida|alameda|travessa|praça|rodovia|estrada|viela|ladeira|loteamento|largo|"
    "calle|avda|paseo|plaza|carretera|travesía|glorieta|callejón|pasaje|rambla|ronda|camino|urbanización|c/"
)
"""Kinds of street after which a name may be written in any way; a stream must expect nine words after one."""
LIKELY = (
    "aeroporto|área|campo|chácara|colônia|condomínio|conjunto|distrito|esplanada|estação|favela|fazenda|feira|"
    "jardim|lago|lagoa|morro|núcleo|parque|passarela|pátio|praia|quadra|recanto|residencial|setor|sítio|trecho|"
    "trevo|vale|vereda|via|viaduto|vila|barrio|cañada|cuesta|vía|acceso|cañadas|sector|vial|alto|bairro|beco|"
    "avenue|r|av|al|tv|pça|rod"
)
"""Kinds that are plain words too, or short; their names are written in capitals."""

KIND = rf"(?i)(?:^|[^0-9A-Za-z_])(?:(?:{SURE}|{LIKELY})(?:\. ?| )|c/)[^ ]"
"""The number last: «Rua Augusta, 1500»; so far the kind of street, and the first character of its name."""


def _unlike(names: set[str]) -> str:
    """A pattern for what begins with none of these names, in capitals or not."""
    if "" in names:
        return "[^\\x00-\\xff]"
    firsts = sorted({name[0] for name in names})
    others = "".join(first + first.upper() for first in firsts)
    nested = (
        f"[{first}{first.upper()}](?:{_unlike({name[1:] for name in names if name[0] == first})})"
        for first in firsts
    )
    return "|".join(("$", f"[^{others}]", *nested))


_MONTH_NAMES = {name for name in MONTHS.split("|") if len(name) > 3 and name != "marco"}
_ALONE = (
    r"\d{1,5}(?:$|[^0-9A-Za-z_/.,\- ]|[A-Za-z](?:[^0-9A-Za-z_]|$)|[.,\-](?:[^0-9]|$)"
    rf"| (?:{_unlike(_MONTH_NAMES | {f'de {name}' for name in _MONTH_NAMES})}))"
)
NUMBER = rf"[\pLº°#?][.'\-]?,? ?{_ALONE}"
"""The end of a name, or «nº», and a number that stands alone: no price, no date, no day before its month."""
BEHIND = rf"(?:^|[^0-9A-Za-z_\-./$#,:])\d{{1,5}},? [{CAPITALS}][^\s\d,]*,? [{CAPITALS}]"
"""The number first: «1500 Main Street», a number and two words with capitals."""

_numbered = re.compile(
    rf"(?:[^\W\d_]|[º°#?]|[^\x00-\xff])[.'\-]?,? ?(?=(?:{_ALONE.replace('$', chr(92) + 'Z')}))"
).match
"""The same of one number: what stands further on in a text must not change what it is."""

_REACH = 110
_kinds = spots(KIND)
houses = spots(rf"\b\d{{1,5}},? [{CAPITALS}]")


_kinds_of_bytes = bytes(
    ord("0") if chr(byte).isdecimal() else ord("a") if chr(byte).isalpha() or byte == ord("?") else byte
    for byte in range(256)
)
_ends_name = tuple(
    f"{letter}{mark}{end}".encode("latin-1")
    for letter in "aº°#" for mark in ("", ".", "'", "-") for end in ("", " ", ",", ", ")
)  # fmt: skip
_goes_on = (b"/", b".0", b",0", b"-0", b"a0", b"aa")


def streets(text: bytes) -> list[Span]:
    """Every kind of street within reach before a number that ends a name, as `NUMBER` says."""
    marked = text.translate(_kinds_of_bytes) + b" "
    spans: set[Span] = set()
    end = 0
    while (number := marked.find(b"0", end)) >= 0:
        end = number + 1
        while marked[end] == 48:
            end += 1
        if end - number > 5 or marked.startswith(_goes_on, end):
            continue
        if not marked.endswith(_ends_name, 0, number):
            continue
        first = max(0, number - _REACH - 2)
        for start, after in _kinds(text[first:number]):
            if start or not first:
                spans.add((first + start, first + after))
    return sorted(spans)


_is_sure = re.compile(rf"(?:{SURE})(?:\b|(?<=/))", re.IGNORECASE).match

_WORD = r"[^\W\d_][^\W\d_.'’\-]{0,14}(?:[.'’\-][^\W\d_]{0,8})?"
_LINK = r"(?:d[aeo]s?|del|de la|de los|de las|la|el|los|las|e|y)"
_LINKS = words("da de do das dos del de la los las el e y")
_rest = re.compile(
    rf"(?P<name>(?:{_LINK} )?{_WORD}(?: {_WORD}){{0,4}}|\d{{1,2}} de {_WORD}),? ?"
    r"(?:n\.?[ºo°]\.? ?|núm(?:ero)?\.? |número |nº ?|n\.? |# ?|s/n)?(?P<number>\d{1,5})(?![\d/]|"
    r"[.,\-]\d)[A-Za-z]?\b"
    r"(?P<more>,? (?:apto?\.?|apartamento|ap\.?|bloco|bl\.?|casa|sala|piso|puerta|cj\.?|conjunto) "
    r"?[\dA-Za-z]{1,5}\b"
    r"|,? \d{1,2} ?[ºª°](?: ?[A-Z]\b|[A-Z]\b)?)?",
).match  # fmt: skip

_SUFFIX = (
    "alley|ave|avenue|blvd|boulevard|circle|court|ct|cove|crescent|dr|drive|expressway|freeway|highway|"
    "hwy|lane|ln|"
    "loop|parkway|pkwy|pike|pl|place|plaza|rd|road|route|sq|square|st|street|ter|terrace|trail|turnpike|"
    "way|close|mews"
)
_NAME = rf"[{CAPITALS}][^\W\d_.'’\-]{{0,14}}(?:[.'’\-][^\W\d_]{{0,8}})?"
_house = re.compile(
    rf"\d{{1,5}},? (?:[NSEW]\.? )?(?P<name>{_NAME}(?: {_NAME}){{0,3}})"
    r"(?P<unit>,? (?:Apt|Suite|Ste|Unit|Apartment|Floor|Fl)\.? ?\d{1,5}[A-Z]?)?"
    rf"(?P<city>, [{CAPITALS}][^\W\d_]{{0,14}}(?: [{CAPITALS}][^\W\d_]{{0,14}})?)?"
    r"(?P<zip>,? [A-Z]{2} \d{5}(?:-\d{4})?)?",
).match
_has_suffix = re.compile(
    rf"(?:\A| )(?:{_SUFFIX})\.?(?: (?:[NSEW]{{1,2}}|North|South|East|West))?\Z", re.IGNORECASE
).search


def find_streets(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Addresses whose number comes last."""
    for first, after in spans:
        start = first + (not text[first].isalpha())
        kind = text[start : after - 1].rstrip(" ")
        rest = _rest(text, after - 1, start + _REACH)
        if rest is None or (start and text[start - 1] in "-_./@"):
            continue
        if not _stands_alone(text, rest.start("number")):
            continue
        sure = _is_sure(kind) is not None
        if not sure:
            cued = nearest(text, start)
            if cued.kind != "ADDRESS" and not (len(kind.rstrip(".")) < 4 and kind.endswith((".", "/"))):
                continue
        names = rest["name"].split(" ")
        if not sure and not all(word[0].isupper() or word in _LINKS for word in names):
            continue
        if not any(word[0].isupper() for word in names) and nearest(text, start).kind != "ADDRESS":
            continue
        yield Candidate(start, rest.end(), "address", "ADDRESS", 0.9 if sure else 0.8)


def _stands_alone(text: str, number: int) -> bool:
    return any(
        (found := _numbered(text, number - back)) is not None and found.end() == number
        for back in range(1, min(number, 4) + 1)
    )


def find_houses(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Addresses whose number comes first."""
    for start, _ in spans:
        one = _house(text, start, start + _REACH)
        if one is None or (start and (text[start - 1] in "-_./$#,:" or text[start - 1].isalnum())):
            continue
        cued = nearest(text, start)
        sure = _has_suffix(one["name"]) is not None
        is_long = " " in one["name"]
        if not (is_long or one["city"] or one["zip"]):
            continue
        if (sure and is_long and cued.kind not in {"OTHER", "PHONE"}) or (
            cued.kind == "ADDRESS" and cued.distance < 32
        ):
            yield Candidate(start, one.end(), "address", "ADDRESS", 0.9 if sure else 0.8)
