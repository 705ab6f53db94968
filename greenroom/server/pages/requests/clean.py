"""What was checked and found clean: checks that ran and had nothing to say."""

from typing import NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.record import Record

_OUTPUT_CHECKS = frozenset({"guard", "verify"})
_MOST = 40


class Clean(NamedTuple):
    """One check without a finding."""

    step: str
    where: str
    score: str
    time: str


class Unchecked(NamedTuple):
    """A check that did not look: it was skipped, or it failed."""

    step: str
    outcome: str


def clean(record: Record) -> tuple[list[Clean], list[Unchecked]]:
    """Return checks without a finding, and those that did not look."""
    checks = [one for one in record.stages if one.stage == "check" or one.step in _OUTPUT_CHECKS]
    quiet = [one for one in checks if not one.verdicts and one.outcome in ("unchanged", "changed")]
    blind = [one for one in checks if one.outcome in ("skipped", "failed")]
    return (
        [
            Clean(
                one.step, "answer" if one.step in _OUTPUT_CHECKS else "prompt",
                _score(one.notes.get("score")), figures.duration(one.ms),
            )
            for one in quiet[:_MOST]
        ],
        [Unchecked(one.step, one.outcome) for one in blind[:_MOST]],
    )  # fmt: skip


def _score(noted: object) -> str:
    return (
        figures.score(float(noted)) if isinstance(noted, int | float) and not isinstance(noted, bool) else ""
    )
