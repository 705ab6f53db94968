"""What a finder hands to its detector, and how overlapping ones are settled."""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from greenroom.contracts import Finding


class Candidate(NamedTuple):
    """A span that passed its finder's tests."""

    start: int
    end: int
    rule: str
    label: str
    score: float = 1.0
    severity: int = 2


def settle(candidates: Iterable[Candidate], category: str) -> list[Finding]:
    """The first to start wins, among those the surest, then the longest; what overlaps it goes.

    Decided from left to right, so that text that follows never changes what was decided before it.
    """
    findings: list[Finding] = []
    at = -1
    for one in sorted(candidates, key=lambda one: (one.start, -one.score, -one.end)):
        if one.start >= at:
            findings.append(
                Finding(
                    start=one.start,
                    end=one.end,
                    rule=one.rule,
                    label=one.label,
                    category=category,
                    score=one.score,
                    severity=one.severity,
                )
            )
            at = one.end
    return findings


def join(findings: list[Finding], text: str) -> list[Finding]:
    """The pieces of one long secret as one finding: end to end, or lines of the same private key."""
    joined: list[Finding] = []
    for one in findings:
        last = joined[-1] if joined else None
        if last is not None and last.rule == one.rule and last.category == "secret":
            gap = text[last.end : one.start]
            if not gap or (
                one.label == "PRIVATE_KEY" and len(gap) < 8 and not gap.replace("\\n", "").strip()
            ):
                joined[-1] = replace(last, end=one.end)
                continue
        joined.append(one)
    return joined
