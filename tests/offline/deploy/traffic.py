"""Simulated traffic of a canary, as the traces would tell it: seeded, with users who are alike in themselves."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from greenroom.store.compared import Row


class Canary(NamedTuple):
    """What the canary does otherwise than the current, from a second on."""

    fails: float = 0.0
    slower: float = 1.0
    flaw: float = 0.0
    from_s: int = 0


SOUND = Canary()


def traffic(
    seed: int, seconds: int, canary: Canary = SOUND, *, users: int = 0, share: float = 0.05, rate: int = 100,
    odd_users: float = 0.0,
) -> Iterator[list[Row]]:  # fmt: skip
    """Second by second. `users`: so many come again, a few of them most of the time; 0: each is met once.

    `odd_users`: the part of users for whom everything fails on both sides; each has a speed of his own.
    """
    random = Random(f"{seed} {users} {share}")
    known: dict[str, tuple[bool, bool, float]] = {}
    seq = 0
    for second in range(seconds):
        rows = []
        for _ in range(rate):
            seq += 1
            unit = f"user-{int(5 * random.paretovariate(1.0)) % users}" if users else str(seq)
            if unit not in known or not users:
                known[unit] = (
                    random.random() < share, random.random() < odd_users, random.gauss(0, 0.5) if users else 0.0
                )  # fmt: skip
            is_canary, is_odd, own = known[unit]
            now = canary if is_canary and second >= canary.from_s else SOUND
            is_failed = is_odd or random.random() < 0.005 + now.fails
            took = random.lognormvariate(12.2 + own, 0.5) * now.slower
            flaw = "empty" if random.random() < 0.01 + now.flaw else None
            rows.append(
                Row(seq, is_canary, unit, bool(users), "failed" if is_failed else "answered",
                    int(1000 * (1 + 10 * random.random())), int(took), int(random.lognormvariate(4 + own, 0.7)),
                    None if is_failed else flaw)
            )  # fmt: skip
            if not users:
                known.clear()
        yield rows
