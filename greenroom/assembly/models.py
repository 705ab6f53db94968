"""Providers, targets and the choice of who answers when nothing says so."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from greenroom.assembly.learned import Routers, check_learned
from greenroom.assembly.llama import NAME as LLAMA
from greenroom.assembly.llama import LocalModels, check_table, is_for_trained
from greenroom.assembly.money import prices_of
from greenroom.assembly.providers import make, reader
from greenroom.config import Config, ModelConfig, ProviderConfig
from greenroom.errors import ConfigError
from greenroom.models.attempt import Target
from greenroom.models.catalog import PROVIDERS, context_window, seller
from greenroom.models.dispatch import Dispatch, Patience
from greenroom.models.embedder import RemoteEmbedder
from greenroom.models.health import Healths
from greenroom.models.llama import Llama
from greenroom.models.onward import Onward, traceparent
from greenroom.models.pool import Pool
from greenroom.models.prices import PriceBook, free
from greenroom.models.providers import BuiltIn, Embeds, Provider
from greenroom.models.response import Limits
from greenroom.models.routing import Candidate, Router
from greenroom.offline.otel.settings import plan_of
from greenroom.stages.language import language_of as language_of_exchange

READER = "greenroom/reader"
PROBE_S = 0.15


class Choice(NamedTuple):
    """Which model answers when a request does not say, and why."""

    target: str
    why: str


class Models:
    """All providers and configured models of one configuration."""

    def __init__(
        self, config: Config, environment: Mapping[str, str], pool: Pool, prices: PriceBook, source: str,
        healths: Healths | None = None, sealed: Callable[[str], str | None] = lambda _: None,
        local: LocalModels | None = None, routers: Routers | None = None,
    ) -> None:  # fmt: skip
        self._prices = prices
        self._local = local
        self._routers = routers
        self._healths = healths or Healths()
        self._own_prices = prices_of(config)
        self._config = config
        self._providers: dict[str, Provider] = {"greenroom": BuiltIn("greenroom", reader())}
        for name, provider in config.providers.items():
            check_table(f"{source}: providers.{name}", provider)
            if is_for_trained(f"providers.{name}", provider):
                continue
            if provider.kind == "llama" and local is not None:
                self._providers[name] = local.provider(f"{source}: providers.{name}", name, provider)
            else:
                self._providers[name] = make(name, provider, environment, pool, source, sealed)
        for name, known in PROVIDERS.items():
            if name in self._providers or not known.needs_only_key:
                continue
            assert known.key_env is not None
            variable = known.key_env if environment.get(known.key_env) else None
            if variable or sealed(name):
                found = ProviderConfig(kind=known.kind, base_url=known.base_url, api_key_env=variable)
                self._providers[name] = make(name, found, environment, pool, source, sealed)
        self._pool = pool
        self._environment = environment
        self._source = source
        self._sealed = sealed
        self._onward = _onward(config, environment, source)

    def add(self, name: str, provider: ProviderConfig) -> None:
        """Take in a provider that was found on loopback."""
        self._providers[name] = make(
            name, provider, self._environment, self._pool, self._source, self._sealed
        )

    def target(self, name: str) -> Target | None:
        """`provider/model` as a target, or None when no such provider is configured."""
        provider_name, _, model = name.partition("/")
        provider = self._providers.get(provider_name)
        if provider is None and self._local is not None:
            if provider_name == LLAMA:
                provider = self._local.pulled(model)
            elif self._local.trained is not None:
                found = self._local.trained.provider(name)
                if found is not None:
                    provider, provider_name, model = found, found.name, found.model
                    name = f"{provider_name}/{model}"
        if provider is None or not model:
            return None
        if isinstance(provider, Llama) and model != provider.model:
            return None
        if provider_name == "greenroom" and model != "reader":
            return None
        configured = self._config.providers.get(provider_name)
        health = self._healths.of(name, configured.parallel if configured is not None else None)
        own = self._own_prices.get(name) or self._own_prices.get(f"{provider_name}/*")
        if own is not None:
            return Target(name, provider, model, own, health, self._onward)
        if isinstance(provider, Llama):
            return Target(name, provider, model, free(name), health, self._onward)
        family: str | None = provider_name
        if configured is not None:
            # A price belongs to who sells, not to what the operator calls it.
            family = seller(configured.base_url) if configured.base_url else configured.kind
        price = self._prices.price(family, model) if family else None
        return Target(name, provider, model, price, health, self._onward)

    def context_window(self, target: str) -> int | None:
        """How many tokens a target takes in all, or None when that is not known."""
        found = self.target(target)
        if found is not None and isinstance(found.provider, Llama):
            return found.provider.engine.settings.context
        return context_window(target, self._prices)

    def local(self) -> list[Llama]:
        """The configured providers that run a model themselves."""
        return [one for one in self._providers.values() if isinstance(one, Llama)]

    def dispatch(self, name: str) -> Dispatch | None:
        """What answers for a configured model or a `provider/model`; None when the name is neither."""
        model = self._config.models.get(name)
        if model is None:
            target = self.target(name)
            if target is None:
                return None
            model, targets = ModelConfig(targets=(name,)), [target]
        else:
            targets = self._targets(name, model)
        patience = Patience(model.retries, model.wait_s, model.queue_s, model.hedge_s)
        return Dispatch(
            targets, _limits(model), model.first_token_s, patience, self._router(name, model, targets)
        )

    def _router(self, name: str, model: ModelConfig, targets: Sequence[Target]) -> Router | None:
        """What orders the targets; None where there is nothing to order. Raises ConfigError."""
        check_route(f"{self._source}: models.{name}", model)
        if len(targets) == 1 or model.route == "ordered":
            return None
        for wanted, target in zip(model.targets, targets, strict=True):
            if wanted != target.name and (model.weights or model.rules):
                raise ConfigError(
                    f"{self._source}: models.{name}: beside weights or rules write '{target.name}', "
                    f"not '{wanted}'."
                )
        candidates = [
            Candidate(one.name, one.price, one.health, model.weights.get(one.name, 1.0)) for one in targets
        ]
        learned = None
        if model.route == "learned":
            if self._routers is None:
                raise ConfigError(f"{self._source}: models.{name}: no routers are known here.")
            prices = {one.name: one.price for one in targets}
            learned = self._routers.route(f"{self._source}: models.{name}", model, prices)
        return Router(
            model.route, candidates, model.rules, lambda exchange: language_of_exchange(exchange)[0],
            learned=learned,
        )  # fmt: skip

    def embedder(self, name: str) -> RemoteEmbedder | None:
        """What embeds for a configured model, by its first target, or for a `provider/model`."""
        model = self._config.models.get(name)
        target = self.target(name if model is None else model.targets[0])
        if target is None or not isinstance(target.provider, Embeds):
            return None
        limits = _limits(ModelConfig(targets=(name,)) if model is None else model)
        return RemoteEmbedder(target, target.provider, limits)

    def names(self) -> tuple[str, ...]:
        """Configured models, then the targets they name."""
        targets = [target for model in self._config.models.values() for target in model.targets]
        return tuple(dict.fromkeys((*self._config.models, *targets)))

    def _targets(self, name: str, model: ModelConfig) -> list[Target]:
        targets = []
        for wanted in model.targets:
            target = self.target(wanted)
            named = self._providers.get(wanted.partition("/")[0])
            if target is None and isinstance(named, Llama):
                raise ConfigError(
                    f"{self._source}: models.{name}.targets names '{wanted}', but the one model of "
                    f"'{named.name}' is '{named.name}/{named.model}'."
                )
            if target is None:
                known = ", ".join(self._providers)
                raise ConfigError(
                    f"{self._source}: models.{name}.targets names '{wanted}', but no provider of that name "
                    f"is configured or has its key in the environment. Known providers: {known}."
                )
            targets.append(target)
        return targets

    def configured(self) -> dict[str, ModelConfig]:
        """The configured models by name."""
        return self._config.models

    def choose(self) -> Choice | None:
        """The first that holds: the config names a model; a provider's key is in the environment."""
        config = self._config
        default = config.apps.get("default")
        if default is not None and default.model:
            return Choice(default.model, "the app 'default' names it in the configuration")
        if config.models:
            name = next(iter(config.models))
            return Choice(name, "it is the first model in the configuration")
        for name, provider in config.providers.items():
            made = self._providers.get(name)
            if made is None:  # `trained`, which names no model
                continue
            if isinstance(made, Llama):
                return Choice(f"{name}/{made.model}", f"'{name}' is the first provider in the configuration")
            known = PROVIDERS.get(name) or PROVIDERS.get(provider.kind)
            if known is not None and known.default_model:
                return Choice(
                    f"{name}/{known.default_model}", f"'{name}' is the first provider in the configuration"
                )
        for name, known in PROVIDERS.items():
            if not known.needs_only_key or not known.default_model:
                continue
            assert known.key_env is not None
            if self._environment.get(known.key_env):
                return Choice(f"{name}/{known.default_model}", f"{known.key_env} is set in the environment")
            if self._sealed(name):
                return Choice(f"{name}/{known.default_model}", f"a key of '{name}' is sealed here")
        return None

    def choose_pulled(self) -> Choice | None:
        """The model that was pulled last, where the engine is installed."""
        name = self._local.newest() if self._local is not None else None
        return Choice(f"{LLAMA}/{name}", f"the model '{name}' was pulled to this machine") if name else None


