"""OpenTelemetry at work in a house: a thread that exports, and what takes in what applications tell."""

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from greenroom import __version__
from greenroom.assembly.environment import proxies_of
from greenroom.assembly.looking import Looking
from greenroom.config import Config
from greenroom.errors import GreenroomError
from greenroom.models.catalog import PROVIDERS, seller
from greenroom.offline.otel.settings import Plan, plan_of
from greenroom.store.tail import Tail
from greenroom.wire import semconv
from greenroom.wire.otlp.signals import Origin

if TYPE_CHECKING:
    from greenroom.assembly.house import House
    from greenroom.offline.otel.exporter import Exporter, State
    from greenroom.offline.otel.journey import Upstream

log = logging.getLogger("greenroom.telemetry")
_RETRY_S = 5.0


class Telemetry(Looking):
    """The export of one house; its thread lives only where something is to leave."""

    def __init__(self, house: "House") -> None:
        super().__init__("greenroom-otel")
        self._house = house
        self._instance = str(uuid4())
        self._may_run = False
        self._exporter: Exporter | None = None
        self._troubled = ""

    def begin(self) -> None:
        """Start what the configuration asks for. Raises: ConfigError."""
        self._may_run = True
        self.refresh()

    def refresh(self) -> None:
        """Take a configuration that was read again. Raises: ConfigError."""
        if self._may_run and self._plan() is not None:
            self.start()

    def stop(self) -> None:
        """End; what hangs at the collector is cut off, as it leaves after the next start."""
        self._may_run = False
        self._stopping.set()
        exporter = self._exporter
        if exporter is not None:
            exporter.interrupt()
        super().stop()

    def state(self) -> "State | None":
        """How the export stands; None where nothing leaves."""
        exporter = self._exporter
        return None if exporter is None else exporter.state()

    def metrics(self) -> list[str]:
        """Lines of Prometheus' text format."""
        state = self.state()
        if state is None:
            return []
        counts = {
            "otel_spans_exported": state.counts.spans,
            "otel_events_exported": state.counts.events,
            "otel_records_rejected": state.counts.rejected,
            "otel_export_failures": state.counts.failures,
        }
        lines = []
        for name, value in counts.items():
            lines += [f"# TYPE greenroom_{name}_total counter", f"greenroom_{name}_total {value}"]
        return [*lines, "# TYPE greenroom_otel_waiting gauge", f"greenroom_otel_waiting {state.waiting}"]

    def _plan(self) -> Plan | None:
        return plan_of(self._house.config.otel, self._house.environment, self._house.source)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            try:
                wait_s = self._look()
            except GreenroomError as error:
                wait_s = _RETRY_S
                self._complain(str(error))
        self._close()

    def _look(self) -> float:
        plan, upstreams = self._plan(), upstreams_of(self._house.config)
        exporter = self._exporter
        if exporter is not None and (exporter.plan, exporter.upstreams) != (plan, upstreams):
            self._close()
            exporter = None
        if plan is None:
            return _RETRY_S
        if exporter is None:
            exporter = self._exporter = self._made(plan, upstreams)
        wait_s = exporter.look()
        self._complain(exporter.state().trouble)
        return wait_s

    def _made(self, plan: Plan, upstreams: "dict[str, Upstream]") -> "Exporter":
        # What only an export needs is loaded with it.
        from greenroom.offline.otel.exporter import Exporter  # noqa: PLC0415
        from greenroom.offline.otel.sender import Sender  # noqa: PLC0415

        house = self._house
        resource: dict[str, Any] = {  # Any: values of attributes
            **plan.resource,
            "service.instance.id": self._instance,
            "service.version": __version__,
            "telemetry.sdk.name": "greenroom",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": __version__,
        }
        schema = semconv.SCHEMA_URL["next" if plan.config.semconv == "next" else "v1_41"]
        origin = Origin(resource, semconv.SCOPE, __version__, schema=schema)
        sender = Sender(plan, proxies_of(house.environment))
        log.info("traces leave by OTLP", extra={"collector": plan.place, "content": plan.content})
        return Exporter(plan, upstreams, Tail(house.folder() / "traces.db"), house.spans, sender, origin)

    def _close(self) -> None:
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            exporter.end()

    def _complain(self, trouble: str) -> None:
        """Say what is wrong once, and once that it is over."""
        if trouble and not self._troubled:
            log.error("traces do not leave", extra={"reason": trouble})
        elif self._troubled and not trouble:
            log.info("traces leave again")
        self._troubled = trouble


def upstreams_of(config: Config) -> "dict[str, Upstream]":
    """Who serves each provider's models, as telemetry names it."""
    from greenroom.offline.otel.journey import Upstream  # noqa: PLC0415  # as above

    found = {"greenroom": Upstream("greenroom", is_here=True, is_ours=True)}
    for name, known in PROVIDERS.items():
        found[name] = Upstream(semconv.provider_name(name, known.kind), *_place(known.base_url))
    for name, one in config.providers.items():
        if one.kind == "llama":
            found[name] = Upstream(semconv.provider_name(name, "llama"), is_ours=True)
            continue
        sold_by = seller(one.base_url) if one.base_url else None
        known_url = PROVIDERS[name].base_url if name in PROVIDERS else None
        called = semconv.provider_name(sold_by or name, one.kind)
        found[name] = Upstream(called, *_place(one.base_url or known_url))
    return found


def _place(base_url: str | None) -> tuple[str, int]:
    if not base_url:
        return "", 0
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
