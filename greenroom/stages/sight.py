"""One look at all texts of a request for every step that wants one.

Whichever step comes first makes it; it holds while the texts are the same. One pass of RE2 asks for the
anchors of every detector's rules and for what `clean` would touch; most prompts cost that pass alone.
"""

from collections.abc import Sequence
from functools import cache
from operator import attrgetter

from greenroom.exchange import Exchange
from greenroom.stages.check.linear import bytes_searcher, pattern_set
from greenroom.stages.check.rules import PERSONAL, SECRET
from greenroom.stages.check.vendors import ANCHOR as VENDOR
from greenroom.stages.check.vendors import VENDORS
from greenroom.stages.check.view import ODD, ODD_LATIN

GAPS = r" (?:[ \n]|\z)|\n\n\n"
"""What a text with wide gaps or a blank at its end has, where texts are joined by line feeds."""
UNTIDY = (
    r"[\x00-\x08\x0b-\x1f\x7f-\xa0\xad]|[\xc2-\xdf][\xa1-\xbf]|[\xe0-\xef][\xa1-\xbf][\xa1-\xbf]|[ \n]\xc3[ ]"
)
"""What `clean` may change in a Latin-1 text, gaps aside: nothing without it, not always something with it."""

ODD_HIT, _VENDOR_HIT, GAPS_HIT, UNTIDY_HIT = range(4)
"""Numbers of the anchors that are no rule's own."""

_odd = bytes_searcher(ODD)
_values = attrgetter("value")


class Anchors:
    """All anchors of all rules, sought in one pass; vendors' are one anchor, told apart when it occurs."""

    def __init__(self) -> None:
        tokens = [vendor.pattern for vendor in VENDORS]
        others = dict.fromkeys(anchor for rule in (*PERSONAL, *SECRET) for anchor in rule.anchors)
        first = [ODD_LATIN, VENDOR, GAPS, UNTIDY, *(anchor for anchor in others if anchor not in tokens)]
        self.numbers = {anchor: number for number, anchor in enumerate((*first, *tokens))}
        self._match = pattern_set(first)
        self._match_tokens = pattern_set(tokens)
        self._offset = len(first)

    def __call__(self, text: bytes) -> list[int]:
        """The numbers of those that occur in a Latin-1 text."""
        hits = self._match(text) or []
        if _VENDOR_HIT in hits:
            hits += [self._offset + number for number in self._match_tokens(text) or ()]
        return hits


@cache
def anchors() -> Anchors:
    """The one of this process: its automaton is worth sharing, and takes some 50 ms to make."""
    return Anchors()


class Sight:
    """What one pass over some texts saw.

    They are joined by line feeds, which no spot goes across, and read as Latin-1, one byte a character.
    """

    __slots__ = ("encoded", "hits", "is_latin", "is_odd", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        joined = texts[0] if len(texts) == 1 else "\n".join(texts)
        self.texts = texts
        try:
            self.encoded = joined.encode("latin-1")
        except UnicodeEncodeError:
            self.encoded = joined.encode("latin-1", "replace")
            self.is_latin = False
            self.is_odd = _is_odd(joined)
        else:
            self.is_latin = True
            self.is_odd = False
        self.hits = hits = anchors()(self.encoded)
        """The numbers of the anchors that occur; after `again`, some that no longer do may be among them."""
        if ODD_HIT in hits:
            self.is_odd = True

    def again(self, texts: Sequence[str]) -> "Sight":
        """The same of texts of which some were changed since: only those are looked at once more."""
        if self.is_odd:
            return Sight(texts)  # what was odd may be gone
        known = set(map(id, self.texts))
        seen = Sight([text for text in texts if id(text) not in known])
        seen.hits = list({*self.hits, *seen.hits})
        seen.is_latin = seen.is_latin and self.is_latin
        seen.encoded = "\n".join(texts).encode("latin-1", "replace")
        seen.texts = texts
        return seen


def sight_of(exchange: Exchange) -> Sight:
    """The look at the texts of a request; again only at what changed since."""
    texts = list(map(_values, exchange.request.texts))
    known = exchange.context.get("sight")
    if isinstance(known, Sight):
        if known.texts == texts:
            return known
        seen = known.again(texts)
    else:
        seen = Sight(texts)
    exchange.context["sight"] = seen
    return seen


def _is_odd(text: str) -> bool:
    try:
        return _odd(text.encode()) is not None
    except UnicodeEncodeError:
        return True
