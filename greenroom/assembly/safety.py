"""What the page of safety asks: findings over time, rules, policies, and what was no danger."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from greenroom.assembly.audit import Audit
from greenroom.assembly.feedback import score_trace
from greenroom.assembly.house import House
from greenroom.errors import NotFound
from greenroom.server.pages.access import own_project, seen
from greenroom.stages.check.policy import PolicyConfig, many
from greenroom.store.audit import AuditFilter
from greenroom.store.safety import DAY_S, HOUR_S, Scope, Step, Sum, score_name
from greenroom.store.scores import Score

Record = dict[str, Any]  # Any: JSON
_BY_THE_HOUR = 7
"""Up to so many days are told hour by hour."""


class SafetyDesk:
    """Answers in worker threads, of the projects that may be seen. Raises: StoreError; NotFound."""

    def __init__(self, house: House) -> None:
        self._house = house

    def over(self, days: int, project: str | None, app: str | None) -> Record:
        """Sums of the last days: `steps` of time, `rules`, `policies`, and what was marked as false alarm."""
        project = own_project(project)
        scope = _scope(days, project, app)
        counts = self._house.traces.audit.sums
        sums = counts.sums(scope)
        marked = counts.false_alarms(scope)
        return {
            "days": days,
            "step_s": scope.span,
            "since_s": scope.since_s,
            "found": sum(one.found for one in sums),
            "by_action": dict(Counter(_counted(sums, "action")).most_common()),
            "by_category": dict(Counter(_counted(sums, "category")).most_common()),
            "steps": [_told(one) for one in counts.over_time(scope)],
            "rules": _rules(sums, marked),
            "policies": self._policies(sums),
            "false_alarms": sum(marked.values()),
            "apps": list(dict.fromkeys(("default", *self._house.config.apps))),
        }

    def findings(
        self, rule: str | None, category: str | None, project: str | None, app: str | None, limit: int
    ) -> list[Record]:
        """The newest findings that fit, each with `is_false_alarm`."""
        wanted = AuditFilter(rule=rule, category=category, project=own_project(project), app=app, limit=limit)
        found = self._house.traces.audit.list(wanted)
        pairs = [(one["exchange"], score_name(one["rule"])) for one in found]
        marked = self._house.traces.audit.sums.marked(pairs)
        return [{**one, "is_false_alarm": pair in marked} for one, pair in zip(found, pairs, strict=True)]

    def mark(self, number: int, *, is_false: bool, by: str, address: str) -> Record:
        """Say of a finding that it is none, or that it is one after all: a score of its exchange.

        Raises: NotFound where the finding, or the exchange it is of, is kept no longer; MalformedRequest.
        """
        one = self._house.traces.audit.find(number)
        if one is None or seen() not in {None, one["project"]}:
            raise NotFound("There is no such finding. Its time may be over.")
        said = f"Finding {number} of {one['rule']} ({one['category']}) " + (
            "is a false alarm." if is_false else "is one after all."
        )
        score = Score(name=score_name(one["rule"]), value=float(is_false), comment=said)
        if score_trace(self._house, None, one["exchange"], score) is None:
            raise NotFound("The request of this finding is kept no longer, so nothing can be said of it.")
        about = {"finding": number, "exchange": one["exchange"], "rule": one["rule"]}
        what = "finding.false_alarm" if is_false else "finding.confirmed"
        Audit(self._house).note(by, what, about, address=address)
        return one

    def _policies(self, sums: Sequence[Sum]) -> list[Record]:
        """Policies of the configuration in their order, with how often each decided or would have."""
        decided, would = Counter[str](), Counter[str]()
        for one in sums:
            decided[one.policy] += one.found
            would[one.shadow] += one.found
        return [
            {
                "name": name, "action": table.action, "is_shadow": table.shadow,
                "conditions": conditions(table),
                "decided": would[name] if table.shadow else decided[name],
            }
            for name, table in self._house.config.policies.items()
            if seen() is None or not table.project or _is_of(seen() or "", many(table.project))
        ]  # fmt: skip


def conditions(table: PolicyConfig) -> list[str]:
    """What must hold for a policy to fit, in words; empty where it fits everything."""
    said = []
    for name in ("app", "project", "key", "direction", "origin", "step", "category", "rule"):
        values = many(asdict(table)[name])
        if values:
            said.append(f"{name} {' or '.join(values)}")
    if (table.min_severity, table.max_severity) != (0, 10):
        said.append(f"severity {table.min_severity} to {table.max_severity}")
    if table.allow:
        said.append(f"{len(table.allow)} allowed patterns")
    if table.route_to:
        said.append(f"to {table.route_to}")
    return said


def _is_of(project: str, names: Sequence[str]) -> bool:
    return any(project.startswith(one[:-1]) if one.endswith("*") else project == one for one in names)


def _scope(days: int, project: str | None, app: str | None) -> Scope:
    span = HOUR_S if days <= _BY_THE_HOUR else DAY_S
    return Scope(span, int(time.time()) - days * DAY_S + span, project, app)


def _counted(sums: Sequence[Sum], name: str) -> Counter[str]:
    found = Counter[str]()
    for one in sums:
        found[getattr(one, name)] += one.found
    return found


def _rules(sums: Sequence[Sum], marked: dict[str, int]) -> list[Record]:
    """Each rule with what was done about it, the most frequent first."""
    by_rule: dict[str, Record] = {}
    for one in sums:
        row = by_rule.setdefault(
            one.rule,
            {"rule": one.rule, "category": one.category, "found": 0, "actions": Counter[str](),
             "false_alarms": marked.get(score_name(one.rule), 0)},
        )  # fmt: skip
        row["found"] += one.found
        row["actions"][one.action] += one.found
    rows = [{**row, "actions": dict(row["actions"].most_common())} for row in by_rule.values()]
    return sorted(rows, key=lambda row: -row["found"])


def _told(one: Step) -> Record:
    return one._asdict()
