"""`greenroom finetune check`: whether a file can be trained on, and what the gate would do with it."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from greenroom.cli.output import fail, print_json, printable
from greenroom.cli.place import FINDINGS, FINE, USAGE, Here
from greenroom.errors import RequestError

if TYPE_CHECKING:
    from greenroom.offline.finetune.rows.options import Held
    from greenroom.offline.finetune.rows.prepared import Prepared
    from greenroom.offline.finetune.rows.problems import Unfit

Consent = Literal["stated", "not_refused", "any"]
_SHOWN = 5
"""Rows of one reason that are told at a terminal."""
_WHY = {
    "duplicate": "the same as another", "near_duplicate": "nearly the same as another",
    "evaluation": "a question of an evaluation", "validation": "like a row of validation",
    "no_consent": "without consent", "too_long": "too long",
}  # fmt: skip


def check(
    file: Path,
    /,
    *,
    valid: Path | None = None,
    method: Literal["auto", "supervised", "dpo"] = "auto",
    consent: Consent = "not_refused",
    against: Annotated[list[Path] | None, Parameter(negative=())] = None,
    max_tokens: int | None = None,
    mask: bool = True,
    duplicates: bool = True,
    out: Path | None = None,
    project: str = "default",
    json: bool = False,
    place: Here,
) -> int:
    """Say whether a file can be trained on, and what would be masked and left out. Trains nothing.

    Exit code 0 when it can, 1 when it can't; then each fault is told with its line and remedy. Kept data sets
    of evaluations are always kept out.

    Parameters
    ----------
    file
        A .jsonl file of conversations or preferences.
    valid
        Rows for validation; what they say is not trained on.
    method
        supervised or dpo; auto goes by the first row.
    consent
        stated: only rows whose metadata say so; not_refused: also those that say nothing; any: all.
    against
        More evaluation rows to keep out: a .jsonl or .csv file. May be repeated.
    max_tokens
        Longer rows are left out.
    mask
        Put masks for personal data and secrets.
    duplicates
        Leave out rows that say the same again.
    out
        The folder for the cleaned rows; without it nothing is kept.
    project
        Whose data sets are kept out.
    json
        Print all of it as JSON.
    """
    from greenroom.assembly.training_rows import means_of  # noqa: PLC0415  # a large import, as in Place.open
    from greenroom.offline.finetune.rows.first import method_in  # noqa: PLC0415  # as above
    from greenroom.offline.finetune.rows.options import Options  # noqa: PLC0415  # as above
    from greenroom.offline.finetune.rows.prepare import prepare  # noqa: PLC0415  # as above
    from greenroom.offline.finetune.rows.problems import Unfit  # noqa: PLC0415  # as above

    options = Options(mask=mask, duplicates=duplicates, consent=consent, max_tokens=max_tokens)
    house = place.open()
    chosen = method_in(file) if method == "auto" else method
    try:
        means = means_of(house, project, _files(against or ()))
        with TemporaryDirectory(prefix="greenroom-rows-") as folder:
            done = prepare(file, valid, out or Path(folder), chosen, options, means)
    except Unfit as error:
        return _say_unfit(error, as_json=json)
    except RequestError as error:
        return fail(str(error), USAGE)
    if json:
        print_json({"fit": True, "prepared": done})
    else:
        _print(done, out)
    return FINE


def _files(paths: Sequence[Path]) -> "list[Held]":
    from greenroom.assembly.training_rows import held  # noqa: PLC0415  # as above
    from greenroom.offline.evals.data import read_file  # noqa: PLC0415  # as above

    return [held(path.name, read_file(path).samples) for path in paths]


def _say_unfit(error: "Unfit", *, as_json: bool) -> int:
    if as_json:
        print_json({"fit": False, "problems": error.problems, "counts": error.counts})
        return FINDINGS
    for one in error.problems:
        print(printable(one.said()))
    total = sum(error.counts.values())
    more = f", the first {len(error.problems)} of them above" if total > len(error.problems) else ""
    return fail(f"This can't be trained on: {total} fault{'s' if total > 1 else ''}{more}.", FINDINGS)


def _print(done: "Prepared", out: Path | None) -> None:
    for part in (done.train, done.valid):
        if part is not None:
            size = f"about {part.tokens:,} tokens, the longest {part.longest_tokens:,}"
            print(printable(f"{part.source}: {part.rows:,} of {part.rows_read:,} rows, {size}"))
    if done.masked:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.masked.items()))
        print(f"Masked in {done.masked_rows} rows: {kinds}")
    for why, count in done.removed.items():
        own = [one for one in done.samples if one.why == why]
        shown = [f"line {one.line}{f' ({one.like})' if one.like else ''}" for one in own[:_SHOWN]]
        more = ", …" if count > _SHOWN else ""
        print(printable(f"Left out as {_WHY[why]}: {count}: {', '.join(shown)}{more}"))
    for one in done.warnings[:_SHOWN]:
        print(printable(one.said()))
    print(f"Fit for training ({done.method}); digest {done.digest[:12]}")
    if out is not None:
        print(printable(f"Written to {out}"))
