"""What is asked of experiments over HTTP and on the command line, answered from the house's stores."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.assembly.trials import decide, label_of, observed
from greenroom.config import Config
from greenroom.errors import NotFound, RequestError
from greenroom.offline.experiments.plan import CONTROL, ExperimentConfig
from greenroom.offline.experiments.report import Report, report
from greenroom.store.experiments import PROMOTED, STOPPED, Standing, State
from greenroom.store.material import stamp

if TYPE_CHECKING:
    from greenroom.assembly.house import House

Record = dict[str, Any]  # Any: JSON


class ExperimentDesk:
    """Answers `ExperimentAdministration` of the API, and the command line."""

    def __init__(self, house: "House") -> None:
        self._house = house

    def experiments(self) -> list[Record]:
        """Every experiment of the configuration, and how it stands."""
        standings = self._standings()
        return [self._summary(name, plan, standings) for name, plan in self._plans.items()]

    def show(self, name: str) -> Record:
        """All that may be said of one now. Raises: NotFound."""
        plan = self._plan(name)
        standing = self._standings().get(name)
        begun = standing is not None and standing.edition == plan.edition
        seen = observed(self._house, name, plan, standing.since_ns) if begun and standing is not None else {}
        found = report(plan, seen)
        return {
            **self._summary(name, plan, self._standings()),
            "confidence": plan.confidence,
            **msgspec.to_builtins(found),
            "warnings": self._warnings(plan, standing if begun else None, found),
        }

    def start(self, name: str, by: str, address: str) -> Record:
        """Have a stopped one run again, counting from now. Raises: NotFound; Conflict."""
        plan = self._plan(name)
        self._house.experiments.restart(name, by)
        self._house.keys.audit(
            by, "experiment.start", {"state": STOPPED}, {"experiment": name}, address=address
        )
        self._house.trials.refresh()
        return self._summary(name, plan, self._standings())

    def stop(self, name: str, why: str, by: str, address: str) -> Record:
        """Have all traffic go back to the app as it is, for as long as the table stands. Raises: NotFound."""
        return self._decide(name, STOPPED, "", why, by, address)

    def promote(self, name: str, arm: str, by: str, address: str) -> Record:
        """Have all traffic go to one arm, for as long as the table stands. Raises: NotFound, RequestError."""
        plan = self._plan(name)
        if arm not in plan.shares or arm == CONTROL:
            known = ", ".join(one for one in plan.shares if one != CONTROL) or "none"
            raise RequestError(f"'{arm[:100]}' is no arm that can be promoted. There are: {known}.", "arm")
        return self._decide(name, PROMOTED, arm, "", by, address)

    def _decide(self, name: str, state: State, arm: str, why: str, by: str, address: str) -> Record:
        plan = self._plan(name)
        self._house.experiments.begin({name: plan.edition})  # where no server did yet
        decide(self._house, name, state, arm, why, by, address)
        return self._summary(name, plan, self._standings())

    @property
    def _plans(self) -> Mapping[str, ExperimentConfig]:
        return self._house.config.experiments

    def _plan(self, name: str) -> ExperimentConfig:
        plan = self._plans.get(name)
        if plan is None:
            raise NotFound(f"No experiment '{name[:100]}' stands in the configuration.")
        return plan

    def _standings(self) -> dict[str, Standing]:
        return self._house.experiments.all() if self._plans else {}

    def _summary(self, name: str, plan: ExperimentConfig, standings: Mapping[str, Standing]) -> Record:
        found = standings.get(name)
        standing = found if found is not None and found.edition == plan.edition else None
        state = "not begun" if standing is None else standing.state
        promoted = standing.arm if standing is not None and standing.state == PROMOTED else None
        return {
            "name": name,
            "app": plan.app,
            "unit": plan.unit,
            "metric": plan.metric,
            "state": state,
            "arms": plan.shares | plan.shadows,
            "since": None if standing is None else stamp(standing.since_ns),
            "promoted": promoted,
            "to_keep": None if promoted is None else to_keep(self._house.config, name, plan, promoted),
            "why": "" if standing is None else standing.why,
            "decided_by": "" if standing is None else standing.who,
        }

    def _warnings(self, plan: ExperimentConfig, standing: Standing | None, found: Report) -> list[str]:
        if standing is None:
            return ["It has not begun: a running server takes the file within a second."]
        told = []
        days = self._house.config.store.retention_days
        if standing.since_ns < time.time_ns() - days * 86_400_000_000_000:
            told.append(
                f"It began more than {days} days ago, and traces go after so long (store.retention_days): "
                "what is shown is of the last days only, and its intervals may miss."
            )
        if found.is_mismatched:
            told.append(
                "The numbers of units don't fit the shares. Something keeps units of one arm from being "
                "recorded: find that first, and trust no interval before."
            )
        if not any(one.exchanges for one in found.arms):
            told.append(
                f"No exchange took part yet. Those of app '{plan.app}' do"
                + (f" that name a {plan.unit}." if plan.unit != "request" else ".")
            )
        return told


def to_keep(config: Config, name: str, plan: ExperimentConfig, arm: str) -> str:
    """What was done and is to be written so that a promoted arm stays without its experiment."""
    table, label = plan.arms[arm], label_of(config, plan, arm)
    lines = [] if table.model is None else [f'model = "{table.model}"']
    told = ""
    if table.prompt is not None and label is None:
        lines.append(f'prompt = "{table.prompt}"')
    elif table.prompt is not None:
        told = f"The label '{label}' stands for {table.prompt} now. "
    if not lines:
        return f"{told}Take [experiments.{name}] out."
    return f"{told}Under [apps.{plan.app}] write {' and '.join(lines)}, then take [experiments.{name}] out."
