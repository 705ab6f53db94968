"""What the settings pages ask: how the house fares, what it is made of, what was lost and why."""

import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from greenroom import __version__
from greenroom.assembly.administration import Desk, losses
from greenroom.config import AppConfig, ProviderConfig
from greenroom.models.catalog import PROVIDERS

Json = dict[str, Any]  # Any: JSON
_MOST_FILES = 60
_MOST_COUNTED = 20_000
"""Files of a folder whose sizes are added; in larger ones the rest is left out: the page stays quick."""


class _Why(NamedTuple):
    """What a loss counter means, and what to do."""

    what: str
    remedy: str


_WHY: dict[str, _Why] = {
    "traces_lost": _Why(
        "Exchanges that were answered and are in no list.",
        "The disk or the writer could not keep up: look at the free space below, or capture less.",
    ),
    "trace_bodies_lost": _Why(
        "Exchanges that are listed without their texts.",
        "More came at once than the writer's queue holds: capture less, or give the store a faster disk.",
    ),
    "responses_lost": _Why(
        "Stored responses that can't be asked for again.", "Look at the free space below and at the log."
    ),
    "ledger_lines_lost": _Why(
        "Sums of money that could not be written down.", "Budgets count too little: look at the log at once."
    ),
    "ledger_errors": _Why(
        "Times the ledger's file could not be written; tried again.", "Look at the free space below."
    ),
    "ledger_requests_abandoned": _Why(
        "Requests of a process that died, charged at what was reserved.", "Look in the log for why it died."
    ),
    "otel_records_rejected": _Why(
        "Spans, metrics and scores that the collector did not take, for good.",
        "Its answer stands in the log: look there for what it objects to.",
    ),
    "store_errors": _Why(
        "Times the store's file could not be written; tried again.", "Look at the free space below."
    ),
}
_UNKNOWN = _Why("Something that was to be kept and is not.", "Look at the log.")


class SettingsDesk:
    """Answers `server.pages.settings.Backend`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house
        self.keys = desk.keys.keys
        self.create = desk.keys.create
        self.limit = desk.keys.limit
        self.rotate = desk.keys.rotate
        self.revoke = desk.keys.revoke
        self.projects = desk.keys.projects
        self.budgets = desk.budgets

    def health(self) -> Json:
        """How this process fares; with several, each tells of itself. Sizes in bytes, times in seconds."""
        house, store = self._house, self._house.config.store
        ledger, recorder = house.ledger.counts(), house.recorder.counts()
        usage = shutil.disk_usage(house.data)
        lost = losses(house) | {
            "ledger_lines_lost": ledger.lost,
            "ledger_errors": ledger.errors,
            "ledger_requests_abandoned": ledger.abandoned,
            "store_errors": recorder.errors,
        }
        return {
            "version": __version__,
            "python": sys.version.split()[0],
            "up_s": round(time.time() - self._desk.started_at),
            "process": os.getpid(),
            "workers": house.config.server.workers,
            "is_ready": self._desk.ready(),
            "in_flight": house.gateway.at_work,
            "queued": recorder.queued,
            "unindexed": house.recorder.unindexed,
            "memory_bytes": _memory_bytes(),
            "disk": {"free_bytes": usage.free, "total_bytes": usage.total},
            "files": list(_files(house.data)),
            "model": {"name": house.default_target, "why": house.why},
            "config": None if house.source is None else Path(house.source).name,
            "losses": [_loss(name, number) for name, number in lost.items()],
            "retention": {
                "capture": store.capture,
                "retention_days": store.retention_days,
                "audit_days": store.audit_days,
                "files_mb": store.files_mb,
                "responses_mb": store.responses_mb,
            },
        }

    def makings(self) -> Json:
        """Providers, models and apps in force. Of keys it is said where they come from, not what they are."""
        house, config = self._house, self._house.config
        providers = [self._provider(name, table) for name, table in config.providers.items()]
        providers += [
            {"name": one.name, "kind": one.kind, "host": _host(one.base_url), "from": "the environment",
             "key": f"from {one.key_env}", "parallel": None}
            for one in PROVIDERS.values()
            if one.key_env and house.environment.get(one.key_env) and one.name not in config.providers
        ]  # fmt: skip
        return {
            "providers": providers,
            "models": [
                {"name": name, "route": one.route, "targets": list(one.targets)}
                for name, one in config.models.items()
            ],
            "apps": [
                _app(name, config.apps.get(name, AppConfig()), app.model)
                for name, app in house.gateway.rooms.apps.items()
            ],
        }

    def _provider(self, name: str, table: ProviderConfig) -> Json:
        known = PROVIDERS.get(name) or PROVIDERS.get(table.kind)
        address = table.base_url or (known.base_url if known is not None else None)
        if table.api_key_env is not None:
            key = f"from {table.api_key_env}"
        elif table.api_key_file is not None:
            key = "from a file"
        else:
            key = "sealed in the store" if self._house.sealed_key(name) else "none"
        return {"name": name, "kind": table.kind, "host": _host(address), "from": "the configuration",
                "key": key, "parallel": table.parallel}  # fmt: skip


def _app(name: str, table: AppConfig, model: str) -> Json:
    stages = {"preprocess": table.preprocess, "ground": table.ground, "check": table.check,
              "postprocess": table.postprocess}  # fmt: skip
    return {
        "name": name,
        "model": model,
        "prompt": table.prompt,
        "pipeline": table.pipeline,
        "cache": table.cache,
        "on_block": table.on_block,
        "collections": None if table.collections is None else list(table.collections),
        "stages": {stage: list(steps) for stage, steps in stages.items()},
    }


def _loss(name: str, number: int) -> Json:
    why = _WHY.get(name, _UNKNOWN)
    return {"name": name, "count": number, "what": why.what, "remedy": why.remedy}


def _host(address: str | None) -> str | None:
    """Host and port of an address; what else stands in it may be a secret."""
    if address is None:
        return None
    parts = urlsplit(address)
    return parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"


def _memory_bytes() -> int:
    """The most memory this process had; Linux counts in KiB, macOS in bytes (getrusage(2))."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _files(folder: Path) -> Iterator[Json]:
    """What lies in the data folder, the largest first; a file and SQLite's log of it count as one."""
    sizes: dict[str, int] = {}
    with os.scandir(folder) as found:
        for one in found:
            name = one.name.removesuffix("-wal").removesuffix("-shm")
            try:
                size = one.stat(follow_symlinks=False).st_size if one.is_file() else _below(one.path)
            except OSError:  # gone just now
                continue
            sizes[name] = sizes.get(name, 0) + size
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1])[:_MOST_FILES]:
        yield {"name": name, "bytes": size}


def _below(folder: str) -> int:
    total = 0
    for path in islice(Path(folder).rglob("*"), _MOST_COUNTED):
        try:
            total += path.lstat().st_size
        except OSError:  # gone just now
            continue
    return total
