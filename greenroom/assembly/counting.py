"""The recorder with its rollups; and a thread that counts what they lack and lets go of what is too old."""

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

from greenroom.assembly.looking import Looking
from greenroom.errors import GreenroomError
from greenroom.gateway.recorder import Recorder, TraceWriter
from greenroom.store.audit import audit_key
from greenroom.store.recount import recount

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom")

_LET_GO_S = 3_600.0
_PAUSE_S = 0.03
"""Between steps of a few milliseconds: requests come first."""


def recorder_of(house: "House", writer: TraceWriter, ending: ExitStack, *, has_duties: bool) -> Recorder:
    """What records the exchanges of a process, and sums them up; `ending` stops the thread that keeps house.

    Raises: StoreError.
    """
    house.rollups.begin(house.traces.newest()[0], looks_for_gaps=has_duties)
    if has_duties:
        keeping = RollupKeeping(house)
        keeping.start()
        ending.callback(keeping.stop)
    key = audit_key(house.folder())
    return Recorder(writer, capture=house.config.store.capture, audit_key=key, rollups=house.rollups)


class RollupKeeping(Looking):
    """Counts from the traces what a killed process had not written, then lets go of old cells every hour."""

    def __init__(self, house: "House") -> None:
        super().__init__("greenroom-rollups")
        self._rollups = house.rollups
        self._traces = house.folder() / "traces.db"

    def _run(self) -> None:
        while True:
            try:
                missing = recount(
                    self._rollups, self._traces, is_unwanted=self._stopping.is_set, pause_s=_PAUSE_S
                )
                if missing:
                    log.info("traces counted that the rollups lacked", extra={"count": missing})
                self._rollups.let_go(pause_s=_PAUSE_S, is_unwanted=self._stopping.is_set)
            except GreenroomError as error:
                log.error("rollups not kept", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            if self._stopping.wait(_LET_GO_S):
                return
