"""Experiments at work in one process: the apps that take part, and what watches over them."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from greenroom.assembly.looking import Looking
from greenroom.config import AppConfig, Config
from greenroom.errors import ConfigError, Conflict, GreenroomError
from greenroom.gateway.experiments import Arm, Trial
from greenroom.gateway.pipeline import App
from greenroom.gateway.shadows import Shadow, Shadows, all_of
from greenroom.models.dispatch import Dispatch
from greenroom.offline.experiments.plan import CONTROL, ExperimentConfig
from greenroom.offline.experiments.report import report
from greenroom.prompts.version import LATEST, PRODUCTION, parse_reference
from greenroom.store.experiments import PROMOTED, RUNNING, STOPPED, Standing, State
from greenroom.store.observations import Seen, Wanted
from greenroom.store.scores import MEASURED

if TYPE_CHECKING:
    from greenroom.assembly.house import House
    from greenroom.assembly.models import Models

log = logging.getLogger("greenroom.experiments")

Make = Callable[[str, AppConfig, str], App]
"""An arm's app: from the app's name, its table as the arm has it, and what its answers are kept under."""
GUARD = "guard"
RULE = "rule"
"""Who decides where no person did, in standings and in the audit log."""
LOOK_S = 1.0
"""Between two looks at the guards, or twenty times what the last took, up to `MOST_S`."""
MOST_S = 60.0
_SPARE = 20


def check_experiments(config: Config, source: str) -> None:
    """Raise ConfigError for an app that is not there, or is in two experiments."""
    by_app: dict[str, str] = {}
    for name, plan in config.experiments.items():
        where = f"{source}: experiments.{name}"
        if plan.app != "default" and plan.app not in config.apps:
            raise ConfigError(f"{where}.app is '{plan.app}', which is no app of this file.")
        if plan.app in by_app:
            raise ConfigError(
                f"{where}.app is '{plan.app}', which takes part in '{by_app[plan.app]}' already. "
                "Let that one end first, and take it out of the file."
            )
        by_app[plan.app] = name
        table = config.apps.get(plan.app, AppConfig())
        prompted = next((arm for arm, one in plan.arms.items() if one.prompt is not None), None)
        if table.pipeline == "off" and prompted is not None:
            raise ConfigError(
                f"{where}.arms.{prompted} has a prompt, but the pipeline of '{plan.app}' is off: no step "
                "would fill it."
            )


class _Enlisted:
    """The experiments of one configuration, as requests meet them."""

    def __init__(self) -> None:
        self.trials: dict[str, Trial] = {}
        self.shadows: dict[str, dict[str, Shadow]] = {}
        self.editions: dict[str, str] = {}

    def stand(self, standings: Mapping[str, Standing]) -> None:
        """Take over what was decided; of an edition that has not begun, nothing was."""
        for name, edition in self.editions.items():
            found = standings.get(name)
            now = found if found is not None and found.edition == edition else None
            state, arm = (RUNNING, "") if now is None else (now.state, now.arm)
            self.trials[name].stand(state, arm)
            for shadow in self.shadows[name].values():
                shadow.is_over = state != RUNNING


class Trials:
    """All experiments of one house."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._made = self._next = _Enlisted()
        self._watcher: Watcher | None = None
        self.shadows: Shadows | None = None
        """What asks shadows; None in a guest: beside another process that has the data folder."""

    def start(self, *, as_guest: bool) -> None:
        """Be ready for apps; a guest makes no shadows, as it ends with its answer."""
        if not as_guest:
            self.shadows = Shadows(self._house.ledger, self._house.recorder)

    def stop(self) -> None:
        """End what watches."""
        if self._watcher is not None:
            self._watcher.stop()

    async def end(self) -> None:
        """End the shadows at work, whose cost so far is settled: before the ledger stops, in its loop."""
        if self.shadows is not None:
            await self.shadows.stop()

    def enlist(self, config: Config, apps: dict[str, App], models: "Models", make: Make) -> None:
        """Have apps take part, in place; from `begin` on it counts. Raises: ConfigError."""
        made = self._next = _Enlisted()
        for name, plan in config.experiments.items():
            table = config.apps.get(plan.app, AppConfig())
            calls = {arm: self._call(name, arm, plan, models) for arm in plan.arms}
            made.editions[name] = plan.edition
            made.shadows[name] = self._shadows_of(name, plan, calls)
            shadow = all_of(made.shadows[name])
            control = apps[plan.app]._replace(shadow=shadow)
            arms = [Arm(CONTROL, control, plan.shares[CONTROL])]
            for arm, share in plan.shares.items():
                if arm != CONTROL:
                    app = make(plan.app, plan.arms[arm].changed(table), f"{plan.app}\0{name}\0{arm}")
                    arms.append(Arm(arm, app._replace(shadow=shadow), share))
            trial = made.trials[name] = Trial(name, plan.unit, arms, self._house.experiments.key)
            apps[plan.app] = control._replace(trial=trial)

    def begin(self) -> None:
        """Have what was enlisted last count; one of several processes watches it.

        Each begins what the others have not yet, before it answers: none may answer before it counts.
        """
        self._made = self._next
        if not self._made.editions:
            return
        if self.shadows is not None:
            self._house.experiments.begin(self._made.editions)
            if self._house.is_first:
                self._watcher = self._watcher or Watcher(self._house)
                self._watcher.start()
        self.refresh()

    def refresh(self) -> None:
        """Take over what was decided, by whichever process. Some 10 µs; none without experiments."""
        if self._made.editions:
            self._made.stand(self._house.experiments.all())

    def metrics(self) -> list[str]:
        """Lines in Prometheus' text format: what became of shadows; none where none was wanted."""
        counts = {} if self.shadows is None else self.shadows.counts
        lines = [
            f'greenroom_shadows_total{{arm="{arm}",outcome="{what}"}} {count}'
            for (arm, what), count in sorted(counts.items())
        ]
        return ["# TYPE greenroom_shadows_total counter", *lines] if lines else []

    def _call(self, name: str, arm: str, plan: ExperimentConfig, models: "Models") -> Dispatch | None:
        model = plan.arms[arm].model
        call = None if model is None else models.dispatch(model)
        if model is not None and call is None:
            raise ConfigError(
                f"{self._house.source}: experiments.{name}.arms.{arm}.model is '{model}', which is neither a "
                "configured model nor 'provider/model' of a configured provider."
            )
        return call

    def _shadows_of(
        self, name: str, plan: ExperimentConfig, calls: Mapping[str, Dispatch | None]
    ) -> dict[str, Shadow]:
        if self.shadows is None:
            return {}
        key = self._house.experiments.key
        return {
            arm: Shadow(name, arm, share, call, key, self.shadows, is_busy(call))
            for arm, share in plan.shadows.items()
            if (call := calls[arm]) is not None
        }


