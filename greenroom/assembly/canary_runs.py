"""Canary prompts at work: once a day each model is asked the same, and held to what it said at first.

Asked as the house's own key, before no steps, tagged `eval=canary`; recorded and paid for like any exchange.
Runs on the event loop, one prompt at a time.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from greenroom.assembly.looking import LookingTask
from greenroom.errors import ConfigError, GreenroomError, NotFound
from greenroom.offline.budget import Budget, BudgetSpent, PriceMissing
from greenroom.offline.drift.canaries import (
    BASELINE_RUNS,
    LEAST_LOST,
    Answer,
    CanariesConfig,
    Report,
    compare,
)
from greenroom.offline.drift.canary_prompts import EDITION, MAX_TOKENS, PROMPTS
from greenroom.offline.evals.keyed import KeyedAsker
from greenroom.store.alerts import Notice

if TYPE_CHECKING:
    from greenroom.assembly.house import House
    from greenroom.config import Config
    from greenroom.models.attempt import Target

log = logging.getLogger("greenroom.canaries")

RULE = "canary.answers"
_SEED = 20_261_127
_DAY_S = 86_400
_BETWEEN_S = 60.0
_BYTES_A_TOKEN = 2
"""At least, in any language: what `gateway.purse` reckons with."""
_UNENDED = "it goes on, or was cut off"
_decode = msgspec.json.Decoder(Report).decode


def check_canaries(config: "Config", source: str) -> None:
    """Raise ConfigError for a model that is neither configured nor of a configured provider."""
    for name in config.canaries.models:
        if name not in config.models and name.partition("/")[0] not in config.providers:
            raise ConfigError(
                f"{source}: canaries.models names '{name}', which is neither a configured model nor "
                "'provider/model' of a configured provider."
            )


class CanaryRuns(LookingTask):
    """The daily runs of one process. A run that goes on at the end is given up; what it asked is paid for."""

    def __init__(self, house: "House") -> None:
        super().__init__()
        self._house = house

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_S)
            try:
                if self._house.config.canaries.models:
                    await self.due(time.time())
            except GreenroomError as error:
                log.error("canaries not asked", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the task goes on: tomorrow's run must come
                log.exception("canaries not asked")

    async def due(self, now_s: float) -> None:
        """Run those models that were not asked today, once the hour has come. Raises: StoreError."""
        plan = self._house.config.canaries
        if datetime.fromtimestamp(now_s, UTC).hour < plan.hour:
            return
        today_s = int(now_s // _DAY_S * _DAY_S)
        for target in targets(self._house, plan):
            last = await asyncio.to_thread(self._house.drift.canary_runs, target, 1)
            if not last or last[0].at_s < today_s or _decode(last[0].report).why == _UNENDED:
                try:
                    await run(self._house, target, now_s)
                except NotFound as error:  # it was taken away meanwhile; the others are asked all the same
                    log.warning("canaries not asked", extra={"target": target, "reason": str(error)})


def targets(house: "House", plan: CanariesConfig) -> list[str]:
    """The targets of the models that are named, each once."""
    found: list[str] = []
    for name in plan.models:
        model = house.config.models.get(name)
        found += (name,) if model is None else model.targets
    return list(dict.fromkeys(found))


async def run(house: "House", target: str, now_s: float) -> Report:
    """Ask one target all prompts, compare, keep and tell. At first as often as a baseline needs.

    A change is believed once a second run shows it too. Raises: NotFound; StoreError.
    """
    found = house.models.target(target)
    if found is None:
        raise NotFound(f"No model goes by '{target[:100]}'.")
    today_s = int(now_s // _DAY_S * _DAY_S)
    spent = await asyncio.to_thread(house.drift.spent_nano, today_s)
    limit = round(house.config.canaries.usd_a_day * 1e9)
    budget = Budget(max(limit, 1), spent=min(spent, limit))
    while True:
        report = await _one(house, found, budget, now_s)
        baseline = await asyncio.to_thread(house.drift.baseline, target, EDITION)
        if report.state != "baseline" or len(baseline) >= BASELINE_RUNS:
            break
    if report.state == "changed":
        again = await _one(house, found, budget, now_s)
        report = again if again.state != "failed" else report
    await asyncio.to_thread(_tell, house, target, report)
    return report


async def _one(house: "House", target: "Target", budget: Budget, now_s: float) -> Report:
    before = budget.spent
    unended = Report(state="failed", answered=0, asked=len(PROMPTS), why=_UNENDED)

    def keep(report: Report, answers: Sequence[Answer], number: int | None = None) -> int:
        return house.drift.keep_canaries(
            target.name, EDITION, int(now_s), budget.spent - before, report.state,
            msgspec.json.encode(report), answers, is_baseline=report.state == "baseline", number=number,
        )  # fmt: skip

    number = await asyncio.to_thread(keep, unended, ())
    answers, why = await _ask_all(house, target, budget, number)
    baseline: Sequence[Sequence[Answer]] = await asyncio.to_thread(house.drift.baseline, target.name, EDITION)
    if why:
        said = sum(bool(one[0]) for one in answers)
        report = Report(state="failed", answered=said, asked=len(PROMPTS), why=why)
    else:
        report = compare(answers, baseline)
    await asyncio.to_thread(keep, report, answers, number)
    return report


async def _ask_all(house: "House", target: "Target", budget: Budget, number: int) -> tuple[list[Answer], str]:
    """The answers, and why asking ended early. A process that dies meanwhile leaves written what it spent."""
    before = budget.spent
    own = house.access.find(house.local_key.encode())
    key = msgspec.structs.replace(own, caller=replace(own.caller, pipeline_off=True))
    asker = KeyedAsker(house.gateway, lambda: key, {"eval": "canary"})
    answers: list[Answer] = []
    for prompt in PROMPTS:
        body = {
            "model": target.name, "messages": [{"role": "user", "content": prompt}], "temperature": 0,
            "seed": _SEED, "max_tokens": MAX_TOKENS,
        }  # fmt: skip
        asked = len(msgspec.json.encode(body)) // _BYTES_A_TOKEN + 1
        worst = None if target.price is None else target.price.worst_nano(asked, MAX_TOKENS)
        try:
            held = await budget.reserve(worst, target.name)
        except (BudgetSpent, PriceMissing) as error:
            return answers, str(error)
        await asyncio.to_thread(house.drift.canary_cost, number, budget.spent - before + held.amount)
        output = await asker.answer(body)
        await budget.settle(held, output.cost_nano_usd)
        said = output.text if output.outcome == "answered" else ""
        answers.append((said, str(output.body.get("model") or ""), output.latency_ms))
        if asker.why is not None:
            return answers, str(asker.why)
    return answers, ""


def _tell(house: "House", target: str, report: Report) -> None:
    if report.state == "same":
        house.alerts.clear(RULE, "", target)
    elif report.state == "changed":
        assert report.before is not None
        assert report.now is not None
        house.alerts.tell(
            Notice(
                RULE, "canary", "", target, "warning",
                f"The model '{target}' answers the canary prompts differently: likeness to its first answers "
                f"{report.now:.2f}, and was {report.before:.2f} (p {report.p:.1g}).",
                {"now": report.now, "before": report.before, "p": report.p, "least": LEAST_LOST},
                "/drift#canaries",
            )
        )  # fmt: skip


def shown(house: "House") -> list[dict[str, object]]:
    """Each target with its runs, newest first. Raises: StoreError."""
    by_target: dict[str, list[dict[str, object]]] = {}
    for one in house.drift.canary_runs(limit=500):
        report = _decode(one.report)
        by_target.setdefault(one.target, []).append(
            {
                "number": one.number, "at": one.at_s, "is_baseline": one.is_baseline,
                "cost_usd": None if one.cost_nano is None else one.cost_nano / 1e9,
                **msgspec.to_builtins(report),
            }
        )  # fmt: skip
    names = dict.fromkeys((*targets(house, house.config.canaries), *sorted(by_target)))
    return [{"target": name, "runs": by_target.get(name, [])} for name in names]
