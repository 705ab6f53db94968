"""What the environment of a process says: which configuration file, which proxies."""

from collections.abc import Mapping
from pathlib import Path

from greenroom import config as configuration
from greenroom.errors import ConfigError
from greenroom.models.proxies import Proxies


def find_config(option: Path | None, environment: Mapping[str, str]) -> Path | None:
    """`--config`, then `GREENROOM_CONFIG`, then `./greenroom.toml`.

    Raises: ConfigError when a named one is missing.
    """
    named = environment.get("GREENROOM_CONFIG")
    path = option or (Path(named) if named else None)
    if path is not None:
        if not path.is_file():
            raise ConfigError(f"There is no configuration file '{path}'.")
        return path
    usual = Path(configuration.FILE_NAME)
    return usual if usual.is_file() else None


def proxies_of(environment: Mapping[str, str]) -> Proxies:
    """The proxies of its variables. Raises ConfigError for one that is not of their form."""
    try:
        return Proxies(dict(environment))
    except ValueError:  # its words may hold a part of the address, and with it credentials
        raise ConfigError(
            "A proxy variable of the environment (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) is not of the form "
            "http://host:port. Greenroom speaks to HTTP proxies only."
        ) from None
