"""Keys, tokens, private keys and passwords: the detector, and the `secrets` step that acts on it.

Vendors' shapes first, then values whose name gives them away. Placeholders, hashes, UUIDs and look-ups of variables
are no secrets. Says nothing about whether a key is alive.
"""

import re
from collections.abc import Iterator

import re2

from greenroom.contracts import Finding
from greenroom.stages.check import credentials
from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.credentials import PIECE, is_placeholder, pieces
from greenroom.stages.check.detector import Scan
from greenroom.stages.check.vendors import VENDORS, Vendor
from greenroom.stages.check.view import ODD, canonical

_TAIL = 128
"""No finding is decided by anything that stands further than this behind its start."""

_odd = re2.compile(ODD).search


class SecretDetector:
    """Finds credentials. A long one comes as a row of findings, end to end or line by line, with the same rule.

    About 4 µs for 2,000 characters with nothing in them. Made once, used everywhere; holds nothing between calls.
    """

    def __init__(self) -> None:
        self._scan = Scan(
            [
                *((vendor.pattern, _VendorFinder(vendor)) for vendor in VENDORS),
                (credentials.PEM, credentials.find_private_keys),
                (credentials.URL, credentials.find_urls),
                (credentials.HEADER, credentials.find_headers),
                (credentials.NAMED, credentials.find_named),
            ],
            "secret",
        )

    def may_hold(self, text: str) -> bool:
        """False when `find` would find nothing, told by the scan alone."""
        return self._scan.hits(text) is not None

    def find(self, text: str) -> list[Finding]:
        """All findings, sorted, not overlapping; offsets in `text` as it is."""
        return self._scan.find(text)

    def safe_end(self, text: str) -> int:
        """Where a finding may still begin that later text decides, at most 256 characters before the end.

        Secrets hold no blanks, so that is the last word; only the head line of a private key does.
        """
        if not text.isascii() and _odd(text[-2 * _TAIL :].encode(errors="replace")) is not None:
            return self._safe_end_in_view(text)
        return _safe_end(text)

    def _safe_end_in_view(self, text: str) -> int:
        start = max(0, len(text) - 2 * _TAIL)
        view = canonical(text[start:].encode(errors="replace").decode())
        if not view.text:
            return len(text)
        at = _safe_end(view.text)
        return len(text) if at == len(view.text) else start + view.position(at)


def _safe_end(text: str) -> int:
    length = len(text)
    least = length - _TAIL if length > _TAIL else 0
    start = max(text.rfind(" ", least), text.rfind("\n", least), text.rfind("\t", least), text.rfind("\r", least)) + 1
    start = max(start, least)
    head = text.find("-----B", least, start)
    return start if head < 0 else head


class _VendorFinder:
    """Finds the tokens of one vendor."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._find = re2.compile(vendor.pattern).finditer
        self._rest = re.compile(f"{vendor.run}*").match

    def __call__(self, text: str) -> Iterator[Candidate]:
        vendor = self._vendor
        for found in self._find(text):
            start, end = found.span()
            if start and (text[start - 1].isalnum() or text[start - 1] == "_") and text[start].isalnum():
                continue
            rest = self._rest(text, end)
            end = rest.end() if rest else end
            while text[end - 1] in ".=-_" and end > found.end():
                end -= 1
            if not is_placeholder(text[start : min(end, start + PIECE)]):
                yield from pieces(start, end, vendor.rule, vendor.label, 1.0, vendor.severity)

