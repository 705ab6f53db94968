"""Users over HTTP, asked of a real server: importing, recalling, editing and forgetting."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.office import Office
from tests.server_process import ADMIN, ServerProcess

DOCS = (Path(__file__).parent.parent.parent / "docs" / "memory.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with ServerProcess(tmp_path_factory.mktemp("users") / "data") as server:
        yield Office(server)


def turns(*texts: str, role: str = "user") -> list[dict[str, str]]:
    return [
        {"role": role, "text": text, "time": f"2026-03-0{day}T10:00:00Z"} for day, text in enumerate(texts, 1)
    ]


def import_(office: Office, session: str, user: str, *texts: str, **fields: object) -> dict[str, Any]:
    answer = office.ask(
        "POST /api/sessions", office.keys["app"],
        {"session": session, "user": user, "turns": turns(*texts), **fields},
    )  # fmt: skip
    assert answer.status == 201, answer.body
    row: dict[str, Any] = answer.json
    return row


def recalled(office: Office, question: str, user: str, **fields: object) -> list[str]:
    body = {"model": "default", "messages": [{"role": "user", "content": question}], "user": user, **fields}
    answer = office.ask("POST /api/inspect", office.keys["operator"], body)
    assert answer.status == 200, answer.body
    return [one["text"] for one in answer.json["recalled"]]


def test_a_past_conversation_is_taken_in_once_and_recalled(office: Office) -> None:
    first = import_(office, "a1", "ana", "I live in Leeds.", "Thanks!")
    again = import_(office, "a1", "ana", "I live in Leeds.", "Thanks!")
    longer = import_(office, "a1", "ana", "I live in Leeds.", "Thanks!", "I moved to York.")

    assert [one["added"] for one in (first, again, longer)] == [2, 0, 1]
    assert recalled(office, "Where do I live?", "ana") == ["I moved to York."]
    session = office.ask("GET /api/sessions/a1", office.keys["viewer"]).json
    assert [(one["turn"], one["text"], one["user"]) for one in session["turns"]] == [
        (1, "I live in Leeds.", "ana"), (2, "Thanks!", "ana"), (3, "I moved to York.", "ana"),
    ]  # fmt: skip


def test_another_conversation_under_the_same_name_is_a_conflict(office: Office) -> None:
    import_(office, "b1", "bea", "I live in Leeds.")

    answer = office.ask(
        "POST /api/sessions",
        office.keys["app"],
        {"session": "b1", "user": "bea", "turns": turns("I live in Rome.")},
    )

    assert (answer.status, answer.code) == (409, "conflict")
    import_(office, "b1", "someone else", "I live in Rome.")
    assert recalled(office, "Where do I live?", "bea") == ["I live in Leeds."]


def test_personal_data_is_masked_before_it_is_kept(office: Office) -> None:
    import_(
        office, "c1", "cy", "My CPF is 529.982.247-25 and my mail is cy@example.com.", "Again: cy@example.com"
    )

    session = office.ask("GET /api/sessions/c1", office.keys["viewer"]).json

    assert [one["text"] for one in session["turns"]] == [
        "My CPF is <CPF_1> and my mail is <EMAIL_1>.", "Again: <EMAIL_1>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {}, {"session": "x", "turns": []}, {"session": "", "turns": turns("a")},
        {"session": "x", "turns": [{"role": "robot", "text": "a"}]},
        {"session": "x", "turns": [{"role": "user", "text": "a", "time": "yesterday"}]},
        {"session": "x", "turns": [{"role": "user", "text": "a", "time": 1e300}]},
        {"session": "x", "turns": [{"role": "user", "text": "a", "time": -5}]},
        {"session": "x", "turns": turns("a"), "more": 1}, {"session": "x" * 129, "turns": turns("a")}, [],
    ],
)  # fmt: skip
def test_a_malformed_conversation_is_refused(office: Office, body: object) -> None:
    answer = office.ask("POST /api/sessions", office.keys["app"], body)

    assert (answer.status, answer.code) == (400, "malformed_request")


def test_a_huge_conversation_is_refused_and_a_huge_turn_is_not(office: Office) -> None:
    big = {"session": "big", "user": "big", "turns": [{"role": "user", "text": "x" * 900_000}] * 10}

    assert office.ask("POST /api/sessions", office.keys["app"], big).status == 413
    assert import_(office, "big", "big", "I live in Leeds. " + "x" * 100_000)["added"] == 1


def test_facts_are_listed_added_changed_and_forgotten(office: Office) -> None:
    import_(office, "d1", "dan", "I live in Leeds.", "My cat is called Mia.")
    key = office.keys["operator"]

    added = office.ask("POST /api/users/dan/memory", key, {"text": "I live in Bath."})
    assert added.status == 201
    changed = office.ask(f"PATCH /api/users/dan/memory/{added.json['id']}", key, {"text": "I live in Hull."})
    assert changed.status == 200
    found = office.ask("GET /api/users/dan/memory", office.keys["viewer"]).json
    current = [one["text"] for one in found["facts"] if not one["superseded"]]
    assert current == ["I live in Hull.", "My cat is called Mia."]
    cat = next(one for one in found["facts"] if one["slot"] == "pet:cat")
    assert cat["evidence"][0]["session"] == "d1"
    assert office.ask(f"DELETE /api/users/dan/memory/{cat['id']}", key).json["deleted"] is True
    assert office.ask(f"DELETE /api/users/dan/memory/{cat['id']}", key).status == 404
    assert recalled(office, "Where do I live?", "dan") == ["I live in Hull."]
    assert office.ask("DELETE /api/users/dan/memory", key).json == {"facts": 3, "turns": 2}
    assert office.ask("GET /api/users/dan/memory", key).json == {"user": "dan", "turns": 0, "facts": []}


def test_a_fact_with_personal_data_is_not_written(office: Office) -> None:
    answer = office.ask(
        "POST /api/users/eve/memory", office.keys["operator"], {"text": "My mail is eve@example.com."}
    )

    assert (answer.status, answer.code) == (400, "malformed_request")


def test_one_call_forgets_a_user_with_the_traces(office: Office) -> None:
    key = office.keys["operator"]
    office.chat(key, "I live in Leeds.", user="fay")
    assert recalled(office, "Where do I live?", "fay") == ["I live in Leeds."]

    gone = office.ask("DELETE /api/users/fay", key).json

    assert gone == {"facts": 1, "turns": 2, "responses": 0, "spans": 0, "traces": 1}
    assert recalled(office, "Where do I live?", "fay") == []
    assert office.ask("GET /api/traces?user=fay", key).json["data"] == []
    assert "fay" not in [one["user"] for one in office.ask("GET /api/users", key).json["data"]]
    noted = office.ask("GET /api/audit?kind=change&limit=1", office.keys["admin"]).json["data"]
    assert [one["what"] for one in noted] == ["user.forget"]
    assert "fay" not in str(noted)


def test_the_whole_conversation_sent_each_time_is_kept_once(office: Office) -> None:
    key = office.keys["operator"]
    messages: list[dict[str, str]] = []
    for text in ("I live in Leeds.", "My cat is called Mia.", "I work as a nurse."):
        messages.append({"role": "user", "content": text})
        answer = office.ask(
            "POST /v1/chat/completions", key, {"model": "default", "user": "gus", "messages": messages}
        )
        messages.append({"role": "assistant", "content": answer.json["choices"][0]["message"]["content"]})

    found = office.ask("GET /api/users/gus/memory", key).json

    assert found["turns"] == 6
    assert [len(one["evidence"]) for one in found["facts"]] == [1, 1, 1]


@pytest.mark.parametrize(
    "fields",
    [{"safety_identifier": "hal"}, {"metadata": {"user": "hal"}}],
    ids=["safety_identifier", "metadata"],
)
def test_the_user_is_named_in_either_field(office: Office, fields: dict[str, object]) -> None:
    import_(office, "h1", "hal", "I live in Leeds.")

    assert recalled(office, "Where do I live?", "", **fields) == ["I live in Leeds."]


@pytest.mark.parametrize(
    "id", ["a/b", "../ana", "ú ñ", "x" * 128, "' OR 1=1 --", "a%2Fb", "memory", "<b>", "a.json"]
)
def test_a_strange_id_is_an_id_like_any_other(office: Office, id: str) -> None:
    import_(office, "strange", id, "I live in Leeds.")
    path = f"/api/users/{quote(id, safe='')}"
    key = office.keys["operator"]

    assert len(office.ask(f"GET {path}/memory", key).json["facts"]) == 1
    assert office.ask(f"DELETE {path}", key).json["facts"] == 1


@pytest.mark.parametrize(
    "path", ["/api/users/a/b", "/api/users/x/memory/1/2", "/api/users//memory", "/api/users/%FF"]
)
def test_an_address_that_names_no_user_forgets_nobody(office: Office, path: str) -> None:
    import_(office, "kept", "b", "I live in Leeds.")

    answer = office.ask(f"DELETE {path}", office.keys["operator"])

    assert answer.status in {400, 404}
    assert len(office.ask("GET /api/users/b/memory", office.keys["operator"]).json["facts"]) == 1


def test_a_user_of_another_project_is_not_seen(office: Office) -> None:
    import_(office, "i1", "ida", "I live in Leeds.")

    assert office.ask("GET /api/users/ida/memory", ADMIN).json["facts"] == []
    assert len(office.ask("GET /api/users/ida/memory?project=p", ADMIN).json["facts"]) == 1
    assert office.ask("GET /api/users/ida/memory?project=q", office.keys["operator"]).code == "not_allowed"


def test_the_examples_of_the_page_run_as_they_stand(tmp_path: Path) -> None:
    answers = []
    with ServerProcess(tmp_path / "data") as server:
        office = Office(server)
        for line in re.findall(r"^curl .*", DOCS, re.MULTILINE):
            words = shlex.split(line)
            path = next(word for word in words if word.startswith("http")).partition(":8484")[2]
            body = words[words.index("-d") + 1].encode() if "-d" in words else None
            method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
            answers.append(office.ask(f"{method} {path}", office.keys["operator"], body))

    assert [one.status for one in answers] == [201, 201, 200, 200, 201, 200, 200, 200]
    assert [one["text"] for one in answers[2].json["recalled"]] == ["I moved to Olinda last week."]
    assert answers[-1].json["turns"] == 3
