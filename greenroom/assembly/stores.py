"""The stores of one data folder, each opened on first need, and what stands directly on them."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from greenroom.assembly.memories import KeptMemories, hear
from greenroom.assembly.prompts import PromptShelf, registry_of
from greenroom.assembly.workers import Worker
from greenroom.config import Config
from greenroom.errors import ConfigError
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.ingestion import Ingestion
from greenroom.models.encoder import MiniLM, is_installed
from greenroom.prompts.registry import Registry
from greenroom.stages.language import detect
from greenroom.store import alerts, retention, spans, trained, views
from greenroom.store.backups import is_half
from greenroom.store.deliveries import Deliveries
from greenroom.store.deployments import DeploymentStore
from greenroom.store.drift import DriftStore
from greenroom.store.evals import EvalStore
from greenroom.store.experiments import ExperimentStore
from greenroom.store.jobs import JobStore
from greenroom.store.keys import KeyStore
from greenroom.store.ledger import LedgerStore
from greenroom.store.prompts import PromptStore
from greenroom.store.quality import QualityStore
from greenroom.store.response_file import ResponseFile
from greenroom.store.retention import ProjectDays
from greenroom.store.rollups import Rollups
from greenroom.store.sealed import SealedKeys, master_key
from greenroom.store.shared import SharedFile, SharedThings
from greenroom.store.traces import TraceStore
from greenroom.store.trained import TrainedModels
from greenroom.store.turns import MOST_FORGOTTEN, StoredTurns

SEALED = "sealed.db"
PROMPTS = "prompts.db"
DEPLOYMENTS = "deployments.db"


class Stores:
    """Everything that is kept in the data folder."""

    def __init__(
        self, config: Config, data: Path, environment: Mapping[str, str], worker: Worker | None = None
    ) -> None:
        self.config = config
        self.data = data
        self.environment = environment
        self.worker = worker
        """Which of several processes of a server this is; None when it is alone, or no server."""

    @property
    def is_first(self) -> bool:
        """Whether this process does what one alone must."""
        return self.worker is None or self.worker.is_first

    def close_stores(self) -> None:
        """Close those that were opened. Safe to call twice."""
        for name in (
            "evals",
            "responses",
            "turns",
            "keys",
            "sealed",
            "traces",
            "rollups",
            "documents",
            "books",
            "shared",
            "prompts",
            "experiments",
            "deploys",
            "trained",
            "jobs",
            "views",
            "alerts",
            "drift",
            "quality",
            "deliveries",
            "project_days",
            "spans",
        ):
            store = vars(self).pop(name, None)
            if store is not None:
                store.close()
        vars(self).pop("memories", None)

    @cached_property
    def keys(self) -> KeyStore:
        """The keys. Raises StoreError."""
        return KeyStore(self.folder() / "keys.db")

    @cached_property
    def sealed(self) -> SealedKeys:
        """The providers' keys. Raises StoreError."""
        folder = self.folder()
        return SealedKeys(folder / SEALED, master_key(folder, self.environment))

    def sealed_key(self, provider: str) -> str | None:
        """A provider's key, where one is sealed; makes no store for it. Raises StoreError."""
        return self.sealed.get(provider) if (self.data / SEALED).exists() else None

    @cached_property
    def prompts(self) -> PromptStore:
        """The prompts. Raises StoreError."""
        return PromptStore(self.folder() / PROMPTS)

    @cached_property
    def prompt_shelf(self) -> PromptShelf:
        """The prompts as requests meet them; `refresh_prompts` fills it."""
        return PromptShelf(self.encoder)

    def stored_prompts(self) -> Registry:
        """All prompts that are stored now; makes no store. Raises StoreError."""
        return registry_of(self.prompts) if (self.data / PROMPTS).exists() else Registry()

    def refresh_prompts(self) -> None:
        """Take the prompts from the store if they changed there; makes no store. Raises StoreError."""
        if (self.data / PROMPTS).exists():
            self.prompt_shelf.refresh(self.prompts)

    @cached_property
    def traces(self) -> TraceStore:
        """The traces. Raises StoreError."""
        number = None if self.worker is None else self.worker.number
        return TraceStore(self.folder() / "traces.db", detect=detect, worker=number)

    @cached_property
    def rollups(self) -> Rollups:
        """What happened, summed up by minute. Raises StoreError."""
        return Rollups(self.folder() / "rollups.db")

    @cached_property
    def documents(self) -> DocumentIndex:
        """The documents. Raises StoreError."""
        index = DocumentIndex(self.folder() / "documents.db")
        index.files.quota_bytes = self.config.store.files_mb * 1024 * 1024
        return index

    @cached_property
    def ingestion(self) -> Ingestion:
        """What reads attached files in the background, once it is started."""
        return Ingestion(self.documents)

    @cached_property
    def turns(self) -> StoredTurns:
        """The conversations kept by the server. Raises StoreError."""
        forgotten = None if self.shared is None else SharedThings(self.shared, "forgotten", MOST_FORGOTTEN)
        return StoredTurns(self.folder() / "turns.db", hear=hear, forgotten=forgotten)

    @cached_property
    def shared(self) -> SharedFile | None:
        """What several processes keep together while they run. Raises StoreError."""
        return (
            None if self.worker is None else SharedFile(self.worker.folder / "shared.db", self.worker.secret)
        )

    @cached_property
    def responses(self) -> ResponseFile:
        """The responses and conversations that clients keep here. Raises StoreError."""
        quota_bytes = self.config.store.responses_mb * 1024 * 1024
        is_shared = self.worker is not None
        return ResponseFile(self.folder() / "responses.db", quota_bytes, is_shared=is_shared)

    @cached_property
    def memories(self) -> KeptMemories:
        """What is remembered of users, in the conversations' file. Raises StoreError."""
        return KeptMemories(self.turns)

    @cached_property
    def evals(self) -> EvalStore:
        """Evaluations and their data sets. Raises StoreError."""
        return EvalStore(self.folder() / "evals.db")

    @cached_property
    def books(self) -> LedgerStore:
        """The ledger's file, to look at. Raises StoreError."""
        return LedgerStore(self.folder() / "ledger.db")

    @cached_property
    def experiments(self) -> ExperimentStore:
        """How experiments stand. Raises StoreError."""
        return ExperimentStore(self.folder() / "experiments.db")

    @cached_property
    def trained(self) -> TrainedModels:
        """The models that were trained here. Raises StoreError."""
        return TrainedModels(self.folder() / trained.FILE)

    @cached_property
    def jobs(self) -> JobStore:
        """Fine-tuning jobs. Raises StoreError."""
        return JobStore(self.folder() / "jobs.db")

    @cached_property
    def drift(self) -> DriftStore:
        """What drift remembers. Raises StoreError."""
        return DriftStore(self.folder() / "drift.db")

    @cached_property
    def quality(self) -> QualityStore:
        """What scores of live traffic came to. Raises StoreError."""
        return QualityStore(self.folder() / "quality.db")

    @cached_property
    def alerts(self) -> alerts.Alerts:
        """What somebody should know. Raises StoreError."""
        return alerts.Alerts(self.folder() / alerts.FILE)

    @property
    def has_alerts(self) -> bool:
        """Whether there ever was one: looking makes no store."""
        return "alerts" in vars(self) or (self.data / alerts.FILE).exists()

    @cached_property
    def deliveries(self) -> Deliveries:
        """What is sent of them. Raises StoreError."""
        return Deliveries(self.folder() / alerts.FILE)

    @cached_property
    def spans(self) -> spans.SpanStore:
        """Spans that applications sent. Raises StoreError."""
        return spans.SpanStore(self.folder() / spans.FILE)

    @cached_property
    def project_days(self) -> ProjectDays:
        """How long what projects recorded is kept, as the API was told. Raises StoreError."""
        return ProjectDays(self.folder() / retention.FILE)

    @cached_property
    def views(self) -> views.ViewStore:
        """Saved views of the requests. Raises StoreError."""
        return views.ViewStore(self.folder() / views.FILE)

    @cached_property
    def deploys(self) -> DeploymentStore:
        """Deployments: what stands, and every state before. Raises StoreError."""
        return DeploymentStore(self.folder() / DEPLOYMENTS)

    @property
    def has_deployed(self) -> bool:
        """Whether anything was ever deployed here: looking makes no store."""
        return "deploys" in vars(self) or (self.data / DEPLOYMENTS).exists()

    @cached_property
    def encoder(self) -> MiniLM | None:
        """The embedded encoder, where its extra is installed; loaded when a vector is asked for."""
        return MiniLM() if is_installed() else None

    def folder(self) -> Path:
        """The data folder, made if it is not there. Raises ConfigError."""
        try:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            raise ConfigError(
                f"The data folder '{self.data}' can't be made. Choose one with --data."
            ) from None
        if is_half(self.data):
            raise ConfigError(
                f"A restore of the data folder '{self.data}' was interrupted, and it holds both old and new. "
                "Run `greenroom db restore --finish`."
            )
        return self.data
