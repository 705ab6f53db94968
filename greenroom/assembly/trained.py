"""Trained models as requests meet them: whose they are, and who runs them."""

import asyncio
import logging
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from greenroom.assembly.llama import TRAINED, settings_of
from greenroom.config import ProviderConfig
from greenroom.errors import ConfigError, Conflict, ExtraMissing, UpstreamUnavailable
from greenroom.models.adapters import Stand
from greenroom.models.engine import INSTALL, Engine, is_installed
from greenroom.models.llama import Adapter, Llama
from greenroom.models.pulled import FOLDER
from greenroom.store.trained import FILE, TrainedModel

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom.trained")

PREFIX: Final = f"{TRAINED}/"
SWEEP_S: Final = 2.0
"""How long after a model was deleted its file goes, and how often that is tried while an engine has it."""


class TrainedShelf:
    """The trained models of a house. Outlives a reload. Changes come on the loop's thread."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._generation: int | None = None
        self._swept: int | None = None
        self._models: dict[str, TrainedModel] = {}
        self._projects: dict[str, frozenset[str]] = {}
        self._lock = threading.RLock()
        """Providers are made on the loop, and for lists in other threads."""
        self._made: dict[str, Llama] = {}
        self._stands: dict[Path, Stand] = {}
        self._table = ProviderConfig(kind="llama")
        self._sweeping: asyncio.TimerHandle | None = None

    def take(self, table: ProviderConfig | None) -> None:
        """How models are run from now on: `[providers.trained]`."""
        table = table or ProviderConfig(kind="llama")
        if table == self._table:
            return
        self._table = table
        with self._lock:
            self._let_go(self._made)
            for base in list(self._stands):
                self._stands.pop(base).end()

    def refresh(self) -> bool:
        """Take the models from the store if they changed there; makes no store. Whether they did.

        Costs microseconds when they did not. Raises: StoreError.
        """
        if not (self._house.data / FILE).exists():
            return False
        store = self._house.trained
        generation = store.generation()
        if generation == self._generation:
            return False
        models, permitted = {one.name: one for one in store.all()}, store.who_may()
        gone = [name for name, one in self._models.items() if models.get(name) != one]
        self._generation, self._models = generation, models
        self._projects = {
            name: frozenset((one.project, *permitted.get(name, ()))) for name, one in models.items()
        }
        with self._lock:
            self._let_go(gone)
            self._raise_stands()
        return True

    def notice(self) -> None:
        """Of a server, twice a second: take what changed, and clear up after what was deleted."""
        if self.refresh():
            self._house.gateway.rooms.forget()
        if self._swept == self._generation:
            return
        self._swept = self._generation
        if self._house.is_first and self._house.trained.doomed():
            self._sweep_later()

    # what the gateway asks

    def projects(self, name: str) -> Collection[str] | None:
        """Whose a model is and who else may use it; None for a name that is no trained model's."""
        return self._projects.get(name.removeprefix(PREFIX))

    def is_hidden(self, name: str, project: str | None) -> bool:
        """Whether a name is that of a trained model which a project may not use; None may use all."""
        owners = self.projects(name)
        return owners is not None and project is not None and project not in owners

    def names(self, project: str | None) -> list[str]:
        """What a project may ask for, the oldest first; None sees all."""
        return [name for name, projects in self._projects.items() if project is None or project in projects]

    def about(self, name: str) -> Mapping[str, Any] | None:  # Any: JSON
        """What `/v1/models` says of a model beside its name."""
        found = self._models.get(name.removeprefix(PREFIX))
        if found is None:
            return None
        return {
            "created": found.created_ns // 1_000_000_000,
            "owned_by": found.project,
            "root": found.base or found.name,
            "parent": found.checkpoint_of or found.base or None,
        }

    # who runs them

    def find(self, name: str) -> TrainedModel | None:
        """A model by its name, with or without `trained/`."""
        return self._models.get(name.removeprefix(PREFIX))

    def provider(self, name: str) -> Llama | None:
        """What answers for a model, or None when there is no such model or no engine."""
        model = self.find(name)
        if model is None or not is_installed():
            return None
        with self._lock:
            return self._made.get(model.name) or self._made_now(model)

    def check(self, name: str) -> None:
        """Say why a model can't be run, if it is one: ExtraMissing, or UpstreamUnavailable for its file."""
        model = self.find(name)
        if model is None:
            return
        if not is_installed():
            raise ExtraMissing(
                f"'{model.name}' needs the embedded engine. Install it with: {INSTALL}", "model"
            )
        raise UpstreamUnavailable(
            f"The file of the model '{model.name}' can't be read as GGUF. "
            "'greenroom models list' shows where it should lie."
        )

    def _made_now(self, model: TrainedModel) -> Llama | None:
        try:
            made = self._made[model.name] = self._make(model)
        except ConfigError as error:
            told = {"model": model.name, "reason": str(error)}
            log.error("trained model can't be run", extra=told)  # noqa: TRY400  # no stack wanted
            return None
        return made

    def _make(self, model: TrainedModel) -> Llama:
        if model.base_gguf is None:
            path = self._house.data / model.gguf
            settings = settings_of(f"the model {model.name}", self._table, path, model.name)
            engine = self._house.engines.of(f"{PREFIX}{model.name}", settings)
            return Llama(TRAINED, engine, self._house.pool, model.name)
        base = (self._house.data / model.base_gguf).resolve()
        stand = self._stands.get(base)
        if stand is None:
            stand = self._stands[base] = self._stand(base)
            stand.want(self._adapters(base))
        return Adapter(TRAINED, model.name, stand, self._house.pool)

    def _stand(self, base: Path) -> Stand:
        """Raises: ConfigError when the base is no model."""
        settings = settings_of(f"the base {base.name}", self._table, base, base.stem)

        def make(adapters: tuple[Path, ...]) -> Engine:
            return self._house.engines.of(f"{PREFIX}{base.stem}", replace(settings, adapters=adapters))

        return Stand(make, self._house.engines.let_go)

    def _adapters(self, base: Path) -> dict[str, Path]:
        data = self._house.data
        return {
            one.name: (data / one.gguf).resolve()
            for one in self._models.values()
            if one.base_gguf is not None and (data / one.base_gguf).resolve() == base
        }

    def _raise_stands(self) -> None:
        """Have every base that is used know its adapters."""
        for base, stand in list(self._stands.items()):
            adapters = self._adapters(base)
            if adapters:
                stand.want(adapters)
            else:
                self._stands.pop(base).end()

    def _let_go(self, names: Collection[str]) -> None:
        """Have the engines of models end after their last answer."""
        for name in list(names):
            made = self._made.pop(name, None)
            if made is not None and not isinstance(made, Adapter):
                self._house.engines.let_go(made.engine)

    # files of deleted models

    def _sweep_later(self) -> None:
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Remove the files of deleted models that nobody uses any more."""
        self._sweeping = None
        data = self._house.data
        for gguf in self._house.trained.doomed():
            path = data / gguf
            if not path.is_file() or Path(gguf).parts[0] == FOLDER:  # what was pulled is not a job's
                continue
            if self._house.engines.uses(str(path.resolve())):
                self._sweep_later()
                continue
            try:
                path.unlink()
                log.info("file of a deleted model removed", extra={"file": gguf})
            except OSError as error:
                told = {"file": gguf, "reason": error.strerror}
                log.error("file not removed", extra=told)  # noqa: TRY400  # no stack wanted

    def check_unused(self, name: str) -> None:
        """Raise Conflict where something names a model: it could not be read, or go on, without it."""
        config, named = self._house.config, {name, f"{PREFIX}{name}"}
        places = [f"apps.{app}.model" for app, one in config.apps.items() if one.model in named]
        places += [
            f"models.{model}.targets" for model, one in config.models.items() if named & {*one.targets}
        ]
        places += [
            f"experiments.{trial}.arms.{arm}"
            for trial, one in config.experiments.items()
            for arm, its in one.arms.items()
            if its.model in named
        ]
        places += [
            f"policies.{rule}.route_to" for rule, one in config.policies.items() if one.route_to in named
        ]
        places += self._house.deployments.naming(named)
        if places:
            raise Conflict(
                f"The configuration names the model in {', '.join(places)}. Take it out there first."
            )
