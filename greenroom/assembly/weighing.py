"""«Should I train?» put together from the house: rows through the gate, the app, a scorer, money."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder, encode

from greenroom.assembly.contenders import ModelContender
from greenroom.assembly.foreseeing import Means, foreseen, sentence
from greenroom.assembly.house import House
from greenroom.assembly.optimizing import Limits
from greenroom.assembly.training_rows import means_of
from greenroom.errors import RequestError
from greenroom.offline.budget import Budget
from greenroom.offline.evals.sample import Json, Sample, Scorer
from greenroom.offline.finetune.asked import Budget as Most
from greenroom.offline.finetune.bases import find_base, hub_folder
from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.rows.form import said
from greenroom.offline.finetune.rows.options import Options
from greenroom.offline.finetune.rows.prepare import prepare
from greenroom.offline.finetune.rows.prepared import Prepared
from greenroom.offline.finetune.should.weighing import Weighed, Weighing, weigh
from greenroom.store.trials import Trials

_row = Decoder(Json).decode


class Training(Struct, kw_only=True, frozen=True):
    """What training on the rows would take here."""

    sentence: str
    estimate: dict[str, Any]  # Any: JSON


class Found(Struct, kw_only=True, frozen=True):
    """The verdict, and what training would take, where a base was named."""

    weighed: Weighed
    training: Training | None


async def weigh_training(
    house: House,
    rows: Path,
    metric: Scorer,
    limits: Limits,
    *,
    app: str | None = None,
    model: str | None = None,
    base: str | None = None,
    target: float,
    cases: int,
    seed: int = 0,
    on_trial: Callable[[Budget], None] = lambda _: None,
) -> Found:
    """Say whether training on a file of conversations is worth trying; see `weighing.weigh`.

    The rows pass the gate first, so that no row is held back that another one says again. With a `base`, a
    folder or a name, it is also said what training would take. The house must be running. Raises: as `weigh`;
    Unfit; ModelNotFound.
    """
    contender = ModelContender(house, app=app, model=model, settings=limits.settings)
    with TemporaryDirectory(prefix="greenroom-rows-") as folder:
        options = Options(evaluation=False, least_rows=1)
        done = prepare(rows, None, Path(folder), "supervised", options, means_of(house))
        training = None if base is None else _training(house, base, Path(folder), done)
        samples = _samples(Path(done.train.path))
    if not samples:
        raise RequestError(f"'{rows}' has no row whose last message is an answer in words.", "data")
    asked = Weighing(
        samples=samples, metric=metric, target=target, cases=cases, budget_nano=limits.nano,
        max_calls=limits.max_calls, concurrency=limits.concurrency, seed=seed,
    )  # fmt: skip
    trials = Trials(house.folder())
    try:
        weighed = await weigh(asked, contender, house.evals, trials, on_trial)
    finally:
        trials.close()
    return Found(weighed=weighed, training=training)


def _training(house: House, named: str, folder: Path, rows: Prepared) -> Training:
    config = house.config.finetune
    hub = hub_folder(house.environment, Path.home())
    base = find_base(named, bases=config.bases, hub=hub, may_be_folder=True)
    plan = Plan(name="estimate", base=str(base.folder), base_name=named, threads=config.threads)
    (folder / "plan.json").write_bytes(encode(plan))
    means = Means(
        memory_mb=config.memory_mb, threads=config.threads, watts=config.watts,
        usd_per_kwh=config.usd_per_kwh, usd_per_hour=config.usd_per_hour,
    )  # fmt: skip
    told = foreseen(folder, plan, rows, Most(), means)
    why = "" if told.fits else f" {told.why}"
    return Training(sentence=f"Training. {sentence(told)}{why}", estimate=told.to_json())


def _samples(path: Path) -> tuple[Sample, ...]:
    """The cleaned rows: what is asked, and the last answer as what is expected."""
    found = [_row(line) for line in path.read_bytes().splitlines()]
    samples = (_sample(str(number), one["messages"]) for number, one in enumerate(found, 1))
    return tuple(one for one in samples if one.expected and one.messages)


def _sample(id: str, messages: list[Json]) -> Sample:
    asked = tuple({name: one[name] for name in one if name != "weight"} for one in messages[:-1])
    return Sample(id=id, messages=asked, expected=said(messages[-1].get("content")))
