"""All batches of a process: begun here, or taken up from processes that ended.

Several processes share one store: each batch is worked on by the one that holds it, and what is asked of it
through another, its end, is seen there within half a second.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, time

from greenroom.errors import GreenroomError
from greenroom.offline.batches.run import CANCELLED, Room, Run
from greenroom.store.batches import BatchStore

log = logging.getLogger("greenroom.batches")

AT_WORK = 4
"""Batches of a project whose lines a process asks; others wait. Of a project, so that batches that wait for
their key's limits hold up no others."""
LOOK_S = 0.5
"""How often it is asked what was cancelled, and what nobody works on."""
LEAVE_S = 10.0
"""How long lines on their way may take once the process is to end."""
RETRY_S = 60.0
"""How often a batch that broke, by a file that can't be read or a fault of ours, is begun anew."""
_DAY_S = 86_400
_STRAY_S = 3_600.0
"""An input file of no open batch that is older was left by a crash."""


class Hosted:
    """The batches at work here.

    `keep_days` is how long those stay listed that are over.
    """

    def __init__(self, room: Room, keep_days: Callable[[], int]) -> None:
        self.room = room
        self._keep_days = keep_days
        self._places = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(AT_WORK))
        """By project."""
        self._runs: dict[str, tuple[Run, asyncio.Task[None]]] = {}

    async def stop(self) -> None:
        """Leave all as they stand, lines on their way awaited: the next start takes them up."""
        tasks = [task for _, task in self._runs.values()]
        for run, _ in list(self._runs.values()):
            run.leave()
        if tasks:
            await asyncio.wait(tasks, timeout=LEAVE_S)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def begin(self, id: str) -> None:
        """Work on a batch that this process holds. Raises: StoreError."""
        if id in self._runs:
            return
        room = self.room
        row = await asyncio.to_thread(room.store.get, id)
        if row is None or id in self._runs:
            return
        run = Run(row, room)
        task = asyncio.get_running_loop().create_task(self._work(id, run, self._places[row.project]))
        self._runs[id] = run, task
        task.add_done_callback(lambda _: self._runs.pop(id, None))

    async def _work(self, id: str, run: Run, places: asyncio.Semaphore) -> None:
        try:
            await run.run(places)
        except GreenroomError as error:
            log.error("batch left as it stands", extra={"batch": id, "reason": str(error)})  # noqa: TRY400  # no stack wanted
        except Exception:  # the edge that must not die: the next start takes it up
            log.exception("batch left as it stands", extra={"batch": id})

    async def look(self) -> None:
        """Take up what nobody works on, and end what was cancelled elsewhere, until this is cancelled."""
        swept: float = -_DAY_S
        tried = monotonic()
        while True:
            try:
                store = self.room.store
                for id in await asyncio.to_thread(store.take_up):
                    log.info("batch taken up", extra={"batch": id})
                    await self.begin(id)
                for id in await asyncio.to_thread(store.cancelling, list(self._runs)):
                    self.cancel(id)
                if monotonic() - tried >= RETRY_S:
                    tried = monotonic()
                    for id in await asyncio.to_thread(store.own_ids):
                        await self.begin(id)
                if monotonic() - swept >= _DAY_S:
                    swept = monotonic()
                    await asyncio.to_thread(_sweep, store, self.room.folder, self._keep_days())
            except (GreenroomError, OSError) as error:
                log.error("batches not looked after", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the edge that must not die: others wait to be taken up
                log.exception("batches not looked after")
            await asyncio.sleep(LOOK_S)

    def cancel(self, id: str) -> None:
        """End a batch that is at work here, if it is."""
        found = self._runs.get(id)
        if found is not None:
            found[0].end(CANCELLED)


def _sweep(store: BatchStore, folder: Path, keep_days: int) -> None:
    """Forget batches that are long over, and take away input files that crashes left."""
    store.purge(int(time() - keep_days * _DAY_S))
    store.shrink()
    kept = store.open_ids()
    for path in folder.glob("*.input"):
        with suppress(FileNotFoundError):
            # not `st_mtime`, which a link has of the file that was uploaded long before
            if path.stem not in kept and path.stat().st_ctime < time() - _STRAY_S:
                path.unlink()
