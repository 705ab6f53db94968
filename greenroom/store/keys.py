"""API keys and the log of who changed what.

A key is 192 random bits, shown once; the file holds its SHA-256, from which it cannot be found again, so a
plain digest is enough. Keys are looked up by the whole digest, never by a part. Every change is on disk
before it is answered.
"""

import hashlib
import secrets
import sqlite3
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from greenroom.errors import Conflict, NotFound, RequestError, StoreError
from greenroom.store.counted import CountedStore
from greenroom.store.material import dollars, stamp

Role = Literal["app", "viewer", "operator", "admin"]
Period = Literal["total", "day", "week", "month"]
ROLES: tuple[Role, ...] = ("app", "viewer", "operator", "admin")

PREFIX = "gr-"
SHOWN = 8
"""Letters of a key that lists show, `gr-` included: 5 random ones, 162 bits stay unknown."""
SHORTEST_GIVEN = 8
ENVIRONMENT = "environment"
"""Name of the admin key that came from the environment."""

_MIGRATIONS = (
    """
CREATE TABLE keys (
    id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, shown TEXT NOT NULL, project TEXT NOT NULL,
    name TEXT NOT NULL, role TEXT NOT NULL, apps TEXT NOT NULL, pipeline_off INTEGER NOT NULL,
    requests_per_minute INTEGER, tokens_per_minute INTEGER, parallel INTEGER, budget_nano_usd INTEGER,
    created_ns INTEGER NOT NULL, expires_ns INTEGER, revoked_ns INTEGER
) WITHOUT ROWID;
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, address TEXT NOT NULL, hash BLOB NOT NULL
);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'append only'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'append only'); END;
""",
    """
ALTER TABLE keys ADD COLUMN requests_per_day INTEGER;
ALTER TABLE keys ADD COLUMN tokens_per_day INTEGER;
ALTER TABLE keys ADD COLUMN budget_period TEXT NOT NULL DEFAULT 'total';
""",
    """
ALTER TABLE keys ADD COLUMN earlier BLOB;
ALTER TABLE keys ADD COLUMN earlier_until_ns INTEGER;
CREATE UNIQUE INDEX keys_by_earlier ON keys (earlier) WHERE earlier IS NOT NULL;
""",
)
_LIMITS = (
    "requests_per_minute, tokens_per_minute, parallel, budget_nano_usd, requests_per_day, tokens_per_day,"
    " budget_period"
)
_COLUMNS = (
    "id, shown, project, name, role, apps, pipeline_off, " + _LIMITS + ", created_ns, expires_ns, revoked_ns"
)
_ALL = "SELECT " + _COLUMNS + " FROM keys"  # noqa: S608  # a constant
_BY_DIGEST = "SELECT digest, " + _COLUMNS + " FROM keys WHERE revoked_ns IS NULL"  # noqa: S608  # a constant
_EARLIER = (
    "SELECT earlier, earlier_until_ns, " + _COLUMNS + " FROM keys"  # noqa: S608  # a constant
    " WHERE revoked_ns IS NULL AND earlier_until_ns > ?"
)
_PLACES = "(" + ", ".join("?" * 18) + ")"
_INSERT = "INSERT INTO keys (digest, " + _COLUMNS + ") VALUES " + _PLACES  # noqa: S608  # constants
_json = msgspec.json.Encoder(order="deterministic").encode

_ENDLESS_NS = 2**63 - 1


class Limits(Struct, kw_only=True, frozen=True):
    """What a key may use; None is no limit. Money in nano-dollars."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None
    budget_nano_usd: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    budget_period: Period = "total"
    """How often the budget begins anew, at midnight in UTC; a week on Monday."""

    @property
    def budget_usd(self) -> str | None:
        """The budget as a decimal string."""
        return dollars(self.budget_nano_usd)


class KeyRow(Struct, kw_only=True, frozen=True):
    """A key without its secret."""

    id: str
    shown: str
    """Its first letters, for people."""
    project: str
    name: str
    role: Role
    apps: tuple[str, ...] = ()
    """Apps and models it may ask for; empty means all."""
    pipeline_off: bool = False
    limits: Limits = Limits()
    created_ns: int = 0
    expires_ns: int | None = None
    revoked_ns: int | None = None

    def is_active(self, now_ns: int) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_ns is None and (self.expires_ns is None or now_ns < self.expires_ns)


class AuditEntry(Struct, kw_only=True, frozen=True):
    """One line of the log of changes."""

    number: int
    at: str
    who: str
    what: str
    before: Any  # Any: JSON of what was
    after: Any  # Any: JSON of what is
    address: str
    hash: str
    """Of this line and of the one before it."""


def digest_of(key: str) -> bytes:
    """What a key is looked up by: its SHA-256."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


