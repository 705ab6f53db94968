from pathlib import Path

import pytest

from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow  # each starts processes of its own


def test_nobody_else_on_the_machine_can_read_what_is_stored(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        stored = [path for path in server.data.iterdir() if path.suffix == ".db"]

        assert {path.name for path in stored} >= {"keys.db", "traces.db", "documents.db"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in stored)
