"""Tool calls of an answer: held until they are whole, and left out where they are not.

A client runs what it is told to call: half an argument, a call without a name or a second call under the same
id must not look like one that the model meant. Knows the dialect; no filter and no socket.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from greenroom.exchange import Exchange
from greenroom.wire.openai import ToolCall, ToolDelta

BROKEN = "tool_call_broken"
"""The error in the record of an answer that held such a call."""
KEEP_ALIVE_NS = 10_000_000_000
_json = Decoder(Raw)


class HeldCall(Struct):
    """One call as it goes out."""

    id: str = ""
    name: str = ""
    arguments: list[str] = []
    is_function: bool = False
    """Calls of other kinds are not judged by their arguments."""

    def add(self, piece: ToolDelta, arguments: str | None) -> None:
        """Take a piece; `arguments` are what filters made of its own."""
        if piece.id and not self.id:
            self.id = piece.id
        if piece.function is not None:
            self.is_function = True
            if piece.function.name and not self.name:
                self.name = piece.function.name
        if arguments:
            self.arguments.append(arguments)


class HeldCalls:
    """The calls of one choice of a stream, by index, and the events they would make."""

    __slots__ = ("_quiet_since_ns", "calls", "events")

    def __init__(self) -> None:
        self._quiet_since_ns = perf_counter_ns()
        self.calls: dict[int, HeldCall] = {}
        self.events: list[bytes] = []

    def add(self, piece: ToolDelta, arguments: str | None) -> None:
        """Take a piece of a call."""
        call = self.calls.get(piece.index)
        if call is None:
            call = self.calls[piece.index] = HeldCall()
        call.add(piece, arguments)

    def keep_alive(self, out: list[bytes]) -> None:
        """Now and then a comment, so that the client does not take a long call for a dead line."""
        now = perf_counter_ns()
        if now - self._quiet_since_ns > KEEP_ALIVE_NS:
            self._quiet_since_ns = now
            out.append(b": ka\n\n")

    @property
    def is_in_order(self) -> bool:
        """Whether the calls are counted from 0 without a gap, each begun after the one before."""
        return list(self.calls) == list(range(len(self.calls)))


def judge_whole(
    exchange: Exchange, place: int, calls: Sequence[ToolCall], changed: dict[tuple[int, int], str | None]
) -> None:
    """Note which calls of one choice of a whole answer must not go out, and why.

    `changed` has the arguments that filters wrote anew, by choice and call; None is put for a broken call.
    """
    found: dict[int, HeldCall] = {}
    for number, one in enumerate(calls):
        call = found[number] = HeldCall(one.id)
        if one.function is not None:
            call.is_function, call.name = True, one.function.name
            call.arguments.append(changed.get((place, number)) or one.function.arguments)
    broken = broken_of(found)
    if broken:
        note_broken(exchange, place, broken)
        changed |= dict.fromkeys([(place, number) for number in broken])


def leave_out(answer: dict[str, Any], changed: Mapping[tuple[int, int], str | None]) -> None:  # Any: JSON
    """Take the calls that are None in `changed` out of a decoded answer."""
    for place, number in sorted((key for key, text in changed.items() if text is None), reverse=True):
        message = answer["choices"][place]["message"]
        del message["tool_calls"][number]
        if not message["tool_calls"]:
            del message["tool_calls"]


def broken_of(calls: dict[int, HeldCall]) -> dict[int, str]:
    """What is wrong with which calls."""
    found: dict[int, str] = {}
    ids: set[str] = set()
    for number, call in calls.items():
        fault = _fault(call, ids)
        if fault is not None:
            found[number] = fault
        ids.add(call.id)
    return found


def _fault(call: HeldCall, ids: set[str]) -> str | None:
    if not call.id:
        return "it has no id"
    if call.id in ids:
        return "another has its id"
    if not call.is_function:
        return None
    if not call.name:
        return "it has no name"
    try:
        text = "".join(call.arguments)
        if text and not text.isspace():
            _json.decode(text)
    except (DecodeError, UnicodeEncodeError, RecursionError):
        return "its arguments are not whole"
    return None


def note_broken(exchange: Exchange, choice: int, broken: dict[int, str]) -> None:
    """Put into the record, and into what the client is told, which calls were left out and why."""
    exchange.error = BROKEN
    dropped = exchange.context.setdefault("dropped", [])
    assert isinstance(dropped, list)
    dropped += [f"choices[{choice}].tool_calls[{number}]: {why}" for number, why in broken.items()]
