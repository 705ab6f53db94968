"""«Should I train?» put together from the house: rows through the gate, the app, a scorer, money."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.json import Decoder

from greenroom.assembly.contenders import ModelContender
from greenroom.assembly.house import House
from greenroom.assembly.optimizing import Limits
from greenroom.assembly.training_rows import means_of
from greenroom.errors import RequestError
from greenroom.offline.budget import Budget
from greenroom.offline.evals.sample import Json, Sample, Scorer
from greenroom.offline.finetune.rows.form import said
from greenroom.offline.finetune.rows.prepare import Options, prepare
from greenroom.offline.finetune.should.weighing import Weighed, Weighing, weigh
from greenroom.store.trials import Trials

_row = Decoder(Json).decode


async def weigh_training(
    house: House,
    rows: Path,
    metric: Scorer,
    limits: Limits,
    *,
    app: str | None = None,
    model: str | None = None,
    target: float,
    cases: int,
    seed: int = 0,
    on_trial: Callable[[Budget], None] = lambda _: None,
) -> Weighed:
    """Say whether training on a file of conversations is worth trying; see `weighing.weigh`.

    The rows pass the gate first, so that no row is held back that another one says again. The house must be
    running. Raises: as `weigh`, and Unfit.
    """
    contender = ModelContender(house, app=app, model=model, settings=limits.settings)
    asked = Weighing(
        samples=samples_of(house, rows), metric=metric, target=target, cases=cases, budget_nano=limits.nano,
        max_calls=limits.max_calls, concurrency=limits.concurrency, seed=seed,
    )  # fmt: skip
    trials = Trials(house.folder())
    try:
        return await weigh(asked, contender, house.evals, trials, on_trial)
    finally:
        trials.close()


def samples_of(house: House, rows: Path) -> tuple[Sample, ...]:
    """The cleaned rows: what is asked, and the last answer as what is expected. Raises: Unfit."""
    with TemporaryDirectory(prefix="greenroom-rows-") as folder:
        options = Options(evaluation=False, least_rows=1)
        done = prepare(rows, None, Path(folder), "supervised", options, means_of(house))
        found = [_row(line) for line in Path(done.train.path).read_bytes().splitlines()]
    samples = [_sample(str(number), one["messages"]) for number, one in enumerate(found, 1)]
    usable = tuple(one for one in samples if one.expected and one.messages)
    if not usable:
        raise RequestError(f"'{rows}' has no row whose last message is an answer in words.", "data")
    return usable


def _sample(id: str, messages: list[Json]) -> Sample:
    asked = tuple({name: one[name] for name in one if name != "weight"} for one in messages[:-1])
    return Sample(id=id, messages=asked, expected=said(messages[-1].get("content")))
