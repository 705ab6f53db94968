"""Trained routers from the data folder to the route `learned`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.config import ModelConfig
from greenroom.errors import ConfigError
from greenroom.models.encoder import MiniLM
from greenroom.models.prices import Price
from greenroom.stages.language import language_of

if TYPE_CHECKING:
    from greenroom.models.learned.route import LearnedRoute

FOLDER = "routers"
SUFFIX = ".router"


def router_path(data: Path, named: str) -> Path:
    """Where a router lies: a path as it is, a name in the data folder."""
    if named.endswith(SUFFIX) or os.sep in named or "/" in named:
        return Path(named).expanduser()
    return data / FOLDER / f"{named}{SUFFIX}"


class Routers:
    """The trained routers of one data folder."""

    def __init__(self, data: Path, encoder: MiniLM | None) -> None:
        self._data = data
        self._encoder = encoder

    def route(self, where: str, model: ModelConfig, prices: Mapping[str, Price | None]) -> "LearnedRoute":
        """What orders a model's targets. Raises: ConfigError that names the place and what is wrong."""
        from greenroom.models.learned.file import load  # noqa: PLC0415  # only where a route is learned
        from greenroom.models.learned.predictor import Predictor  # noqa: PLC0415  # as above
        from greenroom.models.learned.route import LearnedRoute  # noqa: PLC0415  # as above

        assert model.router is not None, "check_learned saw to it"
        assert model.price_of_quality is not None, "as above"
        try:
            trained = load(router_path(self._data, model.router))
        except ConfigError as error:
            raise ConfigError(f"{where}.router: {error}") from None
        known = {one.name for one in trained.header.targets}
        if not known & set(model.targets):
            raise ConfigError(
                f"{where}.router knows none of the model's targets, but: {', '.join(sorted(known))}."
            )
        return LearnedRoute(
            Predictor(trained, None if self._encoder is None else self._encoder.glance),
            model.targets,
            prices,
            safe=model.safe or model.targets[0],
            price_of_quality=model.price_of_quality,
            language_of=lambda exchange: language_of(exchange)[0],
        )


def check_learned(where: str, model: ModelConfig) -> None:
    """Raise ConfigError unless the route learned has what it needs, and no other route has it."""
    is_learned = model.route == "learned"
    told = {"router": model.router, "price_of_quality": model.price_of_quality, "safe": model.safe}
    for key in ("router", "price_of_quality"):
        if is_learned and told[key] is None:
            raise ConfigError(f'{where}: route = "learned" needs {key}.')
    unused = next((key for key, value in told.items() if value is not None and not is_learned), None)
    if unused is not None:
        raise ConfigError(f'{where}.{unused} counts only with route = "learned".')
    if model.safe is not None and model.safe not in model.targets:
        raise ConfigError(f"{where}.safe names '{model.safe}', which is not among its targets.")
