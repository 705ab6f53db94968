"""Scoring live traffic: what rules draw is scored in the background, and all scores are summed up by day.

One process of several does it, on its event loop; what computes runs in threads. Nothing here is on the way
of a request: exchanges are read from the traces, where they stand once they were answered.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode
from zlib import crc32

from greenroom.assembly.feedback import score_trace
from greenroom.assembly.looking import LookingTask
from greenroom.errors import GreenroomError, InfrastructureError, MalformedRequest
from greenroom.offline.budget import Budget, BudgetSpent, PriceMissing
from greenroom.offline.quality.estimates import Sums, estimate
from greenroom.offline.quality.plan import QualityRule
from greenroom.store import fresh
from greenroom.store.alerts import Notice
from greenroom.store.fresh import Fresh
from greenroom.store.quality import DAYS, Amount, Place
from greenroom.store.scores import LONGEST_COMMENT, Score

if TYPE_CHECKING:
    from greenroom.assembly.house import House
    from greenroom.offline.evals.asking import Ask, Asked, Json
    from greenroom.offline.evals.sample import Score as Said
    from greenroom.offline.evals.sample import Scorer

log = logging.getLogger("greenroom.quality")

SEEN = "exchanges"
SUMMED = "scores"
_DAY_S = 86_400
_DAY_NS = _DAY_S * 1_000_000_000
_BETWEEN_S = 2.0
_BATCH = 64
_MOST_BEHIND = 20_000
"""Exchanges that may wait; older ones are passed over, so that a backlog never grows."""
_SCORES = 1_000
_AT_ONCE = 2
"""Judges that are asked at once."""
_BUSY = 32
"""Requests at work from which on judges wait."""
_LEAST = 30
"""Scores without which a mean raises no alert."""
_ALERTS_S = 60.0


class _Rule(NamedTuple):
    """A rule at work."""

    name: str
    plan: QualityRule
    scorer: "Scorer"


class _Purse:
    """What a rule may spend in one day, and what of it is written down."""

    def __init__(self, day: int, limit_nano: int, spent_nano: int) -> None:
        self.day = day
        self.budget = Budget(limit_nano, spent=spent_nano)
        self._written = spent_nano

    def unwritten(self) -> int:
        """What was spent since this was asked last."""
        more, self._written = self.budget.spent - self._written, self.budget.spent
        return more


class Scoring(LookingTask):
    """The scoring of one process. What a judge is asked at the end is paid for, and may be asked again."""

    def __init__(self, house: "House") -> None:
        super().__init__()
        self._house = house
        self._traces = house.folder() / "traces.db"
        self._plan: Mapping[str, QualityRule] | None = None
        self._rules: list[_Rule] = []
        self._purses: dict[str, _Purse] = {}
        self._paused: dict[str, float] = {}
        self._alerts_at = 0.0

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_S)
            try:
                while await self.turn(time.time()):
                    pass
            except GreenroomError as error:
                log.error("traffic not scored", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the task goes on: one odd exchange must not end all scoring
                log.exception("traffic not scored")

    async def turn(self, now_s: float) -> bool:
        """Score the next exchanges, sum up new scores. Whether there may be more. Raises: StoreError."""
        store, day = self._house.quality, int(now_s // _DAY_S)
        self._take_rules()
        seq, score = await asyncio.to_thread(fresh.newest, self._traces)
        seen = await asyncio.to_thread(store.mark, SEEN)
        is_behind = False
        if seen is None or not self._rules:
            if seen != seq:
                await asyncio.to_thread(store.set_mark, SEEN, seq)
        elif seen < seq:
            is_behind = await self._score_some(max(seen, seq - _MOST_BEHIND), day)
        summed = await asyncio.to_thread(store.mark, SUMMED) or 0
        newest = await asyncio.to_thread(fresh.newest, self._traces) if self._rules else (seq, score)
        if summed < newest[1]:
            await asyncio.to_thread(sum_up, self._house, summed)
            is_behind = is_behind or newest[1] - summed > _SCORES
        if now_s >= self._alerts_at:
            self._alerts_at = now_s + _ALERTS_S
            await asyncio.to_thread(self._look_after, day)
        return is_behind

    def _take_rules(self) -> None:
        """Make the scorers of the configuration in force, where it changed."""
        plan = self._house.config.quality
        if plan is self._plan:
            return
        self._plan, self._rules = plan, []
        self._purses.clear()  # all that was spent is written down
        if plan:
            from greenroom.assembly.judges import judge_ask  # noqa: PLC0415  # 1 MiB that most servers need not
            from greenroom.assembly.scorers import judged_by  # noqa: PLC0415  # as above

            ask = judge_ask(self._house)
            self._rules = [
                _Rule(name, rule, judged_by(name, rule, self._capped(name, rule, ask)))
                for name, rule in plan.items()
            ]

    async def _score_some(self, after: int, day: int) -> bool:
        store = self._house.quality
        found, last = await asyncio.to_thread(fresh.exchanges, self._traces, after, _BATCH)
        done = {
            name: sum(count for what, count in counts.items() if what in ("scored", "abstained", "failed"))
            for name, counts in (await asyncio.to_thread(store.work, day)).items()
        }
        counts: Counter[tuple[str, str]] = Counter()
        drawn = [(rule, one) for one in found for rule in self._rules if draws(rule.name, rule.plan, one)]
        places = asyncio.Semaphore(_AT_ONCE)

        async def score(rule: _Rule, one: Fresh) -> None:
            async with places:
                if done.get(rule.name, 0) >= rule.plan.a_day:
                    counts[rule.name, "over"] += 1
                    return
                done[rule.name] = done.get(rule.name, 0) + 1
                what = await self._score(rule, one)
                counts[rule.name, what] += 1
                if what not in ("scored", "abstained", "failed"):
                    done[rule.name] -= 1

        try:
            async with asyncio.TaskGroup() as group:
                for rule, one in drawn:
                    group.create_task(score(rule, one))
        finally:
            await asyncio.shield(asyncio.to_thread(store.worked, day, counts, {}))
        await asyncio.to_thread(store.set_mark, SEEN, last)
        return len(found) == _BATCH

    async def _score(self, rule: _Rule, one: Fresh) -> str:
        """Score one exchange by one rule; what became of it."""
        from greenroom.assembly.scorers import material, score_here  # noqa: PLC0415  # as above

        if self._paused.get(rule.name, 0.0) > time.monotonic():
            return "paused"
        record = await asyncio.to_thread(self._house.traces.get, one.project, one.id)
        if record is None or str(record["model"]["why"]).startswith("shadow of "):
            return "gone"
        if rule.plan.is_judge:
            if record["outcome"] == "refused" or not record["reply"]["text"]:
                return "empty"
            await self._wait_for_room()
            try:
                said = await rule.scorer.score(*material(record))
            except BudgetSpent:
                return "unpaid"
            except (InfrastructureError, PriceMissing) as error:
                self._paused[rule.name] = time.monotonic() + 60.0
                log.warning("judge not asked", extra={"rule": rule.name, "reason": str(error)})
                return "failed"
        else:
            said = await asyncio.to_thread(score_here, rule.scorer, record)
        return await asyncio.to_thread(self._keep, rule, one, said)

    def _keep(self, rule: _Rule, one: Fresh, said: "Said") -> str:
        if said.error is not None:
            return "failed"
        if said.value is None:
            return "abstained"
        score = Score(
            name=rule.name, value=float(said.value), comment=said.reason[:LONGEST_COMMENT],
            source=rule.plan.source,
        )  # fmt: skip
        try:
            return "gone" if score_trace(self._house, one.project, one.id, score) is None else "scored"
        except MalformedRequest:  # it has all the scores that one may have
            return "failed"

    async def _wait_for_room(self) -> None:
        """Judges wait while many requests are at work, for half a minute at the most."""
        for _ in range(30):
            if self._house.gateway.at_work < _BUSY:
                return
            await asyncio.sleep(1.0)

    def _capped(self, name: str, rule: QualityRule, ask: "Ask") -> "Ask":
        """An `Ask` that sets the worst case aside from what the rule may spend today."""
        from greenroom.assembly.scorers import worst_nano  # noqa: PLC0415  # as above

        async def asked(body: "Json", attempt: int = 0) -> "Asked":
            purse = await self._purse(name, rule)
            budget = purse.budget
            held = await budget.reserve(worst_nano(self._house, body), str(body["model"]))
            cost: int | None = None
            try:
                found = await ask(body, attempt)
                cost = found.cost_nano_usd
            finally:
                await budget.settle(held, cost)
                nano = {(name, purse.day): purse.unwritten()}  # at once: a killed process has spent it too
                await asyncio.shield(asyncio.to_thread(self._house.quality.worked, purse.day, {}, nano))
            return found

        return asked

    async def _purse(self, name: str, rule: QualityRule) -> _Purse:
        day = int(time.time() // _DAY_S)
        known = self._purses.get(name)
        if known is None or known.day != day:
            limit = max(1, round(rule.usd_a_day * 1e9))
            spent = (await asyncio.to_thread(self._house.quality.work, day)).get(name, {}).get("nano", 0)
            if self._purses.get(name) is known:  # or another question made it meanwhile
                self._purses[name] = _Purse(day, limit, min(spent, limit))
        return self._purses[name]

    def _look_after(self, day: int) -> None:
        """Tell of means that surely are past their bounds, by app; let go of old sums."""
        house = self._house
        for rule in self._rules:
            if rule.plan.below is None and rule.plan.above is None:
                continue
            sums: dict[tuple[str, str], Sums] = {}
            for cell in house.quality.cells(day - 1):
                place = cell.place
                if (place.name, place.source) == (rule.name, rule.plan.source):
                    key = place.project, place.app
                    more = Sums(cell.n, cell.total, cell.squares, cell.odd)
                    sums[key] = sums.get(key, Sums()).plus(more)
            for (project, app), some in sums.items():
                _tell(house, rule.name, rule.plan, project, app, some)
        house.quality.purge(day - DAYS)


def draws(name: str, rule: QualityRule, one: Fresh) -> bool:
    """Whether a rule draws an exchange: by its id, so always the same."""
    if rule.apps and one.app not in rule.apps:
        return False
    return crc32(f"{name}\0{one.id}".encode()) < rule.share * 2**32


def sum_up(house: "House", after: int) -> int:
    """Add new scores to the sums of their day; how many. Raises: StoreError."""
    found, last = fresh.scores(house.folder() / "traces.db", after, _SCORES)
    sums: dict[Place, Amount] = {}
    for one in found:
        place = Place(
            one.created_ns // _DAY_NS, one.project, one.app, one.model, one.prompt, one.name, one.source
        )
        _put(sums, place, one.value, 1)
        if one.before is not None:
            _put(sums, place, one.before, -1)
    house.quality.add(sums, (SUMMED, last))
    return len(found)


def sums_of(values: Sequence[tuple[Place, float]]) -> dict[Place, Amount]:
    """Single values as what is added to cells."""
    sums: dict[Place, Amount] = {}
    for place, value in values:
        _put(sums, place, value, 1)
    return sums


def _put(sums: dict[Place, Amount], place: Place, value: float, sign: int) -> None:
    n, total, squares, odd = sums.get(place, (0, 0.0, 0.0, 0))
    sums[place] = (
        n + sign, total + sign * value, squares + sign * value * value, odd + sign * (value not in (0.0, 1.0))
    )  # fmt: skip


def _tell(house: "House", name: str, rule: QualityRule, project: str, app: str, sums: Sums) -> None:
    found = estimate(sums)
    told = f"quality.{name}"
    if found is None or found.n < _LEAST:
        return
    is_low = rule.below is not None and found.high < rule.below
    is_high = rule.above is not None and found.low > rule.above
    if not (is_low or is_high):
        house.alerts.clear(told, project, app)
        return
    bound, word = (rule.below, "below") if is_low else (rule.above, "above")
    assert bound is not None
    house.alerts.tell(
        Notice(
            told, "quality", project, app, "warning",
            f"App '{app}': '{name}' is {found.mean:.2f} (surely {found.low:.2f} to {found.high:.2f}), "
            f"{word} {bound:g}, by {found.n} scores of two days.",
            {"mean": found.mean, "low": found.low, "high": found.high, "n": float(found.n), "bound": bound},
            "/quality?" + urlencode({"project": project, "app": app}),
        )
    )  # fmt: skip