def free_for(name: str, table: AppConfig, free: frozenset[str]) -> frozenset[str]:
    """The apps whose prompts may name the model: an arm with a model of its own is none of them."""
    return free - {name} if table.model is not None else free


def is_busy(call: Dispatch) -> Callable[[], bool]:
    """Whether a target with a limit on its calls is at work: its places are for clients."""
    limited = [one.health for one in call.targets if one.health.parallel]
    return lambda: any(health.at_work for health in limited)


def observed(house: "House", name: str, plan: ExperimentConfig, since_ns: int) -> dict[str, list[Seen]]:
    """What the traces say of every arm."""
    scores = {plan.metric, *(guard.metric for guard in plan.guards)} - set(MEASURED)
    return {
        arm: list(
            house.traces.observed(
                Wanted(plan.app, f"{name}/{arm}", since_ns, plan.unit, tuple(sorted(scores)))
            )
        )
        for arm in (*plan.shares, *plan.shadows)
    }


def decide(
    house: "House", name: str, state: State, arm: str, why: str, by: str, address: str = "",
    edition: str | None = None,
) -> None:  # fmt: skip
    """Write a decision down, in the audit log too. Raises: NotFound, Conflict."""
    before = house.experiments.all().get(name)
    if state == PROMOTED:
        move_label(house, name, arm, by, address)
    house.experiments.decide(name, state, arm=arm, why=why, who=by, edition=edition)
    house.keys.audit(
        by,
        f"experiment.{'promote' if state == PROMOTED else 'stop'}",
        None if before is None else {"state": before.state, "arm": before.arm},
        {"experiment": name, "state": state, "arm": arm, "why": why},
        address=address,
    )
    house.trials.refresh()


