"""`greenroom keys`: what clients authenticate with. A running server notices changes within a second."""

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, USAGE, Here
from greenroom.store.keys import KeyRow, Limits, Period, Role

app = App(name="keys", help="Make, list, limit, rotate and revoke the keys that clients use.")

_COLUMNS = (
    "id", "begins", "name", "project", "role", "may ask for", "requests", "tokens", "at once", "usd", "state",
)  # fmt: skip
_LATEST_S = 7_258_118_400
"""The year 2200: nanoseconds since 1970 must fit SQLite's 64 bits."""
_NANO = 1_000_000_000
_LONGEST_GRACE_H = 720


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """What a key may use."""

    requests_per_minute: int | None = None
    """Requests a minute."""
    requests_per_day: int | None = None
    """Requests a day."""
    tokens_per_minute: int | None = None
    """Tokens a minute."""
    tokens_per_day: int | None = None
    """Tokens a day."""
    parallel: int | None = None
    """Requests at once."""
    budget_usd: Decimal | None = None
    """US dollars, over its life or each budget period."""
    budget_period: Period | None = None
    """How often the budget begins anew: total (never), day, week or month."""

    def limits(self, before: Limits) -> Limits | None:
        """`before` with what was given; 0 is no limit. None when something is negative."""
        given = {
            "requests_per_minute": self.requests_per_minute,
            "requests_per_day": self.requests_per_day,
            "tokens_per_minute": self.tokens_per_minute,
            "tokens_per_day": self.tokens_per_day,
            "parallel": self.parallel,
            "budget_nano_usd": None if self.budget_usd is None else int(self.budget_usd * _NANO),
        }
        if any(one is not None and one < 0 for one in given.values()):
            return None
        changes: dict[str, Any] = {  # Any: a whole number, or None for no limit
            name: one or None for name, one in given.items() if one is not None
        }
        if self.budget_period is not None:
            changes["budget_period"] = self.budget_period
        return msgspec.structs.replace(before, **changes)


_NOTHING = Wanted()


@app.command
def create(
    name: str,
    /,
    wanted: Wanted = _NOTHING,
    *,
    project: str = "default",
    role: Role = "app",
    apps: Annotated[list[str] | None, Parameter(name=["--app"], negative=())] = None,
    pipeline_off: Annotated[bool, Parameter(negative=())] = False,
    expires: datetime | None = None,
    json: bool = False,
    place: Here,
) -> int:
    """Make a key. The key itself is the only thing printed on stdout, and is shown this once.

    Parameters
    ----------
    name
        What it is for.
    project
        Whose documents, conversations and traces it sees.
    role
        app for clients; viewer and operator for people; admin for everything.
    apps
        An app or model it may ask for; may be given more than once; without it all.
    pipeline_off
        Its requests pass through without any step.
    expires
        The moment it ends, as 2027-01-31 or 2027-01-31T18:00:00; local time.
    json
        Print the key and all that is stored about it as JSON.
    """
    if not name.strip():
        return fail("Give the key a name that says what it is for.", USAGE)
    limits = wanted.limits(Limits())
    if limits is None:
        return fail("Limits can't be negative.", USAGE)
    if expires is not None and not time.time() < expires.timestamp() < _LATEST_S:
        return fail("The moment a key ends must lie ahead, and before the year 2200.", USAGE)
    row, secret = place.open().keys.create(
        project, name, role=role, apps=tuple(apps or ()), limits=limits, pipeline_off=pipeline_off,
        expires_ns=None if expires is None else int(expires.timestamp()) * _NANO,
    )  # fmt: skip
    if json:
        print_json({**_plain(row), "key": secret})
    else:
        print(secret)
        print(f"Made {row.id} for project '{project}'. The key is not shown again.", file=sys.stderr)
    return FINE


@app.command(name="list")
def list_keys(*, project: str | None = None, all: bool = False, json: bool = False, place: Here) -> int:
    """List keys, oldest first, without their secrets.

    Parameters
    ----------
    project
        Of this project only.
    all
        Revoked and expired ones too.
    json
        Print a JSON array.
    """
    now = time.time_ns()
    rows = [one for one in place.open().keys.list(project) if all or one.is_active(now)]
    if json:
        print_json([_plain(one) for one in rows])
        return FINE
    print_table(
        _COLUMNS,
        [
            (
                one.id, one.shown + "…", one.name, one.project, one.role, ", ".join(one.apps) or "all",
                _both(one.limits.requests_per_minute, one.limits.requests_per_day),
                _both(one.limits.tokens_per_minute, one.limits.tokens_per_day), one.limits.parallel,
                _budget(one.limits), _state(one, now),
            )
            for one in rows
        ],
    )  # fmt: skip
    return FINE


