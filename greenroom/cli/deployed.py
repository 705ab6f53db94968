"""What is deployed onto an app, printed for people."""

from typing import Any

from greenroom.cli.output import console, print_table, printable

Record = dict[str, Any]  # Any: JSON


def tell(found: Record) -> None:
    """Print how one app stands."""
    out = console()
    for one in found["promoted"]:
        out.print(
            printable(f"{found['app']}: answers with {_what(one)} since {one['since'][:16]} ({one['who']}).")
        )
    if not found["promoted"]:
        out.print(printable(f"{found['app']}: answers as the configuration says."))
    opened, last = found["open"], found["last"]
    if opened is None:
        if last is not None and last["state"] == "rolled_back":
            out.print(
                printable(f"Rolled back by {last['who']} at {last['at'][:19]}: {_what(last)}: {last['why']}.")
            )
        return
    out.print(
        printable(
            f"{opened['state'].capitalize()} {opened['id']}: {_what(opened)}, {100 * opened['share']:g} % "
            f"since {opened['since'][:16]}."
        )
    )
    seen = opened["comparison"]
    if seen is None:
        out.print("Nothing is seen yet: a running server compares within seconds of the first answers.")
        return
    print_table(
        ("side", "units", "exchanges", "failed", "refused", "flaws", "p50 ms", "p90 ms", "usd", "tokens"),
        [
            (one["side"], one["units"], one["exchanges"], one["failed"], one["refused"],
             ", ".join(f"{name} {count}" for name, count in one["flaws"].items()) or 0,
             _figure(one["latency_ms"]), _figure(one["latency_p90_ms"]), _figure(one["cost_usd"]),
             _figure(one["tokens"]))
            for one in seen["sides"]
        ],
    )  # fmt: skip
    print_table(
        ("metric", "current", "canary", "worse by", "surely between", "margin", "verdict"),
        [
            (one["metric"], _percent(one["current"]), _percent(one["canary"]), _percent(one["difference"]),
             f"{_percent(one['low'])} and {_percent(one['high'])}", _percent(one["margin"]), one["verdict"])
            for one in seen["metrics"]
        ],
    )  # fmt: skip
    reasons = f": {'; '.join(seen['reasons'])}" if seen["reasons"] else ""
    out.print(printable(f"{seen['verdict'].capitalize()}{reasons}."))


def _what(one: Record) -> str:
    return f"{one['kind']} '{one['name']}'"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.3g} %"
