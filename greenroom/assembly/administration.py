"""What the administration routes and the pages ask, answered from the house's stores."""

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom import __version__
from greenroom.assembly.applied import shown
from greenroom.assembly.audit import Audit, Kind, Wanted
from greenroom.assembly.budgets import budgets
from greenroom.assembly.erasing import erase_traces
from greenroom.assembly.exposition import lines_of, with_help
from greenroom.assembly.feedback import score_trace
from greenroom.assembly.house import House
from greenroom.assembly.ingest import IngestDesk
from greenroom.assembly.keys import KeyDesk
from greenroom.assembly.metrics import RecordedMetrics
from greenroom.assembly.request_desk import RequestDesk
from greenroom.assembly.serving import ServingDesk, model_metrics
from greenroom.assembly.targets import ModelDesk
from greenroom.assembly.users import UserDesk
from greenroom.assembly.workers import Board
from greenroom.errors import GreenroomError
from greenroom.models.catalogue.wish import Wish
from greenroom.server.api import audit_filter, trace_filter
from greenroom.server.pages.access import Person, own_project, person, seen
from greenroom.store.audit import AuditFilter
from greenroom.store.listing import TraceFilter
from greenroom.store.material import pseudonym
from greenroom.store.scores import Score
from greenroom.store.usage import Asked, Dimension, usage, usage_by

if TYPE_CHECKING:
    from greenroom.assembly.recommendation import Recommender
    from greenroom.assembly.serve import _Server

Record = dict[str, Any]  # Any: JSON


class Desk:
    """Answers `Administration` of the API."""

    def __init__(self, house: House, server: "_Server") -> None:
        self._house = self.house = house
        self._server = server
        self.keys = KeyDesk(house)
        self.users = UserDesk(house)
        self.models = ModelDesk(house)
        self.serving = ServingDesk(house)
        self._recorded = RecordedMetrics(house)
        self.ingest = IngestDesk(house)
        self.started_at = time.time()
        worker = house.worker
        self._board = Board(worker.folder, worker.number) if worker is not None else None

    def list_traces(self, wanted: TraceFilter) -> tuple[list[Record], str | None]:
        """Rows, newest first, and the cursor of the next page."""
        page = self._house.traces.list(wanted)
        return page.rows, page.next

    def get_trace(self, project: str | None, id: str) -> Record | None:
        """The record of an exchange."""
        return self._house.traces.get(project, id)

    def score(self, project: str | None, id: str, score: Score) -> Record | None:
        """Add a score to a trace."""
        return score_trace(self._house, project, id, score)

    def delete_traces(self, project: str | None, user: str, by: str, address: str) -> int:
        """Erase a user's traces."""
        erased = erase_traces(self._house, project, user)["traces"]
        who = pseudonym(user)  # the log outlives what was erased, and is not to name whose it was
        Audit(self._house).note(
            by, "traces.erase", {"project": project, "user": who, "traces": erased}, address=address
        )
        return erased

    def audit(
        self, kind: str | None, wanted: AuditFilter, cursor: str | None
    ) -> tuple[list[Record], str | None]:
        """Lines of the audit log, newest first, and the cursor of the next page."""
        return list_audit(self._house, kind, wanted, cursor)

    def budgets(self) -> list[Record]:
        """What is left of each budget."""
        return budgets(self._house)

    def usage(self, asked: Asked) -> list[Record]:
        """Sums of the ledger."""
        return usage(self._house.books, asked)

    def session(self, project: str, session: str) -> list[Record]:
        """The turns kept of a session."""
        return [
            {"turn": one.turn, "role": one.role, "text": one.text, "at": one.at, "user": one.user}
            for one in self._house.turns.whole(project, session, 1000)
        ]

    def show_config(self) -> Record:
        """The configuration in force; keys of providers are named, never shown."""
        return {"file": self._house.source, "config": shown(self._house.config), "version": __version__}

    def metrics(self) -> str:
        """Prometheus' text format, over all processes of the server."""
        own = self._metrics()
        return with_help(own if self._board is None else self._board.sum(own))

    def post_metrics(self) -> None:
        """Let other processes of the server see this one's metrics. Raises: OSError."""
        if self._board is not None:
            self._board.post(self._metrics(is_fresh=False))

    def _metrics(self, *, is_fresh: bool = True) -> str:
        gateway = self._house.gateway
        lines = ["# TYPE greenroom_requests_total counter"]
        lines += [
            f'greenroom_requests_total{{app="{_label(app)}",outcome="{outcome}"}} {count}'
            for (app, outcome), count in sorted(gateway.counts.items())
        ]
        lines += [
            "# TYPE greenroom_requests_in_flight gauge",
            f"greenroom_requests_in_flight {gateway.at_work}",
        ]
        recorder = self._house.recorder
        lines += [
            "# TYPE greenroom_index_cpu_seconds_total counter",
            f"greenroom_index_cpu_seconds_total {recorder.index_cpu_ns / 1e9:.6f}",
            "# TYPE greenroom_index_pending gauge",
            f"greenroom_index_pending {recorder.unindexed}",
            "# TYPE greenroom_store_log_bytes gauge",
            f"greenroom_store_log_bytes {self._house.traces.log_bytes}",
            "# TYPE greenroom_store_queued gauge",
            f"greenroom_store_queued {recorder.counts().queued}",
            "# TYPE greenroom_store_errors_total counter",
            f"greenroom_store_errors_total {recorder.counts().errors}",
        ]
        lines += lines_of(self._recorded.readings(is_fresh=is_fresh))
        lines += _ledger_metrics(self._house)
        lines += self._house.trials.metrics()
        lines += model_metrics(self._house)
        lines += self._house.telemetry.metrics() + self.ingest.metrics()
        for name, value in sorted(losses(self._house).items()):
            lines += [f"# TYPE greenroom_{name}_total counter", f"greenroom_{name}_total {value}"]
        return "\n".join(lines) + "\n"

    def ready(self) -> bool:
        """Whether requests are taken."""
        return not self._server.shared.draining


