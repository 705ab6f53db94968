"""What the routes of `/v1/evals` ask: evals, runs and graded rows of the project of the key that asks.

A key that is limited to some apps sees only what it made itself. Nothing of HTTP is known here.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import UNSET
from msgspec.json import decode, encode

from greenroom.errors import Forbidden, MalformedRequest, NotFound, QuotaExceeded
from greenroom.exchange import Caller
from greenroom.gateway.access import may_use
from greenroom.gateway.gateway import Gateway
from greenroom.grounding.files import Files
from greenroom.offline.evals.asking import Asked
from greenroom.offline.evals.data_source import (
    DataSource,
    Logs,
    ResponseLogs,
    read_config,
    read_source,
    rows_of,
)
from greenroom.offline.evals.graders import read_criteria
from greenroom.offline.evals.hosted import TAG, HostedRuns
from greenroom.offline.evals.row import Means
from greenroom.offline.evals.summary import place_of, statuses, told_eval, told_item, told_run
from greenroom.stages.postprocess.json_schema import Schema
from greenroom.store.listing import TraceFilter
from greenroom.store.openai_evals import AT_WORK, EvalRow, HostedRun, Listing, OpenAIEvals, new_id
from greenroom.store.traces import TraceStore
from greenroom.wire.evals import EvalChange, ListQuery, NewEval, NewRun, page

MOST_EVALS = 1_000
"""Of a project."""
MOST_AT_WORK = 16
"""Runs of a project that wait or are at work."""
Json = dict[str, Any]  # Any: JSON
_CHAT = frozenset({"chat", "messages", "completions"})


class EvalDesk:
    """Answers for evals. Raises: NotFound for what another project has, too; StoreError."""

    def __init__(
        self,
        kept: OpenAIEvals,
        runs: HostedRuns,
        gateway: Callable[[], Gateway],
        files: Files,
        traces: TraceStore,
        means: Means,
    ) -> None:
        self._kept = kept
        self._runs = runs
        self._gateway = gateway
        self._files = files
        self._traces = traces
        self._means = means
        """For reading graders; nothing is asked through it."""

    # evals

    async def create(self, caller: Caller, wanted: NewEval) -> Json:
        """Keep an eval. Raises: MalformedRequest naming the field, ExtraMissing, QuotaExceeded."""
        return await asyncio.to_thread(self._create, caller, wanted)

    def _create(self, caller: Caller, wanted: NewEval) -> Json:
        _, config = read_config(wanted.data_source_config)
        Schema(encode(config["schema"]), "data_source_config.item_schema")
        criteria = read_criteria(wanted.testing_criteria, self._means)
        if self._kept.count(caller.project) >= MOST_EVALS:
            raise MalformedRequest(
                f"The project has {MOST_EVALS:,} evals, the most there may be. Delete some."
            )
        row = EvalRow(
            id=new_id("eval"), project=caller.project, key=caller.key_id, name=wanted.name or "",
            metadata=encode(wanted.metadata), config=encode(config), criteria=encode(criteria.kept),
        )  # fmt: skip
        return told_eval(self._kept.add(row))

    async def get(self, caller: Caller, id: str) -> Json:
        """An eval."""
        return told_eval(await asyncio.to_thread(self._eval, caller, id))

    async def change(self, caller: Caller, id: str, wanted: EvalChange) -> Json:
        """Another name, other metadata."""
        row = await asyncio.to_thread(self._eval, caller, id)
        metadata = None if wanted.metadata is UNSET else encode(wanted.metadata)
        await asyncio.to_thread(self._kept.change, row.id, name=wanted.name, metadata=metadata)
        return await self.get(caller, id)

    async def list_evals(self, caller: Caller, query: ListQuery) -> Json:
        """A page of evals."""
        rows, has_more = await asyncio.to_thread(
            lambda: self._kept.evals(caller.project, _listing(caller, query), by_update=query.by_update)
        )
        return page([told_eval(row) for row in rows], has_more=has_more)

    async def delete(self, caller: Caller, id: str) -> Json:
        """Delete an eval and its runs; what is at work ends."""
        row = await asyncio.to_thread(self._eval, caller, id)
        at_work = [one.id for one in await asyncio.to_thread(self._kept.unfinished) if one.eval == row.id]
        for one in at_work:
            await asyncio.to_thread(self._kept.move, one, "canceled")
        await self._runs.end(at_work)
        await asyncio.to_thread(self._kept.delete, row.id)
        return {"object": "eval.deleted", "deleted": True, "eval_id": row.id}

    # runs

    async def create_run(self, caller: Caller, id: str, wanted: NewRun, base_url: str) -> Json:
        """Begin a run. Raises: MalformedRequest, ModelNotFound, Forbidden, TooLarge, QuotaExceeded."""
        row = await asyncio.to_thread(self._create_run, caller, id, wanted)
        self._runs.start(row.id)
        return await asyncio.to_thread(told_run, self._kept, row, base_url)

    def _create_run(self, caller: Caller, id: str, wanted: NewRun) -> HostedRun:
        found = self._eval(caller, id)
        source = read_source(wanted.data_source)
        criteria = read_criteria(decode(found.criteria), self._means)
        rooms = self._gateway().rooms
        for model in sorted(criteria.models | ({source.model} if source.model else set())):
            may_use(caller, model)
            rooms.find(model, caller)
        if self._kept.at_work(caller.project) >= MOST_AT_WORK:
            raise QuotaExceeded(
                f"{MOST_AT_WORK} runs of this project wait or are at work. Wait for one of them.", 5.0
            )
        config = decode(found.config)
        rows = self._rows(caller, source, config)
        _check_rows(rows, config, source)
        bodies = [encode(one) for one in rows]
        row = HostedRun(
            id=new_id("evalrun"), eval=found.id, project=caller.project, key=caller.key_id,
            name=wanted.name or "", metadata=encode(wanted.metadata), model=source.model,
            source=encode(wanted.data_source),
        )  # fmt: skip
        return self._kept.add_run(row, self._runs.work_of(row, source, bodies), bodies)

    def _rows(self, caller: Caller, source: DataSource, config: Json) -> list[Json]:
        wanted = source.rows
        if isinstance(wanted, Logs | ResponseLogs) and config.get("metadata"):
            wanted.metadata = {**config["metadata"], **(wanted.metadata or {})}

        def file(id: str) -> Path:
            if caller.apps:
                raise Forbidden(
                    "This key is limited to some apps; files belong to the whole project. Send the rows as "
                    "'file_content'."
                )
            found = self._files.get(caller.project, id)
            if found is None:
                raise NotFound(f"There is no file '{id[:64]}'.", "data_source.source.id")
            return self._files.path(found)

        return rows_of(source, file, lambda logs, limit: self._records(caller, logs, limit))

    def _records(self, caller: Caller, wanted: Logs | ResponseLogs, limit: int) -> Iterator[Json]:
        """Records of answered exchanges, newest first, those of evals aside.

        The project's, or for an app's key its own.
        """
        tags = wanted.metadata or {}
        surfaces = frozenset({"responses"}) if isinstance(wanted, ResponseLogs) else _CHAT
        users = wanted.users if isinstance(wanted, ResponseLogs) else None
        tag = next((f"{name}={value}" for name, value in tags.items()), None)
        cursor: str | None = None
        given = 0
        while True:
            found = self._traces.list(
                TraceFilter(
                    project=caller.project, model=wanted.model, tag=tag, user=users[0] if users else None,
                    since_ns=_ns(wanted.created_after), until_ns=_ns(wanted.created_before, 1), limit=500,
                    cursor=cursor,
                )
            )  # fmt: skip
            for one in found.rows:
                is_own = one["key"] == caller.key_id or (caller.role != "app" and not caller.apps)
                if (
                    not is_own
                    or one["surface"] not in surfaces
                    or one["outcome"] not in {"answered", "cached"}
                ):
                    continue
                record = self._traces.get(caller.project, one["id"])
                if record is None or not tags.items() <= record["tags"].items() or TAG in record["tags"]:
                    continue
                if not record["request"]["messages"] or not record["reply"]["text"]:
                    continue  # its texts were not kept
                yield record
                given += 1
                if given >= limit:
                    return
            cursor = found.next
            if cursor is None:
                return

    async def get_run(self, caller: Caller, id: str, run: str, base_url: str) -> Json:
        """A run."""
        row = await asyncio.to_thread(self._run, caller, id, run)
        return await asyncio.to_thread(told_run, self._kept, row, base_url)

    async def list_runs(self, caller: Caller, id: str, query: ListQuery, base_url: str) -> Json:
        """A page of runs."""

        def work() -> Json:
            found = self._eval(caller, id)
            rows, has_more = self._kept.runs(found, _listing(caller, query), query.status)
            return page([told_run(self._kept, row, base_url) for row in rows], has_more=has_more)

        return await asyncio.to_thread(work)

    async def cancel_run(self, caller: Caller, id: str, run: str, base_url: str) -> Json:
        """End a run where it stands; one that has ended stays as it is."""
        row = await asyncio.to_thread(self._run, caller, id, run)
        if row.status in AT_WORK and await asyncio.to_thread(self._kept.move, row.id, "canceled"):
            await self._runs.end([row.id])
            await asyncio.to_thread(self._kept.store.end, row.id, "stopped", "It was cancelled.")
        return await self.get_run(caller, id, run, base_url)

    async def delete_run(self, caller: Caller, id: str, run: str) -> Json:
        """Delete a run; if it is at work, it ends."""
        row = await asyncio.to_thread(self._run, caller, id, run)
        await asyncio.to_thread(self._kept.move, row.id, "canceled")
        await self._runs.end([row.id])
        await asyncio.to_thread(self._kept.delete_run, row.id)
        return {"object": "eval.run.deleted", "deleted": True, "run_id": row.id}

    # graded rows

    async def get_item(self, caller: Caller, id: str, run: str, item: str) -> Json:
        """A graded row."""

        def work() -> Json:
            row = self._run(caller, id, run)
            place = place_of(row.id, item)
            found = [] if place is None else self._told(caller, row, [place])
            if not found:
                raise NotFound(f"There is no output item '{item[:64]}' in this run.", "output_item_id")
            return found[0]

        return await asyncio.to_thread(work)

    async def list_items(self, caller: Caller, id: str, run: str, query: ListQuery) -> Json:
        """A page of graded rows."""

        def work() -> Json:
            row = self._run(caller, id, run)
            places = [
                place
                for place, status in statuses(self._kept, row.id)
                if query.status is None or status == query.status
            ]
            if query.newest_first:
                places.reverse()
            if query.after is not None:
                after = place_of(row.id, query.after)
                if after is None:
                    raise MalformedRequest(f"There is no '{query.after[:64]}' to list from.", "after")
                places = [one for one in places if (one < after if query.newest_first else one > after)]
            told = self._told(caller, row, places[: query.limit])
            return page(told, has_more=len(places) > query.limit)

        return await asyncio.to_thread(work)

    def _told(self, caller: Caller, row: HostedRun, places: list[int]) -> list[Json]:
        criteria = decode(self._eval(caller, row.eval).criteria)
        kinds = {one["name"]: one["type"] for one in criteria}
        sampling = decode(row.source).get("sampling_params") or {}
        return [told_item(row, item, kinds, sampling) for item in self._kept.items(row.id, places)]

    # looking up

    def _eval(self, caller: Caller, id: str) -> EvalRow:
        row = self._kept.get(caller.project, id)
        if row is None or (caller.apps and row.key != caller.key_id):
            raise NotFound(f"There is no eval '{id[:64]}'.", "eval_id")
        return row

    def _run(self, caller: Caller, id: str, run: str) -> HostedRun:
        found = self._eval(caller, id)
        row = self._kept.run(run)
        if row is None or row.eval != found.id or (caller.apps and row.key != caller.key_id):
            raise NotFound(f"There is no run '{run[:64]}' of this eval.", "run_id")
        return row


def _listing(caller: Caller, query: ListQuery) -> Listing:
    return Listing(query.limit, query.newest_first, query.after, caller.key_id if caller.apps else None)


def _ns(seconds: int | None, more: int = 0) -> int | None:
    if seconds is None:
        return None
    latest = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
    return min(max(seconds + more, 0), latest) * 1_000_000_000


def _check_rows(rows: list[Json], config: Json, source: DataSource) -> None:
    """Hold items against the eval's schema. Raises: MalformedRequest naming the first row that differs."""
    if config["type"] != "custom":
        return
    schema = Schema(encode(config["schema"]["properties"]["item"]), "item_schema")
    has_samples = source.sampling is None and "sample" in config["schema"]["properties"]
    for number, row in enumerate(rows, 1):
        faults = schema.faults(row["item"])
        if faults:
            raise MalformedRequest(f"Row {number} is not as 'item_schema' says: {faults[0]}.", "data_source")
        if has_samples and not row.get("sample"):
            raise MalformedRequest(
                f"Row {number} has no 'sample', which this eval's schema wants: send one with each row, or "
                f"name a model to make them.",
                "data_source",
            )


async def unasked(body: Json, attempt: int = 0) -> Asked:
    """Stands for asking where graders are only read."""
    raise AssertionError("graders that are only read ask nobody")
