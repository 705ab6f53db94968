"""Models, apps and rooms of a house, made anew with every configuration."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from greenroom.assembly.learned import Routers
from greenroom.assembly.llama import TRAINED, LocalModels
from greenroom.assembly.models import READER, Choice, Models, probe_loopback
from greenroom.assembly.policies import routes_of
from greenroom.assembly.prompts import Routes
from greenroom.assembly.steps import Parts, build_steps, template_of
from greenroom.assembly.trials import free_for
from greenroom.assembly.turns import KeptTurns
from greenroom.assembly.windows import windows
from greenroom.config import AppConfig, Config
from greenroom.contracts import as_usual
from greenroom.errors import ConfigError, ExtraMissing
from greenroom.exchange import Exchange, Reply
from greenroom.gateway.again import reviewers
from greenroom.gateway.pipeline import App
from greenroom.gateway.rooms import Embedder, Rooms
from greenroom.grounding.passages import units
from greenroom.grounding.stems import language_of, tokens
from greenroom.models.cache import Cached
from greenroom.models.cache import Policy as CachePolicy
from greenroom.models.embedder import LocalEmbedder
from greenroom.models.encoder import INSTALL
from greenroom.models.encoder import NAME as ENCODER
from greenroom.models.prices import PriceBook
from greenroom.stages.check.canary import CanaryDetector
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.policy import Policies
from greenroom.stages.check.refusal import Refusals
from greenroom.stages.check.secrets import SecretDetector
from greenroom.stages.ground.tagger import Tagger
from greenroom.stages.postprocess.verify import Words

if TYPE_CHECKING:
    from greenroom.assembly.house import House

Call = Callable[[Exchange], Awaitable[Reply]]
"""Who answers."""
OUTPUT_ENTITIES = (
    "email", "phone", "credit_card", "iban", "cpf", "cnpj", "rg", "cnh", "pis", "titulo_eleitor", "cns",
    "us_ssn", "nif", "nie",
)  # fmt: skip
"""What `guard` looks for in answers: personal data with a form of its own; names and places belong."""


async def furnish(house: "House", config: Config) -> Rooms:
    """Make what the configuration names, and tell the house who answers by default. Raises: ConfigError."""
    house.shelf.take(config.providers.get(TRAINED))
    models = Models(
        config,
        house.environment,
        house.pool,
        PriceBook.load(),
        house.source,
        house.healths,
        house.sealed_key,
        LocalModels(house.data, house.engines, house.pool, house.shelf),
        Routers(house.data, house.encoder),
    )
    choice = await _choose(models)
    house.default_target, house.why, house.models = *choice, models
    config = house.deployments.over(config)
    tables = {"default": AppConfig(), **config.apps}

    window = windows(config, models, choice.target)
    house.prompt_shelf.take(config, choice.target)
    tables_of_injection = (
        one.get("injection", {}) for one in (config.steps, *(app.steps for app in tables.values()))
    )
    has_canary = any(table.get("canary") for table in tables_of_injection)
    canaries = (CanaryDetector(house.canary),) if has_canary else ()
    parts = Parts(
        search=house.search,
        turns=KeptTurns(house.turns),
        memories=house.memories,
        vault=house.vault,
        output_detectors=(PiiDetector(OUTPUT_ENTITIES), SecretDetector(), *canaries),
        window=window,
        words=Words(tokens, language_of, units),
        decide=Policies(config.policies) if config.policies else as_usual,
        refusals=Refusals(config.refusals),
        names=Tagger((house.data / "models",)),
        encoder=house.encoder,
        uses_word=house.search.has_word,
        canary=house.canary,
        prompts=house.prompt_shelf,
        free=house.prompt_shelf.free,
    )
    routes = Routes(routes_of(config, models, house.source), models.dispatch)
    apps = {
        name: _app(
            house, name, table, config, models, parts, choice, routes, house.deployments.kept_under(name)
        )
        for name, table in tables.items()
    }

    def make(name: str, table: AppConfig, kept_under: str, config: Config = config) -> App:
        own = parts._replace(
            window=lambda _: window(table.model or name),
            free=free_for(name, table, parts.free),
            decide=Policies(config.policies) if config.policies else as_usual,
        )
        return _app(house, name, table, config, models, own, choice, routes, kept_under)

    house.trials.enlist(config, apps, models, make)
    house.deployments.enlist(apps, make)

    def build(name: str) -> App | None:
        call: Call | None = models.dispatch(name)
        if call is None:
            house.shelf.check(name)
            return None
        default = apps["default"]
        if isinstance(default.call, Cached):
            call = default.call.before(call)
        return default._replace(model=name, call=call, why="the request names it", trial=None, shadow=None)

    def embedder(name: str) -> Embedder | None:
        if name != ENCODER:
            return models.embedder(name)
        if house.encoder is None:
            raise ExtraMissing(f"'{ENCODER}' is not installed here. Install it with: {INSTALL}", "model")
        return LocalEmbedder(house.encoder)

    built_in = (READER,) if house.encoder is None else (READER, ENCODER)
    template = template_of(config, parts, house.source)
    return Rooms(apps, (*models.names(), *built_in), build, embedder, template, house.shelf)


async def _choose(models: Models) -> Choice:
    """Who answers where no app says so; a provider found on loopback is taken in."""
    choice = models.choose()
    if choice is None:
        found = await probe_loopback()
        if found is not None:
            name, provider, model = found
            models.add(name, provider)
            choice = Choice(f"{name}/{model}", f"'{name}' answers on its usual port on this machine")
    return (
        choice
        or models.choose_pulled()
        or Choice(READER, "no model is configured, so the built-in reader answers from your documents")
    )


def _app(
    house: "House",
    name: str,
    table: AppConfig,
    config: Config,
    models: Models,
    parts: Parts,
    choice: Choice,
    routes: Routes,
    kept_under: str | None = None,
) -> App:
    model = table.model or choice.target
    call: Call | None = models.dispatch(model)
    if call is None:
        raise ConfigError(
            f"{house.source}: apps.{name}.model is '{model}', which is neither a configured model nor "
            f"'provider/model' of a configured provider."
        )
    why = f"the app '{name}' names it" if table.model else choice.why
    if table.pipeline == "off":
        return App(name, model, (), (), call, why, pipeline_off=True, on_block=table.on_block)
    keep = None
    if table.cache != "off":
        policy = CachePolicy(table.cache, table.cache_ttl_s, table.cache_threshold)
        cached = Cached(call, house.cache, policy, kept_under or name)
        call, keep = cached, cached.keep
    built = build_steps(name, table, config, parts, house.source)
    return App(
        name, model, built.steps, built.post, call, why, False, table.on_block, built.remember,
        reviewers(built.post), routes, keep, built.checks, table.prompt is not None,
    )  # fmt: skip
