"""The house: everything of one process, opened from a configuration and a data folder.

The command line opens it to read and write stores; `running()` starts what answers prompts.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from time import perf_counter_ns
from typing import Any

from msgspec.json import decode, encode

from greenroom import config as configuration
from greenroom.assembly import applied
from greenroom.assembly.alerting import Alerting
from greenroom.assembly.checked import check
from greenroom.assembly.counting import recorder_of
from greenroom.assembly.deployments import Deployments
from greenroom.assembly.environment import find_config, proxies_of
from greenroom.assembly.forgetting import Forgetting
from greenroom.assembly.furnishing import furnish
from greenroom.assembly.guest import GuestTraces
from greenroom.assembly.llama import PULLED
from greenroom.assembly.models import READER, Models
from greenroom.assembly.money import open_ledger, open_meters, take_rules
from greenroom.assembly.sample import SAMPLE_COLLECTION, load_sample
from greenroom.assembly.stores import Stores
from greenroom.assembly.telemetry import Telemetry
from greenroom.assembly.trained import PREFIX, TrainedShelf
from greenroom.assembly.trials import Trials
from greenroom.assembly.workers import Worker, check_workers
from greenroom.config import Config
from greenroom.errors import ConfigError, GreenroomError, Unauthorized
from greenroom.exchange import Caller, Exchange
from greenroom.gateway.access import Access, Grant
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.keys import Key, key_of
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.pipeline import App
from greenroom.gateway.record import to_record
from greenroom.gateway.recorder import Recorder
from greenroom.grounding.embedding import Embedding
from greenroom.grounding.search import AsyncSearch
from greenroom.models.cache import AnswerCache
from greenroom.models.engines import Engines
from greenroom.models.health import Healths
from greenroom.models.pool import Pool
from greenroom.stages.check.canary import Canary
from greenroom.stages.check.vault import MemoryVault, Vault
from greenroom.stages.language import detect
from greenroom.store.masks import StoredMasks

log = logging.getLogger("greenroom.house")


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
        self.asks_as: str | None = None
        """The id of the key that this process asks as by itself; None: the local key, which has no limits."""
        self.vault: Vault = MemoryVault() if self.shared is None else StoredMasks(self.shared)
        self.canary = Canary(None if worker is None else worker.canary)
        self.healths = Healths(lambda places: places if worker is None else worker.share(places))
        self.engines = Engines(environment)
        self.cache = AnswerCache(config.server.cache_mb << 20)
        self.forgetting = Forgetting(self.cache, self.shared)
        self.telemetry = Telemetry(self)
        self.trials = Trials(self)
        self.deployments = Deployments(self)
        self.shelf = TrainedShelf(self)
        self.alerting = Alerting(self)
        self._key_generation: object = None
        self._ending = ExitStack()
        self._furnishing = asyncio.Lock()
        """Of two who furnish at once the last would win, be it with a configuration of before."""

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
        if not as_guest:
            self.alerting.take(self.config.alerts)
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
        self.pool = Pool(proxies=proxies_of(self.environment))
        self.pool.start()
        self._ending.callback(self._stop_pool)
        self._ending.callback(self.engines.stop)
        self._ending.callback(self.telemetry.stop)
        store = GuestTraces(self.traces) if as_guest else self.traces
        self.recorder = recorder_of(self, store, self._ending, has_duties=has_duties)
        self.recorder.start()
        self._ending.callback(self.recorder.stop)
        self.ledger = open_ledger(self)
        self.ledger.start()
        self._ending.callback(self.ledger.stop)
        meters = open_meters(self, self._ending, keeps_days=not as_guest)
        self.access = Access({}, self.ledger, meters=meters)
        self.refresh_keys()
        self.refresh_prompts()
        self.shelf.refresh()
        self.trials.start(as_guest=as_guest)
        self._ending.callback(self.trials.stop)
        self.deployments.start(as_guest=as_guest)
        self._ending.callback(self.deployments.stop)
        rooms = await furnish(self, self.config)
        if not as_guest:
            self._start_eager()
        if has_duties:
            applied.keep(self.folder(), self._from_file)
        self.trials.begin()
        self.config = self.deployments.begin()
        self.gateway = Gateway(self.access, rooms, self.recorder, self.config.server.in_flight)
        if not as_guest:
            self.telemetry.begin()
        if has_duties:
            self.alerting.start()
            self._ending.callback(self.alerting.stop)

    def stop(self) -> None:
        """Write down what waits, hang up on the providers, close the stores. Safe to call twice."""
        self._ending.close()
        self.close_stores()

    def _stop_pool(self) -> None:
        if not self.pool.loop.is_closed():  # a closed loop has no connections left to end
            self.pool.stop()

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
        async with self._furnishing:
            await self._reload()

    async def _reload(self) -> None:
        loaded = configuration.load(find_config(self.config_path, self.environment))
        check(loaded, self.config_path)
        if self.worker is not None:
            check_workers(loaded, self.worker.count, self.source)
        self.telemetry.check(loaded)
        self.alerting.take(loaded.alerts)
        rooms = await furnish(self, loaded)
        self.config = self.deployments.begin()
        self.engines.keep([one.engine for one in self.models.local()], (PULLED, PREFIX))
        self._start_eager()
        if self.is_first:
            applied.keep(self.folder(), loaded)
        self.documents.files.quota_bytes = loaded.store.files_mb * 1024 * 1024
        self.responses.quota_bytes = loaded.store.responses_mb * 1024 * 1024
        self.gateway.rooms = rooms
        self.trials.begin()
        take_rules(self.ledger, loaded)
        self.telemetry.refresh()

    async def redeploy(self) -> None:
        """Take deployments that changed; what runs keeps what it has. Raises: ConfigError, StoreError."""
        async with self._furnishing:
            if self.deployments.is_changed():
                self.refresh_prompts()  # what was deployed may be younger than what this process knows
                self.shelf.notice()
                self.gateway.rooms = await furnish(self, self.deployments.plain)
                self.config = self.deployments.begin()
                self.trials.begin()

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

    def _start_eager(self) -> None:
        """Begin to load the models that are to be there before somebody asks."""
        for provider in self.models.local():
            if self.config.providers[provider.name].eager:
                provider.engine.start_now()

    # asking in process

    def own_key(self) -> Key:
        """The key that this process asks as by itself. Raises Unauthorized for one that may ask no more."""
        if self.asks_as is None:
            return self.access.find(self.local_key.encode())
        self.refresh_keys()
        key = self.access.find_id(self.asks_as)
        if key is None:
            raise Unauthorized(
                f"There is no key with the id '{self.asks_as}', or it was revoked or has expired. "
                "'greenroom keys list' shows those there are."
            )
        return key

    def begin(
        self, body: bytes, headers: Mapping[bytes, bytes], key_id: str | None = None
    ) -> tuple[Exchange, App, Grant]:
        """What the gateway needs to run one chat body as `own_key`, or another. Raises RequestError."""
        key = self.own_key() if key_id is None else self.access.find_id(key_id)
        if key is None:
            raise Unauthorized("The key was revoked or has expired.")
        exchange, app = self.gateway.open(self.gateway.new_id(), key.caller, body, headers)
        return exchange, app, self.access.admit(key)

    async def ask(
        self, text: str, *, app: str = "default", session: str | None = None, key_id: str | None = None
    ) -> dict[str, Any]:  # Any: JSON
        """Ask one question; the record of what happened, failures included. Raises RequestError."""
        began = perf_counter_ns()
        headers = {b"x-greenroom-session": session.encode()} if session else {}
        body = encode({"model": app, "messages": [{"role": "user", "content": text}]})
        exchange, room, grant = self.begin(body, headers, key_id)
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
