"""`greenroom finetune should`: whether training is worth trying, before anything is spent on it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from greenroom.cli.output import console, fail, print_json, print_table, printable
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.cli.spending import told
from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.budget import dollars

if TYPE_CHECKING:
    from greenroom.assembly.weighing import Found, Training
    from greenroom.offline.finetune.should.verdict import Arm
    from greenroom.offline.finetune.should.weighing import Weighed

_USUAL_USD = 1.0
_CODES = {"train": FINE, "do not train": FINDINGS, "cannot say": INCONCLUSIVE}
_WORDS = {"train": "Worth trying", "do not train": "Do not train", "cannot say": "Can't say"}


def should(
    *,
    data: Annotated[Path, Parameter(name=("--rows", "--data"))],
    metric: str,
    app: str | None = None,
    model: str | None = None,
    base: str | None = None,
    target: float = 0.9,
    cases: int = 60,
    budget_usd: float | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    suite: Path | None = None,
    concurrency: int = 8,
    seed: int = 0,
    json: bool = False,
    place: Here,
) -> int:
    """Say whether training on these rows is worth trying, or a better prompt or retrieval would do.

    Holds rows back and answers them with the app as it is, with examples from the other rows, and with the
    likest of the other rows. Exit code 0 when training is worth trying, 1 when it is not, 2 when the evidence
    does not tell; then it is said what lacks. The same command again pays for nothing twice.

    Parameters
    ----------
    data
        The rows: a .jsonl file of conversations, as training takes them.
    metric
        The scorer that says how good an answer is, from 0 to 1: exact, contains, edit, …
    app
        The app; without it, the default one.
    model
        Another model for it.
    base
        What would be trained, as a folder or a name: then it is said what training takes here.
    target
        The quality that is good enough.
    cases
        How many rows are held back, 30 percent of all at most.
    budget_usd
        What all calls may cost together. Never passed. 1 US dollar, unless it is given or calls are capped.
    max_calls
        How many calls may be made; needed where a price is not known.
    max_tokens
        The longest answer; makes the worst case of a call smaller, so that more of the budget is used.
    suite
        A suite's file whose [scorers] has the metric with settings.
    concurrency
        How many calls are made at a time.
    seed
        Another seed draws other examples.
    json
        Print the figures and the verdict as JSON.
    """
    if not 0 < target <= 1 or cases < 1:
        return fail("--target takes a number above 0 and up to 1, --cases one above 0.", USAGE)
    if budget_usd is None and max_calls is None:
        budget_usd = _USUAL_USD
    try:
        found = asyncio.run(
            _weigh(
                place, data, metric, app, model, base, target, cases, budget_usd, max_calls, max_tokens,
                suite, concurrency, seed, quiet=json,
            )
        )  # fmt: skip
    except RequestError as error:
        return fail(str(error), USAGE)
    except InfrastructureError as error:
        return fail(f"{error} Once that is mended, the same command goes on.", ENVIRONMENT)
    except KeyboardInterrupt:
        return fail("Stopped. What was paid for is kept; the same command goes on.", INCONCLUSIVE)
    if json:
        print_json(found)
    else:
        _print(found.weighed, found.training)
    return _CODES[found.weighed.verdict.advice]


async def _weigh(
    place: Place, data: Path, metric: str, app: str | None, model: str | None, base: str | None,
    target: float, cases: int, budget_usd: float | None, max_calls: int | None, max_tokens: int | None,
    suite: Path | None, concurrency: int, seed: int, *, quiet: bool,
) -> "Found":  # fmt: skip
    from greenroom.assembly.optimizing import Limits, scorers_named  # noqa: PLC0415  # as in Place.open
    from greenroom.assembly.weighing import weigh_training  # noqa: PLC0415  # as above

    limits = Limits(
        budget_usd=budget_usd, max_calls=max_calls, max_tokens=max_tokens, concurrency=concurrency
    )
    house = place.open()
    async with house.running(as_guest=True):
        (scorer,) = scorers_named(house, [metric], suite)
        with told(limits.nano or limits.max_calls or 1, quiet=quiet) as tell:
            return await weigh_training(
                house, data, scorer, limits, app=app, model=model, base=base, target=target, cases=cases,
                seed=seed, on_trial=tell.spent,
            )  # fmt: skip


def _print(found: "Weighed", training: "Training | None") -> None:
    out = console()
    columns = ("the app", found.metric, "interval", "against as it is", "p", "USD/1000", "ms")
    print_table(columns, [_row(one) for one in found.arms])
    out.print()
    style = {"train": "green", "do not train": "yellow", "cannot say": "yellow"}[found.verdict.advice]
    out.print(f"{_WORDS[found.verdict.advice]}.", style=style)
    for sentence in found.verdict.sentences:
        out.print(printable(sentence))
    if training is not None:
        out.print(printable(training.sentence))
    rows = found.rows
    out.print(
        f"{rows.held} rows held back, {rows.train} to learn from: some {rows.tokens:,} tokens.", style="dim"
    )
    out.print(f"${dollars(found.spent_nano)} in {found.calls} calls; run {found.run}", style="dim")
    if found.is_out_of_money:
        out.print("The budget ended before all held-back rows were answered.", style="dim")


def _row(one: "Arm") -> tuple[object, ...]:
    against = one.against
    return (
        one.name, f"{one.quality.value:.3f}", f"{one.quality.low:.3f} to {one.quality.high:.3f}",
        None if against is None else f"{against.value:+.3f} [{against.low:+.3f}, {against.high:+.3f}]",
        None if one.p_holm is None else f"{one.p_holm:.3f}",
        None if one.cost_nano is None else f"{one.cost_nano / 1e6:.4f}", f"{one.latency_ms:.0f}",
    )  # fmt: skip