class PagesDesk:
    """Answers `PagesBackend`: of the projects that the one at the browser may see."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.people = UserDesk(house)
        self.requests = RequestDesk(house)

    @cached_property
    def _recommender(self) -> "Recommender":
        from greenroom.assembly.recommendation import Recommender  # noqa: PLC0415  # 1 MiB that few need

        return Recommender(self._house)

    def list_traces(self, **filters: str | int) -> tuple[list[Record], str | None]:
        """Rows, newest first, and the cursor of the next page."""
        wanted = trace_filter({name: str(value) for name, value in filters.items()}, seen())
        page = self._house.traces.list(wanted)
        return page.rows, page.next

    def get_trace(self, id: str, /) -> Record | None:
        """The record of an exchange."""
        return self._house.traces.get(seen(), id)

    def list_audit(self, **filters: str) -> tuple[list[Record], str | None]:
        """Lines of the audit log, newest first, and the cursor of the next page."""
        kind, wanted, cursor = audit_filter(filters, seen())
        if seen() is not None:  # changes are of the whole server
            kind = "finding"
        return list_audit(self._house, kind, wanted, cursor)

    def usage(self, asked: Asked) -> list[Record]:
        """Sums of the ledger."""
        return usage(self._house.books, asked._replace(project=own_project(asked.project)))

    def usage_by(
        self, asked: Asked, bys: Sequence[tuple[Dimension, ...]], counts: Sequence[str]
    ) -> list[list[Record]]:
        """The same cut up in several ways."""
        own = asked._replace(project=own_project(asked.project))
        return usage_by(self._house.books, own, bys, counts)

    def recommend(self, wish: Wish) -> Record:
        """Which model to choose, by what the projects that may be seen have seen."""
        return self._recommender.recommend(wish, seen())

    def note_login(self, key: str, address: str, /) -> None:
        """Write down that somebody signed in, or tried to."""
        try:
            caller = self._house.access.find(key.strip().encode()).caller
        except GreenroomError:
            Audit(self._house).note("unknown", "login.refused", None, address=address)
            return
        what = "login" if caller.role != "app" else "login.refused"
        Audit(self._house).note(caller.key_id, what, {"role": caller.role}, address=address)

    def verify_key(self, key: str, /) -> Person | None:
        """Whose key it is, if it may see the pages."""
        try:
            caller = self._house.access.find(key.strip().encode()).caller
        except GreenroomError:
            return None
        if caller.role == "app":
            return None
        return Person(caller.role, caller.key_id, None if caller.role == "admin" else caller.project)

    async def ask(self, text: str, app: str, /) -> str:
        """Send a question through an app, as the key that was signed in with; the trace id."""
        asking = person()
        record = await self._house.ask(
            text, app=app, key_id=None if asking is None or asking.project is None else asking.key
        )
        return str(record["id"])

    def apps(self) -> list[str]:
        """Apps by name, the default one first."""
        return list(self._house.gateway.rooms.apps)

    def about(self) -> Record:
        """What runs here."""
        house = self._house
        return {
            "version": __version__,
            "model": {"name": house.default_target, "why": house.why},
            "losses": losses(house),
        }


def list_audit(
    house: House, kind: str | None, wanted: AuditFilter, cursor: str | None
) -> tuple[list[Record], str | None]:
    """A page of the audit log."""
    asked = Wanted(kind=msgspec.convert(kind, Kind | None), findings=wanted, cursor=cursor)
    return Audit(house).page(asked)


def _ledger_metrics(house: House) -> list[str]:
    counts = house.ledger.counts()
    named = {
        "ledger_lines": counts.lines,
        "ledger_lines_lost": counts.lost,
        "ledger_requests_abandoned": counts.abandoned,
        "ledger_errors": counts.errors,
    }
    lines = []
    for name, value in named.items():
        lines += [f"# TYPE greenroom_{name}_total counter", f"greenroom_{name}_total {value}"]
    return [*lines, "# TYPE greenroom_ledger_waiting gauge", f"greenroom_ledger_waiting {counts.waiting}"]


def losses(house: House) -> dict[str, int]:
    """What was to be kept and is not, since the start."""
    counts = house.recorder.counts()
    return {
        "traces_lost": counts.lost_rows,
        "trace_bodies_lost": counts.lost_bodies,
        "responses_lost": house.responses.lost,
        **house.telemetry.losses(),
    }


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
