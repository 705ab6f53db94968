"""`greenroom models compare`: models held against each other on your own samples."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.cli.output import console, fail, print_json, print_table, printable
from greenroom.cli.place import ENVIRONMENT, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.cli.samples import Samples, samples_of
from greenroom.cli.spending import told
from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.budget import dollars

_USUAL_USD = 1.0

if TYPE_CHECKING:
    from greenroom.offline.compare.comparison import Comparison


def compare(
    *,
    models: str,
    data: Samples,
    scorers: str,
    budget_usd: float | None = None,
    max_calls: int | None = None,
    app: str | None = None,
    against: str | None = None,
    suite: Path | None = None,
    max_tokens: int | None = None,
    concurrency: int = 8,
    report: Path | None = None,
    json: bool = False,
    place: Here,
) -> int:
    """Run each model on the same samples: quality, latency, cost and refusals, with paired intervals.

    Exit code 0 when the best one is better than all others by more than chance, 2 when the data can't decide,
    3 when a model can't be asked. The same command again goes on where it was, and pays for nothing twice.

    Parameters
    ----------
    models
        Two models or more, as configured names or provider/model, separated by commas.
    data
        A .jsonl or .csv file, a kept data set, or traces:FILTER.
    scorers
        Scorers of the answers, separated by commas; the first one decides.
    budget_usd
        What all calls may cost together. Never passed. 1 US dollar, unless it is given or calls are capped.
    max_calls
        How many calls may be made; needed where a price is not known.
    app
        The app whose steps every model runs in; without it, the default app's.
    against
        The model that the others are compared with; without it, the best one.
    suite
        A suite's file whose [scorers] has the scorers with settings.
    max_tokens
        The longest answer; makes the worst case of a call smaller, so that more of the budget is used.
    concurrency
        How many calls are made at a time.
    report
        A file for the report with the picture, .html.
    json
        Print the comparison as JSON.
    """
    try:
        found = asyncio.run(
            _compare(
                place, _names(models), data, _names(scorers), budget_usd, max_calls, app, against, suite,
                max_tokens, concurrency, quiet=json,
            )
        )  # fmt: skip
        if report is not None:
            _write(found, report)
    except RequestError as error:
        return fail(str(error), USAGE)
    except InfrastructureError as error:
        return fail(f"{error} Once that is mended, the same command goes on.", ENVIRONMENT)
    except KeyboardInterrupt:
        return fail("Stopped. What was paid for is kept; the same command goes on.", INCONCLUSIVE)
    if json:
        print_json(found)
    else:
        _print(found)
    if any(one.problem for one in found.standings):
        return ENVIRONMENT
    return FINE if found.verdict == "decided" else INCONCLUSIVE


async def _compare(
    place: Place,
    models: list[str],
    data: str,
    scorers: list[str],
    budget_usd: float | None,
    max_calls: int | None,
    app: str | None,
    against: str | None,
    suite: Path | None,
    max_tokens: int | None,
    concurrency: int,
    *,
    quiet: bool,
) -> "Comparison":
    from greenroom.assembly.optimizing import (  # noqa: PLC0415  # the largest import, as in Place.open
        Limits,
        compare_models,
        scorers_named,
    )

    if budget_usd is None and max_calls is None:
        budget_usd = _USUAL_USD
    limits = Limits(
        budget_usd=budget_usd, max_calls=max_calls, max_tokens=max_tokens, concurrency=concurrency
    )
    house = place.open()
    async with house.running(as_guest=True):
        samples = samples_of(house, data)
        with told(len(samples) * len(models), quiet=quiet) as tell:
            return await compare_models(
                house, models, samples, scorers_named(house, scorers, suite), limits, app=app,
                against=against, on_trial=tell.answered,
            )  # fmt: skip


def _names(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _write(found: "Comparison", path: Path) -> None:
    from greenroom.offline.compare.report import html  # noqa: PLC0415  # as above

    try:
        path.write_text(html(found), encoding="utf-8")
    except OSError as error:
        raise RequestError(f"'{path}' can't be written: {error.strerror or error}.", "report") from None


def _print(found: "Comparison") -> None:
    from greenroom.offline.compare.plot import lines  # noqa: PLC0415  # as above
    from greenroom.offline.compare.report import COLUMNS, rows  # noqa: PLC0415  # as above

    out = console()
    print_table(COLUMNS, rows(found))
    drawn = lines(found)
    if drawn:
        out.print()
        for line in drawn:
            out.print(printable(line))
    out.print()
    for sentence in found.sentences:
        out.print(printable(sentence), style="green" if found.verdict == "decided" else "yellow")
    out.print(
        f"{found.compared} of {found.samples} samples, ${dollars(found.spent_nano)} in {found.calls} calls; "
        f"“against” is {printable(found.against)}; run {found.run}",
        style="dim",
    )
