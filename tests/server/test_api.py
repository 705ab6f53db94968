"""Administration over HTTP, asked of a real server: roles, keys, filters, erasure, health, the document."""

import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.office import ROLES, Office
from tests.server_process import ADMIN

ROUTES = {  # route: the lowest role that may use it, the status it then answers
    "GET /api/traces": ("viewer", 200),
    "GET /api/traces/none": ("viewer", 404),
    "GET /api/traces/none/spans": ("viewer", 404),
    "GET /api/traces/none/otlp": ("viewer", 404),
    "DELETE /api/traces?user=nobody": ("operator", 200),
    "GET /api/sessions/none": ("viewer", 404),
    "GET /api/audit": ("viewer", 200),
    "GET /api/models": ("viewer", 200),
    "POST /api/models/explain": ("operator", 400),
    "POST /api/models/recommend": ("viewer", 200),
    "GET /api/models/facts?name=none": ("viewer", 404),
    "GET /api/models/status": ("viewer", 200),
    "GET /api/models/none/status": ("viewer", 404),
    "GET /api/models/none/lineage": ("viewer", 404),
    "POST /api/sessions": ("app", 400),
    "POST /api/feedback": ("app", 400),
    "GET /api/users": ("viewer", 200),
    "GET /api/users/none/memory": ("viewer", 200),
    "POST /api/users/none/memory": ("operator", 400),
    "DELETE /api/users/none/memory": ("operator", 200),
    "PATCH /api/users/none/memory/0": ("operator", 400),
    "PUT /api/users/none/memory/0": ("operator", 400),
    "DELETE /api/users/none/memory/0": ("operator", 404),
    "DELETE /api/users/none": ("operator", 200),
    "GET /api/keys": ("admin", 200),
    "POST /api/keys": ("admin", 400),
    "DELETE /api/keys/none": ("admin", 404),
    "PATCH /api/keys/none": ("admin", 404),
    "POST /api/keys/none/rotate": ("admin", 404),
    "GET /api/projects": ("admin", 200),
    "PATCH /api/projects/none": ("admin", 400),
    "GET /api/config": ("admin", 200),
    "GET /api/experiments": ("admin", 200),
    "GET /api/experiments/none": ("admin", 404),
    "POST /api/experiments/none/start": ("admin", 404),
    "POST /api/experiments/none/stop": ("admin", 404),
    "POST /api/experiments/none/promote": ("admin", 400),
    "GET /api/deployments": ("admin", 200),
    "POST /api/deployments": ("admin", 400),
    "GET /api/deployments/none": ("admin", 404),
    "GET /api/deployments/none/history": ("admin", 404),
    "POST /api/deployments/none/promote": ("admin", 404),
    "POST /api/deployments/none/rollback": ("admin", 404),
    "GET /api/drift": ("viewer", 200),
    "GET /api/drift/metric?app=none&metric=language": ("viewer", 404),
    "POST /api/drift/accept": ("admin", 400),
    "GET /api/canaries": ("admin", 200),
    "POST /api/canaries/accept": ("admin", 400),
    "GET /api/quality": ("viewer", 200),
    "GET /api/quality?days=0": ("viewer", 400),
    "GET /api/alerts": ("viewer", 200),
    "GET /api/alerts/rules": ("admin", 200),
    "POST /api/alerts/test": ("admin", 400),
    "GET /api/alerts/silences": ("viewer", 200),
    "POST /api/alerts/silences": ("operator", 400),
    "DELETE /api/alerts/silences/none": ("operator", 404),
    "GET /api/alerts/none": ("viewer", 404),
    "POST /api/alerts/none/acknowledge": ("operator", 404),
    "GET /api/prompts": ("operator", 200),
    "GET /api/prompts/none": ("operator", 404),
    "GET /api/prompts/none/diff?from=1&to=2": ("operator", 404),
    "GET /api/prompts/none/lint": ("operator", 404),
    "POST /api/prompts/none/versions": ("admin", 400),
    "POST /api/prompts/none/labels/{label}": ("admin", 400),
    "DELETE /api/prompts/none/labels/{label}": ("admin", 404),
    "POST /api/prompts/none/labels/{label}/rollback": ("admin", 404),
    "GET /api/usage?by=key,model": ("admin", 200),
    "GET /api/budgets": ("admin", 200),
    "GET /api/budgets?by=key": ("admin", 400),
    "GET /api/collections": ("viewer", 200),
    "POST /api/collections": ("operator", 400),
    "GET /api/collections/none": ("viewer", 404),
    "DELETE /api/collections/none": ("operator", 404),
    "DELETE /api/collections/none/documents/{document}": ("operator", 404),
}
OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", ROUTES)
def test_a_route_serves_its_role_and_those_above_it(office: Office, route: str, role: str) -> None:
    lowest, status = ROUTES[route]
    is_enough = ROLES.index(role) >= ROLES.index(lowest)

    answer = office.ask(route, office.keys[role], {} if route.startswith("P") else None)

    assert answer.status == (status if is_enough else 403)
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.status == 200 or answer.code != ""
    assert is_enough or answer.code == "not_allowed"


