"""`greenroom optimize`: a better version of a prompt, believed only where held-back samples prove it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from greenroom.cli.output import console, fail, print_json, print_table, printable
from greenroom.cli.place import ENVIRONMENT, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.cli.samples import Samples, samples_of
from greenroom.cli.spending import told
from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.budget import dollars

BY = "command line"
"""Who saves, in the audit log, where no key is named."""

if TYPE_CHECKING:
    from greenroom.offline.optimize.optimizer import Result


def optimize(
    *,
    prompt: str,
    data: Samples,
    metric: str,
    budget_usd: float | None = None,
    max_calls: int | None = None,
    app: str | None = None,
    model: str | None = None,
    reflection_model: str | None = None,
    method: Literal["both", "rewrite", "examples"] = "both",
    suite: Path | None = None,
    max_tokens: int | None = None,
    concurrency: int = 8,
    seed: int = 0,
    key: str | None = None,
    json: bool = False,
    place: Here,
) -> int:
    """Look for a better version of a prompt, and save it without a label where held-back samples prove it.

    Exit code 0 when a better version was found and saved, 2 when there is nothing better than what you have
    or the budget did not reach, 3 when the models can't be asked. The same command again goes on where it
    was, and pays for nothing twice.

    Parameters
    ----------
    prompt
        The stored prompt, as name, name@version or name@label.
    data
        A .jsonl or .csv file, a kept data set, or traces:FILTER; at least 24 samples, better 100.
    metric
        The scorer that says what better means: exact, contains, json_schema, …
    budget_usd
        What all calls may cost together, those of the reflection model included. Never passed.
    max_calls
        How many calls may be made; needed where a price is not known.
    app
        The app whose steps the prompt runs in; without it, the default app's.
    model
        The model that answers; without it, the prompt's, then the app's.
    reflection_model
        The model that rewrites; without it, the one that answers. It sees the texts of training samples.
    method
        "rewrite" the texts, show "examples", or "both".
    suite
        A suite's file whose [scorers] has the metric with settings.
    max_tokens
        The longest answer; makes the worst case of a call smaller, so that more of the budget is used.
    concurrency
        How many calls are made at a time.
    seed
        Another seed divides the samples and draws anew.
    key
        The id of the key whose project, limits and budgets the calls count in; without it, no key's.
    json
        Print all candidates and the decision as JSON.
    """
    try:
        result, saved = asyncio.run(
            _optimize(
                place, prompt, data, metric, budget_usd, max_calls, app, model, reflection_model, method,
                suite, max_tokens, concurrency, seed, key, quiet=json,
            )
        )  # fmt: skip
    except RequestError as error:
        return fail(str(error), USAGE)
    except InfrastructureError as error:
        return fail(f"{error} Once that is mended, the same command goes on.", ENVIRONMENT)
    except KeyboardInterrupt:
        return fail("Stopped. What was paid for is kept; the same command goes on.", INCONCLUSIVE)
    if json:
        print_json({"result": result, "saved": saved})
    else:
        _print(result, saved)
    return FINE if result.decision.verdict == "better" else INCONCLUSIVE


async def _optimize(
    place: Place,
    prompt: str,
    data: str,
    metric: str,
    budget_usd: float | None,
    max_calls: int | None,
    app: str | None,
    model: str | None,
    reflection_model: str | None,
    method: Literal["both", "rewrite", "examples"],
    suite: Path | None,
    max_tokens: int | None,
    concurrency: int,
    seed: int,
    key: str | None,
    *,
    quiet: bool,
) -> "tuple[Result, str | None]":
    from greenroom.assembly.optimizing import (  # noqa: PLC0415  # the largest import, as in Place.open
        Limits,
        optimize_prompt,
        save,
        scorers_named,
    )
    from greenroom.offline.optimize.optimizer import METHODS  # noqa: PLC0415  # as above

    limits = Limits(
        budget_usd=budget_usd, max_calls=max_calls, max_tokens=max_tokens, concurrency=concurrency
    )
    house = place.open()
    house.asks_as = key
    async with house.running(as_guest=True):
        samples = samples_of(house, data)
        (scorer,) = scorers_named(house, [metric], suite)
        with told(limits.nano or limits.max_calls or 1, quiet=quiet) as tell:
            result = await optimize_prompt(
                house, prompt, samples, scorer, limits, app=app, model=model,
                reflection_model=reflection_model, methods=METHODS if method == "both" else (method,),
                seed=seed, on_step=tell.step, on_trial=tell.spent,
            )  # fmt: skip
        adopted = result.adopted
        if adopted is None:
            return result, None
        return result, save(house, adopted, key or BY)


def _print(result: "Result", saved: str | None) -> None:
    out = console()
    columns = ("candidate", "of", "made by", "train", "dev", "USD/1000", "tokens", "front", "")
    print_table(columns, [_row(one, result) for one in result.candidates])
    winner = None if result.winner is None else result.candidates[result.winner]
    if winner is not None and saved is not None:
        out.print()
        for change in _changes(result, winner.number):
            _print_change(change)
    out.print()
    out.print(printable(result.decision.sentence), style="green" if saved else "yellow")
    parts = f"{result.train} train, {result.dev} dev, {result.held_back} held back"
    out.print(
        f"{parts}; ${dollars(result.spent_nano)} in {result.calls} calls; run {result.run}", style="dim"
    )
    if result.is_out_of_money:
        out.print("The search ended with the budget.", style="dim")
    if saved is not None:
        out.print(
            f"Saved as {saved}, without a label. To use it: greenroom prompts promote {saved} production"
        )


def _row(
    one: Any, result: "Result"
) -> tuple[object, ...]:  # Any: a Candidate; its module is not loaded at start
    dev = one.dev
    cost = None if dev is None or dev.cost_nano is None else f"{dev.cost_nano / 1e6:.4f}"
    return (
        one.number, one.parent, one.origin, None if one.train is None else f"{one.train:.3f}",
        None if dev is None else f"{dev.quality:.3f}", cost, None if dev is None else f"{dev.tokens:.0f}",
        "front" if one.is_front else "",
        "tested" if one.number == result.winner else " ".join(one.faults),
    )  # fmt: skip


def _changes(result: "Result", number: int) -> list[Any]:  # Any: differences as JSON
    from greenroom.assembly.optimizing import differences  # noqa: PLC0415  # as above

    found = differences(result.candidates[0].version, result.candidates[number].version)
    changes: list[Any] = found["changes"]
    return changes


def _print_change(change: Any) -> None:  # Any: a difference as JSON
    from rich.text import Text  # noqa: PLC0415  # rich costs 100 ms and is for people only

    styles = {"removed": "red strike", "added": "green", "same": ""}
    marks = {"removed": ("[-", "-]"), "added": ("{+", "+}"), "same": ("", "")}
    out = console()
    line = Text(f"{change['place']}: ")
    runs = change.get("runs") or [{"kind": "added", "text": str(change.get("after"))}]
    for run in runs:
        before, after = ("", "") if out.is_terminal else marks[run["kind"]]
        line.append(f"{before}{printable(run['text'])}{after}", style=styles[run["kind"]])
    out.print(line)
