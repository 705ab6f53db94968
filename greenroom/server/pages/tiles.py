"""What a strip of figures is made of: single figures, and charts."""

from typing import Any

from msgspec import Struct

Json = dict[str, Any]  # Any: what JSON holds
GOOD, BAD, NEUTRAL = "good", "bad", "neutral"


class Tile(Struct):
    """One figure, its change, and whether that is good."""

    label: str
    value: str
    change: str = ""
    tone: str = NEUTRAL
    note: str = ""


class Chart(Struct):
    """What the chart macro is given."""

    id: str
    title: str
    unit: str
    series: list[Json]
    note: str = ""
    href: str = ""
