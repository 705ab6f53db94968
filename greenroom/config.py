"""`greenroom.toml`: one optional file, typed, unknown keys refused by name.

Knows the shape of the file; a step's own table is decoded by the step's own Struct in assembly.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from greenroom.errors import ConfigError
from greenroom.models.routing import Route, Rule
from greenroom.offline.alerts.settings import AlertsConfig
from greenroom.offline.batches.settings import BatchesConfig
from greenroom.offline.deploy.plan import DeployConfig
from greenroom.offline.drift.canaries import CanariesConfig
from greenroom.offline.drift.plan import DriftConfig
from greenroom.offline.experiments.plan import ArmName, ExperimentConfig
from greenroom.offline.export.settings import ExportConfig
from greenroom.offline.finetune.settings import FinetuneConfig
from greenroom.offline.otel.settings import OtelConfig
from greenroom.offline.quality.plan import QualityRule, RuleName
from greenroom.stages.check.policy import PolicyConfig
from greenroom.stages.check.refusal import RefusalConfig
from greenroom.store.retention import ProjectConfig
from greenroom.tables import decode_table

FILE_NAME = "greenroom.toml"

PREPROCESS = ("clean", "spell", "fit", "embed")
GROUND = ("history", "memory", "entities", "documents")
CHECK = ("pii", "secrets", "injection", "offense", "topics")
POSTPROCESS = ("decode", "conform", "polish", "verify", "cite", "guard", "unmask")

ProviderKind = Literal[
    "openai", "anthropic", "gemini", "azure", "vertex", "bedrock", "cohere", "openai_compatible", "llama",
    "reader",
]  # fmt: skip
PLAIN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}\Z"
"""What may stand in an address as it is."""
_ANY_PROVIDER = frozenset({"kind", "parallel"})
_OVER_HTTP = _ANY_PROVIDER | {"base_url", "api_key_env", "api_key_file", "headers"}
_USED: dict[ProviderKind, frozenset[str]] = {
    "openai": _OVER_HTTP,
    "anthropic": _OVER_HTTP,
    "cohere": _OVER_HTTP,
    "openai_compatible": _OVER_HTTP,
    "gemini": _OVER_HTTP | {"api_version"},
    "azure": _OVER_HTTP | {"api_version"},
    "vertex": _OVER_HTTP | {"api_version", "project", "region"},
    "bedrock": _OVER_HTTP | {"region", "profile"},
    "llama": _ANY_PROVIDER
    | {
        "model_path",
        "model",
        "context",
        "threads",
        "gpu_layers",
        "memory_mb",
        "start_s",
        "idle_stop_s",
        "eager",
    },
    "reader": _ANY_PROVIDER,
}
"""Keys that each kind of provider uses."""


class _Table(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


class ServerConfig(_Table, kw_only=True, frozen=True):
    """[server]: where Greenroom listens, and what it refuses."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `GREENROOM_ADMIN_KEY` or an existing admin key."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8484
    workers: Annotated[int, Meta(ge=1, le=32)] = 1
    """Processes that answer, on one port and one data folder. Limits and budgets hold over all of them;
    `connections`, `in_flight` and `cache_mb` count for each.
    """
    hosts: tuple[str, ...] = ()
    """Host names accepted in the Host header besides loopback and `host`; guards against DNS rebinding."""
    body_limit_mb: Annotated[int, Meta(ge=1, le=1024)] = 20
    file_limit_mb: Annotated[int, Meta(ge=1, le=10_240)] = 512
    """One file uploaded at `/v1/files`. Of documents 20 MB are read."""
    header_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    body_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    write_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    drain_s: Annotated[float, Meta(ge=0)] = 30.0
    """How long running answers may go on after the first signal to stop."""
    connections: Annotated[int, Meta(ge=1)] = 4096
    in_flight: Annotated[int, Meta(ge=1)] = 1024
    """Requests at work at once; more are told to come back (503)."""
    cache_mb: Annotated[int, Meta(ge=1, le=65_536)] = 64
    """What kept answers may take in memory, those of all apps together."""
    tls_cert: str | None = None
    tls_key: str | None = None


class StoreConfig(_Table, kw_only=True, frozen=True):
    """[store]: where traces, keys and documents live."""

    url: str = "sqlite:./data"
    capture: Literal["off", "redacted", "full"] = "redacted"
    """What of the texts is kept: none, with personal data and secrets masked, or everything."""
    retention_days: Annotated[int, Meta(ge=1)] = 30
    files_mb: Annotated[int, Meta(ge=1)] = 10_240
    """What the uploaded files of one project may take together."""
    responses_mb: Annotated[int, Meta(ge=1)] = 1024
    """What the stored responses and conversations of one project may take together."""
    audit_days: Annotated[int, Meta(ge=1)] = 365
    """How long findings stay in the audit log, which holds no texts."""


