"""How models fare that are asked and run here: for metrics, the API and the page; and the end of one."""

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Any

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.assembly.lineage import lineage
from greenroom.assembly.models import READER
from greenroom.errors import ModelNotFound
from greenroom.exchange import Caller
from greenroom.gateway.figures import BOUNDS_S, OTHERS, Figures
from greenroom.gateway.rooms import project_of
from greenroom.models.attempt import Target
from greenroom.models.engine import Engine
from greenroom.models.llama import Llama
from greenroom.server.pages.access import seen
from greenroom.store.trained import TrainedModel

Json = dict[str, Any]  # Any: JSON
_MIB = 1 << 20


class ServingDesk:
    """Answers `ServingAdministration` of the API."""

    def __init__(self, house: House) -> None:
        self._house = house

    def all_status(self, caller: Caller) -> list[Json]:
        """Every target that is configured, was asked, or was trained here for this project."""
        return all_status(self._house, project_of(caller))

    def status(self, name: str, caller: Caller) -> Json:
        """One target, by its name or by that of the model that leads to it. Raises: ModelNotFound."""
        return status(self._house, name, project_of(caller))

    def lineage(self, named: str, caller: Caller) -> Json:
        """Where a model or an answer comes from. Raises: ModelNotFound; StoreError."""
        return lineage(self._house, named, project_of(caller))

    async def delete(self, name: str, caller: Caller, address: str) -> Json:
        """Let a trained model answer nobody any more. Raises: ModelNotFound; Conflict; StoreError."""
        house, project = self._house, project_of(caller)
        found = await asyncio.to_thread(house.trained.find, name, project)
        if project is not None and found.project != project:
            raise ModelNotFound(f"There is no model '{name[:100]}' of this project.", "model")
        house.shelf.check_unused(name)
        await asyncio.to_thread(house.trained.delete, name, project)
        about = {"model": name, "project": found.project, "job": found.job}
        await asyncio.to_thread(Audit(house).note, caller.key_id, "model.delete", about, address=address)
        house.shelf.notice()
        return {"id": name, "object": "model", "deleted": True}


class ServingPagesDesk:
    """Answers the pages of models, of which the one at the browser may know."""

    def __init__(self, house: House) -> None:
        self._house = house

    def all_models(self) -> list[Json]:
        """How all targets fare."""
        return all_status(self._house, seen())

    def model(self, name: str) -> Json:
        """How one fares. Raises: ModelNotFound."""
        return status(self._house, name, seen())

    def lineage_of(self, name: str) -> Json:
        """Where a trained one comes from. Raises: ModelNotFound; StoreError."""
        return lineage(self._house, name, seen())


def all_status(house: House, project: str | None) -> list[Json]:
    """How all targets fare, by name, of which a project may know; None sees all."""
    return [_row(house, target, project) for target in _targets(house, project).values()]


def status(house: House, name: str, project: str | None) -> Json:
    """How one target fares; for a configured model its targets. Raises: ModelNotFound."""
    configured = house.models.configured().get(name)
    if configured is not None:
        found = {one: house.models.target(one) for one in configured.targets}
        shown = [
            _row(house, target, project)
            for one, target in found.items()
            if target is not None and not house.shelf.is_hidden(one, project)
        ]
        return {"model": name, "targets": shown}
    target = None if house.shelf.is_hidden(name, project) else house.models.target(name)
    if target is None:
        raise ModelNotFound(f"No model goes by '{name[:100]}'. GET /api/models lists what there is.", "model")
    return _row(house, target, project)


def _targets(house: House, project: str | None) -> dict[str, Target]:
    models = house.models
    names = [target for one in models.configured().values() for target in one.targets]
    names += [house.default_target, *models.names(), *house.shelf.names(project)]
    names += house.gateway.figures.by_target
    found = (
        models.target(name)
        for name in dict.fromkeys(names)
        if name not in models.configured() and not house.shelf.is_hidden(name, project)
    )
    return {one.name: one for one in found if one is not None}


def _row(house: House, target: Target, project: str | None) -> Json:
    provider, is_narrow = target.provider, project is not None
    health, now = target.health, monotonic()
    left_s = max(0.0, max(health.open_until, health.back_at) - now)
    figures = house.gateway.figures.by_target.get(target.name) or Figures()
    trained = house.shelf.find(target.name)
    return {
        "target": target.name,
        "at_work": health.at_work,
        "waiting": len(health.queue),
        "parallel": health.parallel,
        "circuit": "closed" if not health.open_until else "open" if left_s else "half_open",
        **figures.facts(),
        "context_window": house.models.context_window(target.name),
        "engine": provider.engine.facts(to_all=is_narrow) if isinstance(provider, Llama) else None,
        "trained": None if trained is None else _about(trained),
    }


