"""Keys over HTTP, asked of a real server: made, limited, rotated, revoked, and what they used."""

import json
import time
from typing import Any

import pytest

from tests.patience import within
from tests.server.office import Office
from tests.server_process import ADMIN


def test_a_new_key_works_within_a_second_and_a_revoked_one_stops_within_a_second(office: Office) -> None:
    made = office.create(name="short-lived", role="viewer", apps=["default"], budget_usd=0.5)

    assert within(1.0, lambda: office.ask("GET /api/traces", made["key"]).status == 200)
    revoked = office.ask(f"DELETE /api/keys/{made['id']}", ADMIN)
    assert within(1.0, lambda: office.ask("GET /api/traces", made["key"]).status == 401)

    assert revoked.json == {"id": made["id"], "object": "key", "deleted": True}


def test_the_list_of_keys_holds_no_secret(office: Office) -> None:
    made = office.create(name="listed", requests_per_minute=7, parallel=2, tokens_per_minute=99)

    listed = office.ask("GET /api/keys", ADMIN)

    row = next(row for row in listed.json["data"] if row["id"] == made["id"])
    assert row["name"] == "listed"
    assert row["role"] == "app"
    for secret in (made["key"], *office.keys.values()):
        assert secret.encode() not in listed.body


def test_usage_is_summed_up_by_what_is_asked(office: Office) -> None:
    made = office.create(
        name="spender", project="lab", requests_per_day=9, budget_usd=1, budget_period="week"
    )
    chat = {
        "model": "default",
        "user": "ana",
        "messages": [{"role": "user", "content": "How do I add a key?"}],
    }
    office.wait_for("/v1/models", made["key"], 200)

    answered = office.ask("POST /v1/chat/completions", made["key"], chat)
    usage = "GET /api/usage?by=project,key,user,model&project=lab"
    assert within(1.0, lambda: bool(office.ask(usage, ADMIN).json["data"]))
    answer = office.ask(usage, ADMIN).json

    (row,) = answer["data"]
    assert answered.status == 200
    assert answered.headers["x-ratelimit-remaining-requests"] == "8"
    assert (row["project"], row["key"], row["user"]) == ("lab", made["id"], "ana")
    assert row["model"] == "greenroom/reader"
    assert (row["requests"], row["calls"], row["cost_usd"]) == (1, 1, "0")
    assert answer["total"]["output_tokens"] == row["output_tokens"] > 0
    assert made["limits"]["budget_period"] == "week"
    (budget,) = [
        one for one in office.ask("GET /api/budgets", ADMIN).json["data"] if one["key"] == made["id"]
    ]
    assert (budget["limit_usd"], budget["spent_usd"], budget["left_usd"]) == ("1", "0", "1")


@pytest.mark.parametrize("query", ["by=colour", "from=yesterday", "when=now", "to=2026-13-01"])
def test_what_usage_cannot_be_asked_for_is_named(office: Office, query: str) -> None:
    answer = office.ask(f"GET /api/usage?{query}", ADMIN)

    assert answer.status == 400
    assert answer.json["error"]["param"] == query.partition("=")[0]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no name"),
        pytest.param({"name": "x", "budget_usd": 1, "budget_period": "hour"}, id="unknown period"),
        pytest.param({"name": ""}, id="empty name"),
        pytest.param({"name": "x" * 129}, id="long name"),
        pytest.param({"name": "x", "role": "owner"}, id="unknown role"),
        pytest.param({"name": "x", "colour": "red"}, id="unknown field"),
        pytest.param({"name": "x", "parallel": 0}, id="parallel zero"),
        pytest.param({"name": "x", "budget_usd": -1}, id="budget below zero"),
        pytest.param({"name": "x", "requests_per_minute": "7"}, id="a string for a number"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b'{"name": "\xff"}', id="not utf-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param({"name": "x", "budget_usd": 1e300}, id="budget past counting"),
        pytest.param({"name": "x", "tokens_per_minute": 10**30}, id="limit past counting"),
    ],
)
def test_a_malformed_key_is_the_callers_error(office: Office, body: object) -> None:
    answer = office.ask("POST /api/keys", ADMIN, body)

    assert (answer.status, answer.code) == (400, "malformed_request")


def test_the_field_that_is_wrong_is_named(office: Office) -> None:
    error = office.ask("POST /api/keys", ADMIN, {"name": "x", "role": "owner"}).json["error"]

    assert (error["param"], error["message"]) == ("role", "'role': Invalid enum value 'owner'.")


def test_a_rotated_key_works_under_both_secrets_until_the_grace_is_over(office: Office) -> None:
    made = office.create(name="rotating", project="p")

    again = office.ask(f"POST /api/keys/{made['id']}/rotate", ADMIN, {"grace_s": 3600}).json
    office.wait_for("/v1/models", again["key"], 200)
    assert office.ask("GET /v1/models", made["key"]).status == 200
    assert again["id"] == made["id"]
    assert again["key"] != made["key"]

    last = office.ask(f"POST /api/keys/{made['id']}/rotate", ADMIN, {"grace_s": 0}).json
    office.wait_for("/v1/models", last["key"], 200)
    assert [office.ask("GET /v1/models", one["key"]).status for one in (made, again)] == [401, 401]
    said = json.dumps(office.ask("GET /api/audit?kind=change&limit=20", ADMIN).json)
    assert "key.rotate" in said
    assert not any(one["key"] in said for one in (made, again, last))


def test_a_revoked_key_ends_with_both_secrets_and_is_not_rotated(office: Office) -> None:
    made = office.create(name="going", project="p")
    again = office.ask(f"POST /api/keys/{made['id']}/rotate", ADMIN, {}).json
    office.wait_for("/v1/models", again["key"], 200)
    office.ask(f"DELETE /api/keys/{made['id']}", ADMIN)

    office.wait_for("/v1/models", again["key"], 401)
    office.wait_for("/v1/models", made["key"], 401)
    assert office.ask(f"POST /api/keys/{made['id']}/rotate", ADMIN, {}).status == 409


def test_limits_are_changed_one_by_one_and_null_takes_one_away(office: Office) -> None:
    made = office.create(name="limited", project="p", requests_per_minute=5, budget_usd=2.5)
    route = f"PATCH /api/keys/{made['id']}"

    changed = office.ask(route, ADMIN, {"budget_usd": None, "tokens_per_day": 900}).json["limits"]

    assert changed["requests_per_minute"] == 5
    assert changed["budget_nano_usd"] is None
    assert changed["tokens_per_day"] == 900
    assert office.ask(route, ADMIN, {"tokens_per_day": 0}).code == "malformed_request"


def test_projects_tell_their_keys_and_what_they_cost(office: Office) -> None:
    office.create(name="one", project="counted")
    key = office.create(name="two", project="counted")["key"]
    office.wait_for("/v1/models", key, 200)
    office.chat(key, "How do I add a provider?")

    def found() -> dict[str, Any]:
        rows = office.ask("GET /api/projects", ADMIN).json["data"]
        return next(one for one in rows if one["id"] == "counted")

    deadline = time.monotonic() + 20
    while found()["usage"] is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found()["keys"] == 2
    assert found()["usage"]["requests"] == 1
    assert found()["usage"]["cost_usd"] == "0"