class ProviderConfig(_Table, kw_only=True, frozen=True):
    """[providers.NAME]: an API that serves models."""

    kind: ProviderKind
    base_url: str | None = None
    api_key_env: str | None = None
    """Name of the environment variable with the key."""
    api_key_file: str | None = None
    """File with the key."""
    headers: dict[str, str] = {}
    api_version: Annotated[str, Meta(pattern=PLAIN)] | None = None
    """Version of the API, for gemini (v1beta), vertex (v1beta1) and azure (its v1 API without one)."""
    project: Annotated[str, Meta(pattern=PLAIN)] | None = None
    """For vertex: the Google Cloud project; without it, that of GOOGLE_CLOUD_PROJECT."""
    region: Annotated[str, Meta(pattern=PLAIN)] | None = None
    """For vertex ("global" without it) and bedrock (that of AWS_REGION without it)."""
    profile: str | None = None
    """For bedrock: the profile of AWS's configuration files whose keys sign the calls."""
    parallel: Annotated[int, Meta(ge=1)] | None = None
    """Calls at work at once at each of its models; more wait for a place, or go to the next target."""
    model_path: str | None = None
    """Kind llama: the GGUF file that is run."""
    model: str | None = None
    """Kind llama, instead of model_path: the name of a model that `greenroom models pull` brought."""
    context: Annotated[int, Meta(ge=256, le=1_048_576)] | None = None
    """Kind llama: tokens of one request and its answer; 4096, or what the model was trained for if that is
    less. Memory grows with `context` times `parallel`.
    """
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    """Kind llama: threads that compute; without it as many as there are cores."""
    gpu_layers: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    """Kind llama: layers put on a GPU, where the installed engine can; without it as many as fit."""
    memory_mb: Annotated[int, Meta(ge=64)] | None = None
    """Kind llama: the engine is ended when it takes more, the pages of the model's file among it."""
    start_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    """Kind llama: how long loading may take, in seconds; 120 without it."""
    idle_stop_s: Annotated[float, Meta(ge=0)] | None = None
    """Kind llama: without a request for so long the engine is stopped, and started by the next one; 600
    without it, 0 for never.
    """
    eager: bool = False
    """Kind llama: load at the start instead of at the first request."""

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        said = [name for name, one in values.items() if one not in (None, {}) and one is not False]
        unused = [name for name in said if name not in _USED[self.kind]]
        if unused:
            known = ", ".join(sorted(_USED[self.kind] - {"kind"}))
            raise ValueError(f"the kind '{self.kind}' does not use '{unused[0]}', only {known}")


class ModelConfig(_Table, kw_only=True, frozen=True):
    """[models.NAME]: a name clients may ask for, answered by one or more targets."""

    targets: Annotated[tuple[str, ...], Meta(min_length=1)]
    """`provider/model`, tried in the order of `route` until the first content."""
    route: Route = "ordered"
    """Which target is asked first: as configured, drawn by weight, the cheapest, the fastest of late, the
    one with the fewest calls at work, always the same for a session or prompt, by `rules`, or `learned`.
    """
    weights: dict[str, Annotated[float, Meta(ge=0)]] = {}
    """By target, for the routes weighted, least_busy and sticky; 1 where nothing is said."""
    rules: tuple[Rule, ...] = ()
    """For the route rules: the first that fits names the targets to ask first."""
    router: Annotated[str, Meta(min_length=1, max_length=1_000)] | None = None
    """For the route learned: the name of a router that `greenroom route train` made, or its path."""
    price_of_quality: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    """For the route learned: what one good answer more is worth, in US dollars."""
    safe: str | None = None
    """For the route learned: asked first where the router has no evidence; else the first of `targets`."""
    retries: Annotated[int, Meta(ge=0, le=5)] = 1
    """How often one target is asked again for a failure that passes, before the next one is."""
    wait_s: Annotated[float, Meta(ge=0, le=120)] = 5.0
    """How long a request may wait for the time at which a provider says to come back."""
    queue_s: Annotated[float, Meta(ge=0, le=120)] = 5.0
    """How long a request may wait for a place where `providers.NAME.parallel` is reached."""
    hedge_s: Annotated[float, Meta(gt=0)] | None = None
    """After so long without content the next target is asked as well; the loser's prompt is billed."""
    timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    """The whole call, in seconds."""
    first_token_s: Annotated[float, Meta(gt=0)] = 60.0
    """Until the first content, in seconds; then the next target is tried."""
    idle_s: Annotated[float, Meta(gt=0)] = 30.0
    """Between two pieces of a stream, in seconds."""
    connect_s: Annotated[float, Meta(gt=0)] = 5.0


