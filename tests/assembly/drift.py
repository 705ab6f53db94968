"""A house whose traces are of nine days: most questions in English, some in Portuguese, as it is wanted."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from greenroom.assembly.drifting import sample_hours
from greenroom.assembly.house import House
from greenroom.exchange import Exchange
from greenroom.store.traces import Entry
from tests.assembly.experiments import house_of
from tests.store.exchanges import entry_of, make_exchange

BEGIN_H = 490_000
"""The first hour with traces."""
DAYS = 9
AN_HOUR = 8
ENGLISH = (
    "How do I return the shoes I bought?",
    "When does my parcel arrive in Boston?",
    "Can I pay by card?",
)
PORTUGUESE = ("Como devolvo os sapatos que comprei?", "Quando chega a minha encomenda em Lisboa?", "Posso pagar com cartão?")  # fmt: skip
ANSWERS = (
    "You can do that within thirty days.",
    "It arrives on the day after tomorrow.",
    "Yes, by any card.",
)
OTHERS = ("Absolutely! Great question, let me break that down step by step for you.", "Certainly! Here is what you should know about it.")  # fmt: skip

Change = Callable[[Exchange, Random], None]


def fill(house: House, *, last: Change | None = None, last_portuguese: float | None = None) -> int:
    """Store the traces; what `last` does, and `last_portuguese`, holds on the last day. The hour after them."""
    chance = Random(1)
    end = BEGIN_H + DAYS * 24
    entries = []
    for hour in range(BEGIN_H, end):
        for number in range(AN_HOUR):
            is_last = hour >= end - 24
            share = last_portuguese if is_last and last_portuguese is not None else 0.2
            is_portuguese = chance.random() < share
            exchange = make_exchange(
                f"{hour:026x}{number:06x}", chance.choice(PORTUGUESE if is_portuguese else ENGLISH),
                chance.choice(ANSWERS), app="support", user=f"user-{hour}-{number}",
                created_ns=(hour * 3_600 + number * 400) * 1_000_000_000,
            )  # fmt: skip
            exchange.language = ("pt" if is_portuguese else "en", 0.9)
            exchange.total_ns = int(chance.lognormvariate(20, 0.3))
            if is_last and last is not None:
                last(exchange, chance)
            entries.append(entry_of(exchange))
    write(house, entries)
    return end


def write(house: House, entries: list[Entry]) -> None:
    for start in range(0, len(entries), 256):
        house.traces.write(entries[start : start + 256])


def filled(
    folder: Path, text: str = "", *, last: Change | None = None, last_portuguese: float | None = None
) -> tuple[House, int]:
    """The house, stopped, its hours sampled but the last two; and the hour after its traces."""
    if last is not None:
        house = house_of(folder, text)
        return house, fill(house, last=last, last_portuguese=last_portuguese)
    shutil.copytree(_made(BEGIN_H, last_portuguese), folder / "data")
    return house_of(folder, text), BEGIN_H + DAYS * 24


@cache
def _made(begin: int, last_portuguese: float | None) -> Path:
    """A data folder like that, made once."""
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    house = house_of(Path(made.name), "")
    end = fill(house, last_portuguese=last_portuguese)
    sample_hours(house, range(begin, end - 2))
    house.stop()
    return Path(made.name) / "data"
