"""What the detectors of this stage share: one look at all texts, and the canonical view.

Knows rules, no concrete one. Texts are looked at together, and findings are told apart by text.
"""

from collections.abc import Callable, Sequence

from greenroom.contracts import Detector, Finding
from greenroom.stages.check.candidate import Candidate, settle
from greenroom.stages.check.linear import Span, bytes_searcher
from greenroom.stages.check.rules import Finder, Rule, anchors
from greenroom.stages.check.view import ODD, canonical

_odd = bytes_searcher(ODD)


class Sight:
    """What one pass over some texts saw.

    They are joined by line feeds, which no spot goes across, and read as Latin-1, one byte a character.
    """

    __slots__ = ("encoded", "hits", "is_odd", "texts")

    def __init__(self, texts: list[str]) -> None:
        joined = texts[0] if len(texts) == 1 else "\n".join(texts)
        is_odd = False
        try:
            encoded = joined.encode("latin-1")
        except UnicodeEncodeError:
            encoded = joined.encode("latin-1", "replace")
            is_odd = _is_odd(joined)
        self.texts = texts
        self.encoded = encoded
        self.hits = anchors()(encoded)
        """The numbers of the anchors that occur; after `again`, some that no longer do may be among them."""
        self.is_odd = is_odd or 0 in self.hits

    def again(self, texts: list[str]) -> "Sight":
        """The same of texts of which some were changed since: only those are looked at once more."""
        if texts == self.texts:
            return self
        known = set(map(id, self.texts))
        seen = Sight([text for text in texts if id(text) not in known])
        seen.hits = list({*self.hits, *seen.hits})
        seen.is_odd = seen.is_odd or self.is_odd
        seen.encoded = "\n".join(texts).encode("latin-1", "replace")
        seen.texts = texts
        return seen


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

    def may_hold(self, text: str) -> bool:
        """False when `find` would find nothing, told by the anchors alone."""
        sight = Sight([text])
        return sight.is_odd or bool(self._asked(sight))

    def find(self, text: str) -> list[Finding]:
        """All findings, sorted, not overlapping; offsets in `text` as it is."""
        found = self.find_in(Sight([text]))
        return found[0][1] if found else []

    def find_in(self, sight: Sight) -> list[tuple[int, list[Finding]]]:
        """The findings of each text that has any, with its place in `sight.texts`."""
        if sight.is_odd:
            return self._find_in_odd(sight.texts)
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
        for hit in sight.hits:
            if hit in rules:
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

    def _find_in_odd(self, texts: list[str]) -> list[tuple[int, list[Finding]]]:
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


def _by_text(texts: list[str], spans: list[Span]) -> list[tuple[int, list[Span]]]:
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


def _is_odd(text: str) -> bool:
    try:
        return _odd(text.encode()) is not None
    except UnicodeEncodeError:
        return True


def _whole(text: str) -> str:
    """The text with lone surrogates replaced, one for one, since they can't be encoded."""
    return text.encode(errors="replace").decode()


def united(detectors: Sequence[Detector]) -> Callable[[str], list[Finding]]:
    """Finds what all of them find, with one look where they can share it. Not sorted."""
    own = [one for one in detectors if isinstance(one, RuleDetector)]
    others = [one for one in detectors if not isinstance(one, RuleDetector)]

    def find(text: str) -> list[Finding]:
        findings: list[Finding] = []
        if own:
            sight = Sight([text])
            for detector in own:
                for _, found in detector.find_in(sight):
                    findings += found
        for other in others:
            findings += other.find(text)
        return findings

    return find
