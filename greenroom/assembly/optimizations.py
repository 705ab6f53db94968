"""What the pages of optimisation ask: runs with their candidates, and the processes that make them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.json import decode

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.assembly.launches import Launch, Launches, command_of
from greenroom.assembly.promptdesk import PromptDesk
from greenroom.errors import Conflict, MalformedRequest, NotFound
from greenroom.store.material import dollars, stamp
from greenroom.store.trials import FILE, RunRow, Trials

Record = dict[str, Any]  # Any: JSON
KIND = "optimize"
FOLDER = "optimizing"
_LISTED = 100
_TRACES = 200
"""Recorded exchanges that a run may learn from."""
_METHODS = ("both", "rewrite", "examples")
_MOST_CALLS = 1_000_000


class OptimizationDesk:
    """Answers `Optimizations` of the pages."""

    def __init__(self, house: House, command: Sequence[str] | None = None) -> None:
        """`command` is what makes runs; without it, Greenroom's own."""
        self._house = house
        self._command = command or command_of(house.config_path, house.data)
        self._launched = Launches(house.data / FOLDER)

    def runs(self) -> list[Record]:
        """The newest runs, and what was begun and has not come to be one; makes no store."""
        launches = self._by_run()
        with self._trials() as trials:
            rows = [] if trials is None else trials.runs(KIND, _LISTED)
            found = [
                self._told(row, trials, launches.pop(row.id, None)) for row in rows if trials is not None
            ]
        begun = [self._begun(one) for id, one in launches.items() if id == one.id]
        return sorted([*begun, *found], key=lambda one: str(one["began_at"]), reverse=True)

    def show(self, id: str) -> Record:
        """A run with its candidates and its decision. Raises: NotFound."""
        launch = self._launch(id)
        run = None if launch is None else self._launched.run_of(launch)
        said = [] if launch is None else self._launched.said(launch)
        with self._trials() as trials:
            row = None if trials is None else trials.run(id, KIND)
            if row is not None and trials is not None:
                return {
                    **self._told(row, trials, launch),
                    "candidates": [decode(one) for one in trials.candidates(id)],
                    "result": None if row.result is None else decode(row.result),
                    "said": said,
                    "saved": self._saved(id),
                }
        if launch is None:
            raise NotFound("There is no such run.")
        return {
            **self._begun(launch),
            "run": run if run != id else None,
            "candidates": [],
            "result": None,
            "said": said,
            "saved": None,
        }

    def choices(self) -> Record:
        """What a run may be started with."""
        from greenroom.offline.evals.scorers.registry import SCORERS  # noqa: PLC0415  # only where somebody looks

        house = self._house
        return {
            "prompts": [one["name"] for one in PromptDesk(house).prompts()],
            "data": self._data(),
            "metrics": {name: kind.summary for name, kind in SCORERS.items() if name != "python"},
            "apps": list(house.gateway.rooms.apps),
            "models": list(house.gateway.rooms.models),
            "methods": list(_METHODS),
        }

    def start(self, asked: Mapping[str, str], by: str, address: str) -> str:
        """Begin a run in a process of its own; the id. Raises: RequestError; Conflict while one works."""
        arguments = self._arguments(asked)
        return self._begin(arguments, by, address)

    def go_on(self, id: str, by: str, address: str) -> str:
        """Begin a stopped run again: what it paid for is not paid again. Raises: Conflict."""
        launch = self._launch(id)
        if launch is None:
            raise Conflict(
                "This run was not started here. The same command on the command line goes on with it."
            )
        return self._begin(launch.arguments, by, address, id)

    def stop(self, id: str, by: str, address: str) -> None:
        """End the process of a run; what was paid for is kept. Raises: Conflict for none of ours."""
        launch = self._launch(id)
        if launch is None or not self._launched.end(launch):
            raise Conflict("No process that was started here is at work on this run.")
        Audit(self._house).note(by, "optimize.stop", {"run": id}, address=address)

    def _begin(self, arguments: tuple[str, ...], by: str, address: str, run: str | None = None) -> str:
        house = self._house
        env = {**os.environ, **house.environment}
        command = [*self._command, "--key", by]  # whoever begins it pays, or goes on with it
        launch = self._launched.begin(command, arguments, by, env, run)
        Audit(house).note(
            by, "optimize.start", {"launch": launch.id, "asked": list(arguments)}, address=address
        )
        return launch.id

    def _arguments(self, asked: Mapping[str, str]) -> tuple[str, ...]:
        """The command's arguments, each held to what there is: nothing of a form becomes a path."""
        choices = self.choices()
        version = PromptDesk(self._house).registry.find(asked.get("prompt", ""))
        data = {one["key"]: one["samples"] for one in choices["data"]}.get(asked.get("data", ""))
        if data is None:
            raise MalformedRequest("Choose the samples: a kept data set, or the requests of an app.", "data")
        arguments = ["--prompt", version.reference, "--samples", data]
        for name, allowed in (
            ("metric", choices["metrics"]), ("method", choices["methods"]), ("app", ("", *choices["apps"])),
            ("model", ("", *choices["models"])), ("reflection_model", ("", *choices["models"])),
        ):  # fmt: skip
            value = asked.get(name, "")
            if value not in allowed:
                raise MalformedRequest(f"'{name}' is none of those there are.", name)
            arguments += [f"--{name.replace('_', '-')}", value] if value else []
        budget, calls = _positive(asked, "budget_usd"), _positive(asked, "max_calls")
        if budget is None and calls is None:
            raise MalformedRequest(
                "Say what it may cost: a budget in US dollars, or a number of calls.", "budget_usd"
            )
        arguments += [] if budget is None else ["--budget-usd", f"{budget:.9f}"]
        arguments += [] if calls is None else ["--max-calls", str(min(int(calls), _MOST_CALLS))]
        return tuple(arguments)

    def _data(self) -> list[Record]:
        from greenroom.store.data_sets import DataSets  # noqa: PLC0415  # as above

        found: list[Record] = []
        if (self._house.data / "evals.db").exists():
            newest = {one.name: one for one in reversed(DataSets(self._house.evals).list("default"))}
            found += [
                {
                    "key": one.digest,
                    "samples": one.digest,
                    "title": f"{one.name}@{one.version}, {one.rows:,} rows",
                }
                for one in newest.values()
            ]
        for app in self._house.gateway.rooms.apps:
            samples = f"traces:app={app},limit={_TRACES}"
            found.append({"key": samples, "samples": samples, "title": f"recorded requests of {app}"})
        return found

    @contextmanager
    def _trials(self) -> Iterator[Trials | None]:
        """The file of runs, where there is one: opened to be looked into."""
        if not (self._house.data / FILE).exists():
            yield None
            return
        trials = Trials(self._house.data)
        try:
            yield trials
        finally:
            trials.close()

    def _by_run(self) -> dict[str, Launch]:
        """The newest launch of each run, under its id, or under its own until it has said which run it is."""
        return {self._launched.run_of(one) or one.id: one for one in reversed(self._launched.all())}

    def _launch(self, id: str) -> Launch | None:
        found = [one for one in self._launched.all() if id in {one.id, self._launched.run_of(one)}]
        return next((one for one in found if self._launched.is_alive(one)), found[0] if found else None)

    def _told(self, row: RunRow, trials: Trials, launch: Launch | None) -> Record:
        _, prompt, metric = decode(row.settings)
        result = None if row.result is None else decode(row.result)
        is_alive = result is None and trials.is_at_work(row.id)
        judged, _ = trials.judged(row.id)
        state = result["decision"]["verdict"] if result else "running" if is_alive else "stopped"
        return {
            "id": row.id, "prompt": prompt, "metric": metric, "state": state, "began_at": stamp(row.began_ns),
            "spent_usd": dollars(self._house.evals.spent(row.id).nano_usd + judged),
            "by": "" if launch is None else launch.by, "is_ours": launch is not None,
            "sentence": result["decision"]["sentence"] if result else "",
        }  # fmt: skip

    def _begun(self, launch: Launch) -> Record:
        asked = dict(zip(launch.arguments[::2], launch.arguments[1::2], strict=False))
        said = self._launched.said(launch)
        is_alive = self._launched.is_alive(launch)
        return {
            "id": launch.id, "prompt": asked.get("--prompt", ""), "metric": asked.get("--metric", ""),
            "state": "running" if is_alive else "failed", "began_at": stamp(launch.at_ns), "spent_usd": None,
            "by": launch.by, "is_ours": True, "sentence": "" if is_alive or not said else said[-1],
        }  # fmt: skip

    def _saved(self, run: str) -> Record | None:
        """The stored version that a run adopted."""
        for versions in PromptDesk(self._house).registry.versions.values():
            for one in versions.values():
                if one.note.startswith(f"greenroom optimize {run}:"):
                    return {"name": one.name, "number": one.number}
        return None


def _positive(asked: Mapping[str, str], name: str) -> float | None:
    said = asked.get(name, "").strip()
    if not said:
        return None
    try:
        value = float(said)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise MalformedRequest(f"'{name}' must be a number above 0.", name)
    return value
