"""A thread that looks at what was counted: opens alerts where a rule fires, ends them when it has passed."""

import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from greenroom.assembly.delivering import Delivering
from greenroom.assembly.looking import Looking
from greenroom.errors import GreenroomError
from greenroom.offline.alerts.rules import Rule
from greenroom.offline.alerts.settings import DEFAULTS, AlertsConfig
from greenroom.store.alerts import Notice
from greenroom.store.material import stamp

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom.alerts")

KINDS = ("threshold", "burn_rate", "absence", "anomaly", "losses", "credentials")
"""Sorts of rules whose alerts this thread ends; others end their own."""
RECENT_S = 600.0
"""What was lost, or a key refused, counts for so long."""
Key = tuple[str, str, str]
"""Rule, project, subject."""


class Alerting(Looking):
    """Rules at work. Only the process that does what one alone must starts it."""

    def __init__(self, house: "House") -> None:
        super().__init__("greenroom-alerts")
        self._house = house
        self.delivering = Delivering(house, house.source)
        self._table = AlertsConfig()
        self._rules: list[Rule] = []
        self._since: dict[Key, float] = {}
        """Since when what fires has fired, and when it did last."""
        self._last: dict[Key, float] = {}
        self._began = time.monotonic()
        self._refused: dict[str, tuple[int, float]] = {}
        """By target: how often its provider did not take our key, and when that last rose."""

    def take(self, table: AlertsConfig) -> None:
        """Go by this from now on. Raises: ConfigError; then it goes on as before."""
        self.delivering.take(table)
        tables = {**DEFAULTS, **table.rules} if table.defaults else table.rules
        self._rules = [Rule(name, one) for name, one in tables.items()]
        self._table = table

    def start(self) -> None:
        """Begin to look and to send."""
        super().start()
        self.delivering.start()

    def stop(self) -> None:
        """End both."""
        super().stop()
        self.delivering.stop()

    def _run(self) -> None:
        while not self._stopping.wait(self._table.every_s):
            try:
                self.look(time.time())
            except GreenroomError as error:
                log.error("rules not looked at", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the thread goes on: whatever broke this once, other rules must be looked at
                log.exception("rules not looked at")

    def look(self, now_s: float) -> None:
        """Look at every rule once. Raises: StoreError."""
        rules, now = self._rules, time.monotonic()
        holds = {one.name: one.table.for_s for one in rules}
        fired: set[Key] = set()
        for notice in self._found(rules, now_s):
            key = (notice.rule, notice.project, notice.subject)
            fired.add(key)
            self._last[key] = now
            if now - self._since.setdefault(key, now) >= holds.get(notice.rule, 0.0):
                self._house.alerts.tell(notice)
        for key in [one for one in self._since if one not in fired]:
            if now - self._last[key] >= holds.get(key[0], 0.0):
                del self._since[key], self._last[key]
        self._end_others(fired, holds, now)

    def _end_others(self, fired: set[Key], holds: dict[str, float], now: float) -> None:
        if not self._house.has_alerts:
            return
        for one in self._house.alerts.opened():
            key = (one.rule, one.project, one.subject)
            if one.kind not in KINDS or key in fired:
                continue
            if now - self._last.get(key, self._began) >= holds.get(one.rule, 0.0):
                is_ours = one.rule in holds or one.kind in ("losses", "credentials")
                self._house.alerts.clear(*key, why="it has passed" if is_ours else "the rule is no more")

    def _found(self, rules: list[Rule], now_s: float) -> Iterator[Notice]:
        for one in rules:
            yield from one.look(self._house.rollups.read, now_s)
        if self._table.defaults:
            yield from self._losses(now_s)
            yield from self._credentials()

    def _losses(self, now_s: float) -> Iterator[Notice]:
        """Exchanges that could not be recorded of late: a full disk, or more than it takes."""
        since = stamp(int((now_s - RECENT_S) * 1e9))
        recent = [one for one in self._house.traces.losses() if one["at"] >= since]
        rows, bodies = (sum(one[name] for one in recent) for name in ("rows", "bodies"))
        if rows or bodies:
            yield Notice(
                rule="losses", kind="losses", project="", subject="traces", severity="critical",
                summary=f"{rows:,} exchanges were not recorded, {bodies:,} without texts, in 10 minutes. "
                "Look at the disk's space and speed.",
                figures={"rows": rows, "bodies": bodies}, path="/settings",
            )  # fmt: skip

    def _credentials(self) -> Iterator[Notice]:
        """Providers that do not take our key, also where another target answered instead."""
        now = time.monotonic()
        for target, figures in list(self._house.gateway.figures.by_target.items()):
            count = figures.errors.get("upstream_auth", 0)
            known, at = self._refused.get(target, (0, 0.0))
            if count > known:
                self._refused[target] = (count, at := now)
            if count and now - at < RECENT_S:
                yield Notice(
                    rule="credentials", kind="credentials", project="", subject=target, severity="critical",
                    summary=f"The provider of {target} does not take our key. Look at it in [providers].",
                    figures={"calls": count}, path="/models",
                )  # fmt: skip
