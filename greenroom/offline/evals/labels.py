"""Answers that people have judged, from a JSONL file, and a judge's verdicts on them."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.calibration import Calibration, calibrate
from greenroom.offline.evals.judge import Judge
from greenroom.offline.evals.sample import Output, Sample, Score

MOST_LABELS = 10_000
_LABELS = {"pass": True, "fail": False, True: True, False: False}  # 1 is True


class _Row(Struct):
    answer: str
    label: str | bool | int
    question: str = ""
    reference: Any = None  # Any: JSON, as `expected` of a sample


class Labelled(Struct, kw_only=True, frozen=True):
    """An answer and what people say of it."""

    sample: Sample
    answer: str
    passes: bool


class Verdicts(Struct, kw_only=True, frozen=True):
    """What a judge said of labelled answers, held against the labels."""

    calibration: Calibration
    scores: tuple[Score, ...]
    cost_nano_usd: int


_row = Decoder(_Row)


def read_labels(path: Path) -> list[Labelled]:
    """Rows of `answer` and `label` ("pass" or "fail"), with `question` and `reference` where there are any.

    Raises: MalformedRequest that names the line.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise MalformedRequest(f"'{path}' can't be read: {error.strerror or error}.", "labels") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(_labelled(line, number, path))
    if not 0 < len(found) <= MOST_LABELS:
        raise MalformedRequest(f"'{path}' must hold 1 to {MOST_LABELS:,} labelled answers.", "labels")
    return found


def _labelled(line: bytes, number: int, path: Path) -> Labelled:
    try:
        row = _row.decode(line)
        passes = _LABELS[row.label.lower() if isinstance(row.label, str) else row.label]
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"{path}, line {number}: {error}.", "labels") from None
    except KeyError:
        raise MalformedRequest(f"{path}, line {number}: 'label' must be pass or fail.", "labels") from None
    messages = ({"role": "user", "content": row.question},) if row.question else ()
    sample = Sample(id=str(number), messages=messages, expected=row.reference)
    return Labelled(sample=sample, answer=row.answer, passes=passes)


async def judged(
    judge: Judge,
    labels: Sequence[Labelled],
    *,
    concurrency: int = 8,
    progress: Callable[[int], None] | None = None,
) -> Verdicts:
    """Have every answer judged, and compare. `progress` takes how many are done.

    Raises: InfrastructureError where the judge's model can't be asked.
    """
    places = asyncio.Semaphore(concurrency)
    scores: list[Score | None] = [None] * len(labels)
    done = 0

    async def one(place: int, label: Labelled) -> None:
        nonlocal done
        async with places:
            scores[place] = await judge.score(label.sample, Output(text=label.answer))
        done += 1
        if progress is not None:
            progress(done)

    try:
        async with asyncio.TaskGroup() as group:
            for place, label in enumerate(labels):
                group.create_task(one(place, label))
    except ExceptionGroup as group_of_errors:  # nothing is swallowed: the first is raised as itself
        raise group_of_errors.exceptions[0] from None
    told = [score for score in scores if score is not None]
    pairs = [
        (score.passed, label.passes) for score, label in zip(told, labels, strict=True) if score.error is None
    ]
    errors = sum(score.error is not None for score in told)
    return Verdicts(
        calibration=calibrate(pairs, errors),
        scores=tuple(told),
        cost_nano_usd=sum(score.cost_nano_usd for score in told),
    )
