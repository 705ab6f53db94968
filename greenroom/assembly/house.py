"""The house: everything of one process, opened from a configuration and a data folder.

The command line opens it to read and write stores; `running()` starts what answers prompts.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from time import perf_counter_ns
from typing import Any

from msgspec.json import decode, encode

from greenroom import config as configuration
from greenroom.assembly import applied
from greenroom.assembly.checked import check
from greenroom.assembly.environment import find_config, proxies_of
from greenroom.assembly.forgetting import Forgetting
from greenroom.assembly.guest import GuestTraces
from greenroom.assembly.learned import Routers
from greenroom.assembly.llama import PULLED, LocalModels
from greenroom.assembly.models import READER, Choice, Models, probe_loopback
from greenroom.assembly.money import open_ledger, open_meters, take_rules
from greenroom.assembly.policies import routes_of
from greenroom.assembly.prompts import Routes
from greenroom.assembly.sample import SAMPLE_COLLECTION, load_sample
from greenroom.assembly.steps import Parts, build_steps, template_of
from greenroom.assembly.stores import Stores
from greenroom.assembly.trials import Trials, free_for
from greenroom.assembly.turns import KeptTurns
from greenroom.assembly.windows import windows
from greenroom.assembly.workers import Worker, check_workers
from greenroom.config import AppConfig, Config
from greenroom.contracts import as_usual
from greenroom.errors import ConfigError, ExtraMissing, GreenroomError
from greenroom.exchange import Caller, Exchange, Reply
from greenroom.gateway.access import Access, Grant, Key
from greenroom.gateway.again import reviewers
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.keys import key_of
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.pipeline import App
from greenroom.gateway.record import to_record
from greenroom.gateway.recorder import Recorder
from greenroom.gateway.rooms import Embedder, Rooms
from greenroom.grounding.embedding import Embedding
from greenroom.grounding.passages import units
from greenroom.grounding.search import AsyncSearch
from greenroom.grounding.stems import language_of, tokens
from greenroom.models.cache import AnswerCache, Cached
from greenroom.models.cache import Policy as CachePolicy
from greenroom.models.embedder import LocalEmbedder
from greenroom.models.encoder import INSTALL
from greenroom.models.encoder import NAME as ENCODER
from greenroom.models.engine import Engines
from greenroom.models.health import Healths
from greenroom.models.pool import Pool
from greenroom.models.prices import PriceBook
from greenroom.stages.check.canary import Canary, CanaryDetector
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.policy import Policies
from greenroom.stages.check.refusal import Refusals
from greenroom.stages.check.secrets import SecretDetector
from greenroom.stages.check.vault import MemoryVault, Vault
from greenroom.stages.ground.tagger import Tagger
from greenroom.stages.language import detect
from greenroom.stages.postprocess.verify import Words
from greenroom.store.audit import audit_key
from greenroom.store.masks import StoredMasks

log = logging.getLogger("greenroom.house")

Call = Callable[[Exchange], Awaitable[Reply]]
"""Who answers."""
OUTPUT_ENTITIES = (
    "email", "phone", "credit_card", "iban", "cpf", "cnpj", "rg", "cnh", "pis", "titulo_eleitor", "cns",
    "us_ssn", "nif", "nie",
)  # fmt: skip
"""What `guard` looks for in answers: personal data with a form of its own; names and places belong."""


class House(Stores):
    """Stores, providers, apps and the gateway of one process."""

    def __init__(
        self,
        config: Config,
        config_path: Path | None,
        data: Path,
        environment: Mapping[str, str],
        worker: Worker | None = None,
    ) -> None:
        super().__init__(config, data, environment, worker)
        self.config_path = config_path
        self._from_file = config  # the command line may say otherwise
        self.default_target = READER
        self.why = ""
        self.gateway: Gateway
        self.access: Access
        self.recorder: Recorder
        self.ledger: Ledger
        self.search: AsyncSearch
        self.models: Models
        self.local_key = f"gr-local-{token_urlsafe(24)}" if worker is None else worker.local_key
        self.vault: Vault = MemoryVault() if self.shared is None else StoredMasks(self.shared)
        self._canary = Canary(None if worker is None else worker.canary)
        self._healths = Healths(lambda places: places if worker is None else worker.share(places))
        self._engines = Engines(environment)
        self.cache = AnswerCache(config.server.cache_mb << 20)
        self.forgetting = Forgetting(self.cache, self.shared)
        self.trials = Trials(self)
        self._key_generation: object = None
        self._ending = ExitStack()

    @classmethod
    def open(
        cls,
        config: Path | None,
        data: Path | None,
        environment: Mapping[str, str],
        worker: Worker | None = None,
    ) -> "House":
        """Read the configuration and find the data folder. Raises ConfigError."""
        path = find_config(config, environment)
        loaded = configuration.load(path)
        check(loaded, path)
        url = loaded.store.url
        if not url.startswith("sqlite:"):
            raise ConfigError(
                f"{path}: store.url must begin with 'sqlite:' (it is '{url.partition(':')[0]}:…')."
            )
        named = environment.get("GREENROOM_DATA")
        folder = data or (Path(named) if named else Path(url.removeprefix("sqlite:")))
        return cls(loaded, path, folder, environment, worker)

    @property
    def source(self) -> str:
        """What error messages call the configuration."""
        return str(self.config_path or "the defaults")

    async def start(self, *, as_guest: bool = False) -> None:
        """Start what answers prompts. Raises ConfigError or StoreError; `stop` frees what was begun.

        A guest's exchanges are recorded too, but the count of losses is left to the folder's owner.
        """
        has_duties = self.is_first and not as_guest
        if self.is_first:
            load_sample(self.documents)
        self.search = AsyncSearch(self.documents, self.encoder)
        self._ending.callback(self.search.close)
        if self.encoder is not None and has_duties:
            # The sample alone is found by words as well, and the encoder takes 100 MB.
            embedding = Embedding(self.documents, self.encoder, spared=(SAMPLE_COLLECTION,))
            embedding.start()
            self._ending.callback(embedding.stop)
        if has_duties:
            self.ingestion.start()
            self._ending.callback(self.ingestion.stop)
        self._pool = Pool(proxies=proxies_of(self.environment))
        self._pool.start()
        self._ending.callback(self._stop_pool)
        self._ending.callback(self._engines.stop)
        store = GuestTraces(self.traces) if as_guest else self.traces
        self.recorder = Recorder(store, capture=self.config.store.capture, audit_key=audit_key(self.folder()))
        self.recorder.start()
        self._ending.callback(self.recorder.stop)
        self.ledger = open_ledger(self)
        self.ledger.start()
        self._ending.callback(self.ledger.stop)
        meters = open_meters(self, self._ending, keeps_days=not as_guest)
        self.access = Access({}, self.ledger, meters=meters)
        self.refresh_keys()
        self.refresh_prompts()
        self.trials.start(as_guest=as_guest)
        self._ending.callback(self.trials.stop)
        rooms = await self._rooms(self.config)
        if not as_guest:
            self._start_eager()
        if has_duties:
            applied.keep(self.folder(), self._from_file)
        self.trials.begin()
        self.gateway = Gateway(self.access, rooms, self.recorder, self.config.server.in_flight)

    def stop(self) -> None:
        """Write down what waits, hang up on the providers, close the stores. Safe to call twice."""
        self._ending.close()
        self.close_stores()

    def _stop_pool(self) -> None:
        if not self._pool.loop.is_closed():  # a closed loop has no connections left to end
            self._pool.stop()

    @asynccontextmanager
    async def running(self, *, as_guest: bool = False) -> AsyncIterator["House"]:
        """Start on entering, stop on leaving."""
        try:
            await self.start(as_guest=as_guest)
            yield self
        finally:
            await self.trials.end()
            self.stop()

    async def reload(self) -> None:
        """Read the configuration again and swap the apps; what runs keeps what it has. Raises ConfigError."""
        loaded = configuration.load(find_config(self.config_path, self.environment))
        check(loaded, self.config_path)
        if self.worker is not None:
            check_workers(loaded, self.worker.count, self.source)
        rooms = await self._rooms(loaded)
        self.config = loaded
        self._engines.keep([one.engine for one in self.models.local()], PULLED)
        self._start_eager()
        if self.is_first:
            applied.keep(self.folder(), loaded)
        self.documents.files.quota_bytes = loaded.store.files_mb * 1024 * 1024
        self.responses.quota_bytes = loaded.store.responses_mb * 1024 * 1024
        self.gateway.rooms = rooms
        self.trials.begin()
        take_rules(self.ledger, loaded)

    def refresh_keys(self) -> None:
        """Take the keys from the store if they changed there. Costs microseconds when they did not."""
        generation = self.keys.generation()
        if generation == self._key_generation:
            return
        self._key_generation = generation
        table = {digest: key_of(row) for digest, row in self.keys.lookup_table().items()}
        local = Caller(key_id="local", role="operator")
        table[sha256(self.local_key.encode()).digest()] = Key(caller=local)
        self.access.replace(table)

    # models and apps

    def _start_eager(self) -> None:
        """Begin to load the models that are to be there before somebody asks."""
        for provider in self.models.local():
            if self.config.providers[provider.name].eager:
                provider.engine.start_now()

    async def _rooms(self, config: Config) -> Rooms:
        models = Models(
            config,
            self.environment,
            self._pool,
            PriceBook.load(),
            self.source,
            self._healths,
            self.sealed_key,
            LocalModels(self.data, self._engines, self._pool),
            Routers(self.data, self.encoder),
        )
        choice = models.choose()
        if choice is None:
            found = await probe_loopback()
            if found is not None:
                name, provider, model = found
                models.add(name, provider)
                choice = Choice(f"{name}/{model}", f"'{name}' answers on its usual port on this machine")
        choice = choice or models.choose_pulled()
        if choice is None:
            choice = Choice(
                READER, "no model is configured, so the built-in reader answers from your documents"
            )
        self.default_target, self.why, self.models = *choice, models
        tables = {"default": AppConfig(), **config.apps}

        window = windows(config, models, choice.target)
        self.prompt_shelf.take(config, choice.target)
        tables_of_injection = (
            one.get("injection", {}) for one in (config.steps, *(app.steps for app in tables.values()))
        )
        has_canary = any(table.get("canary") for table in tables_of_injection)
        canaries = (CanaryDetector(self._canary),) if has_canary else ()
        parts = Parts(
            search=self.search,
            turns=KeptTurns(self.turns),
            memories=self.memories,
            vault=self.vault,
            output_detectors=(PiiDetector(OUTPUT_ENTITIES), SecretDetector(), *canaries),
            window=window,
            words=Words(tokens, language_of, units),
            decide=Policies(config.policies) if config.policies else as_usual,
            refusals=Refusals(config.refusals),
            names=Tagger((self.data / "models",)),
            encoder=self.encoder,
            uses_word=self.search.has_word,
            canary=self._canary,
            prompts=self.prompt_shelf,
            free=self.prompt_shelf.free,
        )
        routes = Routes(routes_of(config, models, self.source), models.dispatch)
        apps = {
            name: self._app(name, table, config, models, parts, choice, routes)
            for name, table in tables.items()
        }

        def make(name: str, table: AppConfig, kept_under: str) -> App:
            own = parts._replace(
                window=lambda _: window(table.model or name), free=free_for(name, table, parts.free)
            )
            return self._app(name, table, config, models, own, choice, routes, kept_under)

        self.trials.enlist(config, apps, models, make)

        def build(name: str) -> App | None:
            call: Call | None = models.dispatch(name)
            if call is None:
                return None
            default = apps["default"]
            if isinstance(default.call, Cached):
                call = default.call.before(call)
            return default._replace(
                model=name, call=call, why="the request names it", trial=None, shadow=None
            )

        def embedder(name: str) -> Embedder | None:
            if name != ENCODER:
                return models.embedder(name)
            if self.encoder is None:
                raise ExtraMissing(f"'{ENCODER}' is not installed here. Install it with: {INSTALL}", "model")
            return LocalEmbedder(self.encoder)

        built_in = (READER,) if self.encoder is None else (READER, ENCODER)
        template = template_of(config, parts, self.source)
        return Rooms(apps, (*models.names(), *built_in), build, embedder, template)

    def _app(
        self,
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
                f"{self.source}: apps.{name}.model is '{model}', which is neither a configured model nor "
                f"'provider/model' of a configured provider."
            )
        why = f"the app '{name}' names it" if table.model else choice.why
        if table.pipeline == "off":
            return App(name, model, (), (), call, why, pipeline_off=True, on_block=table.on_block)
        keep = None
        if table.cache != "off":
            policy = CachePolicy(table.cache, table.cache_ttl_s, table.cache_threshold)
            cached = Cached(call, self.cache, policy, kept_under or name)
            call, keep = cached, cached.keep
        built = build_steps(name, table, config, parts, self.source)
        return App(
            name, model, built.steps, built.post, call, why, False, table.on_block, built.remember,
            reviewers(built.post), routes, keep, built.checks, table.prompt is not None,
        )  # fmt: skip

    # asking in process

    def begin(self, body: bytes, headers: Mapping[bytes, bytes]) -> tuple[Exchange, App, Grant]:
        """What the gateway needs to run one chat body as the local key. Raises RequestError."""
        key = self.access.find(self.local_key.encode())
        exchange, app = self.gateway.open(self.gateway.new_id(), key.caller, body, headers)
        return exchange, app, self.access.admit(key)

    async def ask(
        self, text: str, *, app: str = "default", session: str | None = None
    ) -> dict[str, Any]:  # Any: JSON
        """Ask one question; the record of what happened, failures included. Raises RequestError."""
        began = perf_counter_ns()
        headers = {b"x-greenroom-session": session.encode()} if session else {}
        body = encode({"model": app, "messages": [{"role": "user", "content": text}]})
        exchange, room, grant = self.begin(body, headers)
        try:
            await self.gateway.whole(exchange, room, grant, began)
        except GreenroomError as error:
            if exchange.outcome not in {"failed", "refused"}:
                raise
            return {**to_record(exchange, detect), "error": str(error)}
        return to_record(exchange, detect)

    async def inspect(self, body: bytes) -> dict[str, Any]:  # Any: JSON
        """What the four stages would do with a chat body; nothing is stored. Raises GreenroomError."""
        exchange, app, grant = self.begin(body, {})
        try:
            fields = decode(body, type=dict)
            exchange.documents = list(fields.get("documents") or [])
            await self.gateway.inspect(exchange, app, fields.get("reply"))
        finally:
            grant.release(0)
        return to_record(exchange, detect)


__all__ = ["House"]
