"""What is looked for in texts: how to see quickly that there is nothing, where to look, who decides.

One pass over all texts of a request asks for the anchors of every rule at once; only the rules whose anchors
occur look for their spots, and read on from there. Anchors tell ordinary prices, dates and names apart from
what may be a finding, so that most texts cost that one pass.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from greenroom.stages.check import codes, credentials, numbers, people, places
from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.linear import Span, spots
from greenroom.stages.check.tokens import TokenFinder
from greenroom.stages.check.vendors import VENDORS

Finder = Callable[[str, Iterable[Span]], Iterable[Candidate]]
"""Reads a text from the spots on, given in order."""


class Rule(NamedTuple):
    """One kind of thing to find."""

    anchors: tuple[str, ...]
    """All of them occur in a text that holds a finding; the rarest stands first."""
    spots: Callable[[bytes], list[Span]]
    find: Finder
    labels: frozenset[str]


def _rule(*anchors: str, spots: Callable[[bytes], list[Span]], find: Finder, labels: str) -> Rule:
    return Rule(anchors, spots, find, frozenset(labels.split()))


PERSONAL = (
    Rule((numbers.ANCHOR,), numbers.runs, numbers.find_numbers, numbers.LABELS),
    _rule("@", spots=codes.ats, find=codes.find_emails, labels="EMAIL"),
    _rule(codes.IPV4, spots=codes.ipv4, find=codes.find_ips, labels="IP"),
    _rule(codes.IPV6, spots=codes.ipv6, find=codes.find_ipv6s, labels="IP"),
    _rule(codes.IBAN, spots=codes.ibans, find=codes.find_ibans, labels="IBAN"),
    _rule(codes.SPANISH, spots=codes.spanish, find=codes.find_spanish, labels="NIF NIE"),
    _rule(codes.COMPANY, spots=codes.companies, find=codes.find_companies, labels="CNPJ"),
    _rule(codes.PLATE, spots=codes.plates, find=codes.find_plates, labels="PLACA"),
    _rule(codes.UUID, spots=codes.uuids, find=codes.find_pix_keys, labels="PIX_KEY"),
    _rule(people.CUE, spots=people.introductions, find=people.find_introduced, labels="PERSON"),
    _rule(people.AFTER, spots=people.subjects, find=people.find_subjects, labels="PERSON"),
    _rule(people.BIRTH, spots=people.births, find=people.find_birthdays, labels="DATE_OF_BIRTH"),
    _rule(places.NUMBER, places.KIND, spots=places.streets, find=places.find_streets, labels="ADDRESS"),
    _rule(places.BEHIND, spots=places.houses, find=places.find_houses, labels="ADDRESS"),
)

SECRET = (
    *(Rule((vendor.pattern,), spots(vendor.pattern), TokenFinder(vendor), frozenset()) for vendor in VENDORS),
    _rule(credentials.PEM, spots=credentials.private_keys, find=credentials.find_private_keys, labels=""),
    _rule(credentials.URL, spots=credentials.urls, find=credentials.find_urls, labels=""),
    _rule(credentials.HEADER, spots=credentials.headers, find=credentials.find_headers, labels=""),
    _rule(credentials.SET, spots=credentials.named, find=credentials.find_named, labels=""),
    _rule(
        credentials.SAID, credentials.NAME, spots=credentials.named, find=credentials.find_named, labels=""
    ),
)

PERSONAL_NAMES = (
    "person", "email", "phone", "address", "date_of_birth", "credit_card", "ip.v4", "ip.v6", "iban",
    "br.cpf", "br.cnpj", "br.rg", "br.cnh", "br.pis", "br.titulo_eleitor", "br.cns", "br.cep", "br.placa",
    "br.pix_key", "us.ssn", "es.nif", "es.nie", "es.cif",
)  # fmt: skip
SECRET_NAMES = (
    *dict.fromkeys(vendor.rule for vendor in VENDORS),
    *("secret." + name for name in (
        "private_key", "url_password", "bearer", "password", "aws_secret_key", "azure_storage_key", "generic",
    )),
)  # fmt: skip
"""What findings call themselves, so that a policy can name them."""
