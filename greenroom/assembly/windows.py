"""How many tokens the model behind a name takes, as the step `fit` wants to know."""

from collections.abc import Callable
from functools import lru_cache

from greenroom.assembly.models import Models
from greenroom.config import Config


def windows(config: Config, models: Models, chosen: str) -> Callable[[str], int | None]:
    """Looks up the smallest window of all targets behind an app, a model or a target; None for unknown.

    `chosen` is the target of apps that name no model.
    """

    @lru_cache(1024)
    def window(name: str) -> int | None:
        table = config.apps.get(name)
        is_app = table is not None or name == "default"
        model = (table.model if table is not None else None) or (chosen if is_app else name)
        configured = config.models.get(model)
        sizes = map(models.context_window, configured.targets if configured else (model,))
        return min((size for size in sizes if size), default=None)

    return window
