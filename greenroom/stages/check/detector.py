"""What the detectors of this stage share: rules asked by one look at all texts, and the canonical view.

Knows rules, no concrete one. Texts are looked at together, and findings are told apart by text.
"""

from collections.abc import Callable, Sequence

from greenroom.contracts import Detector, Finding
from greenroom.stages.check.candidate import Candidate, settle
from greenroom.stages.check.linear import Span
from greenroom.stages.check.rules import Finder, Rule
from greenroom.stages.check.view import canonical
from greenroom.stages.sight import Sight, anchors


class RuleDetector:
    """Finds by asking only those rules whose anchors occur.

    Where a text has odd characters or lone surrogates, its canonical view is read and spans are led back.
    Holds nothing between calls.
    """

    def __init__(self, rules: Sequence[Rule], category: str) -> None:
        self._category = category
        self._rules: dict[int, list[tuple[frozenset[int], Rule]]] = {}
        """By the number of the rarest anchor: the others that must occur, and the rule."""
        numbers = anchors().numbers
        for rule in rules:
            first, *others = (numbers[anchor] for anchor in rule.anchors)
            self._rules.setdefault(first, []).append((frozenset(others), rule))
        self.signs = frozenset(self._rules)
        """Without one of these hits, and with nothing odd, there is nothing to find."""

    def find(self, text: str) -> list[Finding]:
        """All findings, sorted, not overlapping; offsets in `text` as it is."""
        found = self.find_in(Sight([text]))
        return found[0][1] if found else []

    def find_in(self, sight: Sight) -> list[tuple[int, list[Finding]]]:
        """The findings of each text that has any, with its place in `sight.texts`."""
        if sight.is_odd:
            return self._find_in_odd(sight.texts)
        if self.signs.isdisjoint(sight.hits):
            return []
        asked = self._asked(sight)
        if not asked:
            return []
        found = [
            (place, settle(candidates, self._category))
            for place, candidates in self._candidates(sight, asked).items()
        ]
        found.sort()
        return found

    def _asked(self, sight: Sight) -> dict[Finder, Rule]:
        asked: dict[Finder, Rule] = {}
        rules = self._rules
        for hit in self.signs.intersection(sight.hits):
            for others, rule in rules[hit]:
                if not others or others.issubset(sight.hits):
                    asked[rule.find] = rule
        return asked

    def _candidates(self, sight: Sight, asked: dict[Finder, Rule]) -> dict[int, list[Candidate]]:
        candidates: dict[int, list[Candidate]] = {}
        texts = sight.texts
        for find, rule in asked.items():
            spans = rule.spots(sight.encoded)
            if not spans:
                continue
            for place, own in ((0, spans),) if len(texts) == 1 else _by_text(texts, spans):
                found = list(find(texts[place], own))
                if found:
                    candidates.setdefault(place, []).extend(found)
        return candidates

    def _find_in_odd(self, texts: Sequence[str]) -> list[tuple[int, list[Finding]]]:
        found: list[tuple[int, list[Finding]]] = []
        for place, text in enumerate(texts):
            view = canonical(_whole(text))
            sight = Sight([view.text])
            candidates = self._candidates(sight, self._asked(sight)).get(0)
            if candidates:
                led_back = (
                    one._replace(start=start, end=end)
                    for one in candidates
                    for start, end in (view.original(one.start, one.end),)
                )
                found.append((place, settle(led_back, self._category)))
        return found


def _by_text(texts: Sequence[str], spans: list[Span]) -> list[tuple[int, list[Span]]]:
    """Spans of the joined texts, told apart: the place of each text that has any, and its own spans."""
    parted: list[tuple[int, list[Span]]] = []
    place = base = 0
    own: list[Span] = []
    for start, end in spans:
        while end > base + len(texts[place]):
            base += len(texts[place]) + 1
            place += 1
            own = []
        if not own:
            parted.append((place, own))
        # A spot may begin with the line feed before its text.
        own.append((max(start - base, 0), end - base))
    return parted


def _whole(text: str) -> str:
    """The text with lone surrogates replaced, one for one, since they can't be encoded."""
    return text.encode(errors="replace").decode()


def united(detectors: Sequence[Detector]) -> Callable[[str], list[Finding]]:
    """Finds what all of them find, with one look where they can share it. Not sorted."""
    own = [one for one in detectors if isinstance(one, RuleDetector)]
    others = [one for one in detectors if not isinstance(one, RuleDetector)]
    signs = frozenset[int]().union(*(one.signs for one in own))

    def find(text: str) -> list[Finding]:
        findings: list[Finding] = []
        if own:
            sight = Sight((text,))
            if sight.is_odd or not signs.isdisjoint(sight.hits):
                for detector in own:
                    for _, found in detector.find_in(sight):
                        findings += found
        for other in others:
            findings += other.find(text)
        return findings

    return find
