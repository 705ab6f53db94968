"""Deployments of a running server of two processes: over HTTP, by commands beside it, and under load."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.scripted import Load, Scripted
from tests.patience import slowness
from tests.server.office import Office
from tests.server_process import ADMIN, ServerProcess, greenroom

pytestmark = pytest.mark.slow
MODELS = ("sound", "healthy", "errors")
LEAN = """
preprocess = ["clean"]
ground = []
check = ["pii"]
postprocess = ["decode", "unmask"]
"""


def config(base_url: str) -> str:
    """A lean app before scripted models, answered by two processes."""
    models = "".join(f'[models.{one}]\ntargets = ["box/{one}"]\nretries = 0\n' for one in MODELS)
    return (
        f'[providers.box]\nkind = "openai_compatible"\nbase_url = "{base_url}"\n{models}'
        f'[apps.support]\nmodel = "sound"\n{LEAN}[server]\nworkers = 2\n'
    )


class Behind:
    """A loop in a thread of its own, for models and clients."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, one: Any) -> Any:  # Any: a coroutine and what it gives
        return asyncio.run_coroutine_threadsafe(one, self.loop).result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    one = Behind()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def models(behind: Behind) -> Iterator[Scripted]:
    one = Scripted()
    behind.run(one.__aenter__())
    yield one
    behind.run(one.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, models: Scripted) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("deployments")
    with ServerProcess(folder / "data", config(models.base_url)) as server:
        made = Office(server, roles=("operator",))
        time.sleep(slowness())  # until the other process knows the key, too
        yield made


def until(look: Callable[[], bool], seconds: float = 60.0) -> float:
    """Seconds until a look is true."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds
        time.sleep(0.1)
    return time.monotonic() - began


def post(office: Office, path: str, body: dict[str, object], status: int = 200) -> Any:  # Any: JSON
    answer = office.ask(f"POST /api/deployments{path}", ADMIN, body)
    assert answer.status == status, answer.body
    return answer.json


def test_no_request_fails_from_canary_to_rollback(office: Office, behind: Behind, models: Scripted) -> None:
    load = Load(office.server.port, office.server.local_key, "support")
    behind.run(load.__aenter__())
    try:
        time.sleep(0.5)
        post(office, "", {"name": "healthy", "app": "support", "no_gate": "a test", "share": 0.1}, 201)
        until(lambda: models.asked["healthy"] > 3)
        post(office, "", {"name": "healthy", "app": "support", "share": 0.6}, 201)
        until(lambda: models.asked["healthy"] > 60)
        post(office, "/support/promote", {"force": "a test"})
        time.sleep(1.2 * slowness())  # the other process follows within a second
        before = models.asked["sound"]
        time.sleep(0.7)
        stayed = models.asked["sound"] - before
        post(office, "/support/rollback", {})
        time.sleep(1.2 * slowness())
        after = models.asked["healthy"]
        time.sleep(0.5)
    finally:
        behind.run(load.__aexit__(None, None, None))

    assert load.failed == []
    assert load.sent > 250
    assert stayed == 0
    assert models.asked["healthy"] == after


def test_errors_roll_a_canary_back_while_it_is_watched(office: Office, behind: Behind) -> None:
    load = Load(office.server.port, office.server.local_key, "support", users=400)
    behind.run(load.__aenter__())
    try:
        post(office, "", {"name": "errors", "app": "support", "no_gate": "a test", "share": 0.2}, 201)
        took = until(lambda: office.ask("GET /api/deployments/support", ADMIN).json["open"] is None, 60)
        time.sleep(1.2 * slowness())
        failed = len(load.failed)
        time.sleep(0.5)
    finally:
        behind.run(load.__aexit__(None, None, None))
    last = office.ask("GET /api/deployments/support", ADMIN).json["last"]

    assert took < 60
    assert (last["state"], last["who"]) == ("rolled_back", "rule")
    assert last["why"].startswith("failed: ")
    assert len(load.failed) == failed


def test_a_command_beside_the_server_is_followed_by_both_processes_and_audited(office: Office) -> None:
    def command(*arguments: str) -> int:
        found = {"GREENROOM_CONFIG": str(office.server.config_path)}
        return greenroom(office.server.data, "deploy", *arguments, environment=found).returncode

    assert command("canary", "healthy", "--to", "support", "--no-gate", "a test") == 0
    assert command("promote", "support", "--force", "a test") == 0
    time.sleep(1.2 * slowness())
    body = {"model": "support", "messages": [{"role": "user", "content": "Hello."}]}
    used = {office.ask("POST /v1/chat/completions", ADMIN, body).json["model"] for _ in range(12)}
    assert command("rollback", "support") == 0
    lines = office.ask("GET /api/audit?kind=change&limit=3", ADMIN).json["data"]

    assert used == {"healthy"}
    assert [one["what"] for one in lines] == [
        "deployment.rolled_back", "deployment.promoted", "deployment.canary",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("GET /api/deployments/nobody", None, 404),
        ("POST /api/deployments", {"name": "healthy", "app": "support"}, 400),
        ("POST /api/deployments", {"name": "x", "app": "support", "no_gate": "y", "share": 7}, 400),
        ("POST /api/deployments", {"name": "x", "app": "support", "suite": "/etc/passwd"}, 400),
        ("POST /api/deployments/support/promote", {}, 404),
        ("POST /api/deployments/support/rollback", {}, 409),
    ],
)
def test_what_can_not_be_done_says_so(office: Office, route: str, body: object, status: int) -> None:
    answer = office.ask(route, ADMIN, body)

    assert answer.status == status
    assert answer.json["error"]["message"]


@pytest.mark.parametrize(
    "route",
    ["GET /api/deployments", "POST /api/deployments", "GET /api/deployments/support",
     "GET /api/deployments/support/history", "POST /api/deployments/support/promote",
     "POST /api/deployments/support/rollback"],
)  # fmt: skip
def test_only_an_admin_may(office: Office, route: str) -> None:
    assert office.ask(route, office.keys["operator"], {}).status == 403
    assert office.ask(route, None, {}).status == 401
