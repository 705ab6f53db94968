"""Distillation put together from the house: a stronger model through the pipeline, prompts, money."""

from collections.abc import Callable, Sequence

from greenroom.assembly.contenders import ModelContender
from greenroom.assembly.house import House
from greenroom.assembly.optimizing import Limits
from greenroom.errors import RequestError
from greenroom.offline.budget import Budget
from greenroom.offline.evals.sample import Sample
from greenroom.offline.finetune.rows.distilled import Cap, Distilled, distil
from greenroom.offline.finetune.rows.options import Consent, has_consent
from greenroom.store.trials import Trials


def agreed(house: House, samples: Sequence[Sample], consent: Consent) -> tuple[tuple[Sample, ...], int]:
    """The samples but those of recorded exchanges whose tags give no such consent, and how many those are."""
    found = tuple(one for one in samples if _agreed(house, one, consent))
    return found, len(samples) - len(found)


def _agreed(house: House, sample: Sample, consent: Consent) -> bool:
    record = house.traces.get(None, sample.id)  # None for what comes from elsewhere
    return record is None or has_consent(record["tags"].get("consent"), consent)


async def distil_from(
    house: House,
    target: str,
    samples: Sequence[Sample],
    limits: Limits,
    *,
    app: str | None = None,
    on_answer: Callable[[Budget], None] = lambda _: None,
) -> Distilled:
    """Ask a model for each prompt; see `distilled.distil`. The house must be running. Raises: as `distil`."""
    contender = ModelContender(house, app=app, model=target, settings=limits.settings, name=target)
    unasked = next((one.id for one in samples if not contender.can_ask(one)), None)
    if unasked is not None:
        raise RequestError(
            f"'{unasked}' has variables and no question. Name an app whose prompt they fill, with --app.",
            "data",
        )
    trials = Trials(house.folder())
    try:
        cap = Cap(nano=limits.nano, calls=limits.max_calls, concurrency=limits.concurrency)
        return await distil(contender, samples, cap, house.evals, trials, on_answer)
    finally:
        trials.close()