def check_route(where: str, model: ModelConfig) -> None:
    """Raise ConfigError unless weights and rules name targets of the model, and the route wants its rules."""
    named = [("weights", tuple(model.weights))]
    named += [(f"rules[{number}].targets", rule.targets) for number, rule in enumerate(model.rules)]
    for place, names in named:
        unknown = next((one for one in names if one not in model.targets), None)
        if unknown is not None:
            raise ConfigError(f"{where}.{place} names '{unknown}', which is not among its targets.")
    if (model.route == "rules") != bool(model.rules):
        raise ConfigError(f'{where}: rules and route = "rules" need each other.')
    check_learned(where, model)


def _onward(config: Config, environment: Mapping[str, str], source: str) -> Onward | None:
    """What tells providers of traces; None unless that is asked for. Raises ConfigError."""
    if not config.otel.propagate:
        return None
    leaves = config.otel.traces and plan_of(config.otel, environment, source) is not None
    return traceparent(config.otel.sample if leaves else None)


def _limits(model: ModelConfig) -> Limits:
    return Limits(model.connect_s, model.first_token_s, model.idle_s, model.timeout_s)


async def probe_loopback() -> tuple[str, ProviderConfig, str] | None:
    """A model server on its usual loopback port: (provider's name, how to call it, its first model)."""
    for name, known in PROVIDERS.items():
        if known.is_local and known.base_url is not None:
            model = await _first_model(known.base_url)
            if model is not None:
                return name, ProviderConfig(kind="openai_compatible", base_url=known.base_url), model
    return None


async def _first_model(base_url: str) -> str | None:
    host, _, rest = base_url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    request = f"GET /{path}/models HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode()
    try:
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(request)
                answer = await reader.read(1_000_000)
            finally:
                writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head[:20]:
            return None
        return str(json.loads(body)["data"][0]["id"])
    except (OSError, TimeoutError, ValueError, LookupError, TypeError):
        return None
