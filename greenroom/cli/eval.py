"""`greenroom eval`: suites run, compared and reported."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from msgspec import structs

from greenroom.cli.eval_calibrate import calibrate
from greenroom.cli.eval_data import app as data
from greenroom.cli.output import console, fail, print_json, print_table, printable
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.evals.gates import EXIT_CODES, parse_rule
from greenroom.offline.evals.kept import kept_run
from greenroom.offline.evals.reports.html import to_html
from greenroom.offline.evals.reports.junit import to_junit
from greenroom.offline.evals.reports.markdown import (
    CHANGE_COLUMNS,
    METRIC_COLUMNS,
    change_rows,
    facts_of,
    metric_rows,
    to_markdown,
)
from greenroom.offline.evals.reports.report import Report, build, to_json
from greenroom.offline.evals.runner import Progress
from greenroom.offline.evals.suite import Suite, read_suite
from greenroom.store.material import stamp

if TYPE_CHECKING:
    from rich.progress import TaskID

app = App(name="eval", help="Run evaluations, compare runs, and report what they tell.")
app.command(data)
app.command(calibrate)

Format = Literal["json", "html", "junit", "markdown"]
_BY_SUFFIX: dict[str, Format] = {".json": "json", ".html": "html", ".xml": "junit", ".md": "markdown"}
_STEPS = 10
"""Lines of progress where there is no terminal."""
Rules = Annotated[list[str] | None, Parameter(negative=())]
"""--fail-on, which may be given more than once."""


@app.command(name="run")
def run_eval(
    suite: Path,
    /,
    *,
    baseline: str | None = None,
    fail_on: Rules = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    fresh: Annotated[bool, Parameter(negative=())] = False,
    budget_usd: float | None = None,
    report: Annotated[list[Path] | None, Parameter(negative=())] = None,
    json: bool = False,
    place: Here,
) -> int:
    """Run a suite: exit 0 when its rules hold, 1 when one is broken, 2 when undecided, 3 when it can't run.

    Answers that were paid for are used again, also those of a run that was killed.

    Parameters
    ----------
    suite
        The suite's file, TOML or JSON.
    baseline
        What the subjects are compared with: a run's id, or the name of runs, of which the newest counts.
    fail_on
        A rule, as "exact: regression, p<0.05, min_effect=0.02" or "exact: below 0.8"; may be repeated.
    resume
        Go on with the run of this suite that did not come to its end.
    fresh
        Ask everything anew.
    budget_usd
        What the calls may cost together. The run stops before it would be passed.
    report
        A file for the report; .html, .json, .md or .xml (JUnit). May be repeated.
    json
        Print the report as JSON.
    """
    try:
        found = _with_options(read_suite(suite), baseline, fail_on, budget_usd)
        _check_files(report or ())
        told = asyncio.run(_run(place, found, suite.parent, is_resumed=resume, is_fresh=fresh, quiet=json))
        _write(told, report or ())
    except RequestError as error:
        return fail(str(error), USAGE)
    except InfrastructureError as error:
        return fail(f"{error} Once that is mended, --resume goes on.", ENVIRONMENT)
    except asyncio.CancelledError:
        return fail("Stopped. What was answered is kept; --resume goes on from there.", INCONCLUSIVE)
    return _say(told, as_json=json)


@app.command
def compare(new: str, old: str, /, *, fail_on: Rules = None, json: bool = False, place: Here) -> int:
    """Compare two runs case by case: the first against the second. Exit codes as of `run`.

    Parameters
    ----------
    new
        A run's id, the beginning of it, or the name of runs.
    old
        The run it is compared with.
    fail_on
        A rule, as of `run`; may be repeated.
    json
        Print the comparison as JSON.
    """
    store = place.open().evals
    try:
        rules = [parse_rule(text) for text in fail_on or ()]
        told = build([kept_run(store, new)], kept_run(store, old), rules)
    except RequestError as error:
        return fail(str(error), USAGE)
    return _say(told, as_json=json)


@app.command
def report(
    run: str,
    /,
    *,
    baseline: str | None = None,
    format: Format = "markdown",
    out: Path | None = None,
    place: Here,
) -> int:
    """Write the report of a run.

    Parameters
    ----------
    run
        A run's id, the beginning of it, or the name of runs.
    baseline
        The run it is compared with.
    format
        json, html (one file), junit or markdown.
    out
        The file; without it the report is printed.
    """
    store = place.open().evals
    try:
        told = build([kept_run(store, run)], None if baseline is None else kept_run(store, baseline), ())
        text = _rendered(told, format)
        if out is None:
            print(text)
        else:
            _save(out, text)
    except RequestError as error:
        return fail(str(error), USAGE)
    return FINE


@app.command(name="list")
def list_runs(*, limit: int = 20, json: bool = False, place: Here) -> int:
    """List runs, newest first.

    Parameters
    ----------
    limit
        How many at most.
    json
        Print the list as JSON.
    """
    store = place.open().evals
    rows = [
        {
            "id": one.id, "name": one.name, "subject": one.subject, "status": one.status, "items": one.total,
            "started_at": stamp(one.started_ns), "cost_usd": store.spent(one.id).nano_usd / 1e9,
        }
        for one in store.runs(limit=limit)
    ]  # fmt: skip
    if json:
        print_json({"data": rows})
    else:
        columns = ("id", "name", "status", "items", "started_at", "cost_usd")
        print_table(columns, [[one[key] for key in columns] for one in rows])
    return FINE


@app.command
def remove(run: str, /, *, place: Here) -> int:
    """Erase a run, and the answers that no other run uses.

    Parameters
    ----------
    run
        The run's id.
    """
    if not place.open().evals.remove(run):
        return fail(f"There is no run '{run}'. 'greenroom eval list' shows what there is.", FINDINGS)
    return FINE


async def _run(
    place: Place, suite: Suite, folder: Path, *, is_resumed: bool, is_fresh: bool, quiet: bool
) -> Report:
    from greenroom.assembly.evaluating import run_suite  # noqa: PLC0415  # the largest import, as in Place.open
    from greenroom.assembly.judges import kinds_with_judges  # noqa: PLC0415  # as above

    house = place.open()
    async with house.running(as_guest=True):
        with _progress(quiet=quiet) as tell, _interruptible() as stop:
            return await run_suite(
                house, suite, folder, is_resumed=is_resumed, is_fresh=is_fresh, tell=tell, stop=stop,
                kinds=kinds_with_judges(house),
            )  # fmt: skip


def _with_options(
    suite: Suite, baseline: str | None, fail_on: Sequence[str] | None, budget_usd: float | None
) -> Suite:
    """A suite with what the command line says besides; its rules join those of the file."""
    if budget_usd is not None and budget_usd <= 0:
        raise RequestError("--budget-usd must be above 0.")
    changed = structs.replace(
        suite, baseline=baseline or suite.baseline, fail_on=(*suite.fail_on, *(fail_on or ())),
        budget_usd=budget_usd or suite.budget_usd,
    )  # fmt: skip
    changed.rules()
    return changed


def _say(told: Report, *, as_json: bool) -> int:
    if as_json:
        print_json(told)
    else:
        _print(told)
    return EXIT_CODES[told.result]


def _print(told: Report) -> None:
    out = console()
    for run in told.runs:
        out.print(printable(f"{run.subject}  {facts_of(run)}"), style="bold")
        print_table(METRIC_COLUMNS, metric_rows(run))
        out.print()
    for one in told.comparisons:
        out.print(printable(f"{one.subject} against {one.baseline_subject}"), style="bold")
        print_table(CHANGE_COLUMNS, change_rows(one))
        out.print()
    for verdict in told.verdicts:
        more = f"; needs {verdict.more_cases:,} more cases" if verdict.more_cases else ""
        out.print(printable(f"{verdict.result}: {verdict.subject}: {verdict.rule}: {verdict.reason}{more}"))
    for reason in told.reasons:
        out.print(printable(reason))
    out.print(
        f"Result: {told.result}", style={"pass": "green", "inconclusive": "yellow"}.get(told.result, "red")
    )


def _rendered(told: Report, format: Format) -> str:
    forms = {"json": to_json, "html": to_html, "junit": to_junit, "markdown": to_markdown}
    return forms[format](told)


def _check_files(paths: Sequence[Path]) -> None:
    """Before anything is paid for. Raises: RequestError."""
    for path in paths:
        if path.suffix not in _BY_SUFFIX:
            raise RequestError(f"'{path}' must end in {', '.join(_BY_SUFFIX)}.")
        if not path.resolve().parent.is_dir():
            raise RequestError(f"There is no folder for '{path}'.")


def _write(told: Report, paths: Sequence[Path]) -> None:
    for path in paths:
        _save(path, _rendered(told, _BY_SUFFIX[path.suffix]))


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(f"'{path}' can't be written: {error.strerror or error}.") from None


@contextmanager
def _interruptible() -> Iterator[asyncio.Event]:
    """Set by Ctrl-C, so that calls on their way come to their end; a second one ends them, too."""
    stop, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        if not stop.is_set():
            stop.set()
            print("Waiting for the calls on their way. Ctrl-C again ends them, too.", file=sys.stderr)
        elif task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, Progress], None] | None]:
    """A bar for each subject at a terminal, a line at each tenth otherwise; all on stderr."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _line
    else:
        from rich.console import Console  # noqa: PLC0415  # rich costs 100 ms and is for people only
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415  # as above
        from rich.progress import Progress as Bars  # noqa: PLC0415  # as above

        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[said]}", markup=False), TimeRemainingColumn(),
        )  # fmt: skip
        tasks: dict[str, TaskID] = {}
        with Bars(*columns, console=Console(stderr=True)) as bars:

            def tell(name: str, one: Progress) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(printable(name), total=one.total, said="")
                bars.update(tasks[name], completed=one.done, said=_said(one))

            yield tell


def _line(name: str, one: Progress) -> None:
    step = max(1, one.total // _STEPS)
    if one.done % step == 0 or one.done == one.total:
        print(f"{printable(name)}: {one.done} of {one.total}, {_said(one)}", file=sys.stderr, flush=True)


def _said(one: Progress) -> str:
    said = [f"${one.cost_nano_usd / 1e9:.4f}"]
    if one.cached:
        said.append(f"{one.cached} used again")
    if one.failed:
        said.append(f"{one.failed} failed")
    return ", ".join(said)
