"""Step names to step objects: which steps exist, their tables, what each is given."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from greenroom.config import AppConfig, Config
from greenroom.contracts import Decide, Detector, Encoder, StepConfig, as_usual
from greenroom.errors import ConfigError
from greenroom.exchange import Exchange, Stage
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.pipeline import StepEntry
from greenroom.stages.check.canary import Canary
from greenroom.stages.check.injection import Injection, InjectionConfig
from greenroom.stages.check.offense import Offense, OffenseConfig, OffenseDetector
from greenroom.stages.check.pii import Pii, PiiConfig
from greenroom.stages.check.policy import Policies
from greenroom.stages.check.refusal import SENTENCES, Refusals
from greenroom.stages.check.secrets import Secrets, SecretsConfig
from greenroom.stages.check.topics import Topics, TopicsConfig
from greenroom.stages.check.vault import Vault
from greenroom.stages.ground.documents import Documents, DocumentsConfig, DocumentSearch
from greenroom.stages.ground.entities import Entities, EntitiesConfig, NameFinder
from greenroom.stages.ground.history import History, HistoryConfig, Turns
from greenroom.stages.ground.memory import Memories, Memory, MemoryConfig
from greenroom.stages.ground.tagger import Tagger
from greenroom.stages.postprocess.cite import Cite, CiteConfig
from greenroom.stages.postprocess.conform import Conform, ConformConfig
from greenroom.stages.postprocess.decode import Decode, DecodeConfig
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.stages.postprocess.polish import PolishConfig
from greenroom.stages.postprocess.rewrite import polish
from greenroom.stages.postprocess.unmask import Unmask, UnmaskConfig
from greenroom.stages.postprocess.verify import Verify, VerifyConfig, Words
from greenroom.stages.preprocess.clean import Clean, CleanConfig
from greenroom.stages.preprocess.embed import Embed, EmbedConfig
from greenroom.stages.preprocess.fit import Fit, FitConfig
from greenroom.stages.preprocess.spell import Spell, SpellConfig, uses_none
from greenroom.stages.preprocess.template import Prompts, Template, TemplateConfig
from greenroom.tables import decode_table

Table = dict[str, Any]  # Any: TOML values


class Parts(NamedTuple):
    """What steps may be given; nothing else can be asked for."""

    search: DocumentSearch
    turns: Turns
    memories: Memories
    vault: Vault
    output_detectors: tuple[Detector, ...]
    window: Callable[[str], int | None]
    words: Words
    decide: Decide = as_usual
    refusals: Refusals = SENTENCES
    names: NameFinder = Tagger()
    encoder: Encoder | None = None
    uses_word: Callable[[str, str], bool] = uses_none
    """Whether the documents of a project hold a word, spelt just so."""
    canary: Canary | None = None
    prompts: Prompts | None = None
    prompt: str | None = None
    """The prompt of the app that is built."""
    free: frozenset[str] = frozenset()
    """The apps without a model of their own."""


class Known(NamedTuple):
    """One step: its stage, its table, and how it is made; None where its table gives it nothing to do."""

    stage: Stage
    config: type[StepConfig]
    make: Callable[[Any, Parts], Any]  # Any: a Struct of type `config` in, a Step or PostStep out


def _topics(config: TopicsConfig, parts: Parts) -> Topics | None:
    return Topics(config, parts.decide, parts.refusals) if config.deny or config.allow else None


def _template(config: TemplateConfig, parts: Parts) -> Template | None:
    if parts.prompts is None or parts.prompt is None:
        return None
    return Template(config, parts.prompts, parts.prompt, parts.free)


STEPS: dict[str, Known] = {
    "template": Known("preprocess", TemplateConfig, _template),
    "clean": Known("preprocess", CleanConfig, lambda config, _: Clean(config)),
    "spell": Known("preprocess", SpellConfig, lambda config, parts: Spell(config, parts.uses_word)),
    "fit": Known("preprocess", FitConfig, lambda config, parts: Fit(config, parts.window)),
    "embed": Known("preprocess", EmbedConfig, lambda config, parts: Embed(config, parts.encoder)),
    "history": Known("ground", HistoryConfig, lambda config, parts: History(config, parts.turns)),
    "memory": Known("ground", MemoryConfig, lambda config, parts: Memory(config, parts.memories)),
    "entities": Known("ground", EntitiesConfig, lambda config, parts: Entities(config, parts.names)),
    "documents": Known("ground", DocumentsConfig, lambda config, parts: Documents(config, parts.search)),
    "pii": Known(
        "check",
        PiiConfig,
        lambda config, parts: Pii(config, parts.vault, parts.decide, parts.refusals, parts.names),
    ),
    "secrets": Known(
        "check",
        SecretsConfig,
        lambda config, parts: Secrets(config, parts.vault, parts.decide, parts.refusals),
    ),
    "injection": Known(
        "check",
        InjectionConfig,
        lambda config, parts: Injection(config, parts.decide, parts.canary, parts.refusals),
    ),
    "offense": Known(
        "check", OffenseConfig, lambda config, parts: Offense(config, parts.decide, parts.refusals)
    ),
    "topics": Known("check", TopicsConfig, _topics),
    "decode": Known("postprocess", DecodeConfig, lambda config, _: Decode(config)),
    "conform": Known("postprocess", ConformConfig, lambda config, _: Conform(config)),
    "polish": Known("postprocess", PolishConfig, lambda config, _: polish(config)),
    "verify": Known("postprocess", VerifyConfig, lambda config, parts: Verify(config, parts.words)),
    "cite": Known("postprocess", CiteConfig, lambda config, _: Cite(config)),
    "guard": Known(
        "postprocess",
        GuardConfig,
        lambda config, parts: Guard(config, _looked_for(config, parts), parts.decide, parts.refusals),
    ),
    "unmask": Known("postprocess", UnmaskConfig, lambda config, _: Unmask(config)),
}


def _looked_for(config: GuardConfig, parts: Parts) -> tuple[Detector, ...]:
    """What `guard` seeks: offensive words only when asked, since plain words then wait for a look."""
    found = parts.output_detectors
    return found if config.offense == "off" else (*found, OffenseDetector())


def step_configs() -> dict[str, type[StepConfig]]:
    """Every step's table by the step's name."""
    return {name: known.config for name, known in STEPS.items()}


_OF_CONVERSATIONS = frozenset({"template", "fit", "history", "memory", "documents"})
"""What needs a conversation, a model's window or documents: not for a text that is only judged."""


