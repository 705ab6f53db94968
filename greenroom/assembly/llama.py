"""Providers of kind `llama`: their tables turned into engines, and the model that was pulled."""

from pathlib import Path
from typing import Protocol

from greenroom.config import ProviderConfig
from greenroom.errors import ConfigError
from greenroom.models.engine import INSTALL, EngineSettings, is_installed
from greenroom.models.engines import Engines
from greenroom.models.gguf import NotGGUF, read_head
from greenroom.models.llama import Llama
from greenroom.models.pool import Pool
from greenroom.models.pulled import all_pulled, is_name, path_of

NAME = "llama"
"""The provider of pulled models, where the configuration has none of that name."""
TRAINED = "trained"
"""The provider of models that were trained here."""
PULLED = f"{NAME}/"
"""With which the names of their engines begin."""
_CONTEXT = 4096
_IDLE_STOP_S = 600.0


class Trained(Protocol):
    """What is asked of the models that were trained here."""

    def provider(self, name: str) -> Llama | None: ...
    def names(self, project: str | None) -> list[str]: ...


class LocalModels:
    """Makes providers that run a GGUF, for one data folder."""

    def __init__(self, data: Path, engines: Engines, pool: Pool, trained: Trained | None = None) -> None:
        self.trained = trained
        self._data = data
        self._engines = engines
        self._pool = pool
        self._made: dict[str, Llama] = {}

    def provider(self, where: str, name: str, table: ProviderConfig) -> Llama:
        """The provider of a table. Raises ConfigError."""
        check_table(where, table)
        path = _path(where, table, self._data)
        if not is_installed():
            raise ConfigError(f"{where} needs the embedded engine. Install it with: {INSTALL}")
        return self._make(where, name, table, path)

    def pulled(self, model: str) -> Llama | None:
        """The provider of a pulled model, or None when there is no such model or no engine."""
        if not is_name(model) or not is_installed():
            return None
        path = path_of(self._data, model)
        if not path.is_file():
            return None
        made = self._made.get(model)
        if made is None:
            table = ProviderConfig(kind="llama", model=model)
            try:
                made = self._made[model] = self._make(f"the model {model}", f"{PULLED}{model}", table, path)
            except ConfigError:  # the file is not what it was; 'greenroom doctor' says how
                return None
        return made

    def newest(self) -> str | None:
        """The name of the model that was pulled last, where it can be run."""
        return next((one.name for one in all_pulled(self._data) if self.pulled(one.name) is not None), None)

    def _make(self, where: str, name: str, table: ProviderConfig, path: Path) -> Llama:
        settings = settings_of(where, table, path, table.model or path.stem)
        return Llama(name.partition("/")[0], self._engines.of(name, settings), self._pool)


def settings_of(where: str, table: ProviderConfig, path: Path, model: str) -> EngineSettings:
    """What an engine is told of a table and a file. Raises: ConfigError when the file is no model."""
    try:
        head = read_head(path)
    except NotGGUF as error:
        raise ConfigError(f"{where}: the file {path} {error}.") from None
    usual = EngineSettings(model_path=path, model="")
    return EngineSettings(
        model_path=path.resolve(),
        model=model,
        context=table.context or min(_CONTEXT, head.context or _CONTEXT),
        parallel=table.parallel or usual.parallel,
        threads=table.threads,
        gpu_layers=table.gpu_layers,
        memory_mb=table.memory_mb,
        start_s=table.start_s or usual.start_s,
        idle_stop_s=(_IDLE_STOP_S if table.idle_stop_s is None else table.idle_stop_s) or None,
    )


def check_table(where: str, table: ProviderConfig) -> None:
    """Raise ConfigError unless a table of kind `llama` names one model; other kinds are not looked at."""
    if table.kind != "llama" or is_for_trained(where, table):
        return
    if (table.model_path is None) == (table.model is None):
        raise ConfigError(
            f"{where} needs either model_path, a GGUF file, or model, the name of one that "
            "'greenroom models pull' brought."
        )
    if table.model is not None and not is_name(table.model):
        raise ConfigError(f"{where}.model: '{table.model}' is not a name of a pulled model.")


def is_for_trained(where: str, table: ProviderConfig) -> bool:
    """Whether a table says how trained models are run: `[providers.trained]`, which names no model."""
    return (
        where.endswith(f"providers.{TRAINED}")
        and table.kind == "llama"
        and not (table.model_path or table.model)
    )


def _path(where: str, table: ProviderConfig, data: Path) -> Path:
    if table.model is not None:
        path = path_of(data, table.model)
        if not path.is_file():
            raise ConfigError(
                f"{where}.model: '{table.model}' is not on this machine. "
                f"Bring it with: greenroom models pull {table.model}"
            )
        return path
    assert table.model_path is not None
    path = Path(table.model_path).expanduser()
    if not path.is_file():
        raise ConfigError(f"{where}.model_path: there is no file '{path}'.")
    return path