def _about(trained: TrainedModel) -> Json:
    return {
        "job": trained.job,
        "base": trained.base or None,
        "kind": trained.kind,
        "project": trained.project,
    }


def model_metrics(house: House) -> list[str]:
    """What targets did, and how the engines of this process fare, in Prometheus' text format.

    A client may write anything for a model's name: who is neither configured nor ever answered is among the
    others, and has no figures of its own.
    """
    lines = []
    figures = house.gateway.figures.by_target
    known = {*house.models.names(), house.default_target, READER}
    known |= {name for name, one in list(figures.items()) if one.answered}
    by_target = sorted(_folded(list(figures.items()), known))
    health = sorted((one.name, one) for one in house.healths.all() if one.name in known)
    lines += _samples("model_calls_total", "counter", [
        (f'target="{_label(name)}",result="{_label(result)}"', count)
        for name, one in by_target
        for result, count in (("answered", one.answered), *sorted(one.errors.items()))
    ])  # fmt: skip
    for metric, field in (
        ("model_input_tokens_total", "input_tokens"),
        ("model_output_tokens_total", "output_tokens"),
        ("model_output_seconds_total", "output_s"),
    ):
        rows = [(_target(name), getattr(one, field)) for name, one in by_target]
        lines += _samples(metric, "counter", rows)
    lines += _first_tokens(by_target)
    lines += _samples("model_at_work", "gauge", [(_target(name), one.at_work) for name, one in health])
    lines += _samples("model_waiting", "gauge", [(_target(name), len(one.queue)) for name, one in health])
    return lines + _engine_metrics(house.engines.all())


def _folded(figures: list[tuple[str, Figures]], known: set[str]) -> Iterator[tuple[str, Figures]]:
    """Figures by target; all that are not known as one, which has errors alone."""
    others = Figures()
    for name, one in figures:
        if name in known:
            yield name, one
            continue
        for error, count in list(one.errors.items()):
            others.errors[error] = others.errors.get(error, 0) + count
    if others.errors:
        yield OTHERS, others


def _first_tokens(by_target: list[tuple[str, Figures]]) -> list[str]:
    name = "greenroom_model_first_token_seconds"
    lines = [f"# TYPE {name} histogram"]
    for target, one in by_target:
        total = 0
        for bound, count in zip((*BOUNDS_S, "+Inf"), one.firsts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{_target(target)},le="{bound}"}} {total}')
        lines.append(f"{name}_sum{{{_target(target)}}} {one.firsts_s:.6f}")
        lines.append(f"{name}_count{{{_target(target)}}} {total}")
    return lines if len(lines) > 1 else []


def _engine_metrics(engines: list[tuple[str, Engine]]) -> list[str]:
    """Engines of one name that follow each other, as the sets of adapters change, are one here."""
    facts: dict[str, list[Json]] = {}
    for name, engine in engines:
        facts.setdefault(name, []).append(engine.facts())

    def rows(field: str, times: float = 1) -> list[tuple[str, float]]:
        return [
            (f'engine="{_label(name)}"', round(times * sum(one.get(field) or 0 for one in some)))
            for name, some in sorted(facts.items())
        ]

    up = [
        (f'engine="{_label(name)}"', sum(one["state"] == "ready" for one in some))
        for name, some in sorted(facts.items())
    ]
    return [
        *_samples("engine_up", "gauge", up),
        *_samples("engine_at_work", "gauge", rows("at_work")),
        *_samples("engine_waiting", "gauge", rows("waiting")),
        *_samples("engine_memory_bytes", "gauge", rows("memory_mb", _MIB)),
        *_samples("engine_memory_limit_bytes", "gauge", rows("memory_limit_mb", _MIB)),
        *_samples("engine_kv_tokens", "gauge", rows("kv_tokens")),
        *_samples("engine_kv_limit_tokens", "gauge", rows("kv_limit")),
        *_samples("engine_starts_total", "counter", rows("starts")),
        *_samples("engine_restarts_total", "counter", rows("restarts")),
        *_samples("engine_prompt_tokens_total", "counter", rows("prompt_tokens")),
        *_samples("engine_output_tokens_total", "counter", rows("output_tokens")),
    ]


def _samples(name: str, kind: str, rows: list[tuple[str, float]]) -> list[str]:
    if not rows:
        return []
    lines = [f"# TYPE greenroom_{name} {kind}"]
    return lines + [
        f"greenroom_{name}{{{labels}}} {value:.6f}" if isinstance(value, float) else
        f"greenroom_{name}{{{labels}}} {value}"
        for labels, value in rows
    ]  # fmt: skip


def _target(name: str) -> str:
    return f'target="{_label(name)}"'


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