class Built(NamedTuple):
    """The steps of one app, ready to run."""

    steps: tuple[StepEntry, ...]
    post: tuple[PostEntry, ...]
    remember: Callable[[Exchange], None] | None
    checks: tuple[StepEntry, ...]


STEP_WAIT_S = 10.0
_WAITING = frozenset({"template", "embed", "memory", "documents"})
"""Steps that wait for threads and stores: after so long they have failed, and their `on_error` decides."""


def build_steps(app_name: str, app: AppConfig, config: Config, parts: Parts, source: str) -> Built:
    """Make the steps of an app in the order of its lists. Raises ConfigError naming list and step."""
    steps: list[StepEntry] = []
    post: list[PostEntry] = []
    history: History | None = None
    memory: Memory | None = None
    parts = parts._replace(prompt=app.prompt)
    named = "template" in app.preprocess or app.prompt is None
    for stage, names in (
        ("preprocess", app.preprocess if named else ("template", *app.preprocess)),
        ("ground", app.ground),
        ("check", app.check),
        ("postprocess", app.postprocess),
    ):
        for name in names:
            known = _known(name, stage, app_name, source)
            settings = _settings(name, app_name, app, config, source)
            if settings.mode == "off":
                continue
            made = known.make(settings, parts if settings.mode == "apply" else _only_looking(parts))
            if made is None:
                continue
            detector = getattr(made, "output_detector", None)
            if detector is not None and settings.mode == "apply":
                parts = parts._replace(output_detectors=(*parts.output_detectors, detector))
            refuse = settings.on_error == "refuse"
            if stage == "postprocess":
                post.append(PostEntry(made, refuse))
            else:
                steps.append(StepEntry(made, refuse, STEP_WAIT_S if name in _WAITING else None))
            if isinstance(made, History):
                history = made
            elif isinstance(made, Memory):
                memory = made
    checks: tuple[StepEntry, ...] = ()
    if any(entry.step.stage == "check" for entry in steps):
        checks = tuple(entry for entry in steps if entry.step.name not in _OF_CONVERSATIONS)
    keeper = _keeper(history, memory if config.store.capture != "off" else None)
    return Built(tuple(steps), tuple(post), keeper, checks)


def template_of(config: Config, parts: Parts, source: str) -> StepEntry | None:
    """The step that fills the prompt which a request names itself, for apps without one."""
    settings = _decode("template", config.steps.get("template", {}), source, "steps")
    if parts.prompts is None or not isinstance(settings, TemplateConfig) or settings.mode == "off":
        return None
    return StepEntry(
        Template(settings, parts.prompts, free=parts.free), settings.on_error == "refuse", STEP_WAIT_S
    )


def _only_looking(parts: Parts) -> Parts:
    """The same for a step that changes nothing: what a policy says about its findings moves no exchange."""
    decide = parts.decide
    return parts._replace(decide=decide.only_looking()) if isinstance(decide, Policies) else parts


def _keeper(history: History | None, memory: Memory | None) -> Callable[[Exchange], None] | None:
    """Who keeps an exchange, so that it is stored once: memory where it names a user, else history."""
    if memory is None:
        return None if history is None else history.remember

    def keep(exchange: Exchange) -> None:
        if exchange.user is not None:
            memory.remember(exchange)
        elif history is not None:
            history.remember(exchange)

    return keep


def check_tables(config: Config, source: str) -> None:
    """Decode every step's table, used or not, so that no mistake sleeps. Raises ConfigError."""
    for name, table in config.steps.items():
        _decode(name, table, source, "steps")
    for app_name, app in config.apps.items():
        for name, table in app.steps.items():
            _decode(name, table, source, f"apps.{app_name}.steps")


def _known(name: str, stage: str, app_name: str, source: str) -> Known:
    known = STEPS.get(name)
    if known is None or known.stage != stage:
        fitting = ", ".join(key for key, one in STEPS.items() if one.stage == stage)
        why = "there is no such step" if known is None else f"it is a step of {known.stage}"
        raise ConfigError(
            f"{source}: '{name}' in {stage} of app '{app_name}': {why}. Steps of {stage}: {fitting}."
        )
    return known


def _settings(name: str, app_name: str, app: AppConfig, config: Config, source: str) -> StepConfig:
    table: Table = {**config.steps.get(name, {}), **app.steps.get(name, {})}
    if name == "documents" and app.collections is not None and "collections" not in table:
        table["collections"] = list(app.collections)
    return _decode(name, table, source, f"apps.{app_name}.steps" if name in app.steps else "steps")


def _decode(name: str, table: Mapping[str, object], source: str, prefix: str) -> StepConfig:
    known = STEPS.get(name)
    if known is None:
        raise ConfigError(
            f"{source}: there is no step '{name}' (at '{prefix}.{name}'). Steps: {', '.join(STEPS)}."
        )
    return decode_table(dict(table), known.config, source, prefix=f"{prefix}.{name}.")
