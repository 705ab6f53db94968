"""What a list of requests is asked for: the bar's words, and the parameters that other pages link with."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from msgspec.structs import replace

from greenroom.server.filtering import Read, Term, quoted, read, term_of, write
from greenroom.server.pages.access import own_project

PAGE = 50
MOST = 200
_LONGEST = 500
_SPECIAL = re.compile(r'[:"]|(?:^|\s)-')
_PLAIN = ("app", "model", "outcome", "session", "user", "tag", "from", "to")
"""Parameters that are terms of the same name."""


class Asked(NamedTuple):
    """The bar's text and which page is wanted."""

    text: str
    cursor: str | None
    limit: int

    def read(self) -> Read:
        """Return the filter, within what may be seen. Raises MalformedRequest naming the term; NotFound."""
        found = read(self.text, limit=self.limit, cursor=self.cursor)
        return found._replace(filter=replace(found.filter, project=own_project(found.filter.project)))

    def address(self, path: str, *, text: str | None = None, cursor: str | None = None) -> str:
        """Return `path` with this filter or another, and a cursor."""
        wanted = (
            {"filter": self.text if text is None else text} if (self.text if text is None else text) else {}
        )
        if self.limit != PAGE:
            wanted["limit"] = str(self.limit)
        if cursor:
            wanted["cursor"] = cursor
        return f"{path}?{urlencode(wanted, errors='replace')}" if wanted else path


def read_asked(query: Mapping[str, str]) -> Asked:
    """Read an address. A limit that is none of 1 to 200 becomes the default."""
    terms = [query.get("filter", "").strip()]
    terms += [_words(query.get("q", "").strip()[:_LONGEST])]
    terms += [term_of(name, value) for name in _PLAIN if (value := query.get(name, "").strip()[:_LONGEST])]
    score = query.get("score", "").strip()[:_LONGEST]
    if score:
        name, colon, bound = score.partition(":")
        terms.append(f"score.{name}:{bound if colon else 'any'}")
    limit = query.get("limit", "")
    is_number = limit.isascii() and limit.isdecimal() and len(limit) < 4
    return Asked(
        " ".join(filter(None, terms)),
        query.get("cursor", "")[:_LONGEST] or None,
        int(limit) if is_number and 1 <= int(limit) <= MOST else PAGE,
    )


def _words(text: str) -> str:
    """Words to search for, in quotes where they would be read as something else."""
    return f'"{_escaped(text)}"' if _SPECIAL.search(text) else text


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


class Chip(NamedTuple):
    """One term and the address without it."""

    text: str
    without: str


class Choice(NamedTuple):
    """One value of a facet: the address that takes it, or lets it go where it is chosen."""

    value: str
    times: int
    address: str
    is_chosen: bool


def chips(asked: Asked, terms: list[Term]) -> list[Chip]:
    """Return the terms, each with the way to be rid of it."""
    return [
        Chip(one.text, asked.address("/requests", text=write([two for two in terms if two is not one])))
        for one in terms
    ]


def choices(
    asked: Asked, terms: list[Term], facets: Mapping[str, list[tuple[str, int]]]
) -> dict[str, list[Choice]]:
    """Return the values of each facet; one that would not narrow anything is left out."""
    found: dict[str, list[Choice]] = {}
    for field, values in facets.items():
        chosen = {one.value for one in terms if one.field == field and one.sign == "="}
        others = [one for one in terms if one.field != field]
        shown = [
            Choice(value, count, _toggled(asked, others, field, value, value in chosen), value in chosen)
            for value, count in values
        ]
        if len(shown) > 1 or any(one.is_chosen for one in shown):
            found[field] = shown
    return found


def _toggled(asked: Asked, others: list[Term], field: str, value: str, is_chosen: bool) -> str:
    added = "" if is_chosen else f"{field}:{quoted(value)}"
    return asked.address("/requests", text=" ".join(filter(None, [write(others), added])))
