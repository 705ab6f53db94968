"""Whether an engine still lives: its beats, what they count, and the time that its process computes.

An engine that answers a long prompt may say nothing new for minutes, and computes. One that hangs says
nothing new and computes nothing; one that turns in circles computes for ever and gets nowhere. Knows no
process.
"""

from typing import Any

from greenroom.models.llama_engine import Beat

STILL_S = 15.0
"""Without a sign of life for so long it hangs: no beat that is idle or new, and no time computed."""
QUIET_S = 300.0
"""So long it may compute without getting anywhere: a batch of 2,048 tokens at 7 tokens a second."""
_SLEPT_S = 5.0
"""Who has not looked for so long was held up itself: what came meanwhile is not read yet."""
_COMPUTES_S = 0.05
"""Less than this is what the beats themselves take."""


class Pulse:
    """Signs of life of one process; times are seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        self.beat = Beat()
        """The last that it said."""
        self._quiet_since = now
        self._still_since = now
        self._looked_at = now
        self._computed_s: float | None = None

    def took(self, beat: Beat, now: float) -> None:
        """It said how it fares."""
        before, self.beat = self.beat, beat
        is_idle = not beat.processing and not beat.deferred
        if is_idle or _counted(beat) != _counted(before):
            self._quiet_since = self._still_since = now

    def hangs_s(self, now: float, computed_s: float | None) -> float:
        """For how long it has hung, in seconds; 0 while it lives. To be asked every second.

        `computed_s` is the processor time that it has used since its start, None where nobody knows.
        """
        if now - self._looked_at > _SLEPT_S:
            self._quiet_since = self._still_since = now
        self._looked_at = now
        if computed_s is None:
            self._still_since = now
        elif self._computed_s is None or computed_s - self._computed_s >= _COMPUTES_S:
            self._computed_s = computed_s
            self._still_since = now
        quiet_s, still_s = now - self._quiet_since, now - self._still_since
        if still_s > STILL_S:
            return still_s
        return quiet_s if quiet_s > QUIET_S else 0.0


def beat_facts(beat: Beat) -> dict[str, Any]:  # Any: JSON
    """What an engine says of itself."""
    return {
        "processing": beat.processing,
        "waiting": beat.deferred,
        "prompt_tokens": beat.prompt_tokens,
        "cached_tokens": beat.cached_tokens,
        "output_tokens": beat.output_tokens,
        "prompt_tokens_per_second": rate(beat.prompt_tokens, beat.prompt_s),
        "output_tokens_per_second": rate(beat.output_tokens, beat.output_s),
        "kv_tokens": beat.kv_tokens,
        "kv_limit": beat.kv_limit,
    }


def rate(amount: float, seconds: float) -> float | None:
    """So much a second; None before there is anything to tell."""
    return round(amount / seconds, 1) if seconds > 0 else None


def _counted(beat: Beat) -> tuple[int, ...]:
    return beat.prompt_tokens, beat.cached_tokens, beat.output_tokens, beat.decodes
