"""What is asked of drift: how every app stands, what moved since when, examples, what is accepted."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from greenroom.assembly.audit import Audit
from greenroom.assembly.canary_runs import RULE as CANARY_RULE
from greenroom.assembly.canary_runs import shown as shown_canaries
from greenroom.assembly.drifting import HOUR_S, chosen, ended, rule_of, told
from greenroom.assembly.drifting import shown as shown_value
from greenroom.assembly.house import House
from greenroom.errors import NotFound
from greenroom.offline.drift.canary_prompts import PROMPTS
from greenroom.offline.drift.examples import examples
from greenroom.offline.drift.look import LEAST, METRICS, Finding
from greenroom.offline.drift.reading import Reading
from greenroom.store.drift import Look, StandingRow, State, Stream
from greenroom.store.material import Record

Json = dict[str, Any]  # Any: JSON
_WORDS = 280
"""Characters of an example's texts."""


class DriftDesk:
    """Answers the API, the page and the command line. `project` None sees all projects."""

    def __init__(self, house: House) -> None:
        self._house = house

    def overview(self, project: str | None) -> Json:
        """Every app with readings, how its metrics stand, and the canaries. Raises: StoreError."""
        plan, store = self._house.config.drift, self._house.drift
        standings: dict[Stream, dict[str, StandingRow]] = {}
        for one in store.standings():
            standings.setdefault((one.project, one.app), {})[one.metric] = one
        apps = [
            self._app(state, standings.get((state.project, state.app), {}))
            for state in store.states()
            if project in (None, state.project)
        ]
        return {
            "watch": plan.watch, "window_h": plan.window_h, "looks": plan.looks, "alpha": plan.alpha,
            "pinned": None if plan.pinned is None else plan.pinned.isoformat(), "apps": apps,
            "canaries": self.canaries() if project is None else [],
        }  # fmt: skip

    def _app(self, state: State, standings: dict[str, StandingRow]) -> Json:
        stream = state.project, state.app
        looks = {one.metric: one for one in self._house.drift.looks(state.hour, stream=stream)}
        metrics = [_metric(looks[one], standings.get(one)) for one in METRICS if one in looks]
        if any(one["open_since"] for one in metrics):
            word = "moved"
        elif state.missing_h:
            word = "learning"
        elif not looks:
            word = "too_few"
        else:
            word = "stable"
        return {
            "project": state.project, "app": state.app, "state": word, "at": _iso(state.hour),
            "missing_h": state.missing_h, "least": LEAST, "metrics": metrics,
            "readings": {"window": state.n, "like": state.m, "week": state.whole},
        }  # fmt: skip

    def show(self, project: str, app: str, metric: str) -> Json:
        """One metric of one app: how it went, and example requests of both windows. Raises: NotFound."""
        stream = project, app
        state = next((one for one in self._house.drift.states() if (one.project, one.app) == stream), None)
        if state is None or metric not in METRICS:
            raise NotFound(f"Nothing is known of the metric '{metric[:60]}' of the app '{app[:60]}'.")
        looks = self._house.drift.looks(state.hour - 24 * 14, stream=stream, metric=metric)
        newest = next((one for one in reversed(looks) if one.hour == state.hour), None)
        pairs: tuple[list[Reading], list[Reading]] = ([], [])
        if newest is not None:
            _, sides = chosen(self._house, stream, state.hour)
            pairs = examples(_finding(newest), sides)
        return {
            "project": project, "app": app, "metric": metric,
            "told": "" if newest is None else told(newest),
            "history": [
                {
                    "at_s": one.hour * HOUR_S, "effect": abs(one.effect), "new": one.new, "old": one.old,
                    "p": one.p,
                }
                for one in looks
            ],
            "examples": {
                "new": self._examples(project, pairs[0]), "old": self._examples(project, pairs[1])
            },
        }  # fmt: skip

    def _examples(self, project: str, readings: list[Reading]) -> list[Json]:
        """Those whose traces are still there."""
        found = []
        for one in readings:
            record = self._house.traces.get(project, one.trace)
            if record is not None:
                found.append(
                    {
                        "id": one.trace, "at": record["created_at"], "language": one.language,
                        "model": one.model, "outcome": record["outcome"], "asked": _asked(record),
                        "said": str(record["reply"]["text"] or "")[:_WORDS],
                    }
                )  # fmt: skip
        return found

    def accept(self, project: str, app: str, by: str, address: str) -> Json:
        """Take what an app is like now as how it is: its alerts end, it is learnt anew. Raises: NotFound."""
        house, stream = self._house, (project, app)
        if all((one.project, one.app) != stream for one in house.drift.states()):
            raise NotFound(f"Nothing is known of the app '{app[:60]}' in the project '{project[:60]}'.")
        since = ended(time.time()) - house.config.drift.window_h
        house.drift.accept(stream, since, by)
        for metric in METRICS:
            house.alerts.clear(rule_of(metric), project, app, why=f"accepted by {by}")
        about = {"project": project, "app": app, "since": _iso(since)}
        Audit(house).note(by, "drift.accept", about, address=address)
        return {**about, "state": "learning"}

    # canaries

    def canaries(self) -> list[Json]:
        """Each target that is, or was, asked the canary prompts, with its runs."""
        return [
            {**one, "runs": [_run(run) for run in one["runs"]]}  # type: ignore[attr-defined]  # a list
            for one in shown_canaries(self._house)
        ]

    def canary(self, target: str, number: int) -> Json:
        """One run: every prompt, its answer, and what was answered at first. Raises: NotFound."""
        runs = self._house.drift.canary_runs(target, 500)
        run = next((one for one in runs if one.number == number), None)
        if run is None:
            raise NotFound(f"There is no canary run {number} of '{target[:100]}'.")
        answers = self._house.drift.canary_answers(number)
        first = self._house.drift.baseline(target, run.edition)
        return {
            "target": target, "number": number, "at": _iso(run.at_s / HOUR_S), "state": run.state,
            "answers": [
                {
                    "prompt": prompt, "now": answers[place][0] if place < len(answers) else "",
                    "first": first[0][place][0] if first and place < len(first[0]) else "",
                }
                for place, prompt in enumerate(PROMPTS)
            ],
        }  # fmt: skip

    def accept_canary(self, target: str, by: str, address: str) -> Json:
        """Have a model's next runs be what it is held against. Raises: NotFound."""
        if not self._house.drift.forget_baseline(target):
            raise NotFound(f"No first answers are kept of '{target[:100]}'.")
        self._house.alerts.clear(CANARY_RULE, "", target, why=f"accepted by {by}")
        about = {"target": target}
        Audit(self._house).note(by, "canaries.accept", about, address=address)
        return about


def _metric(look: Look, standing: StandingRow | None) -> Json:
    since = None if standing is None else standing.open_since
    return {
        **{
            name: getattr(look, name)
            for name in ("metric", "kind", "p", "effect", "new", "old", "about", "is_over")
        },
        "is_large": _finding(look).is_large,
        "told": told(look),
        "was": "" if look.old is None else shown_value(look.metric, look.old),
        "now": "" if look.new is None else shown_value(look.metric, look.new),
        "open_since": None if since is None else _iso(since),
    }


def _finding(look: Look) -> Finding:
    values = {name: getattr(look, name) for name in Finding.__struct_fields__}
    return msgspec.convert(values, Finding)


def _run(run: Json) -> Json:
    return {**run, "at": _iso(run["at"] / HOUR_S)}


def _asked(record: Record) -> str:
    for message in reversed(record["request"]["messages"]):
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            content = " ".join(str(one.get("text", "")) for one in content if isinstance(one, dict))
        if content and message.get("role") == "user":
            return str(content)[:_WORDS]
    return ""


def _iso(hour: float) -> str:
    return datetime.fromtimestamp(round(hour * HOUR_S), UTC).isoformat().replace("+00:00", "Z")
