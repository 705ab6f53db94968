"""`greenroom audit`: what checks found, who changed what, and whether the log still holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from greenroom.cli.output import fail, print_json, print_json_line, print_table
from greenroom.cli.place import FINDINGS, FINE, Here, Place
from greenroom.store.audit import AuditFilter

if TYPE_CHECKING:
    from greenroom.assembly.audit import Audit, Wanted

app = App(name="audit", help="Look at the audit log, and see that nobody changed it.")

_COLUMNS = ("time", "what", "who", "where", "action", "policy", "exchange")

Row = dict[str, Any]  # Any: a line of the log, as JSON


@Parameter(name="*")
@dataclass(frozen=True)
class Which:
    """Which lines. Conditions are joined by "and"; all but the kind and the times are of findings."""

    kind: Literal["finding", "change"] | None = None
    """What checks found, or what people changed; without it both."""
    project: str | None = None
    """The project."""
    app: str | None = None
    """The app."""
    key: str | None = None
    """The id of the key."""
    exchange: str | None = None
    """The id of the exchange."""
    step: str | None = None
    """The step that found it."""
    rule: str | None = None
    """The rule, as br.cpf or br.*."""
    category: str | None = None
    """The category, as personal_data."""
    action: Literal["block", "redact", "mask", "warn", "log", "route"] | None = None
    """What was done."""
    policy: str | None = None
    """The policy that decided."""
    since: datetime | None = None
    """The earliest moment, as 2026-11-24 or 2026-11-24T10:00:00; local time."""
    until: datetime | None = None
    """The moment before which."""


_ALL = Which()


@app.command(name="list")
def list_lines(which: Which = _ALL, *, limit: int = 20, json: bool = False, place: Here) -> int:
    """List findings and changes, newest first.

    Parameters
    ----------
    limit
        How many at most.
    json
        Print a JSON array.
    """
    rows = list(_audit(place).walk(_wanted(which), limit))
    if json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [_row(one) for one in rows])
    return FINE


@app.command
def export(which: Which = _ALL, *, limit: int | None = None, place: Here) -> int:
    """Print whole lines, newest first, one JSON object a line.

    Parameters
    ----------
    limit
        How many at most; without it all.
    """
    for one in _audit(place).walk(_wanted(which), limit):
        print_json_line(one)
    return FINE


@app.command
def verify(
    *,
    noted: Annotated[str | None, Parameter(name="--noted")] = None,  # the option's name
    json: bool = False,
    place: Here,
) -> int:
    """See that no line was changed, taken out or put in; exit code 1 and the first that was, otherwise.

    Parameters
    ----------
    noted
        The hash that an earlier look printed: it must still be in the chain.
    json
        Print the result as JSON.
    """
    health = _audit(place).verify(noted)
    if json:
        print_json({**health._asdict(), "holds": not health.trouble})
        return FINDINGS if health.trouble else FINE
    if health.trouble:
        return fail(health.trouble, FINDINGS)
    gone = f" {health.cut} older ones were cut off in order." if health.cut else ""
    print(f"The log holds: {health.findings} findings and {health.changes} changes.{gone}")
    if health.last:
        print(
            f"Newest hash: {health.last}. Note it elsewhere; 'greenroom audit verify --noted' looks for it."
        )
    return FINE


def _audit(place: Place) -> "Audit":
    from greenroom.assembly.audit import Audit  # noqa: PLC0415  # the largest import, as in `Place.open`

    return Audit(place.open())


def _wanted(which: Which) -> "Wanted":
    from greenroom.assembly.audit import Wanted  # noqa: PLC0415  # as above

    return Wanted(
        kind=which.kind,
        findings=AuditFilter(
            project=which.project, app=which.app, key=which.key, exchange=which.exchange, step=which.step,
            rule=which.rule, category=which.category, action=which.action, policy=which.policy,
            since_ns=_ns(which.since), until_ns=_ns(which.until),
        ),
    )  # fmt: skip


def _row(one: Row) -> list[object]:
    if one["kind"] == "change":
        return [one["at"], one["what"], one["who"], one["address"] or None, None, None, None]
    action = f"{one['action']} (shadow: {one['would']})" if one["would"] else one["action"]
    return [one["at"], one["rule"], one["key"], one["where"], action, one["policy"] or None, one["exchange"]]


def _ns(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp()) * 1_000_000_000
