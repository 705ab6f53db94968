"""FAULTS C3: kill -9 under load, again and again on one data folder."""

import http.client
import json
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from greenroom.store.database import check
from greenroom.store.ledger import LedgerStore
from greenroom.store.traces import TraceStore
from tests.patience import slowness
from tests.server_process import ADMIN, ServerProcess

GRACE_S = 0.05
LIVES = 3
CALLERS = 4
BODY = json.dumps({"model": "default", "messages": [{"role": "user", "content": "How do I add a provider?"}]})


class Load:
    """Callers that note when each whole answer was read, and its id."""

    def __init__(self, server: ServerProcess) -> None:
        self.acknowledged: list[tuple[float, str]] = []
        self._server = server
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(CALLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Wait until the callers have noticed that nobody answers."""
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _call(self) -> None:
        headers = {"Authorization": f"Bearer {self._server.local_key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=5)
        try:
            while True:
                connection.request("POST", "/v1/chat/completions", BODY, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.acknowledged.append((time.monotonic(), answer.headers["x-request-id"]))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


def stored_ids(server: ServerProcess) -> set[str]:
    """The ids of all traces the server lists."""
    found: set[str] = set()
    cursor = None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        while True:
            query = urlencode({"limit": 500, **({"cursor": cursor} if cursor else {})})
            connection.request("GET", f"/api/traces?{query}", headers={"Authorization": f"Bearer {ADMIN}"})
            answer = connection.getresponse()
            page = json.loads(answer.read())
            assert answer.status == 200, page
            found.update(row["id"] for row in page["data"])
            cursor = page["next"]
            if not cursor:
                return found
    finally:
        connection.close()


@pytest.mark.slow
def test_c3_three_kills_on_one_folder_lose_nothing_older_than_the_promise(tmp_path: Path) -> None:
    data = tmp_path / "data"
    due: set[str] = set()
    acknowledged: set[str] = set()
    for life in range(LIVES):
        with ServerProcess(data) as server:
            load = Load(server)
            load.start()
            time.sleep(0.8 + 0.137 * life)
            grace_s = GRACE_S * slowness()
            killed_at = time.monotonic()
            server.process.kill()
            server.process.wait(5)
            load.wait()
        assert load.acknowledged
        acknowledged |= {id for _, id in load.acknowledged}
        due |= {id for at, id in load.acknowledged if at < killed_at - grace_s}

        with ServerProcess(data) as server:
            assert server.ask()[0] == 200
            kept = stored_ids(server)
            assert server.stop() == 0
        assert due - kept == set()
        assert "Traceback" not in server.log()

    for path in sorted(data.glob("*.db")):
        assert check(path) == []
    books = LedgerStore(data / "ledger.db")
    totals = books.totals()
    charged = {str(one[0]).lower() for one in books.query("SELECT hex(exchange) FROM lines", {})}
    books.close()
    assert due - charged == set()
    assert (totals.held, totals.processes) == (0, 0)
    store = TraceStore(data / "traces.db")
    counts = store.counts()
    store.close()
    assert counts["unclean_shutdowns"] == LIVES
    assert counts["stored"] >= len(due)
    assert counts["stored"] + counts["lost_rows"] >= len(acknowledged)