@pytest.mark.parametrize("key", [None, "gr-unknown"], ids=["no key", "unknown key"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_route_refuses_those_without_a_key(office: Office, route: str, key: str | None) -> None:
    answer = office.ask(route, key)

    assert (answer.status, answer.code) == (401, "invalid_api_key")
    assert len(answer.headers["x-request-id"]) == 32


def test_a_body_over_a_megabyte_is_too_large(office: Office) -> None:
    answer = office.ask("POST /api/keys", ADMIN, b" " * (1024 * 1024 + 1))

    assert (answer.status, answer.code) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        pytest.param("limit=0", "limit", id="limit zero"),
        pytest.param("limit=501", "limit", id="limit too large"),
        pytest.param("limit=-1", "limit", id="limit below zero"),
        pytest.param("limit=ten", "limit", id="limit a word"),
        pytest.param("limit=%D9%A3", "limit", id="limit in other digits"),
        pytest.param("limit=" + "9" * 5000, "limit", id="limit endless"),
        pytest.param("from=yesterday", "from", id="from a word"),
        pytest.param("to=2026-13-01", "to", id="to in month 13"),
        pytest.param("cursor=abc", "cursor", id="cursor a word"),
        pytest.param("cursor=" + "9" * 40, "cursor", id="cursor endless"),
        pytest.param("q=%21%21", "q", id="search without a word"),
        pytest.param("colour=red", "colour", id="unknown filter"),
    ],
)
def test_a_bad_filter_is_named(office: Office, query: str, param: str) -> None:
    answer = office.ask(f"GET /api/traces?{query}", ADMIN)

    assert (answer.status, answer.code) == (400, "malformed_request")
    assert answer.json["error"]["param"] == param


@pytest.mark.parametrize(
    "query",
    ["app=none", "model=none", "outcome=none", "session=none", "user=none", "tag=none", "q=none-such",
     "tag=a%3Db", "app=%27%20OR%201%3D1", "from=2200-01-01", "to=1999-01-01T00:00:00Z", "cursor=1", "user=%00"],
)  # fmt: skip
def test_a_filter_that_fits_nothing_lists_nothing(office: Office, query: str) -> None:
    office.chat(office.keys["app"], "Something that is stored")

    answer = office.ask(f"GET /api/traces?{query}", ADMIN)

    assert answer.status == 200
    assert answer.json == {"data": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("from=1970-01-01&to=2200-01-01", id="the epoch and far ahead"),
        pytest.param("from=0001-01-01", id="the first year"),
        pytest.param("to=9999-12-31", id="the last year"),
    ],
)
def test_a_time_far_away_is_a_time(office: Office, query: str) -> None:
    id = office.chat(office.keys["app"], "Something that is stored")

    answer = office.ask(f"GET /api/traces?{query}", ADMIN)

    assert answer.status == 200
    assert answer.json["data"][0]["id"] == id


def test_pages_of_traces_follow_one_another_newest_first(office: Office) -> None:
    ids = [office.chat(office.keys["app"], f"Question {n}", user="pager") for n in range(3)]

    first = office.ask("GET /api/traces?user=pager&limit=2", ADMIN).json
    second = office.ask(f"GET /api/traces?user=pager&limit=2&cursor={first['next']}", ADMIN).json

    assert [row["id"] for row in first["data"] + second["data"]] == ids[::-1]
    assert second["next"] is None


def test_a_viewer_sees_its_own_project_only(office: Office) -> None:
    own = office.chat(office.keys["app"], "Ours")
    other = office.chat(office.server.local_key, "Theirs")

    listed = [row["id"] for row in office.ask("GET /api/traces", office.keys["viewer"]).json["data"]]

    assert own in listed
    assert other not in listed
    assert office.ask(f"GET /api/traces/{own}", office.keys["viewer"]).status == 200
    assert office.ask(f"GET /api/traces/{other}", office.keys["viewer"]).status == 404


@pytest.mark.parametrize("name", ["s-1", "s@1:a+b", pytest.param("s/1")])
def test_a_session_holds_what_was_said(office: Office, name: str) -> None:
    office.chat(office.keys["app"], "Remember the heron", session=name)

    session = office.ask(f"GET /api/sessions/{quote(name, safe='')}", office.keys["viewer"])

    assert session.status == 200
    assert session.json["id"] == name
    assert session.json["turns"][0]["text"] == "Remember the heron"


