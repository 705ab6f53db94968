"""`[quality]` held to what there is, before anything is scored by it."""

from greenroom.config import Config
from greenroom.errors import ConfigError, RequestError
from greenroom.store.scores import MEASURED


def check_quality(config: Config, source: str) -> None:
    """Raise ConfigError for a rule whose scorer can't be made, or whose name is taken."""
    if not config.quality:
        return
    from greenroom.assembly.scorers import judged_by  # noqa: PLC0415  # 1 MiB that most servers need not

    for name, rule in config.quality.items():
        if name in MEASURED:
            raise ConfigError(
                f"{source}: quality.{name}: '{name}' is measured by Greenroom itself. Choose another name."
            )
        unknown = [app for app in rule.apps if app != "default" and app not in config.apps]
        if unknown:
            raise ConfigError(
                f"{source}: quality.{name}.apps names '{unknown[0]}', which is no app of this file."
            )
        try:
            judged_by(name, rule)
        except RequestError as error:
            raise ConfigError(f"{source}: {error}") from None
