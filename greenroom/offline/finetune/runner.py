"""Jobs at work: which are, in which order, and the thread that looks after them.

One process of a data folder runs them: whoever holds the file `runner.lock`. What it knows stands in the
store and in the jobs' folders, so that the next one goes on after any end of this one; their processes work
on meanwhile, and are found again. What people ask for (cancel, pause, resume) is a state in the store, which
the runner brings about.
"""

import fcntl
import logging
import os
import threading
import time

from msgspec.json import decode

from greenroom.errors import GreenroomError
from greenroom.offline.finetune.child import is_held
from greenroom.offline.finetune.job_folder import ROWS, WEIGHTS, JobFolder
from greenroom.offline.finetune.outside import Tools
from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.work import Work
from greenroom.store.jobs import JobRow
from greenroom.store.presence import is_locked

log = logging.getLogger("greenroom.finetune")

TICK_S, IDLE_S = 0.2, 0.5
"""Between two looks, with jobs at work and without."""
TIDY_S = 60.0
LOCK = "runner.lock"


class Runner:
    """The jobs of one data folder, as long as this process is the one that runs them."""

    def __init__(self, tools: Tools, only: str | None = None) -> None:
        """`only`: the id of the one job that is brought on, as the command line wants it."""
        self._tools = tools
        self._only = only
        self._works: dict[str, Work] = {}
        self._lock = -1
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._tidy_at = 0.0

    def start(self) -> None:
        """Look after jobs in a thread, from now on."""
        self._thread = threading.Thread(target=self._loop, name="finetune", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Processes go on with their work; the next runner finds them. Safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for work in self._works.values():
            work.leave()
        self._works.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def tick(self) -> bool:
        """Look after each job once; whether any is at work. Raises: StoreError, OSError."""
        if not self._owns():
            return False
        rows = [one for one in self._tools.kept.unfinished() if self._only in (None, one.id)]
        self._end_others({one.id for one in rows})
        places = self._tools.settings().parallel
        at_work = sum(one.status != "queued" and self._work(one).has_child for one in rows if one.plan)
        self._tidy(rows)
        prepares = False
        for row in rows:
            if row.status == "validating_files" and prepares:
                continue
            prepares = prepares or row.status == "validating_files"
            is_waiting = row.status == "queued"
            try:
                self._work(row).tick(row, may_train=at_work < places)
            except (GreenroomError, OSError) as error:
                log.error("job not looked after", extra={"job": row.id, "reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # one job must not hold up the others, nor its own next look
                log.exception("job not looked after", extra={"job": row.id})
            if is_waiting and at_work < places:
                at_work += 1
        return any(one.status != "paused" for one in rows)

    def _work(self, row: JobRow) -> Work:
        if row.id not in self._works:
            self._works[row.id] = Work(row, self._tools)
        return self._works[row.id]

    def _end_others(self, unfinished: set[str]) -> None:
        """End processes of jobs that were cancelled."""
        for id in [one for one in self._works if one not in unfinished]:
            row, work = self._tools.kept.job(id), self._works.pop(id)
            if row is not None:
                work.tick(row, may_train=False)

    def _owns(self) -> bool:
        """Whether this process runs the jobs; takes them over once nobody does."""
        if self._lock >= 0:
            return True
        self._tools.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._tools.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        self._end_left_over()
        return True

    def _end_left_over(self) -> None:
        """End processes of jobs that ended while nobody ran them."""
        known = {one.id for one in self._tools.kept.unfinished()}
        for folder in self._tools.folder.iterdir():
            row = None if folder.name in known or not folder.is_dir() else self._tools.kept.job(folder.name)
            if row is not None:
                Work(row, self._tools).tick(row, may_train=False)

    def _tidy(self, rows: list[JobRow]) -> None:
        """Now and then: remove the weights of jobs whose models were deleted, or that were given up."""
        if self._only is not None or time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_S
        bases = [decode(one.plan, type=Plan).base or "" for one in rows if one.plan]
        used = self._tools.outside.jobs_of_models()
        for id in self._tools.kept.ids(("succeeded",)):
            folder = JobFolder(self._tools.folder / id)
            if id not in used and not any(one.startswith(str(folder.path)) for one in bases):
                folder.drop(*WEIGHTS)
        for id in self._tools.kept.ids(("cancelled",)):
            folder = JobFolder(self._tools.folder / id)
            if not is_held(folder.path):
                folder.drop(*WEIGHTS, *ROWS)

    def _loop(self) -> None:
        while True:
            is_at_work = False
            try:
                is_at_work = self.tick()
            except (GreenroomError, OSError) as error:
                log.error("jobs not looked after", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the thread must not die: the next look may do
                log.exception("jobs not looked after")
            if self._stop.wait(TICK_S if is_at_work else IDLE_S):
                return


def is_run(tools: Tools) -> bool:
    """Whether a process runs the jobs of a data folder."""
    return is_locked(tools.folder / LOCK)
