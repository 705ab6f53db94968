"""What the API and the command line ask about models: which there are, how they fare, who would be asked."""

from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from greenroom.assembly.house import House
from greenroom.assembly.llama import PULLED
from greenroom.assembly.trained import PREFIX
from greenroom.gateway import pipeline
from greenroom.models.attempt import Target
from greenroom.models.cache import Cached
from greenroom.models.catalogue.wish import Wish
from greenroom.models.dispatch import Dispatch
from greenroom.models.llama import Llama
from greenroom.models.prices import Price
from greenroom.models.pulled import Pulled, all_pulled

if TYPE_CHECKING:
    from greenroom.assembly.recommendation import Recommender

Record = dict[str, Any]  # Any: JSON


class ModelDesk:
    """Answers `ModelAdministration` of the API."""

    def __init__(self, house: House) -> None:
        self._house = house

    @cached_property
    def recommender(self) -> "Recommender":
        """What knows the catalogue."""
        from greenroom.assembly.recommendation import Recommender  # noqa: PLC0415  # 1 MiB that few need

        return Recommender(self._house)

    def models(self, project: str | None = None) -> list[Record]:
        """Apps, configured models and targets, with prices per million tokens and how each fares now."""
        house, models = self._house, self._house.models
        rows: list[Record] = [
            {
                "id": name,
                "kind": "app",
                "model": None if house.shelf.is_hidden(app.model, project) else app.model,
                "pipeline": "off" if app.pipeline_off else "on",
            }
            for name, app in house.gateway.rooms.apps.items()
        ]
        for name, model in models.configured().items():
            targets = [one for one in model.targets if not house.shelf.is_hidden(one, project)]
            rows.append({"id": name, "kind": "model", "route": model.route, "targets": targets})
        named = dict.fromkeys((*models.names(), house.default_target))
        for name in named:
            target = models.target(name)
            if target is None or house.shelf.is_hidden(name, project):
                continue
            if name not in models.configured():
                rows.append(self._row(target, project))
        by_id = {one["id"]: one for one in rows}
        for one in all_pulled(house.data):
            name = f"{PULLED}{one.name}"
            row = by_id.get(name)
            if row is None:
                target = models.target(name)
                row = self._row(target, project) if target is not None else Record(id=name, kind="file")
                rows.append(row)
            row["file"] = _about(one)
        if house.shelf.names(project):
            self._add_trained(rows, project)
        return rows

    def _add_trained(self, rows: list[Record], project: str | None) -> None:
        """Say of trained models where they come from, and what memory they need."""
        from greenroom.assembly.trained_files import about  # noqa: PLC0415  # 1 MiB that few need

        house = self._house
        by_id = {one["id"]: one for one in rows}
        for name in house.shelf.names(project):
            trained = house.shelf.find(name)
            if trained is None:  # deleted just now
                continue
            row = by_id.get(f"{PREFIX}{name}")
            if row is None:
                target = house.models.target(f"{PREFIX}{name}")
                row = (
                    self._row(target, project)
                    if target is not None
                    else Record(id=f"{PREFIX}{name}", kind="file")
                )
                rows.append(row)
            row["trained"] = about(house, trained)

    def recommend(self, wish: Wish, project: str | None) -> Record:
        """Which model to choose. Raises: GreenroomError."""
        return self.recommender.recommend(wish, project)

    def facts(self, name: str) -> Record:
        """What is known of a model. Raises: NotFound."""
        return self.recommender.show(name)

    def _row(self, target: Target, project: str | None) -> Record:
        provider = target.provider
        engine = provider.engine.facts(to_all=project is not None) if isinstance(provider, Llama) else None
        health, now = target.health, monotonic()  # the loop's clock too
        left_s = max(0.0, max(health.open_until, health.back_at) - now)
        return {
            "id": target.name,
            "kind": "target",
            "context_window": self._house.models.context_window(target.name),
            "usd_per_million_tokens": _rates(target.price),
            "catalogue": self.recommender.brief(target.name),
            "at_work": health.at_work,
            "parallel": health.parallel,
            "waiting": len(health.queue),
            "circuit": "closed" if not health.open_until else "open" if left_s else "half_open",
            "left_alone_s": round(left_s, 3),
            "first_content_ms": None if health.latency_s is None else round(health.latency_s * 1000, 1),
            **({} if engine is None else {"engine": engine}),
        }

    async def explain(self, body: bytes) -> Record:
        """Who would be asked for a chat body, first to last, and why. Calls no model and records nothing.

        The stages before the model run, so that policies and languages count. Raises: GreenroomError.
        """
        house = self._house
        exchange, app, grant = house.begin(body, {})
        try:
            refusal = await pipeline.prepare(exchange, app)
        finally:
            grant.release(0)
        if refusal is not None:
            said = {"step": refusal.step, "sentence": refusal.refusal}
            return {"app": app.name, "model": None, "order": [], "why": "a step refuses", "refused": said}
        call = pipeline.model_of(exchange, app)
        if isinstance(call, Cached):
            call = call.call
        assert isinstance(call, Dispatch)
        await call.foresee(exchange)
        order = call.order(exchange, monotonic())
        why = exchange.why
        return {
            "app": app.name,
            "model": exchange.route or app.model,
            "order": list(order.names),
            "why": f"{why}; {order.why}" if why else order.why,
            "weighed": order.weighed,
        }


def _about(one: Pulled) -> Record:
    """A GGUF file in the data folder; a target where the engine is installed."""
    return {
        "path": str(one.path),
        "size_bytes": one.size_bytes,
        "sha256": one.source.sha256 or None,
        "checked": one.source.checked,
        "licence": one.source.licence,
        "url": one.source.url or None,
    }


def _rates(price: Price | None) -> Record | None:
    if price is None:
        return None
    rates = price.periods[0].rates
    return {"input": rates.input / 1e6, "cached": rates.cached / 1e6, "output": rates.output / 1e6}
