"""Experiments of a running server: over HTTP and by commands beside it, which it follows within a second."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.assembly.experiments import BASE, HALF
from tests.faults.upstream import FaultUpstream
from tests.server.office import Office
from tests.server_process import ADMIN, ServerProcess, greenroom

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """Scripted models in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    upstream = FaultUpstream()
    asyncio.run_coroutine_threadsafe(upstream.__aenter__(), loop).result(5)
    yield upstream.base_url
    asyncio.run_coroutine_threadsafe(upstream.__aexit__(None, None, None), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def office(tmp_path: Path, base_url: str) -> Iterator[Office]:
    text = BASE.replace("{base_url}", base_url) + HALF + "\n[server]\nworkers = 2\n"
    with ServerProcess(tmp_path / "data", text) as server:
        yield Office(server, roles=())


def command(office: Office, *arguments: str) -> tuple[int, Any]:  # Any: JSON
    config = str(office.server.config_path)
    done = greenroom(office.server.data, *arguments, "--json", environment={"GREENROOM_CONFIG": config})
    return done.returncode, json.loads(done.stdout)


def why(office: Office, user: str) -> tuple[str, str]:
    """Which arm a user meets, as tag and as reason."""
    body = {"model": "support", "messages": [{"role": "user", "content": "Hello."}]}
    sent = {"x-greenroom-user": user}
    answer = office.ask("POST /v1/chat/completions", ADMIN, body, sent)
    assert answer.status == 200, answer.body
    id = answer.headers["x-request-id"]
    office.wait_for(f"/api/traces/{id}", ADMIN, 200)
    record = office.ask(f"GET /api/traces/{id}", ADMIN).json
    return record["tags"].get("experiment", ""), record["model"]["used"]


def test_two_processes_agree_scores_count_and_what_is_decided_holds_in_both(office: Office) -> None:
    met = [{why(office, user) for _ in range(6)} for user in ("ana", "bob", "eve")]
    assert [len(one) for one in met] == [1, 1, 1]

    for _ in range(40):  # an exchange is stored within 50 ms of its end, on a machine with time for it
        code, shown = command(office, "experiments", "show", "cheaper")
        if sum(one["exchanges"] for one in shown["arms"]) == 18:
            break
    assert (code, shown["state"]) == (2, "running")
    assert sum(one["exchanges"] for one in shown["arms"]) == 18
    assert sum(one["units"] for one in shown["arms"]) == 3
    assert shown["warnings"] == []

    listed = office.ask("GET /api/traces?user=ana", ADMIN).json["data"]
    scored = {"id": listed[0]["id"], "name": "helpful", "value": True}
    assert office.ask("POST /api/feedback", ADMIN, scored).status == 201
    over_http = office.ask("GET /api/experiments/cheaper", ADMIN).json
    assert sum(one["valued"] for one in over_http["arms"]) == 1

    code, promoted = command(office, "experiments", "promote", "cheaper", "other")
    assert (code, promoted["promoted"]) == (0, "other")
    for _ in range(40):
        if all(why(office, f"late-{n}") == ("", "box/other") for n in range(8)):
            break
    else:
        pytest.fail("the server did not follow")

    stopped = office.ask("POST /api/experiments/cheaper/stop", ADMIN, {"why": "enough"})
    assert (stopped.status, stopped.json["state"], stopped.json["why"]) == (200, "stopped", "enough")
    changes = office.ask("GET /api/audit?kind=change", ADMIN).json["data"]
    assert {"experiment.promote", "experiment.stop"} <= {one["what"] for one in changes}
    unknown = office.ask("POST /api/experiments/cheaper/promote", ADMIN, {"arm": "none"})
    assert (unknown.status, unknown.json["error"]["param"]) == (400, "arm")
