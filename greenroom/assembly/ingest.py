"""What applications tell by OTLP, into the stores of a house."""

import re
from functools import cached_property
from typing import TYPE_CHECKING

from greenroom.assembly.feedback import score_trace
from greenroom.assembly.house import House
from greenroom.assembly.spans import spans_of
from greenroom.assembly.telemetry import otlp_of
from greenroom.assembly.users import Masks
from greenroom.errors import Forbidden
from greenroom.exchange import Caller
from greenroom.server.otlp import Told
from greenroom.store.listing import TraceFilter
from greenroom.store.material import TRACE_TAG, Record
from greenroom.store.scores import SOURCES, Score, checked
from greenroom.wire.tracecontext import span_of

if TYPE_CHECKING:
    from greenroom.offline.otel.evaluations import Evaluation
    from greenroom.offline.otel.ingest import Ingest

_ID = re.compile(r"[0-9a-f]{32}\Z")
_SIBLINGS = 50
"""Exchanges of one trace that are looked through for the one that is meant."""


class IngestDesk:
    """Answers `TelemetryAdministration`; every key tells for its own project."""

    def __init__(self, house: House) -> None:
        self._house = house

    @cached_property
    def _ingest(self) -> "Ingest":
        from greenroom.offline.otel.ingest import Ingest  # noqa: PLC0415  # loaded when somebody sends

        house = self._house
        return Ingest(
            lambda: house.spans,
            Masks,
            self._score,
            capture=lambda: house.config.store.capture,
            most_bytes=lambda: house.config.otel.ingest_mb * 1024 * 1024,
        )

    def take_spans(self, caller: Caller, body: bytes, *, is_json: bool) -> Told:
        """Keep spans."""
        self._check()
        taken = self._ingest.spans(caller.project, body, is_json=is_json)
        return Told(taken.refused, taken.why)

    def take_logs(self, caller: Caller, body: bytes, *, is_json: bool) -> Told:
        """Keep scores."""
        self._check()
        taken = self._ingest.logs(caller.project, body, is_json=is_json)
        return Told(taken.refused, taken.why)

    def spans(self, project: str | None, id: str) -> Record | None:
        """What applications told of an exchange's trace; None where there is no such exchange."""
        record = self._house.traces.get(project, id)
        if record is None:
            return None
        return spans_of(self._house, record["trace"]["id"], project=project)

    def document(self, project: str | None, id: str) -> Record | None:
        """An exchange as OTLP in JSON, without texts; None where there is none."""
        return otlp_of(self._house, project, id)

    def metrics(self) -> list[str]:
        """Lines of Prometheus' text format; none while nobody has sent anything."""
        if "_ingest" not in vars(self):
            return []
        counts = self._ingest.counts
        lines = []
        for name, value in {
            "otel_spans_taken": counts.spans,
            "otel_scores_taken": counts.scores,
            "otel_records_refused": counts.refused,
        }.items():
            lines += [f"# TYPE greenroom_{name}_total counter", f"greenroom_{name}_total {value}"]
        return lines

    def _check(self) -> None:
        if not self._house.config.otel.ingest:
            raise Forbidden("This server takes in no telemetry: otel.ingest is false.")

    def _score(self, project: str, told: "Evaluation") -> bool:
        """Keep one score; False where no exchange is meant. Raises: MalformedRequest."""
        score = checked(
            Score(
                name=told.name.strip().lower().replace(" ", "_"),
                value=told.value,
                comment=told.explanation,
                source=next((one for one in SOURCES if one == told.source), "code"),
            )
        )
        id = self._meant(project, told)
        return id is not None and score_trace(self._house, project, id, score) is not None

    def _meant(self, project: str, told: "Evaluation") -> str | None:
        """The exchange: that of the answer, of a trace of its own, or of its caller's trace and span."""
        found = _ID.search(told.response)
        if found is not None:
            return found[0]
        traces = self._house.traces
        if not told.trace:
            return None
        if traces.get(project, told.trace) is not None:
            return told.trace
        tag = f"{TRACE_TAG}={told.trace}"
        rows = traces.list(TraceFilter(project=project, tag=tag, limit=_SIBLINGS)).rows
        if len(rows) == 1 and not told.span:
            return str(rows[0]["id"])
        for row in rows:
            record = traces.get(project, row["id"])
            if record is not None and told.span in (record["trace"]["parent"], span_of(record["id"])):
                return str(row["id"])
        return None
