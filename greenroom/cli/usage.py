"""`greenroom usage`: what was used and what it cost, summed up from the ledger."""

from datetime import date, timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from greenroom.assembly.budgets import budgets as budgets_of
from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINE, USAGE, Here
from greenroom.store.usage import Asked, Dimension, parse_by, total
from greenroom.store.usage import usage as usage_of

_COUNTS = (
    ("requests", "requests"), ("calls", "calls"), ("input_tokens", "input"), ("cached_tokens", "cached"),
    ("output_tokens", "output"), ("cost_usd", "usd"), ("unpriced_calls", "unpriced"),
)  # fmt: skip


def usage(
    *,
    by: Annotated[list[str] | None, Parameter(negative=())] = None,
    since: date | None = None,
    until: date | None = None,
    project: str | None = None,
    key: str | None = None,
    model: str | None = None,
    app: str | None = None,
    user: str | None = None,
    tag: str | None = None,
    budgets: bool = False,
    json: bool = False,
    place: Here,
) -> int:
    """Sum up tokens and costs. Works while a server runs, whose last 50 ms may be missing.

    Days are days in UTC. Costs that are not known are in no sum; "unpriced" counts the calls they are of.

    Parameters
    ----------
    by
        What to sum up by: project, key, model, app, user, tag or day; several joined by commas, or given more
        than once. Without it, day.
    since
        The first day, as 2026-11-01; without it all.
    until
        The last day.
    project
        Of this project only.
    key
        Of the key with this id only.
    model
        Of this target only, as openai/gpt-5-mini.
    app
        Of this app only.
    user
        Of this user only.
    tag
        With this tag only, as team=search.
    budgets
        Print what is left of each budget instead, those nearest to their end first.
    json
        Print rows and their sum as JSON.
    """
    if budgets:
        if any((by, since, until, project, key, model, app, user, tag)):
            return fail("--budgets goes with --json only: it lists every budget's present period.", USAGE)
        return _print_budgets(budgets_of(place.open()), as_json=json)
    try:
        dimensions: tuple[Dimension, ...] = parse_by(",".join(by or ["day"]))
    except ValueError as error:
        return fail(f"{error}.", USAGE)
    asked = Asked(dimensions, project, key, model, app, user, tag, since, until and until + timedelta(days=1))
    rows = usage_of(place.open().books, asked)
    whole = None if "tag" in dimensions else total(rows)  # a call counts under each of its tags
    if json:
        print_json({"by": dimensions, "data": rows, "total": whole})
        return FINE
    lines = [[*(row[name] for name in dimensions), *(row[name] for name, _ in _COUNTS)] for row in rows]
    if whole is not None and len(rows) > 1:
        empty = [""] * (len(dimensions) - 1)
        lines.append(["all", *empty, *(whole[name] for name, _ in _COUNTS)])
    print_table((*dimensions, *(heading for _, heading in _COUNTS)), lines)
    return FINE


def _print_budgets(rows: list[dict[str, Any]], *, as_json: bool) -> int:  # Any: JSON
    if as_json:
        print_json({"data": rows})
        return FINE
    headings = ("budget", "of", "period", "renews", "limit", "spent", "reserved", "left")
    print_table(
        headings,
        [
            [
                row["budget"],
                " ".join(row[part] for part in ("project", "key", "user", "tag") if row[part]) or "all",
                row["period"], row["renews"] or "never", row["limit_usd"], row["spent_usd"],
                row["reserved_usd"], row["left_usd"],
            ]
            for row in rows
        ],
    )  # fmt: skip
    return FINE
