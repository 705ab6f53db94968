"""OpenTelemetry at work in a house: a thread that exports, and what takes in what applications tell."""

import logging
import time
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from greenroom import __version__
from greenroom.assembly.environment import proxies_of
from greenroom.assembly.looking import Looking
from greenroom.assembly.metrics import Reading, known_of, readings
from greenroom.config import Config
from greenroom.errors import GreenroomError
from greenroom.models.catalog import PROVIDERS, seller
from greenroom.offline.otel.settings import Plan, plan_of, resource_of
from greenroom.store.material import Record
from greenroom.store.tail import Tail
from greenroom.wire import semconv
from greenroom.wire.otlp.json import traces_document
from greenroom.wire.otlp.points import Points, Spread, Total
from greenroom.wire.otlp.signals import Origin, Spans
from greenroom.wire.semconv import Spoken

if TYPE_CHECKING:
    from greenroom.assembly.house import House
    from greenroom.offline.otel.exporter import Exporter, MetricsExport
    from greenroom.offline.otel.journey import Upstream
    from greenroom.offline.otel.outbox import Outbox, State

log = logging.getLogger("greenroom.telemetry")
_RETRY_S = 5.0


class _AtWork(NamedTuple):
    """One plan at work. Of several processes each tells its metrics, and the first all the rest."""

    outbox: "Outbox"
    upstreams: "dict[str, Upstream]"
    exporter: "Exporter | None"
    metrics: "MetricsExport | None"


class Telemetry(Looking):
    """The export of one house; its thread lives only where something is to leave."""

    def __init__(self, house: "House") -> None:
        super().__init__("greenroom-otel")
        self._house = house
        self._instance = str(uuid4())
        self._started_ns = time.time_ns()
        self._may_run = False
        self._at_work: _AtWork | None = None
        self._troubled = ""

    def begin(self) -> None:
        """Start what the configuration asks for. Raises: ConfigError."""
        self._may_run = True
        self.refresh()

    def check(self, config: Config) -> None:
        """Raises: ConfigError for a configuration that is not to be taken."""
        plan_of(config.otel, self._house.environment, self._house.source)

    def refresh(self) -> None:
        """Take a configuration that was read again. Raises: ConfigError."""
        if self._may_run and self._plan() is not None:
            self.start()

    def stop(self) -> None:
        """End; what hangs at the collector is cut off, as it leaves after the next start."""
        self._may_run = False
        self._stopping.set()
        at_work = self._at_work
        if at_work is not None:
            at_work.outbox.interrupt()
        super().stop()

    def state(self) -> "State | None":
        """How the export stands; None where nothing leaves."""
        at_work = self._at_work
        return None if at_work is None else at_work.outbox.state()

    def losses(self) -> dict[str, int]:
        """What was to leave and was given up, since the start."""
        state = self.state()
        return {} if state is None else {"otel_records_rejected": state.counts.rejected}

    def metrics(self) -> list[str]:
        """Lines of Prometheus' text format."""
        state = self.state()
        if state is None:
            return []
        counts = {
            "otel_spans_exported": state.counts.spans,
            "otel_events_exported": state.counts.events,
            "otel_export_failures": state.counts.failures,
        }
        lines = []
        for name, value in counts.items():
            lines += [f"# TYPE greenroom_{name}_total counter", f"greenroom_{name}_total {value}"]
        return [*lines, "# TYPE greenroom_otel_waiting gauge", f"greenroom_otel_waiting {state.waiting}"]

    def _plan(self) -> Plan | None:
        plan = plan_of(self._house.config.otel, self._house.environment, self._house.source)
        return plan if self._house.is_first or (plan is not None and plan.config.metrics) else None

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
        at_work = self._at_work
        if at_work is not None and (at_work.outbox.plan, at_work.upstreams) != (plan, upstreams):
            self._close()
            at_work = None
        if plan is None:
            return _RETRY_S
        if at_work is None:
            at_work = self._at_work = self._made(plan, upstreams)
        if at_work.exporter is not None:
            at_work.exporter.look()
        if at_work.metrics is not None:
            at_work.metrics.look()
        self._complain(at_work.outbox.state().trouble)
        return min(plan.config.every_s, plan.config.metrics_every_s)

    def _made(self, plan: Plan, upstreams: "dict[str, Upstream]") -> "_AtWork":
        # What only an export needs is loaded with it.
        from greenroom.offline.otel.exporter import Exporter, MetricsExport  # noqa: PLC0415  # see above
        from greenroom.offline.otel.outbox import Outbox  # noqa: PLC0415  # see above
        from greenroom.offline.otel.sender import Sender  # noqa: PLC0415  # see above

        house, origin = self._house, self._origin(plan)
        outbox = Outbox(plan, Sender(plan, proxies_of(house.environment)))
        exporter = metrics = None
        if house.is_first:
            tail = Tail(house.folder() / "traces.db")
            exporter = Exporter(outbox, upstreams, tail, house.spans, origin)
            log.info("traces leave by OTLP", extra={"collector": plan.place, "content": plan.content})
        if plan.config.metrics:
            metrics = MetricsExport(outbox, lambda: self._points(plan.config.semconv), origin)
        return _AtWork(outbox, upstreams, exporter, metrics)

    def _origin(self, plan: Plan) -> Origin:
        resource: dict[str, Any] = {  # Any: values of attributes
            **plan.resource,
            "service.instance.id": self._instance,
            "service.version": __version__,
            "telemetry.sdk.name": "greenroom",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": __version__,
        }
        schema = semconv.SCHEMA_URL["next" if plan.config.semconv == "next" else "v1_41"]
        return Origin(resource, semconv.SCOPE, __version__, schema=schema)

    def _points(self, spoken: Spoken) -> list[Points]:
        """What this process measured since its start, as `/metrics` shows it."""
        found = readings(self._house.rollups.since_start(), known_of(self._house), spoken)
        return points_of(found, self._started_ns, time.time_ns())

    def _close(self) -> None:
        at_work, self._at_work = self._at_work, None
        if at_work is None:
            return
        if at_work.metrics is not None:
            at_work.metrics.end()
        if at_work.exporter is not None:
            at_work.exporter.close()
        at_work.outbox.close()

    def _complain(self, trouble: str) -> None:
        """Say what is wrong once, and once that it is over."""
        if trouble and not self._troubled:
            log.error("traces do not leave", extra={"reason": trouble})
        elif self._troubled and not trouble:
            log.info("traces leave again")
        self._troubled = trouble


