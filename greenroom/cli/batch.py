"""`greenroom batch`: files of requests, answered in the background by a server over the same data folder."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, INCONCLUSIVE, USAGE, Here

if TYPE_CHECKING:
    from greenroom.assembly.batchfiles import OfflineBatches

app = App(name="batch", help="Have a file of requests answered in the background, and fetch what came.")

Record = dict[str, Any]  # Any: JSON
_OPEN = frozenset({"validating", "in_progress", "finalizing", "cancelling"})


@app.command
def create(
    file: Path,
    /,
    *,
    endpoint: str = "/v1/chat/completions",
    key: str | None = None,
    budget: Annotated[float | None, Parameter(name="--budget-usd")] = None,
    json: bool = False,
    place: Here,
) -> int:
    """Keep a file of requests and begin it. A running server asks them; without one, the next that starts.

    Parameters
    ----------
    file
        A line for each request: {"custom_id": …, "method": "POST", "url": …, "body": {…}}.
    endpoint
        Where all of them go: it is the `url` of each.
    key
        Id or name of the key that they go as; otherwise the machine's own.
    budget
        What all of them together may cost, in US dollars.
    json
        Print the batch as JSON.
    """
    from greenroom.wire.batches import MOST_USD, Extension, NewBatch  # noqa: PLC0415  # other commands need none of it

    if budget is not None and not 0 < budget <= MOST_USD:
        return fail(f"--budget-usd must be greater than zero, and {MOST_USD:,} at most.", USAGE)

    def wanted(file_id: str) -> NewBatch:
        return NewBatch(
            input_file_id=file_id,
            endpoint=endpoint,
            completion_window="24h",
            greenroom=Extension(budget_usd=budget),
        )

    with _batches(place) as batches:
        made = batches.create(file, wanted, key)
    if json:
        print_json(made)
    else:
        print(f"Kept as {made['id']}. A running server begins it within a second.")
    return FINE


@app.command(name="list")
def list_batches(*, limit: int = 20, json: bool = False, place: Here) -> int:
    """List batches of all projects, newest first.

    Parameters
    ----------
    limit
        How many at most.
    json
        Print a JSON array.
    """
    with _batches(place) as batches:
        rows = batches.rows(max(0, limit))
    if json:
        print_json(rows)
    else:
        print_table(("batch", "status", "done", "failed", "of", "usd"), [_row(one) for one in rows])
    return FINE


@app.command
def show(id: str, /, *, json: bool = False, place: Here) -> int:
    """Show how a batch stands: exit 0 when all lines were answered, 1 when some failed, 2 while at work.

    Parameters
    ----------
    id
        The batch.
    json
        Print it as JSON.
    """
    with _batches(place) as batches:
        found = batches.get(id)
    if json:
        print_json(found)
    else:
        _print(found)
    if found["status"] in _OPEN:
        return INCONCLUSIVE
    return FINE if found["status"] == "completed" and not found["request_counts"]["failed"] else FINDINGS


@app.command
def cancel(id: str, /, *, json: bool = False, place: Here) -> int:
    """End a batch. What was answered is kept.

    Parameters
    ----------
    id
        The batch.
    json
        Print it as JSON.
    """
    with _batches(place) as batches:
        found = batches.cancel(id)
    if json:
        print_json(found)
    else:
        print(f"{found['id']} is {found['status']}.")
    return FINE


@app.command
def results(id: str, /, *, errors: bool = False, output: Path | None = None, place: Here) -> int:
    """Print what came of a batch, a JSON object for each line: exit 2 while it is at work.

    Parameters
    ----------
    id
        The batch.
    errors
        The lines that failed instead of those that were answered.
    output
        Write into this file instead.
    """
    with _batches(place) as batches:
        status = batches.get(id)["status"]
        if status in _OPEN:
            return fail(f"The batch is {status}. Its results come when it has ended.", INCONCLUSIVE)
        found = batches.file(id, errors=errors)
        if found is None:
            told = ("No line failed.", FINE) if errors else ("No line was answered.", FINDINGS)
            return fail(*told)
        if output is not None:
            shutil.copyfile(found, output)
            return FINE
        with found.open("rb") as source:
            shutil.copyfileobj(source, sys.stdout.buffer)
    return FINE


@contextmanager
def _batches(place: Here) -> Iterator["OfflineBatches"]:
    from greenroom.assembly.batchfiles import OfflineBatches  # noqa: PLC0415  # a large import; `--help` needs none of it

    batches = OfflineBatches(place.open())
    try:
        yield batches
    finally:
        batches.close()


def _row(one: Record) -> list[object]:
    counts = one["request_counts"]
    return [
        one["id"],
        one["status"],
        counts["completed"],
        counts["failed"],
        counts["total"],
        one["greenroom"]["cost_usd"],
    ]


def _print(found: Record) -> None:
    counts, extra = found["request_counts"], found["greenroom"]
    print(f"{found['id']}: {found['status']}, {found['endpoint']}")
    print(f"{counts['completed']} answered, {counts['failed']} failed, of {counts['total']}")
    budget = f" of ${extra['budget_usd']}" if extra["budget_usd"] else ""
    print(f"${extra['cost_usd']}{budget}, {found['usage']['total_tokens']} tokens")
    for one in (found["errors"] or {}).get("data", ()):
        where = "" if one["line"] is None else f"line {one['line']}: "
        print(f"! {where}{one['message']}")
