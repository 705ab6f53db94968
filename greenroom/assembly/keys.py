"""What the API asks about keys and projects, answered from the house's stores."""

import time
from typing import Any

import msgspec
from msgspec import UNSET

from greenroom.assembly.house import House
from greenroom.assembly.retaining import days_by_project
from greenroom.errors import NotFound
from greenroom.server.keys import NewKey, NewLimits
from greenroom.store.keys import KeyRow, Limits
from greenroom.store.usage import Asked, usage

Record = dict[str, Any]  # Any: JSON
_NANO = 1_000_000_000


class KeyDesk:
    """Answers `KeyAdministration` of the API."""

    def __init__(self, house: House) -> None:
        self._house = house

    def keys(self) -> list[Record]:
        """Keys without their secrets."""
        return [_shown(row) for row in self._house.keys.list()]

    def create(self, wanted: NewKey, by: str, address: str) -> Record:
        """Make a key; the answer holds its secret, this once."""
        limits = Limits(
            requests_per_minute=wanted.requests_per_minute,
            tokens_per_minute=wanted.tokens_per_minute,
            parallel=wanted.parallel,
            budget_nano_usd=None if wanted.budget_usd is None else round(wanted.budget_usd * _NANO),
            requests_per_day=wanted.requests_per_day,
            tokens_per_day=wanted.tokens_per_day,
            budget_period=wanted.budget_period,
        )
        row, secret = self._house.keys.create(
            wanted.project,
            wanted.name,
            role=wanted.role,
            apps=tuple(wanted.apps),
            limits=limits,
            who=by,
            address=address,
        )
        return {**_shown(row), "key": secret}

    def limit(self, id: str, wanted: NewLimits, by: str, address: str) -> Record:
        """Change some limits. Raises: NotFound."""
        found = next((row for row in self._house.keys.list() if row.id == id), None)
        if found is None:
            raise NotFound("There is no key with this id.")
        given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not UNSET}
        if "budget_usd" in given:
            usd = given.pop("budget_usd")
            given["budget_nano_usd"] = None if usd is None else round(usd * _NANO)
        limits = msgspec.structs.replace(found.limits, **given)
        return _shown(self._house.keys.limit(id, limits, who=by, address=address))

    def rotate(self, id: str, grace_s: int, by: str, address: str) -> Record:
        """Give a key a new secret, shown this once. Raises: NotFound, Conflict."""
        row, secret = self._house.keys.rotate(id, grace_s, who=by, address=address)
        return {**_shown(row), "key": secret}

    def revoke(self, id: str, by: str, address: str) -> bool:
        """Revoke a key."""
        try:
            self._house.keys.revoke(id, who=by, address=address)
        except NotFound:
            return False
        return True

    def projects(self) -> list[Record]:
        """Every project with a key, a line in the ledger, or days of its own, by name."""
        now = time.time_ns()
        rows: dict[str, Record] = {}
        for key in self._house.keys.list():
            row = rows.setdefault(key.project, _project(key.project))
            row["keys"] += key.is_active(now)
        for used in usage(self._house.books, Asked(("project",))):
            row = rows.setdefault(used["project"], _project(used["project"]))
            row["usage"] = {name: value for name, value in used.items() if name != "project"}
        own, default = days_by_project(self._house), self._house.config.store.retention_days
        for name in own:
            rows.setdefault(name, _project(name))
        return [{**rows[name], "retention_days": own.get(name, default)} for name in sorted(rows)]


def _project(name: str) -> Record:
    return {"id": name, "object": "project", "keys": 0, "usage": None}


def _shown(row: KeyRow) -> Record:
    shown: Record = msgspec.to_builtins(row)
    return shown
