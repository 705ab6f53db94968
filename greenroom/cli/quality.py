"""`greenroom quality`: scores of live traffic with their intervals, and what the rules do."""

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from greenroom.cli.output import console, fail, print_json, print_table
from greenroom.cli.place import FINE, USAGE, Here

Record = dict[str, Any]  # Any: JSON


def quality(
    *,
    days: Annotated[int, Parameter(validator=Number(gte=1, lte=400))] = 30,
    project: str | None = None,
    app: str | None = None,
    model: str | None = None,
    prompt: str | None = None,
    by: str | None = None,
    json: bool = False,
    place: Here,
) -> int:
    """Show scores of live traffic: means with 95 % intervals, and what the rules of [quality] did today.

    Parameters
    ----------
    days
        Of exchanges of so many days, today among them.
    project
        Of this project only.
    app
        Of this app only.
    model
        Of this target only, as openai/gpt-5-mini.
    prompt
        Of this version of a prompt only, as greet@3.
    by
        Split each score by app, model or prompt.
    json
        Print all of it as JSON, by day as well.
    """
    from greenroom.assembly.qualitydesk import QualityDesk  # noqa: PLC0415  # a large import; others need none

    if by not in (None, "app", "model", "prompt"):
        return fail("--by must be app, model or prompt.", USAGE)
    found = QualityDesk(place.open()).quality(project, days, app, model, prompt)
    if json:
        print_json(found)
        return FINE
    rows = []
    for one in found["scores"]:
        rows.append([one["name"], one["source"], "all", *_figures(one)])
        rows += [["", "", row["name"], *_figures(row)] for row in (one["by"][by] if by else ())]
    print_table(("score", "source", "of", "mean", "low", "high", "n"), rows)
    if not rows:
        console().print("No exchange was scored in these days.")
    for one in found["rules"]:
        told = ", ".join(f"{count} {what}" for what, count in one["today"].items()) or "nothing"
        spent = "" if one["usd_a_day"] is None else f", ${one['usd']:.4f} of ${one['usd_a_day']:g}"
        console().print(f"{one['name']} ({one['scorer']}): {told} today{spent}.")
    return FINE


def _figures(one: Record) -> list[object]:
    return [
        *(None if one[name] is None else f"{one[name]:.3f}" for name in ("mean", "low", "high")),
        one["n"],
    ]
