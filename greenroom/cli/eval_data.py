"""`greenroom eval data`: data sets taken in, split, and held against what models were made from."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from greenroom.cli.output import fail, print_json, print_json_line, print_table, printable
from greenroom.cli.place import FINDINGS, FINE, USAGE, Here
from greenroom.cli.trace import Which
from greenroom.errors import RequestError
from greenroom.offline.evals.data import DataSet, read_file, rows_of
from greenroom.offline.evals.kept import keep_data, kept_data
from greenroom.offline.evals.leaks import find_leaks, texts_in
from greenroom.offline.evals.recorded import from_traces
from greenroom.offline.evals.splits import SHARES, split
from greenroom.store.data_sets import DataSets
from greenroom.store.material import stamp

app = App(name="data", help="Take data sets in, list, show, split and check them.")

_EVERY = Which()


@app.command
def add(
    name: str,
    file: Path | None = None,
    /,
    which: Which = _EVERY,
    *,
    traces: Annotated[bool, Parameter(negative=())] = False,
    expect_reply: Annotated[bool, Parameter(negative=())] = False,
    limit: int = 1000,
    json: bool = False,
    place: Here,
) -> int:
    """Keep a data set under a name, from a file or recorded exchanges: a new version where it has changed.

    Parameters
    ----------
    name
        What it is called.
    file
        A .jsonl or .csv file: messages, input or question, with expected and group.
    traces
        Take the recorded requests that fit the conditions, redacted as they are.
    expect_reply
        From traces: expect the answer that was given.
    limit
        From traces: how many at most, the newest.
    json
        Print what was kept as JSON.
    """
    if (file is None) != traces:
        return fail("Give a file or --traces, one of them.", USAGE)
    house = place.open()
    try:
        if file is not None:
            found = read_file(file)
        else:
            found = from_traces(house.traces, which.filter(limit), expect_reply=expect_reply)
        kept = keep_data(house.evals, name, found)
    except RequestError as error:
        return fail(str(error), USAGE)
    if json:
        print_json({"name": kept.name, "version": kept.version, "digest": kept.digest, "rows": kept.rows})
    else:
        print(f"{kept.name}@{kept.version}: {kept.rows} rows, {kept.digest[:12]}")
        for note in found.notes:
            print(printable(note))
    return FINE


@app.command(name="list")
def list_data(*, json: bool = False, place: Here) -> int:
    """List data sets with their versions.

    Parameters
    ----------
    json
        Print the list as JSON.
    """
    rows = [
        {
            "name": f"{one.name}@{one.version}", "rows": one.rows, "digest": one.digest[:12],
            "source": one.source, "created_at": stamp(one.created_ns),
        }
        for one in DataSets(place.open().evals).list()
    ]  # fmt: skip
    if json:
        print_json({"data": rows})
    else:
        columns = ("name", "rows", "digest", "source", "created_at")
        print_table(columns, [[one[key] for key in columns] for one in rows])
    return FINE


@app.command
def show(name: str, /, *, limit: int | None = None, place: Here) -> int:
    """Print the samples of a data set, one JSON object a line.

    Parameters
    ----------
    name
        The data set, as name or name@version.
    limit
        How many at most.
    """
    try:
        found = kept_data(place.open().evals, name)
    except RequestError as error:
        return fail(str(error), USAGE)
    for sample in found.samples[:limit]:
        print_json_line(
            {
                "id": sample.id, "group": sample.group, "messages": sample.messages,
                "variables": sample.variables, "expected": sample.expected,
            }
        )  # fmt: skip
    return FINE


@app.command(name="split")
def split_data(name: str, /, *, shares: str = "60,20,20", json: bool = False, place: Here) -> int:
    """Keep the parts of a data set as NAME-train, NAME-dev and NAME-test. Groups stay together.

    A sample's part depends on its group alone: rows added later never move one.

    Parameters
    ----------
    name
        The data set, as name or name@version.
    shares
        Percent of train, dev and test.
    json
        Print the parts as JSON.
    """
    store = place.open().evals
    try:
        percent = [float(one) for one in shares.split(",")]
        if len(percent) != 3:
            raise ValueError
    except ValueError:
        return fail("--shares takes three numbers, as 60,20,20.", USAGE)
    try:
        found = kept_data(store, name)
        parts = split(found.samples, dict(zip(SHARES, (one / 100 for one in percent), strict=True)))
        rows: list[dict[str, Any]] = []  # Any: JSON
        for part, samples in parts.items():
            if samples:
                whole = DataSet.of(samples, f"{part} of {found.source}")
                kept = keep_data(store, f"{name.partition('@')[0]}-{part}", whole)
                rows.append({"name": f"{kept.name}@{kept.version}", "rows": kept.rows})
    except RequestError as error:
        return fail(str(error), USAGE)
    if json:
        print_json({"data": rows})
    else:
        print_table(("name", "rows"), [[one["name"], one["rows"]] for one in rows])
    return FINE


@app.command
def leaks(name: str, /, *against: Path, json: bool = False, place: Here) -> int:
    """Say which questions stand in training files or few-shot examples: exit 0 when none, 1 with findings.

    Parameters
    ----------
    name
        The data set, as name or name@version.
    against
        Files: each text in a .jsonl or .csv row, each line of any other.
    json
        Print the findings as JSON.
    """
    if not against:
        return fail("Name the files that it must not stand in.", USAGE)
    try:
        found = kept_data(place.open().evals, name)
        others = [(place, text) for path in against for place, row in rows_of(path) for text in texts_in(row)]
    except RequestError as error:
        return fail(str(error), USAGE)
    leaked = find_leaks(found.samples, others)
    if json:
        print_json({"samples": len(found.samples), "leaks": [one._asdict() for one in leaked]})
    elif leaked:
        print_table(("sample", "kind", "share", "where"), leaked)
    else:
        print(f"None of {len(found.samples)} samples stands in {len(others)} texts.")
    return FINDINGS if leaked else FINE


@app.command
def remove(name: str, /, *, place: Here) -> int:
    """Erase all versions of a data set. Runs that were made with it can't be reported any more.

    Parameters
    ----------
    name
        The data set.
    """
    if not DataSets(place.open().evals).remove("default", name):
        return fail(
            f"There is no data set '{name}'. 'greenroom eval data list' shows what there is.", FINDINGS
        )
    return FINE
