"""How training goes on: whether it still does, how far it got, and when it should be done."""

from greenroom.offline.finetune.plan import HEARTBEAT_S, Progress

QUIET_S = 10 * HEARTBEAT_S
"""A process that was heard and says nothing for so long hangs."""
LOADING_S = 600.0
"""So long may one take until it is heard first: libraries and weights are read."""
_PHASES = ("loading", "pretraining", "training", "exporting", "done")
_STEPS = 10**12


def place(progress: Progress | None) -> int:
    """How far a job is, as one number that rises with phases and steps."""
    return 0 if progress is None else _PHASES.index(progress.phase) * _STEPS + progress.step


def step_of(place: int) -> tuple[str, int]:
    """Phase and step of a place."""
    return _PHASES[place // _STEPS], place % _STEPS


class Pace:
    """Of one process, from when it is first looked at."""

    def __init__(self, now: float) -> None:
        self._began = self._heard_at = now
        self._said = 0.0
        self._is_heard = False
        self._phase = ""
        self._from = (0.0, 0)

    def look(self, progress: Progress | None, pid: int, now: float) -> None:
        """Take in what the process said last; `now` in seconds of a clock that stands while one sleeps."""
        if progress is None or progress.pid != pid or progress.at == self._said:
            return
        self._said, self._heard_at, self._is_heard = progress.at, now, True
        if progress.phase != self._phase or not self._from[1]:
            self._phase, self._from = progress.phase, (now, progress.step)

    def is_hanging(self, now: float) -> bool:
        """Whether it says nothing any more."""
        return now - self._heard_at > (QUIET_S if self._is_heard else LOADING_S)

    def left_s(self, progress: Progress | None, now: float, steps_after: int = 0) -> float | None:
        """Seconds that training still takes at the pace of this phase; None while that can't be told.

        `steps_after`: those on rows, which follow the phase on plain text.
        """
        if progress is None or progress.phase not in {"pretraining", "training"}:
            return None
        began, first = self._from
        done = progress.step - first
        if done <= 0 or now <= began:
            return None
        left = max(0, progress.total_steps - progress.step)
        return (now - began) / done * (left + (steps_after if progress.phase == "pretraining" else 0))
