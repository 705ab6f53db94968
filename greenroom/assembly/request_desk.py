"""What the pages of requests ask, answered from the house's stores.

Who is at the browser sees the projects that `access.seen()` allows, and nothing here asks for more.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from time import perf_counter_ns
from typing import Any

from msgspec.json import decode, encode
from msgspec.structs import replace

from greenroom.assembly.audit import Audit
from greenroom.assembly.feedback import score_trace
from greenroom.assembly.house import House
from greenroom.assembly.spans import spans_of
from greenroom.assembly.telemetry import otlp_of
from greenroom.errors import GreenroomError, MalformedRequest, NotFound
from greenroom.exchange import usd
from greenroom.server.pages.access import Person, check_project, own_project, person, seen
from greenroom.server.pages.requests.backend import By, Collected, CostPart
from greenroom.store import browsing, threads
from greenroom.store.bodies import Bodies, Neighbours, bodies, neighbours
from greenroom.store.data_sets import DataSets
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.spenders import spenders
from greenroom.store.usage import today
from greenroom.store.views import View
from greenroom.usage import Usage

Record = dict[str, Any]  # Any: JSON
REPLAY_TAG = "replay_of"
"""The tag that says which request one is sent again for."""
EVALS = "evals.db"


class RequestDesk:
    """Answers `RequestsBackend`."""

    def __init__(self, house: House) -> None:
        self._house = house

    def get_trace(self, id: str, /) -> Record | None:
        """The record of an exchange."""
        return self._house.traces.get(seen(), id)

    def browse(self, wanted: TraceFilter) -> browsing.Sight:
        """A page of requests."""
        own = replace(wanted, project=own_project(wanted.project))
        return self._house.traces.look(lambda connection, names: browsing.browse(connection, names, own))

    def newer(self, wanted: TraceFilter, after: int) -> browsing.Sight:
        """What came after a number."""
        own = replace(wanted, project=own_project(wanted.project))
        return self._house.traces.look(
            lambda connection, names: browsing.newest_after(connection, names, own, after)
        )

    def bodies(self, id: str, /) -> Bodies | None:
        """What came and what was sent, byte for byte."""
        project = seen()
        return self._house.traces.look(lambda connection, names: bodies(connection, names, project, id))

    def neighbours(self, id: str, /) -> Neighbours:
        """The requests that ended just before and after one."""
        project = seen()
        return self._house.traces.look(lambda connection, names: neighbours(connection, names, project, id))

    def costs(self, record: Record) -> list[CostPart]:
        """What each kind of tokens cost, where that adds up to what was charged for the answer."""
        target = self._house.models.target(record["model"]["used"] or "")
        price = None if target is None else target.price
        if price is None or record["cost_usd"] is None or record["outcome"] == "cached":
            return []
        at_s = datetime.fromisoformat(record["created_at"]).timestamp()
        parts: list[tuple[str, int, int]] = []
        for name, used in _kinds(record["usage"]):
            nano = price.cost_nano(used, at_s)
            if nano is None:
                return []
            parts.append((name, used.input_tokens + used.output_tokens, nano))
        whole = sum(nano for _, _, nano in parts)
        abandoned = sum(Decimal(one.get("cost_usd") or 0) for one in record["model"]["attempts"])
        charged = int((Decimal(record["cost_usd"]) - abandoned) * 1_000_000_000)
        if not whole or abs(whole - charged) > max(10, charged // 100):
            return []  # fees, tiers or another price of that day: parts that don't add up explain nothing
        return [
            CostPart(name, tokens, usd(nano) or "0", nano / whole) for name, tokens, nano in parts if nano
        ]

    def spans(self, record: Record) -> Record:
        """Spans of the application around an exchange."""
        return spans_of(self._house, record["trace"]["id"], project=record["project"])

    def otlp(self, id: str, /) -> Record | None:
        """An exchange as OTLP, without its texts."""
        return otlp_of(self._house, seen(), id)

    def score(self, id: str, score: Score, by: By) -> Record | None:
        """Add a score."""
        return score_trace(self._house, seen(), id, score)

    def data_sets(self) -> list[str]:
        """The names of the data sets there are; makes no store."""
        if "evals" not in vars(self._house) and not (self._house.data / EVALS).exists():
            return []
        return list(dict.fromkeys(one.name for one in DataSets(self._house.evals).list(seen())))

    def collect(self, name: str, ids: Sequence[str], *, with_reply: bool, by: By) -> Collected:
        """Add requests to a data set of their project. Raises: MalformedRequest; NotFound."""
        # Evaluations are half a megabyte that most processes never need.
        from greenroom.offline.evals.kept import extend_data  # noqa: PLC0415  # see above
        from greenroom.offline.evals.recorded import from_records  # noqa: PLC0415  # see above

        records = [record for id in ids if (record := self.get_trace(id)) is not None]
        if not records:
            raise NotFound("None of these requests is there any more.")
        projects = sorted({str(record["project"]) for record in records})
        if len(projects) > 1:
            raise MalformedRequest(
                f"These requests are of the projects {', '.join(projects)}. A data set has one project: "
                "choose requests of one."
            )
        fresh = from_records(records, expect_reply=with_reply).samples
        kept, added = extend_data(self._house.evals, name, fresh, "requests", projects[0])
        about = {"project": projects[0], "name": kept.name, "version": kept.version, "rows": added}
        Audit(self._house).note(by.key, "data.add", about, address=by.address)
        return Collected(kept.name, kept.version, kept.rows, added, len(ids) - added)

    async def replay(self, id: str, by: By) -> str:
        """Send a stored request again, masks as they were stored. Raises: NotFound; RequestError."""
        house = self._house
        found = self.bodies(id)
        record = self.get_trace(id)
        if found is None or record is None or not found.request:
            raise NotFound("The texts of this request were not kept: there is nothing to send again.")
        if record["surface"] not in ("chat", "messages", "responses", "completions"):
            raise MalformedRequest(f"A request for {record['surface']} can't be sent again from here.")
        body: Record = decode(found.request, type=dict)
        body.pop("stream", None)
        body.pop("stream_options", None)
        body["model"] = record["model"]["asked"] or record["app"]
        began = perf_counter_ns()
        headers = {b"x-greenroom-tags": f"{REPLAY_TAG}={id}".encode()}
        exchange, room, grant = house.begin(encode(body), headers, _key_of(person()))
        try:
            await house.gateway.whole(exchange, room, grant, began)
        except GreenroomError:
            if exchange.outcome not in {"failed", "refused"}:
                raise
        return exchange.id

    def sessions(self, cursor: str | None, limit: int) -> threads.Threads:
        """The sessions in which something happened last."""
        project = seen()
        return self._house.traces.look(
            lambda connection, names: threads.latest(connection, names, project, cursor, limit)
        )

    def session(self, project: str, session: str, cursor: str | None, limit: int) -> threads.Thread | None:
        """The turns of a session. Raises: NotFound for a project that may not be seen."""
        check_project(project)
        return self._house.traces.look(
            lambda connection, names: threads.read(connection, names, project, session, cursor, limit)
        )

    def users(self, days: int) -> list[Record]:
        """Users by what they cost in the last days, the dearest first."""
        since = today() - timedelta(days=days - 1)
        return spenders(self._house.books, seen(), since)

    def views(self, key: str) -> list[View]:
        """The saved views of a key."""
        return self._house.views.of(key)

    def save_view(self, key: str, name: str, filter: str) -> None:
        """Keep a view."""
        self._house.views.save(key, name, filter)

    def remove_view(self, key: str, name: str) -> None:
        """Delete a view. Raises: NotFound."""
        if not self._house.views.remove(key, name):
            raise NotFound("There is no saved view of this name.")


def _key_of(asking: Person | None) -> str | None:
    """The id of the key a request is sent again as; None for the server's own, as admins ask."""
    return None if asking is None or asking.project is None else asking.key


def _kinds(used: Record) -> list[tuple[str, Usage]]:
    """Tokens by what they are charged as."""
    cached, reasoning = used["cached_tokens"], used["reasoning_tokens"]
    written = used.get("cache_write_tokens", 0)
    fresh = used["input_tokens"] - cached - written
    tier = used.get("service_tier", "")
    return [
        ("input", Usage(input_tokens=fresh, service_tier=tier)),
        ("cached input", Usage(input_tokens=cached, cached_tokens=cached, service_tier=tier)),
        ("cache writes", Usage(input_tokens=written, cache_write_tokens=written, service_tier=tier)),
        ("output", Usage(output_tokens=used["output_tokens"] - reasoning, service_tier=tier)),
        ("reasoning", Usage(output_tokens=reasoning, reasoning_tokens=reasoning, service_tier=tier)),
    ]
