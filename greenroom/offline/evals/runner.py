"""One subject over samples: asked concurrently, at a bounded rate and price, every answer kept and scored.

A call is noted before it is made and its answer written before it is scored, so a run that is killed goes on
where it was: only calls that were on their way at that moment, at most `concurrency`, are made again. Knows
subjects and scorers by their protocols, and the store.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from hashlib import sha256
from secrets import token_hex
from time import monotonic, time_ns
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import GreenroomError, InfrastructureError, MalformedRequest
from greenroom.offline.evals.sample import Output, Sample, Score, Scorer, Subject
from greenroom.offline.evals.spending import Spending
from greenroom.store.evals import EvalStore, Kept, RunRow, Status

log = logging.getLogger("greenroom.evals")

HOPELESS = 10
"""So many failures before the first answer end a run: nothing is to be learnt from the rest."""
INTERRUPTED = "It was interrupted."
_encode = Encoder(order="deterministic").encode
_output = Decoder(Output).decode
_scores = Decoder(tuple[Score, ...]).decode


class Item(Struct, kw_only=True, frozen=True):
    """A sample, what came out, and what scorers say."""

    sample: Sample
    output: Output
    scores: tuple[Score, ...]
    repeat: int = 0
    is_cached: bool = False
    """Whether another run had paid for the answer."""

    def score(self, name: str) -> Score | None:
        """The score of this name."""
        return next((one for one in self.scores if one.name == name), None)


class Run(Struct, kw_only=True):
    """What came of a run: all items that are done, in the order of the samples."""

    id: str
    name: str
    subject: str
    data: str
    """Digest of the samples."""
    status: Status
    reason: str = ""
    """Why it was stopped, as a sentence."""
    items: list[Item]
    total: int
    """Items there were to be."""
    cost_nano_usd: int = 0
    """What this run has paid, judges included; cached answers cost nothing again."""
    unpriced: int = 0
    """Calls whose price is not known."""
    lost: int = 0
    """Calls whose answers were lost when the process died; they were made again."""
    started_ns: int = 0


class Progress(NamedTuple):
    """Where a run stands."""

    done: int
    total: int
    failed: int
    cached: int
    cost_nano_usd: int


@runtime_checkable
class Fingerprinted(Protocol):
    """A subject whose answers may be used again by other runs."""

    fingerprint: str
    """Changes with everything that may change an answer: model, prompt, settings, steps."""


@runtime_checkable
class Bounded(Protocol):
    """A subject that knows what a call can cost at most."""

    def worst_nano_usd(self, sample: Sample) -> int | None:
        """Nano-USD; None where the price is not known."""
        ...


def digest_of(sample: Sample) -> str:
    """Of what is asked: messages and variables, or the whole row where there are none of these."""
    asked = (sample.messages, sample.variables) if sample.messages or sample.variables else sample.item
    return sha256(_encode(asked)).hexdigest()


def digest_of_all(samples: Sequence[Sample]) -> str:
    """Of a data set: its samples in order, with what is expected."""
    whole = sha256()
    for sample in samples:
        whole.update(_encode(sample))
        whole.update(b"\n")
    return whole.hexdigest()


def new_run_id() -> str:
    """Sorts by time."""
    return f"run_{time_ns() // 1_000_000:012x}{token_hex(3)}"


async def run(
    samples: Sequence[Sample],
    subject: Subject,
    scorers: Sequence[Scorer],
    *,
    store: EvalStore,
    concurrency: int = 8,
    rate: float | None = None,
    max_cost_nano_usd: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    repeats: int = 1,
    name: str = "",
    project: str = "default",
    settings: object = None,
    resume: str | None = None,
    is_fresh: bool = False,
    stop: asyncio.Event | None = None,
) -> Run:
    """Ask the subject for every sample, `repeats` times each, and score what comes.

    `rate` is in calls a second. Answers under the same subject's fingerprint and the same sample are taken
    from earlier runs, unless `is_fresh`. `resume` is the id of a run to go on with. Past `max_cost_nano_usd`
    (judges included) no call is made: the run comes back with status "stopped", as it does with what was done
    when nothing is left to spend. `settings` is kept with the run for its report. `progress` is called after
    each item. Once `stop` is set no call is begun, and the run is stopped when those on their way have ended.

    Raises: InfrastructureError, the run stopped and ready to be resumed, where the subject says that going on
    is of no use or the first answers all failed; MalformedRequest where there is nothing to run or the run to
    be resumed is another one; Conflict where another process works on it; StoreError.
    """
    if not samples:
        raise MalformedRequest("There are no samples to run.", "data")
    work = _Work(
        samples, subject, scorers, store, max_cost_nano_usd, rate, progress, repeats, is_fresh, stop
    )  # fmt: skip
    await work.begin(name, project, settings, resume)
    try:
        await work.do(concurrency)
    except InfrastructureError as error:
        await asyncio.to_thread(store.end, work.id, "stopped", str(error))
        raise
    except BaseException:
        await asyncio.shield(asyncio.to_thread(store.end, work.id, "stopped", INTERRUPTED))
        raise
    status: Literal["stopped", "finished"] = "stopped" if work.reason else "finished"
    await asyncio.to_thread(store.end, work.id, status, work.reason)
    return await asyncio.to_thread(load, store, work.id, samples)


def load(store: EvalStore, named: str, samples: Sequence[Sample], *, with_records: bool = False) -> Run:
    """A kept run with its items; records of exchanges only where asked for, since they are large.

    Raises: NotFound; MalformedRequest where `samples` are not those of the run.
    """
    row = store.find(named)
    if row.data != digest_of_all(samples):
        raise MalformedRequest(f"The run '{row.id}' was made with other samples than these.", "data")
    items = []
    for one in store.items(row.id):
        output = _output(one.output)
        if not with_records:
            output.record, output.body = {}, {}
        items.append(
            Item(
                sample=samples[one.place], output=output, scores=_scores(one.scores), repeat=one.repeat,
                is_cached=one.is_cached,
            )
        )  # fmt: skip
    spent = store.spent(row.id)
    return Run(
        id=row.id, name=row.name, subject=row.subject, data=row.data, status=row.status, reason=row.reason,
        items=items, total=row.total, cost_nano_usd=spent.nano_usd, unpriced=spent.unpriced, lost=spent.lost,
        started_ns=row.started_ns,
    )  # fmt: skip


class _Work:
    """One run while it runs."""

    def __init__(
        self,
        samples: Sequence[Sample],
        subject: Subject,
        scorers: Sequence[Scorer],
        store: EvalStore,
        cap_nano: int | None,
        rate: float | None,
        progress: Callable[[Progress], None] | None,
        repeats: int,
        is_fresh: bool,
        stop: asyncio.Event | None,
    ) -> None:
        self.id = new_run_id()
        self.reason = ""
        self._samples = samples
        self._subject = subject
        self._scorers = scorers
        self._store = store
        self._spending = Spending(cap_nano)
        self._interval_s = 0.0 if rate is None else 1 / rate
        self._next_s = 0.0
        self._progress = progress
        self._repeats = repeats
        self._is_fresh = is_fresh
        self._stop = stop or asyncio.Event()
        self._own = subject.fingerprint if isinstance(subject, Fingerprinted) else None
        self._project = ""
        self._digests = [digest_of(sample) for sample in samples]
        often = Counter(self._digests)
        self._locks = {digest: asyncio.Lock() for digest, count in often.items() if count > 1}
        """Of questions that are there twice: the second waits for the first, and pays nothing."""
        self._done: set[tuple[int, int]] = set()
        self._failed = self._cached = 0
        self._has_answer = False

    async def begin(self, name: str, project: str, settings: object, resume: str | None) -> None:
        """Keep the run's row, or take up the old one and what it has done."""
        self._project = project
        store, digest = self._store, digest_of_all(self._samples)
        total = len(self._samples) * self._repeats
        row = RunRow(
            id=self.id, project=project, name=name, subject=self._subject.name, fingerprint=self._own or "",
            data=digest, total=total, settings=_encode(settings),
        )  # fmt: skip
        if resume is None:
            await asyncio.to_thread(store.begin, row)
            return
        old = await asyncio.to_thread(store.find, resume, project)
        for what in ("subject", "fingerprint", "data", "total"):
            if getattr(old, what) != getattr(row, what):
                raise MalformedRequest(
                    f"The run '{old.id}' can't be resumed: its {what} was another. Start a new run; answers "
                    f"that are still valid are not paid for again.",
                    "resume",
                )
        self.id = old.id
        await asyncio.to_thread(store.resume, self.id)
        for item in await asyncio.to_thread(store.items, self.id):
            if _output(item.output).outcome != "failed":  # a failure is tried again
                self._done.add((item.place, item.repeat))
        self._cached = len(self._done)
        spent = await asyncio.to_thread(store.spent, self.id)
        self._spending.spent_nano = spent.nano_usd + spent.lost * spent.dearest_nano

    async def do(self, concurrency: int) -> None:
        """All items, `concurrency` at a time."""
        places = (
            (place, repeat)
            for repeat in range(self._repeats)
            for place in range(len(self._samples))
            if (place, repeat) not in self._done
        )
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, concurrency)):
                    group.create_task(self._worker(places))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None

    async def _worker(self, places: Iterator[tuple[int, int]]) -> None:
        for place, repeat in places:
            if self._stop.is_set():
                self.reason = INTERRUPTED
            if self.reason or not await self._item(place, repeat):
                return

    async def _item(self, place: int, repeat: int) -> bool:
        """Ask, keep, score, keep; False where the money does not reach."""
        sample, digest = self._samples[place], self._digests[place]
        key = self._key(digest, repeat)
        cost: int | None = 0
        judged = 0
        async with self._locks.get(digest) or nullcontext():
            kept = await asyncio.to_thread(self._store.newest, key, self.id if self._is_fresh else None)
            held = await self._spending.reserve(self._worst(sample) if kept is None else 0)
            if held is None:
                self.reason = self._spending.refusal()
                return False
            try:
                if kept is None:
                    kept, cost = await self._ask(sample, key)
                else:
                    self._cached += 1
                output = _output(kept.output)
                scores = tuple([await _score(one, sample, output) for one in self._scorers])
                judged = sum(one.cost_nano_usd for one in scores)
            finally:
                self._spending.settle(held, cost, judged)
        await asyncio.to_thread(
            self._store.add_item, self.id, place, repeat, sample.id, kept.call, _encode(scores), judged
        )
        self._count((place, repeat), output)
        return True

    def _worst(self, sample: Sample) -> int | None:
        return self._subject.worst_nano_usd(sample) if isinstance(self._subject, Bounded) else None

    def _key(self, digest: str, repeat: int) -> str:
        """The same for the same question of a project to the same subject; else of this run alone."""
        whose = self._own or self.id
        return sha256(f"{self._project}\n{whose}\n{digest}\n{repeat}".encode()).hexdigest()

    async def _ask(self, sample: Sample, key: str) -> tuple[Kept, int | None]:
        """The answer, written down, and what it cost."""
        await self._pace()
        call = await asyncio.to_thread(self._store.ask, self.id, key)
        try:
            output = await self._subject.answer(sample)
        except InfrastructureError:
            await asyncio.to_thread(self._store.answered, call, "failed", None, b"")
            raise
        body, cost = _encode(output), output.cost_nano_usd
        await asyncio.to_thread(self._store.answered, call, output.outcome, cost, body)
        if output.outcome != "failed":
            self._has_answer = True
            self._spending.check_price(cost)
        return Kept(call, body), cost

    async def _pace(self) -> None:
        """Wait for this call's turn under the rate."""
        if self._interval_s:
            now = monotonic()
            self._next_s = max(now, self._next_s + self._interval_s)
            await asyncio.sleep(self._next_s - now)

    def _count(self, place: tuple[int, int], output: Output) -> None:
        self._done.add(place)
        if output.outcome == "failed":
            self._failed += 1
            if self._failed >= HOPELESS and not self._has_answer and self._cached == 0:
                raise InfrastructureError(f"The first {self._failed} calls all failed: {output.error}")
        if self._progress is not None:
            self._progress(
                Progress(
                    len(self._done), len(self._samples) * self._repeats, self._failed, self._cached,
                    self._spending.spent_nano,
                )
            )  # fmt: skip


async def _score(scorer: Scorer, sample: Sample, output: Output) -> Score:
    if output.outcome == "failed" and not getattr(scorer, "scores_failures", False):
        return Score(name=scorer.name, error=output.error or "There was no answer.")
    try:
        return await scorer.score(sample, output)
    except InfrastructureError:
        raise
    except Exception as error:  # noqa: BLE001  # a user's own function: one case must not end a run of thousands
        log.warning("scorer failed", extra={"scorer": scorer.name, "error": type(error).__name__})
        text = str(error) if isinstance(error, GreenroomError) else f"{type(error).__name__}: {error}"
        return Score(name=scorer.name, error=text[:500])


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The reason of a group: what we raised on purpose, before the cancellations that followed."""
    leaves = [one for one in errors.exceptions if not isinstance(one, BaseExceptionGroup)]
    return next((one for one in leaves if isinstance(one, GreenroomError)), leaves[0])
