"""Quality and drift of a running server: scored in the background, read over HTTP by roles."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.assembly.drifting import DriftWatch
from tests.assembly.drift import filled
from tests.assembly.experiments import BASE
from tests.assembly.talking import Talking
from tests.server.office import Office
from tests.server_process import ADMIN, ServerProcess

pytestmark = pytest.mark.slow

RULES = '[quality.declines]\nscorer = "refusal"\nshare = 1.0\n'


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    house, end = filled(tmp_path, last_portuguese=0.45)
    for hour in range(end - 1, end + 1):
        DriftWatch(house).turn(hour * 3_600 + 120)
    house.stop()
    with Talking() as talking:
        text = BASE.replace("{base_url}", talking.base_url) + RULES
        with ServerProcess(tmp_path / "data", text) as server:
            yield Office(server)


def scores(office: Office, key: str = ADMIN) -> list[dict[str, Any]]:  # Any: JSON
    return list(office.ask("GET /api/quality?app=support", key).json["scores"])


def declines(office: Office) -> dict[str, Any] | None:  # Any: JSON
    return next((one for one in scores(office) if one["source"] == "code"), None)


def test_a_server_scores_what_it_answers_and_everybody_sees_their_own(office: Office) -> None:
    asked = {"model": "support", "messages": [{"role": "user", "content": "Please decline this."}]}
    until = time.monotonic() + 25
    found = None
    while found is None or found["n"] < 2:
        assert time.monotonic() < until, "nothing was scored"
        assert office.ask("POST /v1/chat/completions", ADMIN, asked).status == 200
        time.sleep(1.0)
        found = declines(office)
    (rule,) = office.ask("GET /api/quality", ADMIN).json["rules"]
    (app,) = office.ask("GET /api/drift", ADMIN).json["apps"]
    shown = office.ask("GET /api/drift/metric?project=default&app=support&metric=language", ADMIN).json

    assert (found["name"], found["mean"], found["by"]["app"][0]["name"]) == ("declines", 1.0, "support")
    assert 0 < found["low"] < found["high"] == 1.0
    assert rule["today"]["scored"] >= 2
    assert app["state"] == "moved"
    assert [one["language"] for one in shown["examples"]["new"]] == ["pt"] * 5
    assert [one["language"] for one in shown["examples"]["old"]] == ["en"] * 5
    viewer = office.keys["viewer"]  # of another project
    assert scores(office, viewer) == office.ask("GET /api/drift", viewer).json["apps"] == []
    assert office.ask("GET /api/quality?project=default", viewer).status == 403
    accepted = office.ask("POST /api/drift/accept", ADMIN, {"app": "support"})
    assert accepted.json["state"] == "learning"
    (line,) = office.ask("GET /api/audit?kind=change&limit=1", ADMIN).json["data"]
    assert line["what"] == "drift.accept"
