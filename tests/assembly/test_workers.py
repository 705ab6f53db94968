"""`server.workers`: several processes of one Greenroom on one port and one data folder."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.assembly.workers import (
    Model,
    all_ready,
    ask,
    at_once,
    call,
    new_key,
    serving,
    traces,
    wait_until,
    workers_of,
)
from tests.patience import within
from tests.server_process import ADMIN, ServerProcess, environment_of, greenroom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
PRICED = """
[models.priced]
targets = ["there/priced"]
[prices."there/priced"]
input_per_mtok_usd = 1000.0
output_per_mtok_usd = 1000.0
"""  # 2 cents a call
APPS = """
[apps.masked]
model = "mock"
[apps.masked.steps.pii]
action = "mask"
[apps.talk]
model = "mock"
[apps.talk.steps.history]
turns = 40
"""


class Served(NamedTuple):
    """A server that the tests share which neither stop it nor count all it ever did, and its model."""

    server: ServerProcess
    model: Model


def _shared(folder: Path, workers: int) -> Iterator[Served]:
    one = Model()
    try:
        with serving(
            folder, one.config + few_places(one, workers) + PRICED + APPS, workers=workers
        ) as server:
            yield Served(server, one)
    finally:
        one.close()


def few_places(model: Model, workers: int) -> str:
    """The same provider again, which takes a few at once: three where two processes share them."""
    first = model.config.partition("[models")[0].replace("providers.there", "providers.few")
    return first + f'parallel = {workers + 1}\n[models.few]\ntargets = ["few/mock"]\n'


@pytest.fixture(scope="module")
def served_by_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _shared(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def served_by_four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _shared(tmp_path_factory.mktemp("four"), 4)


@pytest.fixture
def two(served_by_two: Served) -> Iterator[Served]:
    yield from _as_new(served_by_two, 2)


@pytest.fixture
def four(served_by_four: Served) -> Iterator[Served]:
    yield from _as_new(served_by_four, 4)


@pytest.fixture(params=["two", "four"])
def several(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found


def _as_new(served: Served, workers: int) -> Iterator[Served]:
    server, model = served
    model.forget()
    yield served
    assert wait_until(lambda: all_ready(server, workers)), server.log()


def test_a_worker_that_gets_the_signal_itself_is_replaced(two: Served) -> None:
    server, _ = two
    victim = workers_of(server)[0]
    os.kill(victim, signal.SIGTERM)

    assert wait_until(lambda: len(workers_of(server)) == 2 and victim not in workers_of(server))
    answers = at_once(20, lambda number: ask(server, f"hello {number}"))
    assert [status for status, _, _ in answers] == [200] * 20


@pytest.mark.parametrize("is_told", [False, True])
def test_a_changed_configuration_reaches_all(two: Served, is_told: bool) -> None:
    server, _ = two
    name = f"told-{is_told}"
    assert ask(server, "hello", model=name)[0] == 404
    before = _reloads(server)
    text = server.config_path.read_text()
    server.config_path.write_text(f'{text}[apps.{name}]\nmodel = "mock"\n')
    if is_told:
        server.process.send_signal(signal.SIGHUP)

    def is_everywhere() -> bool:
        return {status for status, _, _ in at_once(30, lambda _: ask(server, "hello", model=name))} == {200}

    assert within(1.2, is_everywhere)
    # One worker notes it; the signal and the file may be seen apart.
    assert 1 <= _reloads(server) - before <= 2


def _reloads(server: ServerProcess) -> int:
    _, _, log = call(server, "GET", "/api/audit?limit=200", key=ADMIN)
    return [one.get("what") for one in log["data"]].count("config.reload")


def test_a_key_is_known_and_revoked_everywhere_within_a_second(two: Served) -> None:
    server, _ = two
    key = new_key(server, name="revoked")
    assert {ask(server, "hello", key=key)[0] for _ in range(20)} == {200}
    _, _, rows = call(server, "GET", "/api/keys", key=ADMIN)
    id = next(row["id"] for row in rows["data"] if row["name"] == "revoked")
    call(server, "DELETE", f"/api/keys/{id}", key=ADMIN)

    assert within(1.0, lambda: {ask(server, "hello", key=key)[0] for _ in range(20)} == {401})


def test_limits_of_a_key_hold_exactly_over_all(several: Served) -> None:
    server, model = several
    key = new_key(server, requests_per_minute=10)
    answers = at_once(60, lambda _: ask(server, "hello", key=key))
    assert sorted(status for status, _, _ in answers) == [200] * 10 + [429] * 50
    refused = next(headers for status, headers, _ in answers if status == 429)
    assert 50 <= float(refused["retry-after"]) <= 60

    model.delay_s, model.most_at_work = 0.7, 0
    key = new_key(server, parallel=3)
    answers = at_once(30, lambda _: ask(server, "hello", key=key))
    assert model.most_at_work == 3
    assert [status for status, _, _ in answers].count(200) == 3
    model.delay_s = 0.0
    assert ask(server, "hello", key=key)[0] == 200  # places come back


def test_tokens_of_a_key_hold_over_all_as_in_one(two: Served) -> None:
    server, _ = two
    key = new_key(server, tokens_per_minute=200)
    statuses = [ask(server, "hello", key=key)[0] for _ in range(30)]

    assert statuses == [200] * 10 + [429] * 20  # 20 tokens each: what was used is counted everywhere


def test_places_of_one_that_was_killed_come_back(two: Served) -> None:
    server, model = two
    model.delay_s = 20
    key = new_key(server, parallel=4)
    for _ in range(4):
        threading.Thread(target=_ask_quietly, args=(server, key), daemon=True).start()
    assert wait_until(lambda: model.at_work == 4, 5)
    assert ask(server, "hello", key=key)[0] == 429
    pids = workers_of(server)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not set(pids) & set(workers_of(server)) and len(workers_of(server)) == 2)
    model.delay_s = 0.0

    assert ask(server, "hello", key=key)[0] == 200


def _ask_quietly(server: ServerProcess, key: str) -> None:
    with suppress(OSError, ValueError):
        ask(server, "slow", key=key)


def test_a_budget_holds_over_all(several: Served) -> None:
    server, _ = several
    key = new_key(server, budget_usd=0.5)
    met = Counter(
        status for status, _, _ in at_once(80, lambda _: ask(server, "hello", model="priced", key=key))
    )
    deadline = time.monotonic() + 60
    while met[200] < 23 and time.monotonic() < deadline:  # what another worker leased and left comes back
        met[ask(server, "hello", model="priced", key=key)[0]] += 1
        time.sleep(0.2)
    for _ in range(20):
        met[ask(server, "hello", model="priced", key=key)[0]] += 1

    assert met[200] <= 25 + 1  # by not more than one reservation
    assert met[200] >= 23, met


def test_masks_of_a_conversation_mean_the_same_everywhere(two: Served) -> None:
    server, model = two

    def one(number: int) -> tuple[int, dict[str, str], object]:
        text = f"Please write to person{number % 20}@example.org about {number}"
        return ask(server, text, model="masked", headers={"x-greenroom-session": "talk"})

    for _ in range(2):
        answers = at_once(40, one)
        assert [body["choices"][0]["message"]["content"] for _, _, body in answers] == [
            f"Please write to person{number % 20}@example.org about {number}" for number in range(40)
        ]

    stands_for: dict[str, set[int]] = defaultdict(set)
    for body in model.bodies:
        found = re.search(r"write to (\S+) about (\d+)", body["messages"][-1]["content"])
        assert found is not None
        assert "@" not in found[1]
        stands_for[found[1]].add(int(found[2]) % 20)
    assert len(stands_for) == 20
    assert all(len(people) == 1 for people in stands_for.values())

    # What one worker masked is put back by whichever gets the next turn.
    for mask, people in list(stands_for.items())[:6]:
        _, _, body = ask(server, f"Repeat {mask}", model="masked", headers={"x-greenroom-session": "talk"})
        assert body["choices"][0]["message"]["content"] == f"Repeat person{people.pop()}@example.org"
    _, _, body = ask(server, "Repeat <EMAIL_1>", model="masked", headers={"x-greenroom-session": "else"})
    assert "@" not in body["choices"][0]["message"]["content"]
    for path in (server.data / "workers").iterdir():
        assert b"@example.org" not in path.read_bytes()


def test_turns_kept_by_the_server_are_all_there_for_the_next_worker(two: Served) -> None:
    server, model = two
    for number in range(12):
        ask(server, f"word{number}", model="talk", headers={"x-greenroom-session": "s"})
    said = [
        message["content"]
        for message in model.bodies[-1]["messages"]
        if message["role"] == "user" and message["content"].startswith("word")
    ]
    assert said == [f"word{number}" for number in range(12)]

    at_once(
        12,
        lambda number: ask(server, f"more{number}", model="talk", headers={"x-greenroom-session": "s"}),
    )
    wanted = sorted([f"word{n}" for n in range(12)] + [f"more{n}" for n in range(12)])

    def are_all_there() -> bool:
        status, _, turns = call(server, "GET", "/api/sessions/s", key=ADMIN)
        return status == 200 and wanted == sorted(
            one["text"] for one in turns["turns"] if one["role"] == "user"
        )

    assert within(1.0, are_all_there)


def test_responses_are_built_on_by_whichever_worker_is_next(two: Served) -> None:
    server, model = two
    _, _, talk = call(server, "POST", "/v1/conversations", {})
    previous: str | None = None
    for number in range(12):
        body = {"model": "mock", "input": f"word{number}", "previous_response_id": previous}
        status, _, made = call(server, "POST", "/v1/responses", body)
        assert status == 200, made
        previous = made["id"]
        said = [one["content"] for one in model.bodies[-1]["messages"] if one["role"] == "user"]
        assert said == [f"word{before}" for before in range(number + 1)]

        part = {"model": "mock", "input": f"part{number}", "conversation": talk["id"], "stream": True}
        assert call(server, "POST", "/v1/responses", part)[0] == 200
        said = [one["content"] for one in model.bodies[-1]["messages"] if one["role"] == "user"]
        assert said == [f"part{before}" for before in range(number + 1)]


def test_findings_of_all_are_one_chain(four: Served) -> None:
    server, _ = four
    answers = at_once(48, lambda number: ask(server, f"I am p{number}@example.org", model="masked"))
    assert [status for status, _, _ in answers] == [200] * 48
    ids = {headers["x-request-id"] for _, headers, _ in answers}
    assert wait_until(lambda: ids <= {row["id"] for row in traces(server)}, 5)
    checked = greenroom(server.data, "audit", "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with closing(sqlite3.connect(f"file:{server.data}/traces.db?mode=ro", uri=True)) as file:
        found = [row[0] for row in file.execute("SELECT exchange FROM findings")]
    assert len([id for id in found if id in ids]) == 48


def test_whoever_signed_in_is_known_to_all_until_they_sign_out(two: Served) -> None:
    server, _ = two
    for _ in range(3):
        _, headers, page = call(server, "GET", "/login")
        cookie = headers["set-cookie"].partition(";")[0]
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.url}
        status, headers, _ = call(
            server,
            "POST",
            "/login",
            f"csrf={csrf[1]}&key={ADMIN}&next=/",
            headers=form | {"Cookie": cookie},
        )
        assert status == 303, status
        found = re.search(r"greenroom_session=[\w-]+", headers["set-cookie"])
        assert found is not None
        session = found[0]
        pages = [call(server, "GET", "/", headers={"Cookie": session}) for _ in range(12)]
        assert {status for status, _, _ in pages} == {200}

        token = re.search(r'name="csrf" value="([^"]+)"', pages[0][2])
        assert token is not None
        call(server, "POST", "/logout", f"csrf={token[1]}", headers=form | {"Cookie": session})
        after = {call(server, "GET", "/", headers={"Cookie": session})[0] for _ in range(12)}
        assert after <= {302, 303, 307}


def test_places_at_a_provider_are_divided(two: Served) -> None:
    server, model = two
    model.delay_s, model.most_at_work = 0.3, 0
    answers = at_once(20, lambda _: ask(server, "hello", model="few"))
    assert {status for status, _, _ in answers} <= {200, 503}
    assert model.most_at_work <= 3


def test_a_port_or_folder_in_use_is_refused_before_any_worker_starts(tmp_path: Path, two: Served) -> None:
    server, _ = two
    for data, port in ((tmp_path / "other", server.port), (server.data, 0)):
        arguments = ["--config", str(server.config_path), "--data", str(data)]
        ended = subprocess.run(
            [sys.executable, "-m", "greenroom", *arguments, "serve", "--port", str(port)],
            capture_output=True, text=True, timeout=20, check=False, env=environment_of(), cwd=tmp_path,
        )  # fmt: skip
        assert ended.returncode == 3
        assert "use" in ended.stderr
    assert all_ready(server, 2)
