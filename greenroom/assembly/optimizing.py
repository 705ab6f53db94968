"""One optimisation or comparison put together from the house: prompt, samples, metric, models, money."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.json import decode, encode

from greenroom.assembly.contenders import ModelContender, Reflector, contender_for
from greenroom.assembly.evaluating import scorers_of
from greenroom.assembly.house import House
from greenroom.assembly.judges import kinds_with_judges
from greenroom.assembly.promptdesk import PromptDesk
from greenroom.assembly.promptlint import PromptLint
from greenroom.errors import RequestError
from greenroom.offline.bench import CONCURRENCY
from greenroom.offline.budget import NANO, Budget
from greenroom.offline.compare.comparison import Comparison, Contest, compare
from greenroom.offline.evals.sample import Sample, Scorer
from greenroom.offline.evals.suite import read_suite
from greenroom.offline.optimize.candidate import digest_of
from greenroom.offline.optimize.optimizer import METHODS, Method, Plan, Result, Tools, optimize
from greenroom.prompts.diff import diff
from greenroom.prompts.version import PromptVersion
from greenroom.store.trials import Trials

Json = dict[str, Any]  # Any: JSON


class Limits(Struct, kw_only=True, frozen=True):
    """What a run may use."""

    budget_usd: float | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    """Of an answer; tightens the worst case of each call."""
    concurrency: int = CONCURRENCY

    @property
    def nano(self) -> int | None:
        """The budget in billionths of a dollar."""
        return None if self.budget_usd is None else round(self.budget_usd * NANO)

    @property
    def settings(self) -> Json:
        """The fields of each request."""
        return {} if self.max_tokens is None else {"max_tokens": self.max_tokens}


async def optimize_prompt(
    house: House,
    prompt: str,
    samples: Sequence[Sample],
    metric: Scorer,
    limits: Limits,
    *,
    app: str | None = None,
    model: str | None = None,
    reflection_model: str | None = None,
    methods: tuple[Method, ...] = METHODS,
    seed: int = 0,
    on_step: Callable[[str], None] = lambda _: None,
    on_trial: Callable[[Budget], None] = lambda _: None,
) -> Result:
    """Look for a better version of a stored prompt; see `optimizer.optimize`. The house must be running.

    Raises: as `optimize`; PromptNotFound.
    """
    house.refresh_prompts()
    base = house.prompt_shelf.registry.find(prompt)

    def make(version: PromptVersion) -> ModelContender:
        return contender_for(house, version, app=app, model=model, settings=limits.settings)

    rules, stored = PromptLint(house), house.prompt_shelf.registry

    def errors(version: PromptVersion) -> list[str]:
        found = rules.version(version, stored)
        return [f"{one.place}: {one.message}" for one in found if one.severity == "error"]

    first = make(base)
    rewriter = reflection_model or model or (None if app else base.settings.model)
    trials = Trials(house.folder())
    try:
        plan = Plan(
            base=base, samples=tuple(samples), subject=first.fingerprint, budget_nano=limits.nano,
            max_calls=limits.max_calls, methods=methods, seed=seed, concurrency=limits.concurrency,
        )  # fmt: skip
        tools = Tools(
            make=make, reflector=Reflector(house, rewriter, app),
            metric=metric, lint=errors, diff=differences,
            answers=house.evals, trials=trials, on_step=on_step, on_trial=on_trial,
        )  # fmt: skip
        return await optimize(plan, tools)
    finally:
        trials.close()


def save(house: House, version: PromptVersion, by: str) -> str:
    """Store a version without a label; its reference, `name@number`. Raises: StoreError.

    Errors of lint that it shares with the version it was made from do not keep it out.
    """
    desk = PromptDesk(house)
    for same in desk.registry.versions.get(version.name, {}).values():
        if digest_of(same) == digest_of(version):  # the same run, looked at again
            return same.reference
    added = desk.add(version, force=True, by=by)
    house.refresh_prompts()
    return f"{added['name']}@{added['number']}"


async def compare_models(
    house: House,
    models: Sequence[str],
    samples: Sequence[Sample],
    scorers: Sequence[Scorer],
    limits: Limits,
    *,
    app: str | None = None,
    against: str | None = None,
    on_trial: Callable[[Budget], None] = lambda _: None,
) -> Comparison:
    """Hold models against each other on samples; see `comparison.compare`. The house must be running."""
    asked = [ModelContender(house, app=app, model=one, settings=limits.settings, name=one) for one in models]
    unasked = [one.id for one in samples if not asked[0].can_ask(one)] if asked else []
    if unasked:
        raise RequestError(
            f"{len(unasked)} samples have variables and no question, such as '{unasked[0]}'. Name an app "
            "with a prompt that they fill, with --app.",
            "data",
        )
    contest = Contest(
        contenders=tuple(asked),
        samples=tuple(samples), scorers=tuple(scorers), against=against, budget_nano=limits.nano,
        max_calls=limits.max_calls, concurrency=limits.concurrency,
    )  # fmt: skip
    trials = Trials(house.folder())
    try:
        return await compare(contest, house.evals, trials, on_trial)
    finally:
        trials.close()


def scorers_named(house: House, named: Sequence[str], suite: Path | None) -> list[Scorer]:
    """Scorers by name: those of a suite's file, or the built-in ones with their usual settings.

    Raises: MalformedRequest; RequestError for a name that the suite does not have.
    """
    tables: dict[str, dict[str, Any]] = {}  # Any: settings
    folder = Path()
    known = None if suite is None else read_suite(suite).scorers
    if suite is not None:
        folder = suite.parent
    for name in named:
        if known is not None and name not in known:
            raise RequestError(f"The suite has no scorer '{name}'. It has: {', '.join(known)}.", "scorers")
        tables[name] = {} if known is None else known[name]
    return scorers_of(house, tables, folder, kinds_with_judges(house))


def differences(before: PromptVersion, after: PromptVersion) -> Json:
    """What one version changes in another, word by word, as JSON."""
    return {"changes": decode(encode(diff(before, after)))}