@app.command
def limit(
    id: str,
    /,
    wanted: Wanted = _NOTHING,
    *,
    json: bool = False,
    place: Here,
) -> int:
    """Change limits of a key. What is not named stays; 0 takes a limit away.

    Parameters
    ----------
    id
        The key's id, as `greenroom keys list` shows it.
    json
        Print the key as JSON.
    """
    keys = place.open().keys
    found = next((one for one in keys.list() if one.id == id), None)
    if found is None:
        return fail(f"There is no key '{id}'. 'greenroom keys list' shows what there is.", FINDINGS)
    limits = wanted.limits(found.limits)
    if limits is None:
        return fail("Limits can't be negative; 0 takes one away.", USAGE)
    row = keys.limit(id, limits)
    if json:
        print_json(_plain(row))
    else:
        print(f"{row.id} may use: {_words(row.limits)}.")
    return FINE


@app.command
def rotate(id: str, /, *, grace_hours: float = 24.0, json: bool = False, place: Here) -> int:
    """Give a key a new secret, shown this once. Its id, limits and what it used stay.

    Parameters
    ----------
    id
        The key's id, as `greenroom keys list` shows it.
    grace_hours
        How long the earlier secret goes on working; 0 ends it within a second.
    json
        Print the key and all that is stored about it as JSON.
    """
    if not 0 <= grace_hours <= _LONGEST_GRACE_H:
        return fail(f"The grace must be 0 to {_LONGEST_GRACE_H} hours.", USAGE)
    row, secret = place.open().keys.rotate(id, int(grace_hours * 3600))
    if json:
        print_json({**_plain(row), "key": secret})
    else:
        print(secret)
        print(f"Rotated {row.id} ({row.name}). The key is not shown again.", file=sys.stderr)
    return FINE


@app.command
def revoke(id: str, /, *, place: Here) -> int:
    """Make a key useless, within a second, for good.

    Parameters
    ----------
    id
        The key's id, as `greenroom keys list` shows it.
    """
    row = place.open().keys.revoke(id)
    print(f"Revoked {row.id} ({row.name}).")
    return FINE


def _words(limits: Limits) -> str:
    said = [
        f"{limits.requests_per_minute} requests a minute" if limits.requests_per_minute else "",
        f"{limits.requests_per_day} requests a day" if limits.requests_per_day else "",
        f"{limits.tokens_per_minute} tokens a minute" if limits.tokens_per_minute else "",
        f"{limits.tokens_per_day} tokens a day" if limits.tokens_per_day else "",
        f"{limits.parallel} requests at once" if limits.parallel else "",
        f"{_usd(limits.budget_nano_usd)} US dollars{_often(limits)}" if limits.budget_nano_usd else "",
    ]
    return ", ".join(one for one in said if one) or "what it likes"


def _often(limits: Limits) -> str:
    return "" if limits.budget_period == "total" else f" a {limits.budget_period}"


def _usd(nano: int | None) -> str | None:
    return None if nano is None else format((Decimal(nano) / _NANO).normalize(), "f")


def _both(a_minute: int | None, a_day: int | None) -> str | None:
    """Limits by minute and by day in one cell."""
    said = [f"{limit}/{span}" for limit, span in ((a_minute, "min"), (a_day, "day")) if limit is not None]
    return ", ".join(said) or None


def _budget(limits: Limits) -> str | None:
    usd = _usd(limits.budget_nano_usd)
    return usd if usd is None or limits.budget_period == "total" else f"{usd}/{limits.budget_period}"


def _moment(ns: int | None) -> str | None:
    return None if ns is None else datetime.fromtimestamp(ns / _NANO, UTC).isoformat(timespec="seconds")


def _state(row: KeyRow, now_ns: int) -> str:
    if row.revoked_ns is not None:
        return "revoked"
    if not row.is_active(now_ns):
        return "expired"
    return "active" if row.expires_ns is None else f"until {_moment(row.expires_ns)}"


def _plain(row: KeyRow) -> dict[str, object]:
    limits = row.limits
    return {
        "id": row.id,
        "begins": row.shown,
        "name": row.name,
        "project": row.project,
        "role": row.role,
        "apps": row.apps,
        "pipeline_off": row.pipeline_off,
        "requests_per_minute": limits.requests_per_minute,
        "requests_per_day": limits.requests_per_day,
        "tokens_per_minute": limits.tokens_per_minute,
        "tokens_per_day": limits.tokens_per_day,
        "parallel": limits.parallel,
        "budget_usd": _usd(limits.budget_nano_usd),
        "budget_period": limits.budget_period,
        "created_at": _moment(row.created_ns),
        "expires_at": _moment(row.expires_ns),
        "revoked_at": _moment(row.revoked_ns),
    }
