"""Feedback over HTTP, asked of a real server: at once after the answer, own projects only, no secrets kept."""

from collections.abc import Iterator

import pytest

from tests.server.office import Office
from tests.server_process import ADMIN, ServerProcess


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with ServerProcess(tmp_path_factory.mktemp("feedback") / "data") as server:
        yield Office(server)


def answered(office: Office, key: str) -> str:
    body = {"model": "default", "messages": [{"role": "user", "content": "How do I add a provider?"}]}
    return office.ask("POST /v1/chat/completions", key, body).headers["x-request-id"]


def test_an_answer_is_scored_at_once_by_the_key_that_asked(office: Office) -> None:
    id = answered(office, office.keys["app"])

    told = office.ask(
        "POST /api/feedback",
        office.keys["app"],
        {
            "id": id, "name": "helpful", "value": False, "comment": "Write to 123.456.789-09.",
            "correction": "Write to joana@example.com.",
        },
    )  # fmt: skip

    assert told.status == 201, told.body
    (score,) = office.ask(f"GET /api/traces/{id}", office.keys["viewer"]).json["scores"]
    assert (score["name"], score["value"], score["source"]) == ("helpful", 0.0, "person")
    assert "123.456.789-09" not in score["comment"]
    assert "<CPF_1>" in score["comment"]
    assert score["correction"] == "Write to <EMAIL_1>."
    listed = office.ask("GET /api/traces?score=helpful:<0.5", office.keys["viewer"]).json["data"]
    assert [one["id"] for one in listed] == [id]


def test_another_projects_key_finds_no_such_exchange(office: Office) -> None:
    id = office.chat(office.keys["app"], "Hello there.")
    other = office.create(name="elsewhere", project="q", role="app")["key"]
    office.wait_for("/v1/models", other, 200)

    assert office.ask("POST /api/feedback", other, {"id": id, "name": "good", "value": 1}).status == 404
    assert office.ask("POST /api/feedback", ADMIN, {"id": id, "name": "good", "value": 1}).status == 201


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "good", "value": 1}, None),
        ({"id": "x", "name": "Good!", "value": 1}, "name"),
        ({"id": "x", "name": "cost", "value": 1}, "name"),
        ({"id": "x", "name": "good", "value": "high"}, "value"),
        ({"id": "x", "name": "good", "value": 1, "source": "nobody"}, "source"),
        ({"id": "x", "name": "good", "value": 1, "comment": "x" * 4_001}, "comment"),
        ({"id": "x", "name": "good", "value": 1, "correction": "x" * 100_001}, "correction"),
        ({"id": "x", "name": "good", "value": 1, "more": 1}, None),
    ],
)
def test_a_body_that_says_no_score_is_told_what_is_wrong(
    office: Office, body: dict[str, object], param: str | None
) -> None:
    told = office.ask("POST /api/feedback", office.keys["app"], body)

    assert told.status == 400
    assert told.json["error"]["param"] == param
