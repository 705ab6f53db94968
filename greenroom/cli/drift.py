"""`greenroom drift`: what moved against the weeks before, what is accepted, and the canary prompts."""

import asyncio
import time
from typing import Any

from cyclopts import App

from greenroom.cli.output import console, fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, INCONCLUSIVE, USAGE, Here, Place

app = App(name="drift", help="See what moved against the weeks before, and ask canary prompts.")

Record = dict[str, Any]  # Any: JSON
_WHO = "command line"


@app.command
def show(
    *, project: str | None = None, app: str | None = None, metric: str | None = None, json: bool = False,
    place: Here,
) -> int:  # fmt: skip
    """Show how every app stands: exit 0 for as before, 1 when something moved, 2 while that is not known.

    Parameters
    ----------
    project
        Apps of this project only.
    app
        With --metric: one metric of this app, with example requests.
    metric
        Such as language, topic, answer_words or latency.
    json
        Print it as JSON.
    """
    from greenroom.assembly.driftdesk import DriftDesk  # noqa: PLC0415  # a large import; others need none

    if (app is None) != (metric is None):
        return fail("--app and --metric go together.", USAGE)
    desk = DriftDesk(place.open())
    if app is not None and metric is not None:
        found = desk.show(project or "default", app, metric)
        if json:
            print_json(found)
        else:
            _print_metric(found)
        return FINE
    found = desk.overview(project)
    if json:
        print_json(found)
    else:
        _print(found)
    states = {one["state"] for one in found["apps"]}
    if "moved" in states:
        return FINDINGS
    return FINE if states == {"stable"} else INCONCLUSIVE


@app.command
def look(*, json: bool = False, place: Here) -> int:
    """Read the hours that have passed and look once, as a running server does by itself every hour.

    Parameters
    ----------
    json
        Print how every app stands as JSON.
    """
    from greenroom.assembly.drifting import DriftWatch  # noqa: PLC0415  # as above

    DriftWatch(place.open()).turn(time.time())
    return show(json=json, place=place)


@app.command
def accept(name: str, /, *, project: str = "default", json: bool = False, place: Here) -> int:
    """Take what an app is like now as how it is: its alerts end, and it is learnt anew.

    Parameters
    ----------
    name
        The app.
    project
        Of which project.
    json
        Print since when as JSON.
    """
    from greenroom.assembly.driftdesk import DriftDesk  # noqa: PLC0415  # as above

    found = DriftDesk(place.open()).accept(project, name, _WHO, "")
    if json:
        print_json(found)
    else:
        print(f"Accepted. '{name}' is learnt anew since {found['since']}; for a week nothing is told of it.")
    return FINE


@app.command
def canaries(*, run: bool = False, accept: str | None = None, json: bool = False, place: Here) -> int:
    """List the models that are asked the canary prompts: exit 1 when one answers otherwise than at first.

    Parameters
    ----------
    run
        Ask all of them now, beside a running server or without one; it costs what a day's run costs.
    accept
        Have the next runs of this target be what it is held against.
    json
        Print them with their runs as JSON.
    """
    from greenroom.assembly.driftdesk import DriftDesk  # noqa: PLC0415  # as above

    if run and accept is not None:
        return fail("--run and --accept don't go together.", USAGE)
    if run:
        if not place.load().canaries.models:
            return fail("No model is named under [canaries] in the configuration.", USAGE)
        asyncio.run(_run(place))
    desk = DriftDesk(place.open())
    if accept is not None:
        desk.accept_canary(accept, _WHO, "")
    found = desk.canaries()
    if json:
        print_json({"data": found})
    else:
        print_table(
            ("target", "state", "answered", "likeness", "at first", "p", "usd", "when"),
            [_run_row(one["target"], one["runs"][0] if one["runs"] else None) for one in found],
        )
    newest = {one["runs"][0]["state"] for one in found if one["runs"]}
    return FINDINGS if "changed" in newest else INCONCLUSIVE if "failed" in newest else FINE


async def _run(place: Place) -> None:
    from greenroom.assembly.canary_runs import run, targets  # noqa: PLC0415  # as above

    house = place.open()
    async with house.running(as_guest=True):
        for target in targets(house, house.config.canaries):
            await run(house, target, time.time())


def _run_row(target: str, run: Record | None) -> list[object]:
    if run is None:
        return [target, "not asked yet", *[None] * 6]
    return [
        target, run["state"], f"{run['answered']}/{run['asked']}", _figure(run["now"]),
        _figure(run["before"]), _figure(run["p"]), _figure(run["cost_usd"]), run["at"],
    ]  # fmt: skip


def _print(found: Record) -> None:
    out = console()
    if not found["apps"]:
        out.print("Nothing was read yet. A running server reads a few requests after every full hour.")
    for one in found["apps"]:
        state = one["state"].replace("_", " ")
        if one["state"] == "learning":
            state += f", {one['missing_h']} hours of a first week are missing"
        out.print(f"{one['app']} ({one['project']}): {state}. {one['readings']['window']} requests read.")
        if one["metrics"]:
            print_table(
                ("app", "metric", "before", "now", "effect", "p", "since"),
                [
                    [
                        one["app"], f"{two['metric']} {two['about']}".strip(), two["was"] or None,
                        two["now"] or None, f"{two['kind']} {two['effect']:+.2f}", f"{two['p']:.2g}",
                        two["open_since"],
                    ]
                    for two in one["metrics"]
                ],
            )  # fmt: skip


def _print_metric(found: Record) -> None:
    out = console()
    out.print(f"{found['app']}: {found['told'] or 'not looked at yet'}.")
    for side in ("new", "old"):
        rows = [[side, one["id"], one["at"], one["asked"]] for one in found["examples"][side]]
        print_table(("window", "id", "at", "asked"), rows)


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"
