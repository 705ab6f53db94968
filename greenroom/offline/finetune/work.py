"""One job at work here: prepared, trained, watched, started again, paused, ended. Looked at in every tick."""

import logging
import shutil
import time
from collections.abc import Sequence
from functools import cached_property

from msgspec.json import decode, encode

from greenroom.errors import RequestError
from greenroom.offline.finetune.child import Child, end_left_over, find, how, is_held, last_words, start
from greenroom.offline.finetune.ending import finish
from greenroom.offline.finetune.job_folder import ROWS, WEIGHTS, JobFolder
from greenroom.offline.finetune.outside import Ready, Refusal, Tools
from greenroom.offline.finetune.pace import Pace, place, step_of
from greenroom.offline.finetune.plan import EXIT_FAILED, Event
from greenroom.store.jobs import CheckpointRow, EventRow, JobRow, Status

log = logging.getLogger("greenroom.finetune")

MOST_FAILURES = 5
"""A process that ends so often in a row without getting further is not started again."""
LONGEST_WAIT_S = 60.0
PREPARING_S = 4 * 3600.0
"""So long may making a job ready take, which keeps those behind it waiting: at 3 MB a second, for 40 GB."""
PAUSE_S = 120.0
"""So long may a process that is asked to end take for its checkpoint."""
FULL_BYTES = 64 << 20
"""With less room on the disk, what failed is taken to have failed for want of it, and waits."""
_EXPORT_TRIES = 2
"""A checkpoint that no model can be made of is left as it is."""
_SMALLER = "Choose a smaller batch_size, max_length or model."
_NOT_PREPARED = (
    "The files could not be prepared on this server, which is not their fault. Whoever runs it finds the "
    "reason in the file 'log' in the job's folder. Make the job again once that is mended."
)
_NO_LONGER = 0.5
"""Seconds that the moment of the end must differ by to be written down again."""


