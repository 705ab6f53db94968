"""`greenroom eval calibrate`: a model judge held against people's labels."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.errors import InfrastructureError, MalformedRequest, RequestError
from greenroom.exchange import usd
from greenroom.offline.evals.calibration import SUBSTANTIAL, Interval, corrected_rate
from greenroom.offline.evals.judge import Judge, JudgeSettings
from greenroom.offline.evals.judge_prompts import VERSION, Language
from greenroom.offline.evals.labels import Labelled, Verdicts, judged, read_labels

_STEP = 25
"""Answers between two lines of progress."""


def calibrate(
    labels: Path,
    /,
    *,
    model: str,
    rubric: Path,
    votes: int = 1,
    language: Language = "answer",
    observed: Annotated[str | None, Parameter(negative=())] = None,
    at_least: float = SUBSTANTIAL,
    json: bool = False,
    place: Here,
) -> int:
    """Hold a model judge against people's labels: exit 0 when they agree, 1 when not, 2 when undecided.

    Parameters
    ----------
    labels
        A JSONL file of answers that people judged: answer, label (pass or fail), question, reference.
    model
        Who judges: an app, a model, or provider/model.
    rubric
        A text file with what makes an answer pass.
    votes
        Verdicts to be asked for each answer, at most.
    language
        The language of the reasons: that of the answer, en, pt or es.
    observed
        What the judge passed of other answers, as 140/200; their pass rate is then corrected.
    at_least
        The kappa that is well enough.
    json
        Print the figures as JSON.
    """
    try:
        rows = read_labels(labels)
        settings = _settings(model, rubric, votes, language)
        counts = _observed(observed)
    except RequestError as error:
        return fail(str(error), USAGE)
    try:
        told = asyncio.run(_judged(place, settings, rows))
    except InfrastructureError as error:
        return fail(str(error), ENVIRONMENT)
    corrected = None if counts is None else corrected_rate(*counts, told.calibration)
    if json:
        print_json(_figures(told, settings, counts, corrected))
    else:
        _print(told, counts, corrected)
    return _code(told.calibration.kappa, at_least)


def _settings(model: str, rubric: Path, votes: int, language: Language) -> JudgeSettings:
    try:
        text = rubric.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise MalformedRequest(f"The rubric '{rubric}' can't be read as text.", "rubric") from None
    given = {"model": model, "rubric": text, "votes": votes, "language": language}
    try:
        return msgspec.convert(given, JudgeSettings)
    except msgspec.ValidationError as error:
        what, _, field = str(error).partition(" - at `$.")
        raise MalformedRequest(f"--{field.rstrip('`')}: {what}.", "judge") from None


def _observed(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    passed, slash, judged_ = text.partition("/")
    if not slash or not passed.isdecimal() or not judged_.isdecimal() or not 0 <= int(passed) <= int(judged_):
        raise MalformedRequest("--observed must look like 140/200: passed, of so many judged.", "observed")
    return int(passed), int(judged_)


async def _judged(place: Place, settings: JudgeSettings, rows: list[Labelled]) -> Verdicts:
    from greenroom.assembly.judges import judge_ask  # noqa: PLC0415  # with the house, as `Place.open`

    def tell(done: int) -> None:
        if done % _STEP == 0 or done == len(rows):
            print(f"{done} of {len(rows)} judged", file=sys.stderr)

    async with place.open().running(as_guest=True) as house:
        judge = Judge("judge", settings, judge_ask(house))
        return await judged(judge, rows, progress=tell)


def _figures(
    told: Verdicts, settings: JudgeSettings, counts: tuple[int, int] | None, corrected: Interval | None
) -> dict[str, Any]:  # Any: JSON
    figures: dict[str, Any] = msgspec.to_builtins(told.calibration)
    return {
        **figures,
        "judge": {"model": settings.model, "prompt_version": VERSION, "fingerprint": settings.fingerprint},
        "observed": None if counts is None else {"passed": counts[0], "judged": counts[1]},
        "corrected_pass_rate": msgspec.to_builtins(corrected),
        "cost_usd": usd(told.cost_nano_usd),
    }


def _print(told: Verdicts, counts: tuple[int, int] | None, corrected: Interval | None) -> None:
    found = told.calibration
    print_table(
        ("", "people: pass", "people: fail"),
        [
            ("judge: pass", str(found.both_pass), str(found.judge_only)),
            ("judge: fail", str(found.human_only), str(found.both_fail)),
        ],
    )
    print(f"Agreement {_share(found.agreement)}, kappa {_interval(found.kappa)} (95 %).")
    passed, failed = _share(found.sensitivity), _share(found.specificity)
    print(f"It passes {passed} of what people pass, and fails {failed} of what people fail.")
    print(f"It could not tell {found.abstained} times, and failed {found.errors} times.")
    for note in found.notes:
        print(note)
    if counts is not None and corrected is None:
        print("The pass rate can't be corrected: this judge tells passes from fails no better than chance.")
    elif counts is not None:
        print(f"Pass rate {counts[0]} of {counts[1]}; corrected {_interval(corrected)} (95 %).")
    print(f"The judge cost ${usd(told.cost_nano_usd)}.")


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _interval(one: Interval | None) -> str:
    return "unknown" if one is None else f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _code(kappa: Interval | None, at_least: float) -> int:
    if kappa is None:
        return INCONCLUSIVE
    if kappa.low >= at_least:
        return FINE
    return FINDINGS if kappa.high < at_least else INCONCLUSIVE
