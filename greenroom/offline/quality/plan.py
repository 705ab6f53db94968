"""`[quality.NAME]`: a scorer or a judge that live exchanges are scored by, after they were answered."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from greenroom.store.scores import NAME as SCORE_NAME
from greenroom.store.scores import Source

RuleName = Annotated[str, Meta(pattern=SCORE_NAME)]
JUDGE = "judge"
ALONE = ("refusal", "pii", "grounded", "json_schema", "regex")
"""Scorers that need no expected answer: by the answer and its record alone."""
JUDGE_TOKENS = 1_000
"""Of a judge's verdict, where its settings say nothing: the worst case must be bounded."""


class QualityRule(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[quality.NAME]: live exchanges that are scored after they were answered; NAME is the score's name."""

    scorer: str
    """refusal, pii, grounded, json_schema, regex, or judge: a model that is asked."""
    apps: tuple[str, ...] = ()
    """Exchanges of these apps; without it of all."""
    share: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Which part of them is drawn."""
    a_day: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    """At most so many in a day (UTC)."""
    usd_a_day: Annotated[float, Meta(gt=0, le=100_000)] = 1.0
    """Of a judge: what it may cost in a day (UTC); the worst case is set aside before each call."""
    below: float | None = None
    """An alert for an app whose mean of today and yesterday surely is below this."""
    above: float | None = None
    """The same for a mean that surely is above, as of refusals."""
    settings: dict[str, Any] = {}  # Any: each scorer's own, as in a suite's [scorers.NAME]
    """The scorer's own, as in a suite: a judge's model and rubric, a pattern, a schema."""

    def __post_init__(self) -> None:
        if self.scorer not in (*ALONE, JUDGE):
            raise ValueError(f"there is no scorer '{self.scorer}' for live traffic, only {_told()}")

    @property
    def is_judge(self) -> bool:
        """Whether a model is asked."""
        return self.scorer == JUDGE

    @property
    def source(self) -> Source:
        """Who its scores are by."""
        return "judge" if self.is_judge else "code"

    def table(self) -> dict[str, Any]:  # Any: TOML
        """Its settings as a suite would have them."""
        own: dict[str, Any] = {"max_completion_tokens": JUDGE_TOKENS} if self.is_judge else {}
        return {**own, **self.settings, "type": self.scorer}


def _told() -> str:
    return f"{', '.join(ALONE)} and {JUDGE}"