def test_erasure_needs_a_user_and_takes_that_users_traces_only(office: Office) -> None:
    gone = office.chat(office.keys["app"], "Forget me", user="ana")
    stays = office.chat(office.keys["app"], "Keep me", user="bia")
    operator = office.keys["operator"]

    nobody = office.ask("DELETE /api/traces", operator)
    erased = office.ask("DELETE /api/traces?user=ana", operator)

    assert (nobody.status, nobody.json["error"]["param"]) == (400, "user")
    assert erased.json == {"deleted": 1}
    assert office.ask(f"GET /api/traces/{gone}", ADMIN).status == 404
    assert office.ask(f"GET /api/traces/{stays}", ADMIN).status == 200
    assert office.ask("DELETE /api/traces?user=ana", operator).json == {"deleted": 0}


def test_the_document_lists_every_route_and_its_role(office: Office) -> None:
    document = office.ask("GET /openapi.json").json

    described = {
        f"{method.upper()} {path}": operation.get("description", "")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        # Those with an id of a file, store, response, conversation, eval or job: tests/clients
        if not path.startswith(
            (
                "/v1/files",
                "/v1/batches",
                "/v1/uploads",
                "/v1/vector_stores",
                "/v1/responses/",
                "/v1/conversations",
                "/v1/evals",
                "/v1/fine_tuning/",
            )
        )
    }
    served = {
        route.partition("?")[0].replace("none", "{id}").replace("/0", "/{fact}"): role
        for route, (role, _) in ROUTES.items()
    }
    fast = {
        "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/messages", "POST /v1/messages/count_tokens",
        "POST /v1/responses", "POST /v1/embeddings", "POST /v1/moderations", "GET /v1/models",
        "GET /v1/models/{model}", "DELETE /v1/models/{model}",
        "POST /api/inspect", "POST /v1/traces", "POST /v1/logs",
    }  # fmt: skip
    assert set(described) == {*served, *fast, *(f"GET {path}" for path in OPEN)}
    assert all(f"'{role}'" in described[route] for route, role in served.items())


def test_the_document_tells_statuses_media_and_what_must_be_named(office: Office) -> None:
    paths = office.ask("GET /openapi.json").json["paths"]

    assert "201" in paths["/api/keys"]["post"]["responses"]
    assert set(paths["/v1/chat/completions"]["post"]["responses"]["200"]["content"]) == {
        "application/json", "text/event-stream",
    }  # fmt: skip
    assert "text/plain" in paths["/metrics"]["get"]["responses"]["200"]["content"]
    [user] = paths["/api/traces"]["delete"]["parameters"]
    assert (user["name"], user["required"]) == ("user", True)


@pytest.mark.parametrize("path", OPEN)
def test_health_metrics_and_the_document_need_no_key_here(office: Office, path: str) -> None:
    answer = office.ask(f"GET {path}")
    head = office.ask(f"HEAD {path}")

    assert answer.status == head.status == 200
    assert answer.body
    assert head.body == b""
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_opens_metrics_to_nobody(office: Office, header: str) -> None:
    forwarded = {header: "203.0.113.9"}

    assert office.ask("GET /metrics", headers=forwarded).status == 401
    assert office.ask("GET /metrics", office.keys["viewer"], headers=forwarded).status == 200


def test_metrics_count_what_was_answered(office: Office) -> None:
    office.chat(office.keys["app"], "Count me")

    lines = office.ask("GET /metrics").body.decode().splitlines()

    assert any(
        line.startswith('greenroom_requests_total{app="default",outcome="answered"} ') for line in lines
    )
    assert "greenroom_traces_lost_total 0" in lines


def test_the_configuration_in_force_shows_no_key(office: Office) -> None:
    answer = office.ask("GET /api/config", ADMIN)

    assert set(answer.json) == {"file", "config", "version"}
    assert ADMIN.encode() not in answer.body


@pytest.mark.parametrize("path", ["/api/none", "/api/traces/a/b", "/none", pytest.param("/v1/none")])
def test_an_unknown_route_answers_with_the_envelope(office: Office, path: str) -> None:
    answer = office.ask(f"GET {path}", ADMIN)

    assert (answer.status, answer.code) == (404, "not_found")
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("route", "allowed"),
    [
        ("PUT /api/traces", {"GET", "HEAD", "DELETE"}),
        ("POST /api/traces/none", {"GET", "HEAD"}),
        ("DELETE /api/keys", {"GET", "HEAD", "POST"}),
        ("GET /api/keys/none", {"DELETE", "PATCH"}),
        ("POST /healthz", {"GET", "HEAD"}),
        pytest.param("GET /api/inspect", {"POST"}),
        pytest.param("GET /v1/chat/completions", {"POST"}),
    ],
)
def test_a_method_that_a_route_does_not_take_is_answered_with_those_it_takes(
    office: Office, route: str, allowed: set[str]
) -> None:
    answer = office.ask(route, ADMIN)

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert {name.strip() for name in answer.headers["allow"].split(",")} == allowed
    assert len(answer.headers["x-request-id"]) == 32


