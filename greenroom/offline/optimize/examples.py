"""Few-shot examples for a prompt: answered training samples, tried in several selections.

Bootstrap with random search (Khattab et al., "DSPy", 2023): an example is a training sample with the answer
the prompt itself gave where that scored well, else with the expected one. Selections are drawn at random,
some of them from the samples that the prompt gets wrong; one is the whole pool, of which the most similar
are shown for each question (nearest neighbours, chosen by `greenroom.prompts`). What raises the dev score
stays.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.json import encode

from greenroom.offline.bench import Trial
from greenroom.offline.budget import BudgetSpent
from greenroom.offline.evals.sample import Sample
from greenroom.offline.optimize.candidate import Candidate
from greenroom.offline.optimize.components import with_examples
from greenroom.offline.optimize.search import Search
from greenroom.prompts.version import Example

GOOD = 0.8
"""From this share of the best possible value on, the prompt's own answer may be shown."""
SIZES = (2, 4, 8)
SIMILAR = 3
_POOL = 40
_LONGEST = 4_000
"""Characters of one example: longer ones would cost more than they teach."""
_SCREEN = 3
"""A selection that does worse on the first third of the dev part is not measured on the rest."""
_CHUNK = 8


class _Material(NamedTuple):
    example: Example
    is_hard: bool
    """Whether the prompt got it wrong, so that the expected answer stands in it."""


async def show_examples(search: Search) -> None:
    """Try examples on top of the best candidate until money ends. Raises: InfrastructureError."""
    start = search.best()
    try:
        pool = _pool(search, await _answered(search, start))
        if len(pool) < min(SIZES):
            search.on_step("There are too few good answers to make examples of.")
            return
        for chosen, similar in _selections(pool, random.Random(search.seed)):  # noqa: S311  # repeats with the seed
            await _try(search, start, chosen, similar)
    except BudgetSpent:
        return


async def _answered(search: Search, start: Candidate) -> list[Trial]:
    """What the candidate answers to training samples; as many as the money reaches for."""
    train = search.parts.train[:_POOL]
    for at in range(0, len(train), _CHUNK):
        try:
            await search.measure(start, train[at : at + _CHUNK])
        except BudgetSpent:
            break
    return search.candidates.trials(start, train)


def _pool(search: Search, trials: Sequence[Trial]) -> list[_Material]:
    values = {one.sample.id: search.quality(one) for one in trials}
    best = max(1.0, *values.values()) if values else 1.0
    pool = []
    for trial in trials:
        is_good = values[trial.sample.id] >= GOOD * best and trial.output.text.strip()
        output = trial.output.text.strip() if is_good else _expected(trial.sample)
        example = _example(trial.sample, output) if output else None
        if example is not None:
            pool.append(_Material(example, not is_good))
    return pool


def _selections(pool: Sequence[_Material], chance: random.Random) -> Iterator[tuple[list[Example], int]]:
    """Examples to show, and how many of them for each question (0: all)."""
    if len(pool) > SIMILAR:
        yield [one.example for one in pool], SIMILAR
    hard = [one for one in pool if one.is_hard]
    for size in SIZES:
        if size > len(pool):
            return
        if len(hard) >= size:
            yield [one.example for one in chance.sample(hard, size)], 0
        yield [one.example for one in chance.sample(list(pool), size)], 0


async def _try(search: Search, start: Candidate, chosen: Sequence[Example], similar: int) -> None:
    version = with_examples(start.version, chosen, similar)
    known = set(search.lint(start.version))
    wrong = [one for one in search.lint(version) if one not in known]
    made = search.candidates.add(version, start, "examples", wrong)
    if wrong:
        search.on_step(f"Candidate {made.number} is rejected: {' '.join(wrong)}")
        return
    how = f"the {similar} most similar of {len(chosen)}" if similar else f"{len(chosen)}"
    search.on_step(f"Candidate {made.number} shows {how} examples.")
    dev = search.parts.dev
    first = dev[: max(1, len(dev) // _SCREEN)]
    shown = sum(map(search.quality, await search.measure(made, first)))
    if shown >= sum(map(search.quality, search.candidates.trials(start, first))):
        await search.measure(made, dev)


def _expected(sample: Sample) -> str:
    value = sample.expected
    if value is None or isinstance(value, str):
        return (value or "").strip()
    return encode(value).decode()


def _example(sample: Sample, output: str) -> Example | None:
    asked = "" if sample.variables or not sample.messages else sample.messages[-1].get("content")
    if not isinstance(asked, str) or len(output) + len(encode(sample.variables)) + len(asked) > _LONGEST:
        return None
    if not sample.variables and not asked:
        return None
    # A text of its own is a template too: what looks like a variable in it is not one.
    return Example(output=output, input=asked.replace("{{", "\\{{"), variables=sample.variables)