class Work:
    """One job. `tick` is called again and again, by one thread."""

    def __init__(self, row: JobRow, tools: Tools) -> None:
        self._tools = tools
        self._kept = tools.kept
        self._row = row
        self.folder = JobFolder(tools.folder / row.id)
        self._child: Child | None = None
        self._pace = Pace(time.monotonic())
        self._start_at = 0.0
        self._prepared_from = time.monotonic()
        self._asked_at: float | None = None
        self._tries = 0
        self._known: set[int] = set()
        self._exported: list[int] = []
        """Checkpoints that were begun to be made models of."""
        self._is_unseen = True
        """Whether an end is yet to be looked at that came while nobody watched."""

    @property
    def has_child(self) -> bool:
        """Whether a process works for it, known or not."""
        return self._find() is not None or is_held(self.folder.path)

    def tick(self, row: JobRow, *, may_train: bool) -> None:
        """Bring it on by one look. Raises: StoreError, OSError; the next look tries again."""
        self._row = row
        match row.status:
            case "validating_files":
                self._prepare()
            case "queued":
                self._wait(may_train=may_train)
            case "running":
                self._train()
            case "paused":
                self._let_rest()
            case _:
                self.end()
                if row.status == "cancelled":
                    if self.folder.result() is not None:  # its models may have been registered already
                        self._tools.outside.forget(row.id)
                    self.folder.drop(*WEIGHTS, *ROWS)

    def end(self) -> None:
        """Leave no process of a job that has ended."""
        child = self._find()
        if child is not None:
            child.kill()
        self._child = None

    def leave(self) -> None:
        """Let its process work on; the next runner finds it."""
        if self._child is not None:
            self._child.leave()
            self._child = None

    # before training

    def _prepare(self) -> None:
        ready = self.folder.read("prepared.json", Ready)
        if ready is not None and not is_held(self.folder.path):
            self._take(ready)
        elif (child := self._find()) is not None or is_held(self.folder.path):
            if child is not None and time.monotonic() - self._prepared_from > PREPARING_S:
                child.kill()
                self._child = None
        elif self._tries >= MOST_FAILURES:
            log.error("job not prepared", extra={"job": self._row.id, "said": last_words(self.folder.path)})
            self._fail(Refusal(code="internal_error", message=_NOT_PREPARED))
        elif time.monotonic() >= self._start_at:
            self._begin_preparing()

    def _begin_preparing(self) -> None:
        self.folder.make()
        if not self._tries:
            self._tell(f"Validating training file: {self._request_file()}")
        try:
            self.folder.put("order.json", self._tools.outside.order(self._row))
        except RequestError as error:
            self._fail(Refusal(code=error.code, message=str(error), param=error.param))
            return
        self._tries += 1
        self._prepared_from = time.monotonic()
        self._start_at = self._prepared_from + self._wait_s(self._tries)
        self._child = self._started(self._tools.outside.preparer)

    def _take(self, ready: Ready) -> None:
        self.end()
        if ready.refusal is not None or ready.plan is None:
            refusal = ready.refusal or Refusal(code="internal_error", message="There is no plan.")
            self._fail(refusal, report=encode(ready.report), estimate=encode(ready.estimate))
            return
        for note in ready.report.get("notes", ()):
            self._tell(str(note), "warn")
        if ready.estimate.get("told"):
            self._tell(str(ready.estimate["told"]))
        if self._kept.move(
            self._row.id, "queued", of=("validating_files",), plan=encode(ready.plan),
            report=encode(ready.report), estimate=encode(ready.estimate),
        ):  # fmt: skip
            self._tell("Files validated, moving job to queued state")

    def _request_file(self) -> str:
        return str(decode(self._row.request)["training_file"])

    # training

    def _wait(self, *, may_train: bool) -> None:
        child = self._find()
        is_at_it = child is not None and child.module == self._tools.trainer and self._asked_at is None
        if is_at_it or (may_train and not self.has_child):  # paused and resumed before it was asked to end
            self._begin()

    def _begin(self) -> None:
        self._asked_at = None
        self._is_unseen = False
        moved = self._kept.move(
            self._row.id, "running", of=("queued",), started_ns=self._row.started_ns or time.time_ns()
        )
        if moved:
            goes_on = self._row.starts > 0
            self._tell("Training goes on" if goes_on else "Fine-tuning job started")
            self._start_at = 0.0

    def _train(self) -> None:
        now = time.monotonic()
        child = self._find()
        self._follow()
        if child is None:
            if is_held(self.folder.path):  # its starter died before it said who, or it left others
                end_left_over(self.folder.path)
                return
            if not self._is_over() and now >= self._start_at:
                self._start()
        elif child.is_alive:
            self._look_after(child, now)
        else:
            code = child.code
            child.kill()
            self._child = None
            self._follow()
            if not self._is_over(code):
                self._ended(how(code))

    def _is_over(self, code: int | None = None) -> bool:
        """Bring a job to its end whose training has come to one."""
        result = self.folder.result()
        if result is not None and self._makes_checkpoints():
            return True
        if result is not None:
            try:
                finish(self._row, self._tools, self.folder, result)
            except RequestError as error:
                self._fail(Refusal(code=error.code, message=str(error), param=error.param))
            return True
        is_news = code == EXIT_FAILED or (self._is_unseen and code is None and self._row.starts > 0)
        self._is_unseen = False
        why = self.folder.last_error() if is_news else None
        if why is None and code != EXIT_FAILED:
            return False
        if shutil.disk_usage(self.folder.path).free < FULL_BYTES:
            if self._kept.move(self._row.id, "paused", of=("running",)):
                self._tell("The disk is full. Make room, then resume the job; nothing is lost.", "error")
            return True
        self._fail(Refusal(code="training_failed", message=self._without_place(why)))
        return True

    def _makes_checkpoints(self) -> bool:
        """Whether a model is yet to be made of a checkpoint; begins to."""
        wanted = int((decode(self._row.request).get("greenroom") or {}).get("checkpoints") or 0)
        kept = [number for number, _ in self.folder.checkpoints()][-wanted:] if wanted else []
        for number in kept:
            if not self.folder.models(number) and self._exported.count(number) < _EXPORT_TRIES:
                if number in self._exported:
                    said = last_words(self.folder.path)
                    log.warning("checkpoint no model", extra={"job": self._row.id, "said": said})
                self._exported.append(number)
                self._child = self._started(self._tools.exporter, str(number))
                return True
        return False

    def _start(self) -> None:
        try:
            self._child = self._started(self._tools.trainer)
        except OSError as error:
            log.error("training not started", extra={"job": self._row.id, "reason": str(error)})  # noqa: TRY400  # no stack wanted
            self._ended("it could not be started")
            return
        if self._child is not None:
            self._kept.note(self._row.id, starts=self._row.starts + 1)

    def _look_after(self, child: Child, now: float) -> None:
        progress = self.folder.progress()
        self._pace.look(progress, child.pid, now)
        if self._pace.is_hanging(now):
            child.kill()
            self._child = None
            self._ended("it did not answer any more")
            return
        limit, used = self._tools.settings().memory_mb, child.memory_mb()
        if limit is not None and used is not None and used > limit:
            child.kill()
            self._child = None
            self._fail(
                Refusal(
                    code="memory_exceeded",
                    message=f"Training took {used:,.0f} MB, more than finetune.memory_mb "
                    f"({limit:,} MB). {_SMALLER}",
                )
            )
            return
        steps = decode(self._row.estimate).get("steps", 0) if self._row.estimate else 0
        left_s = self._pace.left_s(progress, now, steps)
        if left_s is not None:
            finish_ns = time.time_ns() + int(left_s * 1e9)
            if abs(finish_ns - self._row.finish_ns) > max(_NO_LONGER, left_s / 20) * 1e9:
                self._kept.note(self._row.id, finish_ns=finish_ns)

    def _ended(self, how_: str) -> None:
        """Training ended before its time: begin again after a while, or give up."""
        reached = place(self.folder.progress())
        got_further = reached > self._row.best_step
        failures = 1 if got_further else self._row.failures + 1
        phase, step = step_of(max(reached, self._row.best_step))
        log.warning(
            "training ended early",
            extra={"job": self._row.id, "how": how_, "step": step, "said": last_words(self.folder.path)},
        )
        if failures >= MOST_FAILURES:
            self._fail(
                Refusal(
                    code="training_keeps_ending",
                    message=f"Training ended {failures} times in a row and came no further than step {step} "
                    f"of {phase} (last: {how_}). {_advice(how_)}",
                )
            )
            return
        wait_s = self._wait_s(failures)
        self._kept.note(self._row.id, failures=failures, best_step=max(reached, self._row.best_step))
        self._start_at = time.monotonic() + wait_s
        self._tell(
            f"Training ended at step {step} of {phase} ({how_}). It goes on from the last checkpoint in "
            f"{wait_s:g} s.",
            "warn",
        )

    # at rest

    def _let_rest(self) -> None:
        child = self._find()
        if child is None:
            self._asked_at = None
            self._tries = 0
            if self._row.plan and self.folder.result() is not None:  # it was done before it heard
                self._kept.move(self._row.id, "running", of=("paused",))
            return
        self._follow()
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            child.ask_to_end()
        elif now - self._asked_at > PAUSE_S or child.module != self._tools.trainer:
            child.kill()
        if not child.is_alive:
            child.kill()
            self._child = None
            self._asked_at = None
            self._follow()
            if self.folder.result() is None:
                self._tell("The job is paused.")

    # what all of it uses

    def _find(self) -> Child | None:
        if self._child is None and self.folder.path.is_dir():
            self._child = find(self.folder.path)
            if self._child is not None:
                self._pace = Pace(time.monotonic())
        return self._child

    def _started(self, module: str, *more: str) -> Child | None:
        self._pace = Pace(time.monotonic())
        threads = self._tools.settings().threads
        try:
            return start(module, self.folder.path, self._tools.environment, threads, *more)
        except BlockingIOError:
            return None  # one works there still

    def _follow(self) -> None:
        """Take over what the process told since the last look. Raises: StoreError."""
        while True:
            read = self.folder.events(self._row.read_bytes)
            if read.end == self._row.read_bytes:
                break
            rows = [_event_row(one, self._without_place(one.message)) for one in read.events]
            self._kept.tell(self._row, rows, read.end, self._row.read_bytes)
            self._row = self._kept.job(self._row.id) or self._row
        fresh = [(number, one) for number, one in self.folder.checkpoints() if number not in self._known]
        if fresh:
            self._kept.add_checkpoints(
                CheckpointRow(
                    job=self._row.number, step=number, at_ns=int(one.at * 1e9),
                    model=f"{self._row.name}:ckpt-step-{number}",
                    metrics=encode({**one.metrics, "step": number}),
                )
                for number, one in fresh
            )  # fmt: skip
            self._known |= {number for number, _ in fresh}

    def _fail(self, refusal: Refusal, **columns: object) -> None:
        self.end()
        of: Sequence[Status] = ("validating_files", "queued", "running", "paused")
        if self._kept.move(self._row.id, "failed", of=of, error=encode(refusal), **columns):
            self._tell(f"The job failed: {refusal.message}", "error")

    def _without_place(self, said: str | None) -> str:
        """What the process said, without the folders of this machine."""
        told = (said or "Training ended and does not say why.").replace(str(self.folder.path), "the job")
        return told if self._base is None else told.replace(*self._base)

    @cached_property
    def _base(self) -> tuple[str, str] | None:
        """Where the base lies, and what it is called."""
        plan = self.folder.plan()
        return None if plan is None or plan.base is None else (plan.base, plan.base_name)

    def _tell(self, message: str, level: str = "info") -> None:
        self._kept.tell(self._row, [EventRow(at_ns=time.time_ns(), level=level, message=message)])

    def _wait_s(self, failures: int) -> float:
        return min(LONGEST_WAIT_S, self._tools.first_wait_s * 2.0 ** (failures - 1))


def _event_row(event: Event, message: str) -> EventRow:
    return EventRow(
        at_ns=int(event.at * 1e9), level=event.level, type=event.type, message=message,
        data=encode(event.data),
    )  # fmt: skip


def _advice(how_: str) -> str:
    if "SIGKILL" in how_:
        return f"The system may have ended it for want of memory. {_SMALLER}"
    return "The file 'log' in the job's folder has its last words."
