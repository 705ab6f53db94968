"""The tokens of one vendor, whole, however long they go on."""

import re
from collections.abc import Iterable, Iterator

from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.credentials import is_placeholder, pieces
from greenroom.stages.check.linear import Span
from greenroom.stages.check.vendors import Vendor


class TokenFinder:
    """Finds the tokens of one vendor."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._rest = re.compile(f"{vendor.run}*").match

    def __call__(self, text: str, spans: Iterable[Span]) -> Iterator[Candidate]:
        """The pieces of each token that begins at one of `spans`."""
        vendor = self._vendor
        done = 0
        for start, end in spans:
            before = text[start - 1 : start] if text[start].isalnum() else ""
            if start < done or before.isalnum() or before == "_":
                continue
            if is_placeholder(text[start:end]):
                continue
            rest = self._rest(text, end)
            done = rest.end() if rest else end
            while text[done - 1] in ".=-_" and done > end:
                done -= 1
            yield from pieces(start, done, vendor.rule, vendor.label, 1.0, vendor.severity)
