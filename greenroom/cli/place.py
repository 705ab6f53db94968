"""Where a command works: its configuration file and data folder; and what errors mean to a script."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

from greenroom.config import Config, load
from greenroom.errors import GreenroomError, RequestError

if TYPE_CHECKING:
    from greenroom.assembly import House

FINE = 0
FINDINGS = 1
INCONCLUSIVE = 2
ENVIRONMENT = 3
USAGE = 64


class Place(NamedTuple):
    """What `--config`, `--data` and the environment say."""

    config: Path | None
    data: Path | None
    environment: Mapping[str, str]
    at_end: ExitStack
    """Closes what the command opened."""

    def config_path(self) -> Path | None:
        """The configuration file that counts, or None when there is none.

        Raises: ConfigError when one was named that does not exist.
        """
        from greenroom.assembly.environment import find_config  # noqa: PLC0415  # as in `open`

        return find_config(self.config, self.environment)

    def load(self) -> Config:
        """The configuration. Raises: ConfigError."""
        return load(self.config_path())

    def data_folder(self, config: Config) -> Path:
        """The folder of the stores."""
        named = self.data or _path(self.environment.get("GREENROOM_DATA"))
        return named or Path(config.store.url.removeprefix("sqlite:"))

    def open(self) -> "House":
        """The assembled house; its stores are closed when the command ends. Raises: ConfigError."""
        from greenroom.assembly import House  # noqa: PLC0415  # the largest import; some commands need none of it
        from greenroom.logs import set_up  # noqa: PLC0415  # as above

        set_up()
        house = House.open(self.config, self.data, self.environment)
        self.at_end.callback(house.stop)
        return house


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


Here = Annotated[Place, Parameter(parse=False)]
"""A parameter of a command that is filled with its place."""


def exit_code(error: GreenroomError) -> int:
    """What an error means to a script: the caller's own mistake, or something around us."""
    return FINDINGS if isinstance(error, RequestError) else ENVIRONMENT
