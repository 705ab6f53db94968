"""How long the server takes over each page, and how large it is, with many exchanges stored.

`python -m benchmarks.pages [--exchanges 1000000] [--times 40] [--folder FOLDER]`. Milliseconds from the request's
last byte to the answer's, over loopback, one at a time, each page asked for `times` times after two that don't
count; kilobytes as a browser gets them. A folder that was filled before is taken as it is.
"""

import argparse
import http.client
import json
import re
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from greenroom.server.pages.navigation import GROUPS
from tests.seeded import seed
from tests.server_process import ADMIN, ServerProcess

SEARCHES = ("/requests?q=refund", "/requests?q=pedido", "/requests?outcome=refused", "/requests?app=tutor",
            "/usage?project=default", "/overview?app=tutor")  # fmt: skip
STANDING_MS = 100.0
"""The bar: 95 of 100 within this."""
FIRST_PAGE_KB = 150.0
"""The bar for the first page and all that it loads."""


class _Visit:
    """One signed-in browser's connection."""

    def __init__(self, server: ServerProcess) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._cookie = ""
        self._sign_in()

    def _sign_in(self) -> None:
        _, page = self.get("/login")
        token = re.search(r'name="token" value="([^"]*)"', page) or re.search(
            r'name="csrf" value="([^"]*)"', page
        )
        fields = {"key": ADMIN, "next": "/"} | ({"csrf": token[1], "token": token[1]} if token else {})
        head = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": f"http://127.0.0.1:{self._connection.port}", "cookie": self._cookie,
        }  # fmt: skip
        self._connection.request("POST", "/login", urlencode(fields), head)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        self._keep(answer)

    def _keep(self, answer: http.client.HTTPResponse) -> None:
        found = [one.partition(";")[0] for one in answer.headers.get_all("set-cookie", [])]
        self._cookie = "; ".join(filter(None, [self._cookie, *found]))

    def get(self, path: str) -> tuple[int, str]:
        """The status and the text of a page."""
        status, data, _ = self.time(path, "identity")
        return status, data.decode("utf-8", "replace")

    def time(self, path: str, encoding: str = "gzip") -> tuple[int, bytes, float]:
        """The status, the bytes and the milliseconds of a page."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers={"cookie": self._cookie, "accept-encoding": encoding})
        answer = self._connection.getresponse()
        data = answer.read()
        took = (time.perf_counter() - began) * 1000
        if path == "/login":
            self._keep(answer)
        return answer.status, data, took


def _paths(visit: _Visit) -> list[str]:
    listed = json.loads(visit.get("/requests.json")[1])
    ids = [row["id"] for row in listed.get("data", listed.get("rows", []))[:3]]
    return [place.path for group in GROUPS for place in group.places] + [
        *SEARCHES,
        *(f"/requests/{id}" for id in ids),
    ]


def main() -> None:
    """Fill, ask, print a row per page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder = asked.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "greenroom.toml"
        if not config.exists():
            seed(folder, asked.exchanges)
        with ServerProcess(folder / "data", config.read_text(encoding="utf-8")) as server:
            _measure(_Visit(server), asked.times)


def _measure(visit: _Visit, times: int) -> None:
    print(f"{'page':<44} {'p50 ms':>8} {'p95 ms':>8} {'worst':>8} {'KB':>7}")
    for path in _paths(visit):
        found = [visit.time(path) for _ in range(times + 2)][2:]
        status, data, _ = found[0]
        took = sorted(ms for _, _, ms in found)
        p50, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
        mark = (
            "" if status == 200 and p95 < STANDING_MS else f"  status {status}" if status != 200 else "  slow"
        )
        print(f"{path[:44]:<44} {p50:8.1f} {p95:8.1f} {took[-1]:8.1f} {len(data) / 1024:7.1f}{mark}")
    print(f"the first page and what it loads: {_first_page(visit):.0f} KB (at most {FIRST_PAGE_KB:.0f})")


def _first_page(visit: _Visit) -> float:
    _, page = visit.get("/")
    loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    return sum(len(visit.time(path)[1]) for path in ("/", *loaded)) / 1024


if __name__ == "__main__":
    main()
