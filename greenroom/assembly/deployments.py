"""Deployments at work in one process: promoted ones over the configuration, open ones before their apps."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from greenroom.assembly.canaries import Watcher, decide, rules_of
from greenroom.assembly.prompts import check_prompts
from greenroom.assembly.steps import check_tables
from greenroom.assembly.trials import is_busy
from greenroom.config import AppConfig, Config
from greenroom.errors import ConfigError, Conflict, GreenroomError, RequestError
from greenroom.gateway.deployments import Canary, shadow_call, watched
from greenroom.gateway.flaws import Flaws
from greenroom.gateway.pipeline import App
from greenroom.gateway.shadows import Shadow
from greenroom.models.dispatch import Dispatch
from greenroom.models.llama import Llama
from greenroom.offline.deploy.plan import Candidate
from greenroom.stages.language import detect, language_of
from greenroom.stages.postprocess.loops import has_loop
from greenroom.store.deployments import OPEN, PROMOTED, ROLLED_BACK, SHADOW, Deployment

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom.deployments")

Make = Callable[[str, AppConfig, str, Config], App]
"""An app from its name, its table, what its answers are kept under, and the configuration it stands in."""
SERVER = "server"
"""Who decides where the configuration leaves no other way."""


def candidate_of(deployment: Deployment) -> Candidate:
    """What was deployed. Raises: ConfigError for what an older or newer program wrote."""
    try:
        return msgspec.convert(deployment.candidate, Candidate)
    except msgspec.ValidationError as error:
        raise ConfigError(f"Deployment {deployment.id} can't be read: {error}.") from None


def over(config: Config, app: str, candidate: Candidate) -> Config:
    """The configuration with a candidate in an app. Raises: ConfigError where there is no such app."""
    if app != "default" and app not in config.apps:
        raise ConfigError(f"There is no app '{app}' in the configuration.")
    table = config.apps.get(app, AppConfig())
    policies = config.policies
    if candidate.model is not None:
        table = replace(table, model=candidate.model)
    elif candidate.prompt is not None:
        table = replace(table, prompt=candidate.prompt)
    elif candidate.policy is not None:
        said = msgspec.structs.asdict(candidate.policy)
        steps, own = said.pop("steps"), said.pop("policies")
        merged = {
            name: {**table.steps.get(name, {}), **steps.get(name, {})} for name in {*table.steps, *steps}
        }
        table = replace(table, steps=merged, **{name: one for name, one in said.items() if one is not None})
        mine = {f"{app}: {name}": replace(one, app=app) for name, one in own.items()}
        policies = {**mine, **{name: one for name, one in policies.items() if name not in mine}}
    return replace(config, apps={**config.apps, app: table}, policies=policies)


class Deployments:
    """All deployments of one house."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self.plain = self._taken = self._config = house.config
        """The configuration as its file says it, without what is deployed; `_taken` is not in force yet."""
        self._standing: list[Deployment] = []
        self._fallen: list[tuple[Deployment, GreenroomError]] = []
        """What can't stand in the configuration that is taken, and why."""
        self._generation = self._seen = 0
        self._make: Make
        self._watcher: Watcher | None = None
        self._writes = self._serves = False
        self._flaws = Flaws(language_of, detect, has_loop)

    def start(self, *, as_guest: bool) -> None:
        """Be ready for apps; a guest looks at no canary and decides nothing."""
        self._serves = not as_guest
        self._writes = self._serves and self._house.is_first

    def stop(self) -> None:
        """End what watches."""
        if self._watcher is not None:
            self._watcher.stop()

    def is_changed(self) -> bool:
        """Whether somebody changed a deployment since. Costs microseconds. Raises: StoreError."""
        return self._house.has_deployed and self._house.deploys.generation() != self._generation

    def over(self, config: Config) -> Config:
        """A configuration with all that is promoted. What can't stand in it is rolled back by `begin`.

        Until then nothing is in force: a configuration that is refused for another reason changes nothing.
        """
        self._taken, self._standing, self._fallen = config, [], []
        if self._house.has_deployed:
            self._seen = self._house.deploys.generation()
            self._standing = self._house.deploys.standing()
        for one in [one for one in self._standing if one.state == PROMOTED]:
            try:
                changed = over(config, one.app, candidate_of(one))
                self._check(changed, one.app)
                config = changed
            except GreenroomError as error:
                self._fall(one, error)
        self._config = config
        return config

    def kept_under(self, app: str) -> str | None:
        """What an app's answers are kept under: none is given again that came before a promotion."""
        last = [one.id for one in self._standing if one.app == app and one.state == PROMOTED]
        return f"{app}\0deployment\0{last[-1]}" if last else None

    def enlist(self, apps: dict[str, App], make: Make) -> None:
        """Have open deployments stand before their apps, in place."""
        self._make = make
        for one in [one for one in self._standing if one.state in OPEN]:
            try:
                apps[one.app] = self._with(one, apps.get(one.app))
            except GreenroomError as error:
                self._fall(one, error)

    def begin(self) -> Config:
        """Have what was enlisted last be in force and watched; the configuration with it."""
        self.plain, self._generation = self._taken, self._seen
        fallen, self._fallen = self._fallen, []
        for one, error in fallen:
            self._give_up(one, error)
        if self._writes and any(one.state in OPEN for one in self._standing):
            self._watcher = self._watcher or Watcher(self._house)
            self._watcher.start()
        return self._config

    def built(self, app: str, candidate: Candidate, kept_under: str) -> App:
        """An app with a candidate in it. Raises: ConfigError, RequestError for what can't be."""
        changed = over(self._config, app, candidate)
        self._check(changed, app)
        return self._make(app, changed.apps[app], kept_under, changed)

    def naming(self, models: set[str]) -> list[str]:
        """The deployments that stand and need one of these models, be it to go back to."""
        return [
            f"deployment {one.id} of the app '{one.app}'"
            for one in self._standing
            if one.candidate.get("model") in models
        ]

    def in_experiment(self, app: str) -> str | None:
        """The experiment of the configuration that an app takes part in."""
        return next((name for name, one in self._config.experiments.items() if one.app == app), None)

    def _with(self, one: Deployment, app: App | None) -> App:
        experiment = self.in_experiment(one.app)
        if experiment is not None:
            raise ConfigError(f"The app '{one.app}' takes part in the experiment '{experiment}' now.")
        if app is None:
            raise ConfigError(f"There is no app '{one.app}' in the configuration.")
        rules_of(one)  # raises: nobody would end what is watched by none
        made = watched(
            self.built(one.app, candidate_of(one), f"{one.app}\0deployment\0{one.id}"), self._flaws
        )
        key, call = self._house.deploys.key, self._house.models.dispatch(made.model)
        assert call is not None  # or it would not have been built
        is_ready = self._readiness(call)
        app = watched(app, self._flaws)
        if one.state != SHADOW:
            return app._replace(trial=Canary(one.id, one.name, one.share, key, made, is_ready))
        shadow = None
        if self._house.trials.shadows is not None:
            shadow = Shadow(
                f"deploy:{one.id}", "shadow", one.share, shadow_call(call, self._flaws, str(one.id)), key,
                self._house.trials.shadows, is_busy(call),
            )  # fmt: skip
        return app._replace(trial=Canary(one.id, one.name, 0.0, key, None, is_ready), shadow=shadow)

    def _readiness(self, call: Dispatch) -> Callable[[], bool]:
        """Whether what answers has loaded; what runs on this machine begins to at once."""
        local = [one.provider for one in call.targets if isinstance(one.provider, Llama)]
        if not self._serves or not local:
            return lambda: True
        for provider in local:
            provider.engine.start_now()
        loaded = False

        def is_ready() -> bool:
            nonlocal loaded  # an engine that stops later is started by the next request, as always
            if not loaded:
                engines = [provider.engine for provider in local]
                loaded = all(engine.state == "ready" for engine in engines)
                for engine in engines:
                    if engine.state == "stopped":  # it fell idle before anybody came, or could not load
                        engine.start_now()
            return loaded

        return is_ready

    def _check(self, config: Config, app: str) -> None:
        """Raise ConfigError or RequestError where an app can't be built of its table."""
        house, table = self._house, config.apps[app]
        if table.model is not None and house.models.dispatch(table.model) is None:
            house.shelf.check(table.model)
            raise ConfigError(
                f"'{table.model}' is neither a configured model nor 'provider/model' of a configured "
                "provider."
            )
        if table.prompt is not None:
            house.prompt_shelf.registry.ready(table.prompt)
        where = f"The app '{app}' with it"
        check_tables(config, where)
        check_prompts(config, where)

    def _fall(self, one: Deployment, error: GreenroomError) -> None:
        self._standing = [other for other in self._standing if other.id != one.id]
        self._fallen.append((one, error))

    def _give_up(self, one: Deployment, error: GreenroomError) -> None:
        """Go back to the state before, as what stands no longer can."""
        log.error(
            "deployment can't stand", extra={"deployment": one.id, "app": one.app, "reason": str(error)}
        )
        if self._writes:
            try:
                decide(self._house, one, ROLLED_BACK, SERVER, str(error))
            except (Conflict, RequestError):  # somebody was quicker
                return
