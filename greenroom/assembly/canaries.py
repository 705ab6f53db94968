"""What watches open deployments: reads what is new of both sides, and rolls back or promotes by the rules."""

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from greenroom.assembly.looking import Looking
from greenroom.errors import ConfigError, Conflict, GreenroomError
from greenroom.offline.deploy.comparison import Live, Told
from greenroom.offline.deploy.plan import Rules
from greenroom.store.deployments import CANARY, OPEN, PROMOTED, ROLLED_BACK, SHADOW, Deployment, State

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom.deployments")

RULE = "rule"
"""Who decides where no person did, in histories and in the audit log."""
LOOK_S = 0.5
"""Between two looks; eight times what the last one took, if that is more, up to `MOST_S`."""
MOST_S = 5.0
_SPARE = 8
TOLD_S = 1.0
"""Between two notes of what the comparison says, for people."""


def rules_of(deployment: Deployment) -> Rules:
    """By what it ends. Raises: ConfigError for what an older or newer program wrote."""
    try:
        return msgspec.convert(deployment.rules, Rules)
    except msgspec.ValidationError as error:
        raise ConfigError(f"The rules of deployment {deployment.id} can't be read: {error}.") from None


def decide(
    house: "House", one: Deployment, state: State, by: str, why: str, *, share: float | None = None,
    evidence: dict[str, object] | None = None, address: str = "",
) -> Deployment:  # fmt: skip
    """Bring a deployment into a state, in the audit log too. Raises: NotFound, Conflict, StoreError."""
    now = house.deploys.change(one.id, state, was=one.state, who=by, why=why, share=share, evidence=evidence)
    house.keys.audit(
        by,
        f"deployment.{'share' if state == one.state else state}",
        {"state": one.state, "share": one.share},
        {"deployment": one.id, "app": one.app, "name": one.name, "state": now.state, "share": now.share,
         "why": why},
        address=address,
    )  # fmt: skip
    return now


class _Watched:
    """One open deployment, as far as it was read."""

    def __init__(self, one: Deployment) -> None:
        self.one = one
        self.rules = rules_of(one)
        self._canary = SHADOW if one.state == SHADOW else CANARY
        # A shadow's copies are beside the exchanges of the current, not out of them.
        share = one.share / (1 + one.share) if one.state == SHADOW else one.share
        self.live = Live(self.rules, share, self._canary)
        self._at = (0, 0)
        self.told: Told | None = None
        self.told_at = 0.0
        self.is_fresh = False
        """Whether something came since it was told of last."""

    def read(self, house: "House") -> None:
        """Take all that is new. Raises: StoreError."""
        while True:
            found = house.traces.compared(
                self.one.id, self._at, self.rules.scores, self._canary, self.one.changed_ns
            )
            self._at = found.seq, found.score
            self.is_fresh = self.is_fresh or bool(found.rows or found.scores)
            self.live.take(found.rows, found.scores, is_old=not found.is_last)
            if found.is_last:
                return


class Watcher(Looking):
    """Looks at open deployments in a thread of its own, and decides what their rules say."""

    def __init__(self, house: "House") -> None:
        super().__init__("greenroom-deployments")
        self._house = house
        self._watched: dict[tuple[int, int], _Watched] = {}

    def _run(self) -> None:
        wait_s = LOOK_S
        while not self._stopping.wait(wait_s):
            began = time.monotonic()
            try:
                self.look()
            except GreenroomError as error:
                log.error("deployments not looked at", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the thread goes on: a canary must be looked at, whatever broke this once
                log.exception("deployments not looked at")
            wait_s = min(MOST_S, max(LOOK_S, _SPARE * (time.monotonic() - began)))

    def look(self) -> None:
        """One look at every open deployment. Raises: StoreError."""
        opened = [one for one in self._house.deploys.standing() if one.state in OPEN]
        known = self._watched
        # With another share both sides are counted from then on: what changes with time would count for the
        # side that grew, were exchanges of both shares held against each other.
        self._watched = {
            (one.id, one.changed_ns): known.get((one.id, one.changed_ns)) or _Watched(one) for one in opened
        }
        for watched in self._watched.values():
            watched.read(self._house)
            self._judge(watched)

    def _judge(self, watched: _Watched) -> None:
        one, rules, live = watched.one, watched.rules, watched.live
        is_canary = one.state == CANARY
        if is_canary and rules.roll_back and watched.is_fresh and live.harms():
            told = live.told()
            self._end(one, ROLLED_BACK, "; ".join(told.reasons), told)
            return
        after_s = rules.promote_after_s
        is_due = after_s is not None and time.time_ns() - one.created_ns >= after_s * 1e9
        if is_canary and is_due and live.units >= rules.units and live.is_harmless():
            self._end(one, PROMOTED, f"no harm by any metric, of {live.units} units", live.told())
            return
        if watched.told is None or (watched.is_fresh and time.monotonic() - watched.told_at >= TOLD_S):
            watched.told, watched.told_at, watched.is_fresh = live.told(), time.monotonic(), False
            self._house.deploys.note(one.id, msgspec.to_builtins(watched.told))

    def _end(self, one: Deployment, state: State, why: str, told: Told) -> None:
        evidence = msgspec.to_builtins(told)
        self._house.deploys.note(one.id, evidence)
        try:
            share = 1.0 if state == PROMOTED else None
            decide(self._house, one, state, RULE, why, share=share, evidence=evidence)
        except Conflict:  # somebody was quicker
            return
        log.warning("canary ended", extra={"deployment": one.id, "app": one.app, "state": state, "why": why})
