"""`greenroom experiments`: what live traffic says of models and prompts. A server follows in a second."""

from typing import Any

from cyclopts import App

from greenroom.cli.output import console, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, INCONCLUSIVE, Here

app = App(name="experiments", help="Compare models and prompts in live traffic.")

Record = dict[str, Any]  # Any: JSON
_WHO = "command line"


@app.command(name="list")
def list_experiments(*, json: bool = False, place: Here) -> int:
    """List the experiments of the configuration, and how they stand.

    Parameters
    ----------
    json
        Print a JSON array.
    """
    from greenroom.assembly.experiments import ExperimentDesk  # noqa: PLC0415  # a large import; others need none of it

    rows = ExperimentDesk(place.open()).experiments()
    if json:
        print_json(rows)
    else:
        print_table(
            ("experiment", "app", "unit", "metric", "state", "arms", "since"),
            [
                (one["name"], one["app"], one["unit"], one["metric"], _state(one), _shares(one), one["since"])
                for one in rows
            ],
        )
    return FINE


@app.command
def show(name: str, /, *, json: bool = False, place: Here) -> int:
    """Show what an experiment says now: exit 0 when it is certain, 2 while it is not, 1 for something wrong.

    Wrong is a guard that is broken, numbers that don't fit the shares, or every arm surely worse than the
    app as it is. Look as often as you like: the intervals hold at every moment.

    Parameters
    ----------
    name
        The experiment.
    json
        Print it as JSON.
    """
    from greenroom.assembly.experiments import ExperimentDesk  # noqa: PLC0415  # as above

    found = ExperimentDesk(place.open()).show(name)
    if json:
        print_json(found)
    else:
        _print(found)
    if found["is_mismatched"] or found["is_lost"] or any(one["is_broken"] for one in found["guards"]):
        return FINDINGS
    if any(one["verdict"] == "undecided" for one in found["comparisons"]):
        return INCONCLUSIVE
    return FINE


@app.command
def stop(name: str, /, *, why: str = "", json: bool = False, place: Here) -> int:
    """Stop an experiment: all traffic goes back to the app as it is.

    Parameters
    ----------
    name
        The experiment.
    why
        The reason, for whoever looks later.
    json
        Print how it stands as JSON.
    """
    from greenroom.assembly.experiments import ExperimentDesk  # noqa: PLC0415  # as above

    found = ExperimentDesk(place.open()).stop(name, why, _WHO, "")
    if json:
        print_json(found)
    else:
        print(
            f"Stopped. The app '{found['app']}' answers as it is. To run it again: experiments start {name}"
        )
    return FINE


@app.command
def start(name: str, /, *, json: bool = False, place: Here) -> int:
    """Have a stopped experiment run again: it counts from now.

    Parameters
    ----------
    name
        The experiment.
    json
        Print how it stands as JSON.
    """
    from greenroom.assembly.experiments import ExperimentDesk  # noqa: PLC0415  # as above

    found = ExperimentDesk(place.open()).start(name, _WHO, "")
    if json:
        print_json(found)
    else:
        print(f"It runs again, and counts from {found['since']}.")
    return FINE


@app.command
def promote(name: str, arm: str, /, *, json: bool = False, place: Here) -> int:
    """Have all traffic of the app go to one arm.

    Parameters
    ----------
    name
        The experiment.
    arm
        The arm.
    json
        Print how it stands as JSON.
    """
    from greenroom.assembly.experiments import ExperimentDesk  # noqa: PLC0415  # as above

    found = ExperimentDesk(place.open()).promote(name, arm, _WHO, "")
    if json:
        print_json(found)
    else:
        print(f"Promoted '{arm}'. {found['to_keep']}")
    return FINE


def _state(one: Record) -> str:
    return f"promoted {one['promoted']}" if one["promoted"] else str(one["state"])


def _shares(one: Record) -> str:
    return ", ".join(f"{name} {100 * share:g} %" for name, share in one["arms"].items())


def _print(found: Record) -> None:
    out = console()
    since = f" since {found['since'][:16]}" if found["since"] else ""
    out.print(f"{found['name']}: {_state(found)}{since}. App {found['app']}, unit {found['unit']}.")
    if found["why"]:
        out.print(f"Decided by {found['decided_by']}: {found['why']}.")
    if found["to_keep"]:
        out.print(found["to_keep"])
    for warning in found["warnings"]:
        out.print(f"! {warning}")
    headings = ("arm", "share", "units", "exchanges", found["metric"], "of units", "refused", "failed")
    print_table((*headings, "usd", "ms", "tokens"), [_row(one) for one in found["arms"]])
    sure = f"{100 * found['confidence']:g} %"
    for one in found["comparisons"]:
        out.print(
            f"{one['arm']} less control, {one['metric']}: {_figure(one['difference'])}, surely ({sure}) "
            f"{_between(one)}: {one['verdict']} ({one['method']})."
        )
    for one in found["guards"]:
        state = "BROKEN" if one["is_broken"] else "holds"
        out.print(f"guard {one['metric']} of {one['arm']}, limit {one['limit']:g}: {_between(one)}, {state}.")


def _row(one: Record) -> list[object]:
    name = f"{one['arm']} (shadow)" if one["is_shadow"] else one["arm"]
    return [
        name, f"{100 * one['share']:g} %", one["units"], one["exchanges"], _figure(one["mean"]),
        one["valued"], _percent(one["refused"]), _percent(one["failed"]), _figure(one["cost_usd"]),
        _figure(one["latency_ms"]), _figure(one["tokens"]),
    ]  # fmt: skip


def _between(one: Record) -> str:
    if one["low"] is None or one["high"] is None:
        return "not known yet"
    return f"from {_figure(one['low'])} to {_figure(one['high'])}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
