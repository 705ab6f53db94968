"""How fast a local model answers: what can be read from memory in a second, by what is read for a token.

Each token of an answer reads all active weights and the KV cache once, which bounds a single answer (Pope
et al., "Efficiently Scaling Transformer Inference", 2022). Engines reach a part of that: 0.46 to 0.70 was
measured with llama.cpp here, see docs/choosing.md. The estimate is 0.6 of the bound, ± 35 %. A prompt is
bounded by arithmetic instead and is not estimated. Models of fewer than about 100 million parameters are
slower than this says, since they wait for other things.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

EFFICIENCY: Final = 0.6
ERROR: Final = 0.35
"""Half the width of the interval, as a part of the estimate."""
PROBE_S: Final = 5.0
_BLOCK_BYTES: Final = 64 << 20
"""For each thread: more than the caches of processors hold."""


class Speed(NamedTuple):
    """Tokens a second of one answer."""

    low: float
    usual: float
    high: float


def speed(bandwidth: float, active_bytes: int, cache_bytes: int = 0) -> Speed:
    """The speed to expect from a bandwidth in bytes a second; the cache counts half, as it fills.

    Raises: ValueError where nothing is read or the bandwidth is not above 0.
    """
    if bandwidth <= 0 or active_bytes <= 0:
        raise ValueError("a bandwidth and a model have a size above 0")
    usual = EFFICIENCY * bandwidth / (active_bytes + cache_bytes / 2)
    return Speed(usual * (1 - ERROR), usual, usual * (1 + ERROR))


def measure_bandwidth(
    seconds: float = PROBE_S, threads: int = 1, block_bytes: int = _BLOCK_BYTES,
    now: Callable[[], float] = time.monotonic,
) -> float:  # fmt: skip
    """Bytes a second that `threads` threads read from main memory together: the best half second.

    Takes `seconds` and `threads × block_bytes` of memory. Reads by numpy's sum over integers, which lets the
    other threads run.
    """
    import numpy as np  # noqa: PLC0415  # 100 ms and 20 MB, for those who ask alone

    blocks = [np.ones(max(1, block_bytes // 8), dtype=np.int64) for _ in range(max(1, threads))]
    passes: list[list[float]] = [[] for _ in blocks]
    end = now() + seconds

    def read(place: int) -> None:
        block, done = blocks[place], passes[place]
        while True:
            np.bitwise_or.reduce(block)
            at = now()
            done.append(at)
            if at >= end:
                return

    workers = [threading.Thread(target=read, args=(place,), daemon=True) for place in range(len(blocks))]
    began = now()
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    return _best(sorted(at for done in passes for at in done), began, blocks[0].nbytes)


def _best(ends: list[float], began: float, block_bytes: int, window_s: float = 0.5) -> float:
    """The most bytes in any window, for a second; of a shorter time, all of it."""
    whole = ends[-1] - began
    if whole <= window_s:
        return len(ends) * block_bytes / max(whole, 1e-9)
    best, first = 0.0, 0
    for last, at in enumerate(ends):
        while at - ends[first] > window_s:
            first += 1
        if at - began >= window_s:
            best = max(best, (last - first) * block_bytes / max(at - ends[first], 1e-9))
    return best or len(ends) * block_bytes / whole