class KeyStore(CountedStore):
    """Keys and audit log in one SQLite file. Raises: StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)

    def create(
        self, project: str, name: str, *, role: Role = "app", apps: tuple[str, ...] = (),
        limits: Limits | None = None, pipeline_off: bool = False, expires_ns: int | None = None,
        who: str = "command line", address: str = "",
    ) -> tuple[KeyRow, str]:  # fmt: skip
        """A new key and its secret, which is nowhere kept. Raises: RequestError."""
        if role not in ROLES:
            raise RequestError(f"There is no role '{role}'. The roles are {', '.join(ROLES)}.", "role")
        if not project:
            raise RequestError("A key belongs to a project: name one.", "project")
        secret = PREFIX + secrets.token_urlsafe(24)
        row = KeyRow(
            id="key_" + secrets.token_hex(8), shown=secret[:SHOWN], project=project, name=name, role=role,
            apps=apps, pipeline_off=pipeline_off, limits=limits or Limits(), created_ns=time.time_ns(),
            expires_ns=expires_ns,
        )  # fmt: skip
        with self._changing() as connection:
            self._insert(connection, row, digest_of(secret))
            _append(connection, who, "key.create", None, row, address)
        return row, secret

    def list(self, project: str | None = None) -> tuple[KeyRow, ...]:
        """All keys, revoked ones too, oldest first; of one project or of all."""
        with self._reading() as connection:
            rows = (_row_of(found) for found in connection.execute(_ALL + " ORDER BY created_ns, id"))
            return tuple(row for row in rows if project is None or row.project == project)

    def revoke(
        self, id: str, *, project: str | None = None, who: str = "command line", address: str = ""
    ) -> KeyRow:
        """Make a key useless from now on. Raises: NotFound when this project has no such key."""
        with self._changing() as connection:
            before = self._find(connection, id, project)
            if before.revoked_ns is not None:
                return before
            after = msgspec.structs.replace(before, revoked_ns=time.time_ns())
            connection.execute("UPDATE keys SET revoked_ns = ? WHERE id = ?", (after.revoked_ns, id))
            _append(connection, who, "key.revoke", before, after, address)
            return after

    def limit(
        self, id: str, limits: Limits, *, project: str | None = None, who: str = "command line",
        address: str = "",
    ) -> KeyRow:  # fmt: skip
        """Set all limits of a key. Raises: NotFound when this project has no such key."""
        with self._changing() as connection:
            before = self._find(connection, id, project)
            after = msgspec.structs.replace(before, limits=limits)
            connection.execute(
                f"UPDATE keys SET ({_LIMITS}) = (?, ?, ?, ?, ?, ?, ?) WHERE id = ?",  # noqa: S608  # a constant
                (*msgspec.structs.astuple(limits), id),
            )
            _append(connection, who, "key.limit", before, after, address)
            return after

    def rotate(
        self, id: str, grace_s: int = 0, *, project: str | None = None, who: str = "command line",
        address: str = "",
    ) -> tuple[KeyRow, str]:  # fmt: skip
        """Give a key a new secret; the one before works on for `grace_s` seconds, one before that no more.

        Its id, limits and what it used stay. Raises: NotFound when this project has no such key; Conflict
        for one that is revoked or comes from the environment.
        """
        secret = PREFIX + secrets.token_urlsafe(24)
        with self._changing() as connection:
            before = self._find(connection, id, project)
            if before.revoked_ns is not None:
                raise Conflict(f"The key '{id}' is revoked. Make a new one.")
            if before.name == ENVIRONMENT:
                raise Conflict("The key from GREENROOM_ADMIN_KEY is changed by changing the variable.")
            after = msgspec.structs.replace(before, shown=secret[:SHOWN])
            connection.execute(
                "UPDATE keys SET earlier = digest, earlier_until_ns = ?, digest = ?, shown = ? WHERE id = ?",
                (time.time_ns() + grace_s * 1_000_000_000, digest_of(secret), after.shown, id),
            )
            _append(connection, who, "key.rotate", before, after, address)
            return after, secret

    def lookup_table(self) -> dict[bytes, KeyRow]:
        """Digest → key, for all keys not revoked. Expiry is for the reader to look at (`is_active`).

        The earlier secret of a rotated key leads to it too, as one that ends with the grace.
        """
        with self._reading() as connection:
            table = {found[0]: _row_of(found[1:]) for found in connection.execute(_BY_DIGEST)}
            for digest, until_ns, *found in connection.execute(_EARLIER, (time.time_ns(),)):
                row = _row_of(tuple(found))
                ends_ns = until_ns if row.expires_ns is None else min(until_ns, row.expires_ns)
                table[digest] = msgspec.structs.replace(row, expires_ns=ends_ns)
            return table

    def ensure_admin(self, env_value: str | None) -> str | None:
        """See to it that there is an admin key. Returns a newly made one, to be shown once; else None.

        With a value from the environment that value is the key; an earlier value is revoked.
        Raises: StoreError for a value too short to be a secret.
        """
        if env_value is None or not env_value.strip():
            if any(row.role == "admin" and row.is_active(time.time_ns()) for row in self.list()):
                return None
            return self.create("default", "first admin key", role="admin", who="first start")[1]
        value = env_value.strip()
        if len(value) < SHORTEST_GIVEN:
            raise StoreError(
                f"GREENROOM_ADMIN_KEY is too short to be a secret: give at least {SHORTEST_GIVEN} letters."
            )
        self._adopt(value)
        return None

    def _adopt(self, value: str) -> None:
        digest = digest_of(value)
        with self._changing() as connection:
            if connection.execute("SELECT 1 FROM keys WHERE digest = ?", (digest,)).fetchone():
                return  # known, or revoked on purpose
            connection.execute(
                "UPDATE keys SET revoked_ns = ? WHERE name = ? AND role = 'admin' AND revoked_ns IS NULL",
                (time.time_ns(), ENVIRONMENT),
            )
            row = KeyRow(
                id="key_" + secrets.token_hex(8), shown="", project="default", name=ENVIRONMENT, role="admin",
                created_ns=time.time_ns(),
            )  # fmt: skip
            self._insert(connection, row, digest)
            _append(connection, ENVIRONMENT, "key.create", None, row, "")

    def audit(self, who: str, what: str, before: object, after: object, *, address: str = "") -> None:
        """Add a line to the log of changes. Never hand it a secret."""
        with self._changing() as connection:
            _append(connection, who, what, before, after, address)

    def audit_log(
        self, limit: int = 100, *, before: int | None = None, since_ns: int = 0, until_ns: int = _ENDLESS_NS
    ) -> tuple[AuditEntry, ...]:
        """The newest changes first, of those before a number and between two moments."""
        with self._reading() as connection:
            return tuple(
                AuditEntry(
                    number=number, at=stamp(at), who=who, what=what, before=_shown(before),
                    after=_shown(after), address=address, hash=hash.hex(),
                )
                for number, at, who, what, before, after, address, hash in connection.execute(
                    "SELECT number, at_ns, who, what, before, after, address, hash FROM audit"
                    " WHERE number < ? AND at_ns >= ? AND at_ns < ? ORDER BY number DESC LIMIT ?",
                    (_ENDLESS_NS if before is None else before, since_ns, until_ns, limit),
                )
            )  # fmt: skip

    def broken_audit(self) -> int | None:
        """The number of the first line whose chain does not hold (changed, or gone), None when all do."""
        last, expected = b"", 1
        with self._reading() as connection:
            for number, at, who, what, before, after, address, found in connection.execute(
                "SELECT number, at_ns, who, what, before, after, address, hash FROM audit ORDER BY number"
            ):
                last = _chained(last, (number, at, who, what, before, after, address))
                if number != expected or last != found:
                    return expected
                expected += 1
        return None

    def _insert(self, connection: sqlite3.Connection, row: KeyRow, digest: bytes) -> None:
        connection.execute(
            _INSERT,
            (
                digest, row.id, row.shown, row.project, row.name, row.role, _json(row.apps).decode(),
                row.pipeline_off, *msgspec.structs.astuple(row.limits), row.created_ns, row.expires_ns,
                row.revoked_ns,
            ),
        )  # fmt: skip

    def _find(self, connection: sqlite3.Connection, id: str, project: str | None) -> KeyRow:
        found = connection.execute(_ALL + " WHERE id = ?", (id,)).fetchone()
        if found is None or (project is not None and found[2] != project):
            raise NotFound(f"There is no key '{id}'.")
        return _row_of(found)


def _row_of(found: tuple[Any, ...]) -> KeyRow:  # Any: the columns of `_ALL`
    id, shown, project, name, role, apps, pipeline_off, *limits, created_ns, expires_ns, revoked_ns = found
    return KeyRow(
        id=id, shown=shown, project=project, name=name, role=role,
        apps=msgspec.json.decode(apps, type=tuple[str, ...]), pipeline_off=bool(pipeline_off),
        limits=Limits(**dict(zip(Limits.__struct_fields__, limits, strict=True))),
        created_ns=created_ns, expires_ns=expires_ns, revoked_ns=revoked_ns,
    )  # fmt: skip


def _shown(text: str) -> Any:  # Any: JSON
    """What a line says; as it stands where somebody made it no JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text


def _append(
    connection: sqlite3.Connection, who: str, what: str, before: object, after: object, address: str
) -> None:
    found = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    number, last = (1, b"") if found is None else (found[0] + 1, found[1])
    line = (number, time.time_ns(), who, what, _json(before).decode(), _json(after).decode(), address)
    connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*line, _chained(last, line)))


def _chained(last: bytes, line: tuple[object, ...]) -> bytes:
    return hashlib.sha256(last + _json(line)).digest()
