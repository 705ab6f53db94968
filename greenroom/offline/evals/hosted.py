"""Runs of `/v1/evals` in the background: a few at work in a process, the others wait their turn.

Each goes as the key that asked for it. A run whose process ended, in order or not, is taken up by the next
start; what was answered is not asked for again. Knows stores and the runner; nothing of HTTP.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from msgspec.json import decode, encode

from greenroom.contracts import Encoder
from greenroom.errors import Conflict, GreenroomError, InfrastructureError, NotFound, StoreError
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.keys import Key
from greenroom.offline.evals.data_source import DataSource, Sampling, read_source
from greenroom.offline.evals.graders import read_criteria
from greenroom.offline.evals.keyed import KeyedAsker, PaidOnce
from greenroom.offline.evals.row import Means, row_of
from greenroom.offline.evals.runner import digest_of_all, run
from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.evals.summary import summary_of
from greenroom.offline.evals.templates import Unfillable
from greenroom.store.evals import RunRow
from greenroom.store.openai_evals import HostedRun, OpenAIEvals

log = logging.getLogger("greenroom.evals")

AT_WORK = 4
"""Runs of a process."""
CONCURRENCY = 4
"""Rows of a run."""
WATCH_S = 0.5
"""How often it is asked what other processes cancelled."""
TAG = "eval"
"""The tag of a run's exchanges, with the run's id: data sets from records leave them out."""


class RowSubject:
    """What a run grades: a model asked for each row, or the samples that came with the rows."""

    def __init__(self, sampling: Sampling | None, asker: KeyedAsker) -> None:
        self.name = "samples" if sampling is None else sampling.model
        self._sampling = sampling
        self._asker = asker

    async def answer(self, sample: Sample) -> Output:
        """One call, or none."""
        if self._sampling is None:
            text = (sample.item.get("sample") or {}).get("output_text")
            return Output(text=text if isinstance(text, str) else "", cost_nano_usd=0)
        try:
            body = self._sampling.body(row_of(sample, Output()))
        except Unfillable as error:
            return Output(outcome="failed", error=str(error))
        output = await self._asker.answer(body)
        output.messages = tuple(body["messages"])
        return output


class HostedRuns:
    """All runs that are at work here or wait."""

    def __init__(
        self,
        kept: OpenAIEvals,
        gateway: Callable[[], Gateway],
        encoder: Encoder | None,
    ) -> None:
        self._kept = kept
        self._gateway = gateway
        self._encoder = encoder
        self._places = asyncio.Semaphore(AT_WORK)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watcher: asyncio.Task[None] | None = None

    def means(self, asker: KeyedAsker, run_id: str) -> Means:
        """What graders of a run need."""
        return Means(PaidOnce(asker, self._kept.store, run_id), self._encoder)

    def asker(self, key_id: str, project: str, run_id: str) -> KeyedAsker:
        """Asks as a key, as long as it is there."""
        gateway = self._gateway()

        def find_key() -> Key | None:
            found = gateway.access.find_id(key_id)
            return found if found is not None and found.caller.project == project else None

        return KeyedAsker(gateway, find_key, {TAG: run_id})

    def work_of(self, row: HostedRun, source: DataSource, rows: Sequence[bytes]) -> RunRow:
        """The run as the runner keeps it. Blocks for as long as the rows take to be hashed."""
        return RunRow(
            id=row.id, project=row.project, name=row.name, subject=source.model or "samples", fingerprint="",
            data=digest_of_all(samples_of(rows)), total=len(rows), settings=encode({"eval": row.eval}),
        )  # fmt: skip

    def start(self, id: str) -> None:
        """Have a run done when there is a place."""
        if id in self._tasks:
            return
        loop = asyncio.get_running_loop()
        task = self._tasks[id] = loop.create_task(self._run(id))
        task.add_done_callback(lambda _: self._tasks.pop(id, None))
        if self._watcher is None or self._watcher.done():
            self._watcher = loop.create_task(self._watch())

    async def take_up(self) -> int:
        """Go on with what was left unfinished by processes that ended; how many those are."""
        count = 0
        for one in await asyncio.to_thread(self._kept.unfinished):
            with suppress(Conflict, NotFound):  # another process is at it, or it was deleted just now
                await asyncio.to_thread(self._kept.store.resume, one.id)
                self.start(one.id)
                count += 1
        return count

    async def end(self, ids: Iterable[str]) -> None:
        """End those of these runs that are at work here, and wait for that."""
        tasks = [task for id in ids if (task := self._tasks.get(id)) is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def stop(self) -> None:
        """Leave all of them as they stand: the next start takes them up."""
        if self._watcher is not None:
            self._watcher.cancel()
        await self.end(list(self._tasks))

    async def _watch(self) -> None:
        """As long as any is at work: end those that were cancelled or deleted elsewhere."""
        while self._tasks:
            await asyncio.sleep(WATCH_S)
            try:
                await self.end(await asyncio.to_thread(self._kept.unwanted, list(self._tasks)))
            except StoreError as error:
                log.error("evals not watched", extra={"error": str(error)})  # noqa: TRY400  # no stack wanted

    async def _run(self, id: str) -> None:
        try:
            async with self._places:
                await self._work(id)
        except Conflict:
            return  # another process is at it
        except InfrastructureError as error:
            await asyncio.to_thread(self._fail, id, "run_stopped", str(error))
        except GreenroomError as error:
            log.error("eval run failed", extra={"run": id, "error": str(error)})  # noqa: TRY400  # no stack wanted
            await asyncio.to_thread(self._fail, id, error.code, str(error))
        except Exception:  # the edge that must not die: whoever asked finds it failed
            log.exception("eval run failed")
            await asyncio.to_thread(self._fail, id, "internal_error", "Something went wrong here.")
        finally:
            await asyncio.shield(asyncio.to_thread(self._tidy, id))

    async def _work(self, id: str) -> None:
        kept = self._kept
        row = await asyncio.to_thread(kept.run, id)
        found = None if row is None else await asyncio.to_thread(kept.get, row.project, row.eval)
        if row is None or found is None:
            return
        source = read_source(decode(row.source))
        asker = self.asker(row.key, row.project, id)
        criteria = read_criteria(decode(found.criteria), self.means(asker, id))
        samples = samples_of(await asyncio.to_thread(kept.rows, id))
        await asyncio.to_thread(kept.store.resume, id)  # Conflict, before its state is touched
        if not await asyncio.to_thread(kept.move, id, "in_progress"):
            return
        await run(
            samples,
            RowSubject(source.sampling, asker),
            criteria.scorers,
            store=kept.store,
            concurrency=CONCURRENCY,
            project=row.project,
            resume=id,
            stop=asker.ended,
        )
        if asker.why is not None:
            await asyncio.to_thread(self._fail, id, asker.why.code, str(asker.why))
        else:
            await asyncio.to_thread(self._complete, id)

    def _complete(self, id: str) -> None:
        self._kept.move(id, "completed", summary=encode(summary_of(self._kept, id)))

    def _fail(self, id: str, code: str, why: str) -> None:
        self._kept.move(id, "failed", code=code, error=why, summary=encode(summary_of(self._kept, id)))

    def _tidy(self, id: str) -> None:
        """Leave nothing of a run that was deleted while it was at work."""
        try:
            if self._kept.run(id) is None:
                self._kept.delete_run(id)
        except StoreError as error:
            log.error("eval run not tidied", extra={"error": str(error)})  # noqa: TRY400  # no stack wanted


def samples_of(rows: Sequence[bytes]) -> list[Sample]:
    """The rows as samples. Each is asked for by itself, also where two are alike."""
    return [
        Sample(id=str(place), variables={"row": place}, item=decode(body)) for place, body in enumerate(rows)
    ]
