"""Conditions on traces beyond the plain filters: a field, a sign and a value, as SQL or a look into a body.

Every field is one of the tables here; a value of a caller is always bound, never part of a statement.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct, msgpack

from greenroom.exchange import SURFACES, StepRecord
from greenroom.store import scores
from greenroom.store.material import OUTCOMES, SURFACE_BIT
from greenroom.store.names import Names

Sign = Literal["=", "!=", "<", "<=", ">", ">="]
SIGNS: Final[tuple[Sign, ...]] = ("<=", ">=", "!=", "<", ">", "=")
"""The longer ones first, as they are to be tried."""
NAMED: Final = {"app": "t.app", "key": "t.key", "asked": "t.asked", "used": "t.used", "project": "t.project"}
"""Fields that hold a name."""
NUMBERS: Final = {
    "status": ("t.status", 1),
    "cost": ("t.cost_nano", 1_000_000_000),
    "latency": ("t.total_us", 1_000),
    "overhead": ("t.overhead_us", 1_000),
    "first_token": ("t.first_token_us", 1_000),
    "tokens": ("(ifnull(t.input_tokens, 0) + ifnull(t.output_tokens, 0))", 1),
    "input_tokens": ("t.input_tokens", 1),
    "output_tokens": ("t.output_tokens", 1),
}
"""Fields that hold a number: the expression, and how many of its units a dollar or a millisecond has."""
FINDINGS: Final = ("rule", "category", "policy")
"""What a finding of an exchange has."""
ACTIONS: Final = ("block", "redact", "mask", "route", "warn", "log")
STEP_OUTCOMES: Final = ("unchanged", "changed", "refused", "failed", "skipped")


class Condition(NamedTuple):
    """One condition. `value` is a float for a number field, else text."""

    field: str
    """`outcome`, `model`, `language`, `surface`, `id`, `tag`, `prompt`, `step.NAME`, `score.NAME`, or a field
    of the tables above."""
    sign: Sign
    value: str | float

    @property
    def needs_body(self) -> bool:
        """Whether only the exchange's body can tell."""
        return self.field == "prompt" or (self.field.startswith("step.") and self.value not in ACTIONS)


class _Steps(Struct, array_like=True):
    """The beginning of a body, as far as its steps."""

    request: bytes
    sent: bytes
    reply_raw: str
    reply_text: str | None
    steps: list[StepRecord]


_steps = msgpack.Decoder(_Steps)
Where = tuple[str, tuple[object, ...]]


def where(connection: sqlite3.Connection, names: Names, one: Condition) -> Where:
    """A condition on `t`, and the values to bind. `one` must not need the body. Raises: MalformedRequest."""
    field, sign, value = one
    if field in NAMED:
        number = names.find(connection, str(value))
        return _never(sign) if number is None else (f"{NAMED[field]} {_is(sign)} ?", (number,))
    if field == "model":
        number = names.find(connection, str(value))
        if number is None:
            return _never(sign)
        return _maybe_not(sign, "(t.asked = ? OR ifnull(t.used, -2) = ?)"), (number, number)
    if field == "outcome":
        return f"t.outcome {_is(sign)} ?", (OUTCOMES.index(str(value)) if value in OUTCOMES else -1,)
    if field == "surface":
        place = SURFACES.index(value) if value in SURFACES else -1
        return f"(t.flags >> {SURFACE_BIT}) {_is(sign)} ?", (place,)
    if field == "language":
        return f"ifnull(t.language, '') {_is(sign)} ?", (value,)
    if field == "id":
        return f"t.id {_is(sign)} ?", (value,)
    if field in NUMBERS:
        expression, units = NUMBERS[field]
        assert isinstance(value, (int, float))
        assert sign in SIGNS
        return f"{expression} {sign} ?", (_whole(value * units) if units > 1 else value,)
    if field.startswith("score."):
        return scores.condition_at(field[6:], sign, value)
    if field == "tag":
        return _maybe_not(sign, "EXISTS (SELECT 1 FROM tags x WHERE x.project = t.project AND x.tag = ?"
                                " AND x.seq = t.seq)"), (value,)  # fmt: skip
    return _finding(field, sign, str(value))


def _whole(value: float) -> int:
    """A whole number that SQLite can hold; what is larger compares like the largest."""
    return min(max(round(value), -(2**63)), 2**63 - 1)


def _finding(field: str, sign: Sign, value: str) -> Where:
    found = "EXISTS (SELECT 1 FROM findings f INDEXED BY findings_by_exchange WHERE f.exchange = t.id AND "
    if field.startswith("step."):
        return _maybe_not(sign, found + "f.step = ? AND f.action = ?)"), (field[5:], value)
    assert field in FINDINGS, field
    return _maybe_not(sign, found + f"f.{field} = ?)"), (value,)


def _never(sign: Sign) -> Where:
    """A name that nothing was ever stored under: nothing has to be walked through to know that."""
    return ("1" if sign == "!=" else "0"), ()


def _is(sign: Sign) -> str:
    return "<>" if sign == "!=" else "="


def _maybe_not(sign: Sign, text: str) -> str:
    return f"NOT {text}" if sign == "!=" else text


def looks_into(conditions: Sequence[Condition]) -> Callable[[bytes], bool] | None:
    """What tells of an encoded body whether all conditions hold that need it; None where there is none."""
    wanted = [one for one in conditions if one.needs_body]
    if not wanted:
        return None

    def holds(encoded: bytes) -> bool:
        steps = _steps.decode(encoded).steps
        return all(_holds(steps, one) for one in wanted)

    return holds


def _holds(steps: Sequence[StepRecord], one: Condition) -> bool:
    if one.field == "prompt":
        is_so = any(_fills(step.notes.get("prompt"), str(one.value)) for step in steps)
    else:
        name = one.field[5:]
        is_so = any(step.step == name and step.outcome == one.value for step in steps)
    return is_so is (one.sign == "=")


def _fills(noted: object, wanted: str) -> bool:
    if not isinstance(noted, dict):
        return False
    name, _, version = wanted.partition("@")
    return noted.get("name") == name and (not version or str(noted.get("version")) == version)