def move_label(house: "House", name: str, arm: str, by: str, address: str) -> None:
    """Where the app's prompt is named by a label, have it stand for the version of an arm.

    Raises: PromptNotFound.
    """
    plan = house.config.experiments[name]
    label = label_of(house.config, plan, arm)
    prompt = plan.arms[arm].prompt
    if label is None or prompt is None:
        return
    from greenroom.assembly.promptdesk import PromptDesk  # noqa: PLC0415  # it knows the house, which knows this

    wanted = parse_reference(prompt)
    assert wanted.selector is not None
    PromptDesk(house).promote(
        wanted.name, wanted.selector, label, by=by, address=address, note=f"experiment {name}, arm {arm}"
    )
    house.refresh_prompts()


def label_of(config: Config, plan: ExperimentConfig, arm: str) -> str | None:
    """The label that promoting an arm moves: that of the app's prompt, where the arm is a version of it."""
    own, app = plan.arms[arm].prompt, config.apps.get(plan.app)
    if own is None or app is None or app.prompt is None:
        return None
    name, selector = parse_reference(app.prompt)
    if name != parse_reference(own).name or isinstance(selector, int) or selector == LATEST:
        return None
    return selector or PRODUCTION


class Watcher(Looking):
    """Looks at guards and rules in a thread of its own, and decides what they say."""

    def __init__(self, house: "House") -> None:
        super().__init__("greenroom-experiments")
        self._house = house

    def _run(self) -> None:
        wait_s, last = LOOK_S, None
        while not self._stopping.wait(wait_s):
            began = time.monotonic()
            try:
                newest = self._house.traces.newest()
                if newest != last:
                    self.look()
                    last = newest
            except GreenroomError as error:
                log.error("experiments not looked at", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the thread goes on: guards must look again, whatever broke this once
                log.exception("experiments not looked at")
            wait_s = min(MOST_S, max(LOOK_S, _SPARE * (time.monotonic() - began)))

    def look(self) -> None:
        """One look at every experiment that runs and may be ended. Raises: StoreError."""
        standings = self._house.experiments.all()
        for name, plan in self._house.config.experiments.items():
            standing = standings.get(name)
            if standing is None or standing.state != RUNNING or standing.edition != plan.edition:
                continue
            if not plan.guards and plan.decide == "tell":
                continue
            self._judge(name, plan, standing)

    def _judge(self, name: str, plan: ExperimentConfig, standing: Standing) -> None:
        found = report(plan, observed(self._house, name, plan, standing.since_ns))
        broken = next((one for one in found.guards if one.is_broken), None)
        if broken is not None:
            why = f"arm '{broken.arm}': {broken.metric} surely is worse than the control's"
            why += f" by more than {broken.limit:g}" if broken.limit else ""
            self._end(name, plan, STOPPED, "", why, GUARD)
        elif plan.decide == "promote" and found.winner is not None and not found.is_mismatched:
            self._end(
                name,
                plan,
                PROMOTED,
                found.winner,
                f"'{plan.metric}' surely is better than the control's",
                RULE,
            )
        elif plan.decide != "tell" and found.is_lost:
            self._end(name, plan, STOPPED, "", f"'{plan.metric}' surely is worse in every arm", RULE)

    def _end(self, name: str, plan: ExperimentConfig, state: State, arm: str, why: str, by: str) -> None:
        try:
            decide(self._house, name, state, arm, why, by, edition=plan.edition)
        except Conflict:  # somebody was quicker
            return
        log.warning("experiment ended", extra={"experiment": name, "state": state, "arm": arm, "why": why})
