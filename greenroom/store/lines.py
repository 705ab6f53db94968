"""What the ledger is written in: lines, who is charged, what is reserved, and the windows of budgets.

Money is in nano-dollars; times are in nanoseconds since 1970, windows in seconds, at midnight in UTC.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from greenroom.exchange import Attempt

ANSWER: Final = 0
"""A call whose answer was given, or as much of it as came."""
EXTRA: Final = 1
"""A call that is paid for beside the one that answered: asked again, or a hedge that lost."""
ABANDONED: Final = 2
"""A request at work when its process died: the amount that was reserved for it."""
CARRIED: Final = 3
"""What a key had spent before there was a ledger."""

ESTIMATED: Final = 1
UNPRICED: Final = 2
"""Flags of a line: tokens we counted ourselves; a cost that is not known, and stands as 0."""

_encode = msgspec.json.Encoder().encode


def given_of(paid: Sequence[Attempt]) -> Attempt | None:
    """Of calls that are paid for, the one whose answer was given: the noted, else the last that went well.

    The last is not always the one: of answers that were asked for again, the best may be an earlier one.
    """
    noted = (one for one in paid if one.is_given)
    return next(noted, None) or next((one for one in reversed(paid) if one.error is None), None)


class Scope(NamedTuple):
    """Whose money a budget counts, and how it is cut into windows; an empty field is everybody's."""

    period: str
    """`total`, `day`, `week` or `month`."""
    project: str = ""
    key: str = ""
    user: str = ""
    tag: str = ""
    """`name=value`."""

    def encoded(self) -> str:
        """As it stands in the file."""
        return _encode(self).decode()


Window = tuple[Scope, int]
"""A budget's scope and the Unix seconds at which its window began (0: it never ends)."""


class Account(NamedTuple):
    """Who is charged."""

    project: str
    key: str
    app: str
    model: str
    user: str = ""
    tags: str = "[]"
    """A JSON list of `name=value`."""


class Line(NamedTuple):
    """One call that is paid for."""

    at_ns: int
    exchange: str
    account: Account
    kind: int
    cost_nano: int
    flags: int = 0
    input: int = 0
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    output: int = 0
    reasoning: int = 0
    input_audio: int = 0
    output_audio: int = 0
    tier: str = ""


class Held(NamedTuple):
    """What is reserved for one request at work."""

    exchange: str
    at_ns: int
    account: Account
    amount: int
    windows: tuple[Window, ...]


class Totals(NamedTuple):
    """The sums that must agree: see `LedgerStore.totals`."""

    lines: int
    days: int
    center_days: int
    held: int
    processes: int
