"""Personal identifiers that are no plain numbers: addresses of mail and machines, accounts, plates, keys.

Each finder gets places from a linear scan and reads on from there with a pattern bound to about a hundred
characters.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv6Address

from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.cues import nearest
from greenroom.stages.check.identifiers import (
    IBAN_LENGTHS,
    is_cif,
    is_cnpj,
    is_dni,
    is_example,
    is_iban,
    is_nie,
    is_public_ip,
)
from greenroom.stages.check.linear import Span, spots
from greenroom.stages.check.tables import words

_BEGIN, _END = "(?:^|[^0-9A-Za-z_])", "(?:[^0-9A-Za-z_]|$)"
_HEX = "[0-9A-Fa-f]"
IPV4 = r"\d\.\d{1,3}\.\d{1,3}\.\d"
IPV6 = rf":{_HEX}{{0,4}}:{_HEX}{{0,4}}:"
IBAN = rf"{_BEGIN}(?:[A-Z]{{2}}\d{{2}} ?[A-Z0-9]{{4}}|[a-z]{{2}}\d{{2}}[a-z0-9]{{11}})"
_SPANISH = r"(?:[XYZxyz][ \-]?\d{7}|\d{8}|\d{2}\.\d{3}\.\d{3}|[A-HJ-NP-SUVW]-?\d{7})[ \-]?[A-Za-z0-9]"
SPANISH = rf"(?:^|[^0-9A-Za-z_./\-]){_SPANISH}{_END}"
_COMPANY = r"[A-Z0-9]{2}\.?[A-Z0-9]{3}\.?[A-Z0-9]{3}/?[A-Z0-9]{4}-?\d{2}"
COMPANY = rf"{_BEGIN}{_COMPANY}{_END}"
_PLATE = r"[A-Z]{3}[ \-]?\d[A-Z0-9]\d{2}"
PLATE = rf"{_BEGIN}{_PLATE}{_END}"
UUID = rf"-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}"
"""What a text must have somewhere for the finder of this name to be asked."""

_local_backwards = re.compile(r"[\w.%+'\-]{1,48}").match
_domain = re.compile(r"@([^\W_][^\W_.\-]*(?:[.\-][^\W_][^\W_.\-]*){1,6})").match
_FILE_TYPES = words("png jpg jpeg gif svg webp js ts css py json html md txt pdf tsx jsx scss")

ipv4 = spots(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}")
ipv6 = spots(rf"{_HEX}{{0,4}}(?::{_HEX}{{0,4}}){{2,7}}")
ibans = spots(r"\b[A-Za-z]{2}\d{2} ?[A-Za-z0-9]{4}")
spanish = spots(rf"\b{_SPANISH}\b")
companies = spots(rf"\b{_COMPANY}\b")
plates = spots(rf"\b{_PLATE}\b")
uuids = spots(rf"\b{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}\b")


def ats(text: bytes) -> list[Span]:
    """Every @ that may be one of a mail address."""
    spans: list[Span] = []
    at = text.find(b"@", 1)
    while at > 0:
        spans.append((at, at + 1))
        at = text.find(b"@", at + 1)
    return spans


def find_emails(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Mail addresses, at most 48 characters before the @ and 74 after it."""
    for at, _ in spans:
        if not at or text[at - 1] == ".":
            continue
        local = _local_backwards(text[at - 1 :: -1] if at < 50 else text[at - 1 : at - 50 : -1])
        domain = _domain(text[at : at + 76])
        if local is None or domain is None:
            continue
        name = local[0][::-1].lstrip(".'-+")
        start, end = at - len(name), at + domain.end()
        last = domain[1].rpartition(".")[2]
        if not name or end - at > 74 or len(name) > 48 or not last.isalpha() or not 2 <= len(last) <= 12:
            continue
        if last.lower() in _FILE_TYPES or (name == "git" and text[end : end + 1] == ":"):
            continue
        if start and (text[start - 1].isalnum() or _is_in_address(text, start)):
            continue
        yield Candidate(start, end, "email", "EMAIL")


