"""Suites run in process: subjects, scorers, baseline and money of one, put together from the house."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.json import Encoder

from greenroom.assembly.house import House
from greenroom.assembly.subjects import FunctionSubject, PipelineSubject
from greenroom.errors import MalformedRequest
from greenroom.offline.evals.kept import Settings, keep_data, kept_run, kinds_of
from greenroom.offline.evals.reports.report import Report, build
from greenroom.offline.evals.runner import Fingerprinted, Progress, run
from greenroom.offline.evals.sample import Scorer, Subject
from greenroom.offline.evals.scorers.registry import SCORERS, make_scorers
from greenroom.offline.evals.scorers.settings import Kind, Lent
from greenroom.offline.evals.suite import SubjectTable, Suite, data_of

NANO = 1_000_000_000
_encode = Encoder(order="deterministic").encode
Tell = Callable[[str, Progress], None]
"""Called with the subject's name after each item."""


def subject_of(house: House, table: SubjectTable, folder: Path, name: str | None = None) -> Subject:
    """Who a table means. Raises: InfrastructureError; MalformedRequest."""
    if table.function is not None:
        return FunctionSubject(table.function, folder, name)
    return PipelineSubject(
        house, app=table.app, model=table.model, prompt=table.prompt, settings=table.settings, name=name
    )


def scorers_of(
    house: House,
    tables: Mapping[str, Mapping[str, Any]],  # Any: settings
    folder: Path,
    kinds: Mapping[str, Kind] = SCORERS,
) -> list[Scorer]:
    """The scorers of a suite. Raises: MalformedRequest; ExtraMissing."""
    return make_scorers(tables, Lent(folder, house.encoder), kinds)


async def run_suite(
    house: House,
    suite: Suite,
    folder: Path,
    *,
    is_resumed: bool = False,
    is_fresh: bool = False,
    tell: Tell | None = None,
    stop: asyncio.Event | None = None,
    kinds: Mapping[str, Kind] = SCORERS,
    subjects: Sequence[Subject] | None = None,
) -> Report:
    """Run every subject of a suite, or these instead, and say what came of it. The house must be running.

    Once `stop` is set, what is on its way is waited for, and nothing else is begun.

    Raises: InfrastructureError; MalformedRequest; NotFound; ExtraMissing; StoreError.
    """
    rules, store = suite.rules(), house.evals
    scorers = scorers_of(house, suite.scorers, folder, kinds)
    if subjects is None:
        subjects = [subject_of(house, table, folder, name) for name, table in suite.subjects.items()]
    baseline = None if suite.baseline is None else kept_run(store, suite.baseline)
    if baseline is None and len(subjects) == 1 and any(rule.kind == "regression" for rule in rules):
        raise MalformedRequest("A regression is one against something: name it with --baseline.", "baseline")
    found = data_of(suite.data, folder, store)
    kept = keep_data(store, _plain_name(suite.data), found)
    settings = Settings(
        suite=suite.name, data=f"{kept.name}@{kept.version}", repeats=suite.repeats,
        metrics=kinds_of(scorers), scorers=suite.scorers,
    )  # fmt: skip
    left = None if suite.budget_usd is None else round(suite.budget_usd * NANO)
    runs = []
    for subject in subjects:
        resume = None
        if is_resumed:
            fingerprint = subject.fingerprint if isinstance(subject, Fingerprinted) else ""
            old = store.unfinished(fingerprint, found.digest, _encode(settings))
            resume = None if old is None else old.id
            left = left if left is None or old is None else left + store.spent(old.id).nano_usd
        done = await run(
            found.samples, subject, scorers, store=store, concurrency=suite.concurrency, rate=suite.rate,
            max_cost_nano_usd=left, repeats=suite.repeats, name=f"{suite.name}/{subject.name}",
            settings=settings, resume=resume, is_fresh=is_fresh, stop=stop,
            progress=None if tell is None else partial(tell, subject.name),
        )  # fmt: skip
        left = None if left is None else left - done.cost_nano_usd
        runs.append(kept_run(store, done.id))
        if stop is not None and stop.is_set():
            break
    return build(runs, baseline or (runs[0] if len(runs) > 1 else None), rules)


def _plain_name(named: str) -> str:
    """What the samples are called: a file by its stem, a kept data set by its name."""
    return Path(named).stem if "." in named else named.partition("@")[0]
