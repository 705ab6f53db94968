"""`greenroom finetune data` and `distill`: rows from traffic, and from the answers of a stronger model."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from msgspec.structs import replace

from greenroom.cli.finetune_check import Consent
from greenroom.cli.output import fail, print_json, printable
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.cli.samples import Samples, samples_of
from greenroom.cli.spending import told
from greenroom.cli.trace import Which
from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.budget import dollars

if TYPE_CHECKING:
    from greenroom.offline.finetune.rows.distilled import Distilled
    from greenroom.offline.finetune.rows.recorded import Example
    from greenroom.offline.finetune.rows.written import Written

_EVERY = Which()


def data(
    out: Path,
    /,
    which: Which = _EVERY,
    *,
    edits: Annotated[bool, Parameter(negative=())] = False,
    experiment: str | None = None,
    metric: str | None = None,
    gap: float = 0.0,
    consent: Consent = "stated",
    sent: Annotated[bool, Parameter(negative=())] = False,
    valid: Path | None = None,
    share: float = 10.0,
    limit: int = 10_000,
    json: bool = False,
    place: Here,
) -> int:
    """Write training rows from recorded exchanges that fit the conditions, the newest first.

    Only exchanges tagged consent=true (or yes, granted, training) are taken, unless --consent says otherwise.
    Where a person corrected an answer, the correction is what is learnt. Exit code 1 when no row came of it.

    Parameters
    ----------
    out
        The .jsonl file; one that is there is replaced.
    edits
        Write preferences: what a person made of an answer before the answer.
    experiment
        Write preferences: what one arm of this experiment answered better than another.
    metric
        Of an experiment: the score that says what better means.
    gap
        Of an experiment: by how much the scores must differ at least.
    consent
        stated: only tagged exchanges; not_refused: those without the tag as well; any: all.
    sent
        Take the messages as the model got them, with prompts and passages; otherwise as the client sent them.
    valid
        A second file for validation; no conversation is in both.
    share
        Percent of the conversations that go there.
    limit
        How many exchanges at most.
    json
        Print what was written and left out as JSON.
    """
    from greenroom.offline.finetune.rows.preferences import from_edits, from_experiment  # noqa: PLC0415  # numpy
    from greenroom.offline.finetune.rows.recorded import answered, examples  # noqa: PLC0415  # as above
    from greenroom.offline.finetune.rows.written import write  # noqa: PLC0415  # as above

    if edits and experiment:
        return fail("Give --edits or --experiment, one of them.", USAGE)
    if experiment and not metric:
        return fail("Say with --metric which score says that an arm did better.", USAGE)
    if not 0 < share < 100:
        return fail("--share takes percent, above 0 and below 100.", USAGE)
    skipped: Counter[str] = Counter()
    try:
        found = answered(place.open().traces, which.filter(limit), consent, skipped, as_sent=sent)
        made: Iterable[Example]
        if edits:
            made = from_edits(found, skipped)
        elif experiment and metric:
            made = from_experiment(found, experiment, metric, gap, skipped)
        else:
            made = examples(found)
        written = write(made, out, valid, share / 100)
    except RequestError as error:
        return fail(str(error), USAGE)
    return _say(written, out, valid, skipped, as_json=json)


def distill(
    out: Path,
    /,
    *,
    data: Samples,
    target: str,
    app: str | None = None,
    consent: Consent = "stated",
    budget_usd: float | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    valid: Path | None = None,
    share: float = 10.0,
    concurrency: int = 8,
    json: bool = False,
    place: Here,
) -> int:
    """Write training rows whose answers a stronger model gives, within a cap. Pays for no answer twice.

    The same command again goes on where it was. Exit code 2 when the money ended first: what was answered is
    written. See to it that the licence of the model allows training on what it says.

    Parameters
    ----------
    out
        The .jsonl file; one that is there is replaced.
    data
        The prompts: a .jsonl or .csv file, a kept data set, or traces:FILTER.
    target
        The model that answers, as a configured name or provider/model.
    app
        The app whose steps it runs in; without it, the default app's.
    consent
        Of prompts that are recorded exchanges: stated, only tagged ones; not_refused; any.
    budget_usd
        What all calls may cost together. Never passed.
    max_calls
        How many calls may be made; needed where the price is not known.
    max_tokens
        The longest answer; makes the worst case of a call smaller. Answers cut off there are left out.
    valid
        A second file for validation; no conversation is in both.
    share
        Percent of the conversations that go there.
    concurrency
        How many calls are made at a time.
    json
        Print what was written, left out and spent as JSON.
    """
    from greenroom.offline.finetune.rows.written import write  # noqa: PLC0415  # as above

    try:
        made = asyncio.run(
            _distil(
                place, data, target, app, consent, budget_usd, max_calls, max_tokens, concurrency, quiet=json
            )
        )
    except RequestError as error:
        return fail(str(error), USAGE)
    except InfrastructureError as error:
        return fail(f"{error} Once that is mended, the same command goes on.", ENVIRONMENT)
    except KeyboardInterrupt:
        return fail("Stopped. What was paid for is kept; the same command goes on.", INCONCLUSIVE)
    written = write(made.examples, out, valid, share / 100)
    spent = {"spent_usd": made.spent_nano / 1e9, "calls": made.calls, "run": made.run}
    code = _say(written, out, valid, made.skipped, as_json=json, more=spent)
    if not json:
        print(f"${dollars(made.spent_nano)} in {made.calls} calls; run {made.run}")
    return INCONCLUSIVE if made.is_out_of_money and code == FINE else code


async def _distil(
    place: Place, data: str, target: str, app: str | None, consent: Consent, budget_usd: float | None,
    max_calls: int | None, max_tokens: int | None, concurrency: int, *, quiet: bool,
) -> "Distilled":  # fmt: skip
    from greenroom.assembly.distilling import agreed, distil_from  # noqa: PLC0415  # a large import, as in Place.open
    from greenroom.assembly.optimizing import Limits  # noqa: PLC0415  # as above

    limits = Limits(
        budget_usd=budget_usd, max_calls=max_calls, max_tokens=max_tokens, concurrency=concurrency
    )
    house = place.open()
    async with house.running(as_guest=True):
        samples, left_out = agreed(house, samples_of(house, data), consent)
        if not samples:
            raise RequestError(
                f"Nobody consented: all {left_out} prompts are recorded exchanges without such a tag. Tag "
                "requests with consent=true, or say --consent not_refused where that is lawful.",
                "consent",
            )
        with told(len(samples), quiet=quiet) as tell:
            made = await distil_from(house, target, samples, limits, app=app, on_answer=tell.answered)
    return replace(made, skipped={**made.skipped, "no consent": left_out}) if left_out else made


def _say(
    written: "Written", out: Path, valid: Path | None, skipped: Mapping[str, int], *, as_json: bool,
    more: Mapping[str, object] | None = None,
) -> int:  # fmt: skip
    if as_json:
        print_json({"train": written.train, "valid": written.valid, "skipped": dict(skipped), **(more or {})})
        return FINE if written.train else FINDINGS
    for line in _lines(written, out, valid, skipped):
        print(printable(line))
    if written.train:
        return FINE
    if skipped.get("no consent"):
        return fail(
            "No row was written: nobody consented. Tag requests with consent=true, or say "
            "--consent not_refused where that is lawful.",
            FINDINGS,
        )
    return fail("No row was written: no recorded exchange fits.", FINDINGS)


def _lines(written: "Written", out: Path, valid: Path | None, skipped: Mapping[str, int]) -> Iterator[str]:
    yield f"{out}: {written.train} rows"
    if valid is not None:
        yield f"{valid}: {written.valid} rows"
    if skipped:
        ordered = sorted(skipped.items(), key=lambda one: -one[1])
        yield "Left out: " + ", ".join(f"{count} ({why})" for why, count in ordered)
