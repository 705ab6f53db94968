"""A copy of a running server's folder, and its way back: refused while a server runs, whole afterwards."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.store.database import check
from greenroom.store.listing import TraceFilter
from greenroom.store.traces import TraceStore
from tests.patience import within
from tests.server_process import ServerProcess, greenroom

pytestmark = pytest.mark.slow  # starts processes of its own


def test_a_running_servers_folder_is_copied_and_put_back(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    with ServerProcess(data) as server:
        server.ask("How do I add a provider?")
        assert within(1.0, lambda: _stored(data) == 1)
        made = greenroom(data, "db", "backup", str(copy), "--json")
        refused = greenroom(data, "db", "restore", str(copy))
        server.ask("What is kept, and for how long?")
    restored = greenroom(data, "db", "restore", str(copy), "--json")

    assert made.returncode == 0, made.stderr
    assert set(json.loads(made.stdout)["files"]) >= {"keys.db", "traces.db", "ledger.db", "documents.db"}
    assert refused.returncode == 3
    assert "is in use by the Greenroom with process id" in refused.stderr
    assert restored.returncode == 0, restored.stderr
    assert Path(json.loads(restored.stdout)["before"]).is_dir()
    assert [one for path in data.glob("*.db") for one in check(path)] == []
    store = TraceStore(data / "traces.db")
    assert len(store.list(TraceFilter(limit=9)).rows) == 1
    store.close()


def _stored(data: Path) -> int:
    with closing(sqlite3.connect(f"{(data / 'traces.db').as_uri()}?mode=ro", uri=True)) as db:
        found: int = db.execute("SELECT count(*) FROM traces").fetchone()[0]
    return found