def test_inspection_is_for_any_key_and_stores_nothing(office: Office) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "Look at this"}], "reply": "Seen."}

    answer = office.ask("POST /api/inspect", office.keys["app"], body)

    assert answer.status == 200
    assert answer.json["reply"]["text"] == "Seen."
    assert office.ask(f"GET /api/traces/{answer.headers['x-request-id']}", ADMIN).status == 404


def test_the_audit_log_shows_changes_to_admins_and_findings_of_its_own_project_to_others(
    office: Office,
) -> None:
    made = office.create(name="watched", project="p")
    office.wait_for("/v1/models", made["key"], 200)
    body = {"model": "default", "messages": [{"role": "user", "content": "CPF 390.533.447-05"}]}
    office.ask("POST /v1/chat/completions", made["key"], body)
    office.ask("DELETE /api/traces?user=somebody", office.keys["operator"])

    def lines(key: str, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = office.ask(f"GET /api/audit?{query}", key).json["data"]
        return found

    deadline = time.monotonic() + 20
    while not lines(ADMIN, f"key={made['id']}"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    changes = lines(ADMIN, "kind=change")
    assert {"key.create", "traces.erase"} <= {one["what"] for one in changes}
    assert {one["address"] for one in changes if one["what"] == "traces.erase"} == {"127.0.0.1"}
    assert made["key"] not in str(changes)
    assert "somebody" not in str(changes)
    assert {one["kind"] for one in lines(office.keys["viewer"], "limit=500")} == {"finding"}
    assert {one["project"] for one in lines(office.keys["viewer"], "project=other")} == {"p"}
    assert office.ask("GET /api/audit?kind=change", office.keys["viewer"]).code == "not_allowed"


@pytest.mark.parametrize(
    "query", ["kind=x", "limit=0", "limit=x", "nobody=1", "from=x", "cursor=x", "cursor=1.x"]
)
def test_a_wrong_query_of_the_audit_log_is_named(office: Office, query: str) -> None:
    answer = office.ask(f"GET /api/audit?{query}", ADMIN)

    assert (answer.status, answer.code) == (400, "malformed_request")
    assert answer.json["error"]["param"] == query.partition("=")[0]


def test_the_audit_log_is_read_page_by_page_without_a_gap(office: Office) -> None:
    for number in range(5):
        office.create(name=f"key {number}")
    whole = office.ask("GET /api/audit?limit=500", ADMIN).json["data"]

    pages: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = office.ask(f"GET /api/audit?limit=2{cursor}", ADMIN).json
        pages += page["data"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert [(one["kind"], one["number"]) for one in pages] == [(one["kind"], one["number"]) for one in whole]


def test_an_inspection_holds_a_reply_to_its_form_and_its_passages(office: Office) -> None:
    document = {"title": "Torre", "text": "A torre tem 84 metros de altura. Foi concluída em 1921."}
    asked = {"model": "default", "messages": [{"role": "user", "content": "Qual é a altura da torre?"}]}

    grounded = {**asked, "documents": [document], "reply": "A torre tem 48 metros de altura. É de 1921."}
    formed = {**asked, "response_format": {"type": "json_object"}, "reply": "Aqui está: {'metros': 84,}"}
    steps = [
        {
            step["step"]: step
            for step in office.ask("POST /api/inspect", office.keys["app"], body).json["stages"]
        }
        for body in (grounded, formed)
    ]

    sentences = steps[0]["verify"]["notes"]["sentences"]
    assert [(one["label"], one.get("missing")) for one in sentences] == [
        ("not", ["number"]),
        ("supported", None),
    ]
    assert steps[1]["conform"]["changes"][0]["after"] == '{"metros":84}'


def test_a_schema_that_cant_be_used_is_told_at_once(office: Office) -> None:
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"$ref": "https://example.com/x"}},
    }
    body = {"model": "default", "messages": [{"role": "user", "content": "?"}], "response_format": wanted}

    answer = office.ask("POST /v1/chat/completions", office.keys["app"], body)

    assert answer.status == 400
    assert answer.json["error"]["param"] == "response_format.json_schema.schema"


def test_an_answer_that_never_fits_is_an_error_streamed_or_not(office: Office) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"model": "default", "messages": [{"role": "user", "content": "?"}], "response_format": wanted}

    for stream in (False, True):
        answer = office.ask("POST /v1/chat/completions", office.keys["app"], {**body, "stream": stream})
        assert (answer.status, answer.json["error"]["code"]) == (502, "response_not_conforming")
