"""Promises in seconds, held to on a machine that has other things to do: as strictly as it can tell on an idle one."""

import time
from collections.abc import Callable

LOOK_S = 0.02
"""From one look to the next."""


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something that another process does comes true in so much time.

    Each look asks that process, so on a busy machine looks take longer, as its work does: at least two thirds of
    the looks that fit into the time on an idle machine are made.
    """
    deadline, looks = time.monotonic() + seconds, 0
    while not holds():
        looks += 1
        if time.monotonic() > deadline and looks * LOOK_S > seconds * 2 / 3:
            return False
        time.sleep(LOOK_S)
    return True


def slowness() -> float:
    """How many times longer a process needs here at the moment than it would alone: 1 on an idle machine."""
    began_s, worked_s = time.monotonic(), time.process_time()
    while time.process_time() - worked_s < 0.05:
        pass
    return max(1.0, (time.monotonic() - began_s) / (time.process_time() - worked_s))