def otlp_of(house: "House", project: str | None, id: str) -> Record | None:
    """One exchange as OTLP in JSON, without texts; None where there is none. Raises: StoreError."""
    from greenroom.offline.otel.journey import Teller  # noqa: PLC0415  # as above

    with closing(Tail(house.folder() / "traces.db")) as tail:
        stored = tail.find(project, id)
    if stored is None:
        return None
    config = house.config.otel
    resource = resource_of(config, house.environment)
    origin = Origin({**resource, "service.version": __version__}, semconv.SCOPE, __version__)
    spans = Teller(upstreams_of(house.config), config.semconv).spans(stored)
    return traces_document([Spans(origin, spans)])


def points_of(found: list[Reading], start_ns: int, at_ns: int) -> list[Points]:
    """Readings as OTLP carries them: one of our own labels gets our prefix, whole sums stay whole."""
    points: list[Points] = []
    for _, group in groupby(found, key=lambda one: one.metric.name):
        some = list(group)
        metric = some[0].metric
        named = [
            {name if "." in name else f"greenroom.{name}": value for name, value in one.labels if value}
            for one in some
        ]
        if metric.kind == "counter":
            totals = [
                Total(attributes, int(one.value) if one.value == int(one.value) else one.value)
                for attributes, one in zip(named, some, strict=True)
            ]
            points.append(Points(metric, start_ns, at_ns, totals=totals))
            continue
        spreads = [
            Spread(attributes, one.counts or (), one.value)
            for attributes, one in zip(named, some, strict=True)
        ]
        points.append(Points(metric, start_ns, at_ns, spreads=spreads))
    return points


def upstreams_of(config: Config) -> "dict[str, Upstream]":
    """Who serves each provider's models, as telemetry names it."""
    from greenroom.offline.otel.journey import Upstream  # noqa: PLC0415  # as above

    found = {"greenroom": Upstream("greenroom", is_here=True)}
    for name, known in PROVIDERS.items():
        found[name] = Upstream(semconv.provider_name(name, known.kind), *_place(known.base_url))
    for name, one in config.providers.items():
        if one.kind == "llama":
            found[name] = Upstream(semconv.provider_name(name, "llama"))
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
