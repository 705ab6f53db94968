"""Promises in seconds, held to on a machine that has other things to do: on an idle one they are as they stand."""

import time
from collections.abc import Callable


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something that another process does comes true in so much time."""
    began = time.monotonic()
    while not holds():
        took = time.monotonic() - began
        if took > seconds and took > seconds * slowness():
            return False
        time.sleep(0.02)
    return True


def slowness() -> float:
    """How many times longer a process needs here at the moment than it would alone: 1 on an idle machine."""
    began_s, worked_s = time.monotonic(), time.process_time()
    while time.process_time() - worked_s < 0.05:
        pass
    return max(1.0, (time.monotonic() - began_s) / (time.process_time() - worked_s))
