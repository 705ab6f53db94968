"""API keys and the audit log."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.errors import NotFound, RequestError, StoreError
from greenroom.store.keys import KeyStore, Limits, digest_of


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    opened = KeyStore(tmp_path / "keys.db")
    yield opened
    opened.close()


def test_a_key_is_found_by_its_digest_alone(keys: KeyStore) -> None:
    row, secret = keys.create("red", "robot", apps=("support",), limits=Limits(requests_per_minute=5))

    table = keys.lookup_table()

    assert table[digest_of(secret)] == row
    assert secret.startswith("gr-")
    assert len(secret) == 35
    assert digest_of(secret[:20]) not in table
    assert digest_of(hashlib.sha256(secret.encode()).hexdigest()) not in table
    assert row.limits.requests_per_minute == 5


def test_the_file_holds_no_usable_key(keys: KeyStore, tmp_path: Path) -> None:
    row, secret = keys.create("red", "robot")

    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert secret.encode() not in files
    assert secret[10:].encode() not in files
    assert row.shown == secret[:8]


def test_a_revoked_key_leaves_the_table_and_another_process_notices(keys: KeyStore, tmp_path: Path) -> None:
    row, secret = keys.create("red", "robot")
    server = KeyStore(tmp_path / "keys.db")
    before = server.generation()

    keys.revoke(row.id)

    assert server.generation() != before
    assert digest_of(secret) not in server.lookup_table()
    assert [one.revoked_ns is not None for one in server.list()] == [True]
    server.close()


def test_limits_are_set_and_kept(keys: KeyStore) -> None:
    row, secret = keys.create("red", "robot")

    keys.limit(row.id, Limits(parallel=2, budget_nano_usd=1_500_000_000))

    limits = keys.lookup_table()[digest_of(secret)].limits
    assert (limits.parallel, limits.budget_usd, limits.tokens_per_minute) == (2, "1.5", None)


def test_a_project_cannot_touch_another_ones_keys(keys: KeyStore) -> None:
    row, _ = keys.create("red", "robot")

    with pytest.raises(NotFound):
        keys.revoke(row.id, project="blue")
    with pytest.raises(NotFound):
        keys.limit(row.id, Limits(), project="blue")
    assert keys.list("blue") == ()


@pytest.mark.parametrize("text", ["' OR 1=1 --", "x'; DROP TABLE keys; --", "\x00", '"'])
def test_no_value_is_ever_read_as_sql(keys: KeyStore, text: str) -> None:
    row, secret = keys.create(text, text, apps=(text,))

    with pytest.raises(NotFound):
        keys.revoke(text)

    assert keys.list(text) == (row,)
    assert digest_of(text) not in keys.lookup_table()
    assert digest_of(secret) in keys.lookup_table()


def test_unknown_roles_and_nameless_projects_are_refused(keys: KeyStore) -> None:
    with pytest.raises(RequestError, match="role"):
        keys.create("red", "x", role="root")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="project"):
        keys.create("", "x")


def test_expiry_is_part_of_the_row(keys: KeyStore) -> None:
    row, _ = keys.create("red", "x", expires_ns=1_000)

    assert row.is_active(999)
    assert not row.is_active(1_000)


def test_the_first_start_makes_one_admin_key(keys: KeyStore) -> None:
    made = keys.ensure_admin(None)

    assert made is not None
    assert keys.lookup_table()[digest_of(made)].role == "admin"
    assert keys.ensure_admin(None) is None
    assert len(keys.list()) == 1


def test_the_environment_sets_and_replaces_its_admin_key(keys: KeyStore) -> None:
    assert keys.ensure_admin("first-long-value") is None
    keys.ensure_admin("first-long-value")
    keys.ensure_admin("second-long-value")

    table = keys.lookup_table()

    assert digest_of("first-long-value") not in table
    assert table[digest_of("second-long-value")].role == "admin"
    assert len(keys.list()) == 2
    with pytest.raises(StoreError, match="too short"):
        keys.ensure_admin("short")


def test_every_change_leaves_one_line_in_a_chain_that_holds(keys: KeyStore) -> None:
    row, secret = keys.create("red", "robot", who="ana", address="127.0.0.1")
    keys.limit(row.id, Limits(parallel=1))
    keys.revoke(row.id)
    keys.audit("ana", "budget.raise", {"usd": "1"}, {"usd": "2"})

    log = keys.audit_log()

    assert [one.what for one in log] == ["budget.raise", "key.revoke", "key.limit", "key.create"]
    assert (log[3].who, log[3].address, log[3].before) == ("ana", "127.0.0.1", None)
    assert secret not in str(log)
    assert keys.broken_audit() is None


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("UPDATE audit SET who = 'nobody' WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 2", 2),
        ("UPDATE audit SET after = '{}' WHERE number = 1", 1),
    ],
)
def test_tampering_is_refused_and_where_it_was_forced_it_shows(
    keys: KeyStore, tmp_path: Path, damage: str, expected: int
) -> None:
    for number in range(3):
        keys.audit("ana", "change", number, number + 1)
    connection = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="append only"):
        connection.execute(damage)

    connection.execute("DROP TRIGGER audit_stays")
    connection.execute("DROP TRIGGER audit_is_kept")
    connection.execute(damage)
    connection.close()

    assert keys.broken_audit() == expected