class MoneyConfig(_Table, kw_only=True, frozen=True):
    """[money]: what is done where a price is not known, and how safe the ledger is."""

    unknown_price: Literal["allow", "refuse_with_budget", "refuse"] = "refuse_with_budget"
    """Models whose price is not known: let through, refused where a budget counts, or always refused."""
    durability: Literal["batched", "sync"] = "batched"
    """If the process is killed, "batched" loses at most 50 ms; "sync" nothing, and waits for the disk."""
    reserve_tokens: Annotated[int, Meta(ge=1)] = 32_768
    """Tokens of the answer that are reserved from budgets where a request does not say `max_tokens`."""
    on_error: Literal["refuse", "allow"] = "refuse"
    """What becomes of requests that a budget counts while the ledger can't be read."""


class BudgetConfig(_Table, kw_only=True, frozen=True):
    """[budgets.NAME]: how much the requests that fit all its conditions may cost together."""

    usd: Annotated[float, Meta(ge=0, le=1_000_000_000)]
    """US dollars."""
    period: Literal["total", "day", "week", "month"] = "total"
    """How often it begins anew, at midnight in UTC; a week begins on Monday."""
    project: str | None = None
    """Requests of this project; "*" is a budget of its own for each project."""
    key: str | None = None
    """Requests of the key with this id or name."""
    user: str | None = None
    """Requests of this user; "*" is a budget of its own for each user."""
    tag: str | None = None
    """Requests with this tag, as "team=search"; "team=*" is a budget of its own for each team."""


class PriceConfig(_Table, kw_only=True, frozen=True):
    """[prices."provider/model"]: your own price of a model, in US dollars per million tokens.

    It goes before the shipped price book. "provider/*" is the price of all its models without one here.
    """

    input_per_mtok_usd: Annotated[float, Meta(ge=0)]
    output_per_mtok_usd: Annotated[float, Meta(ge=0)] = 0.0
    cached_per_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    """Input read from the provider's cache; without it as other input."""
    cache_write_per_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    """Input written to the cache; without it as other input."""
    cache_write_1h_per_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    """Input written to be kept for an hour; without it as other writes."""
    reasoning_per_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    """Without it as other output."""
    input_audio_per_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    output_audio_per_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    per_request_usd: Annotated[float, Meta(ge=0)] = 0.0


class AppConfig(_Table, kw_only=True, frozen=True):
    """[apps.NAME]: the four stages and the model that clients get by asking for NAME."""

    model: str | None = None
    """A configured model or `provider/model`; without it the model chosen at start."""
    prompt: str | None = None
    """A stored prompt that stands before the messages: `name@label`, `name@3`; see `greenroom prompts`."""
    pipeline: Literal["on", "off"] = "on"
    """"off" is pure pass-through: keys, limits, money and traces stay."""
    preprocess: tuple[str, ...] = PREPROCESS
    ground: tuple[str, ...] = GROUND
    check: tuple[str, ...] = CHECK
    postprocess: tuple[str, ...] = POSTPROCESS
    collections: tuple[str, ...] | None = None
    """Collections of documents this app may use; without it all of the project's."""
    on_block: Literal["answer", "error"] = "answer"
    cache: Literal["off", "exact", "semantic"] = "off"
    """Whether an answer is given again: to equal requests, or also to prompts that ask the same in other
    words (English, and only with the extra `embed`). Never across projects, and not to requests with tools.
    """
    cache_ttl_s: Annotated[float, Meta(gt=0)] = 3600.0
    """How long an answer is kept."""
    cache_threshold: Annotated[float, Meta(ge=0.5, le=1)] = 0.88
    """The least cosine between two prompts that ask the same."""
    steps: dict[str, dict[str, Any]] = {}  # Any: each table is decoded by its step


class Config(_Table, kw_only=True, frozen=True):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    providers: dict[str, ProviderConfig] = field(default_factory=dict)
    models: dict[str, ModelConfig] = field(default_factory=dict)
    apps: dict[str, AppConfig] = field(default_factory=dict)
    experiments: dict[ArmName, ExperimentConfig] = field(default_factory=dict)
    deploy: DeployConfig = DeployConfig()
    drift: DriftConfig = DriftConfig()
    canaries: CanariesConfig = CanariesConfig()
    quality: dict[RuleName, QualityRule] = field(default_factory=dict)
    money: MoneyConfig = MoneyConfig()
    budgets: dict[str, BudgetConfig] = field(default_factory=dict)
    prices: dict[str, PriceConfig] = field(default_factory=dict)
    policies: dict[str, PolicyConfig] = field(default_factory=dict)
    refusals: dict[str, RefusalConfig] = field(default_factory=dict)
    finetune: FinetuneConfig = FinetuneConfig()
    batches: BatchesConfig = BatchesConfig()
    otel: OtelConfig = OtelConfig()
    alerts: AlertsConfig = AlertsConfig()
    projects: dict[str, ProjectConfig] = field(default_factory=dict)
    export: ExportConfig = ExportConfig()
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)  # Any: each table is decoded by its step


def load(path: Path | None) -> Config:
    """Read a file, or give the defaults for None.

    Raises: ConfigError with file, line and the nearest known key.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (at byte {error.start}). Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}.") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}.") from None
    return decode_table(tables, Config, str(path), text)
