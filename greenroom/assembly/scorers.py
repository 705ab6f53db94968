"""The scorers of live traffic: what rules mean, what they are given of an exchange, what a judge may cost."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.json import encode

from greenroom.offline.evals.asking import Ask, Asked, Json
from greenroom.offline.evals.judge import judge_kind
from greenroom.offline.evals.sample import Output, Sample, Score, Scorer
from greenroom.offline.evals.scorers.registry import SCORERS
from greenroom.offline.evals.scorers.settings import Lent
from greenroom.offline.quality.plan import QualityRule
from greenroom.offline.quality.scorer import made
from greenroom.store.material import Record

if TYPE_CHECKING:
    from greenroom.assembly.house import House

_BYTES_A_TOKEN = 2
"""At least, in any language: what `gateway.purse` reckons with."""
_ADDED_TOKENS = 8_000
"""What steps may add to a judge's question at most."""


async def _nobody(body: Json, attempt: int = 0) -> Asked:
    """Asks no model: for rules that are looked at only."""
    return Asked(error="Nobody is asked.")


def judged_by(name: str, rule: QualityRule, ask: Ask = _nobody) -> Scorer:
    """The scorer of a rule. Raises: MalformedRequest; ExtraMissing."""
    return made(name, rule, Lent(Path()), {**SCORERS, "judge": judge_kind(ask)})


def material(record: Record) -> tuple[Sample, Output]:
    """A stored exchange as scorers want it, with the texts as they are kept: personal data masked."""
    output = Output(
        text=str(record["reply"]["text"] or ""),
        outcome="refused" if record["outcome"] == "refused" else "answered",
        model=record["model"]["used"],
        latency_ms=record["timing_ms"]["total"],
        trace_id=record["id"],
        record=record,
    )
    return Sample(id=record["id"], messages=tuple(record["request"]["messages"])), output


def score_here(scorer: Scorer, record: Record) -> Score:
    """What a scorer that waits for nothing says, in this thread."""
    return asyncio.run(_score(scorer, record))


async def _score(scorer: Scorer, record: Record) -> Score:
    return await scorer.score(*material(record))


def worst_nano(house: "House", body: Json) -> int | None:
    """What one question to a judge can cost at most; None where a price is not known."""
    named = str(body["model"])
    app = house.config.apps.get(named)
    answering = (None if app is None else app.model) or (house.default_target if app else named)
    model = house.models.configured().get(answering)
    found = [house.models.target(one) for one in (model.targets if model is not None else (answering,))]
    prices = [None if one is None else one.price for one in found]
    asked = len(encode(body)) // _BYTES_A_TOKEN + 1 + _ADDED_TOKENS
    answered = int(body.get("max_completion_tokens") or 0)
    if not answered or any(one is None for one in prices):
        return None
    return max((one.worst_nano(asked, answered) for one in prices if one is not None), default=None)