def _is_in_address(text: str, start: int) -> bool:
    """«…» in «postgres://name:…@host»: that is a password's place, and the secrets' business."""
    before = text[max(0, start - 60) : start]
    return "://" in before.rsplit(None, 1)[-1] if text[start - 1] in ":/@" and before.strip() else False


def find_ips(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Addresses of machines that can belong to somebody."""
    for start, end in spans:
        if (
            _stands_alone(text, start, end, ".")
            and is_public_ip(text[start:end])
            and nearest(text, start).kind != "OTHER"
        ):
            yield Candidate(start, end, "ip.v4", "IP")


def find_ipv6s(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Addresses of machines, long form."""
    for start, end in spans:
        value = text[start:end]
        if len(value) < 9 or value.count(":") < 3 or not _stands_alone(text, start, end, ":."):
            continue
        try:
            address = IPv6Address(value)
        except AddressValueError:
            continue
        if not (address.is_loopback or address.is_link_local or address.is_private or address.is_unspecified):
            yield Candidate(start, end, "ip.v6", "IP")


def _stands_alone(text: str, start: int, end: int, joint: str) -> bool:
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before and (
        before[-1].isalnum() or before[-1] in "_-" or (before[-1] in joint and before[:-1].isalnum())
    ):
        return False
    return not (
        after and (after[0].isalnum() or after[0] in "_-" or (after[0] in joint and after[1:].isalnum()))
    )


def find_ibans(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Bank accounts: the country's length exactly, in one piece or in capital groups of four."""
    for start, _ in spans:
        length = IBAN_LENGTHS.get(text[start : start + 2].upper())
        if length is None:
            continue
        end = start
        taken = 0
        for character in text[start : start + length + 9]:
            if character.isalnum():
                taken += 1
            elif character != " " or taken == length:
                break
            end += 1
            if taken == length:
                break
        value = text[start:end].replace(" ", "")
        if taken != length or text[end : end + 1].isalnum() or not value.isascii():
            continue
        if (value.isupper() or (value.islower() and len(value) == end - start)) and is_iban(value.upper()):
            yield Candidate(start, end, "iban", "IBAN")


def find_spanish(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """DNI, NIE and the tax numbers of Spanish companies."""
    for start, end in spans:
        value = re.sub(r"[ .\-]", "", text[start:end]).upper()
        if (start and text[start - 1] in "-_./") or text[end : end + 1] in ("-", "_"):
            continue
        if value[0] in "XYZ":
            if is_nie(value):
                yield Candidate(start, end, "es.nie", "NIE")
            continue
        kind = nearest(text, start).kind
        if value[0].isdigit():
            plain = len(value) == end - start
            if value[-1].isalpha() and is_dni(value) and (kind == "NIF" or (plain and kind != "OTHER")):
                yield Candidate(start, end, "es.nif", "NIF", 1.0 if kind == "NIF" else 0.9)
        elif kind == "NIF" and is_cif(value):
            yield Candidate(start, end, "es.cif", "NIF")


def find_companies(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Brazil's company numbers with letters in them; those of digits only are in `numbers`."""
    for start, end in spans:
        value = re.sub(r"[./\-]", "", text[start:end])
        if not value.isdigit() and is_cnpj(value):
            formatted = len(value) != end - start
            if formatted or nearest(text, start).kind == "CNPJ":
                yield Candidate(start, end, "br.cnpj", "CNPJ")


def find_plates(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Brazilian number plates, old and Mercosur, where the text speaks of a vehicle."""
    for start, end in spans:
        cue = nearest(text, start)
        if cue.kind == "PLACA" and cue.distance < 32:
            yield Candidate(start, end, "br.placa", "PLACA")


def find_pix_keys(text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
    """Random Pix keys, where the text says so."""
    for start, end in spans:
        value = text[start:end].replace("-", "")
        if nearest(text, start).kind == "PIX_KEY" and not is_example(value):
            yield Candidate(start, end, "br.pix_key", "PIX_KEY")
