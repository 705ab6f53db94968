"""The pages of users: facts shown with their evidence, and forms that change or forget them."""

import pytest

from greenroom.server.pages.users import _address
from greenroom.store.listing import TraceFilter
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Visitor


def form(admin: Visitor, **fields: str) -> dict[str, str]:
    return {"csrf": admin.token("/users/ana"), **fields}


def test_everyone_who_is_remembered_is_listed_with_a_way_to_the_facts(admin: Visitor) -> None:
    seen = admin.see("/users")

    assert seen.all("a", href="/users/ana?project=default")
    assert admin.get("/users.json").json()["data"][0]["user"] == "ana"


def test_facts_are_shown_with_evidence_and_superseded_ones_struck_out(admin: Visitor) -> None:
    page = admin.get("/users/ana").text

    assert "I live in Leeds." in page
    assert "s1:1" in page
    assert "<del>My cat is &lt;b&gt;Mia&lt;/b&gt;.</del>" in page
    assert admin.get("/users/ana.json").json()["facts"][0]["id"] == 1


def test_the_twin_tells_what_the_page_does(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert admin.get("/users/ana.json").json()["latest"] == admin.backend.requests.browse(TraceFilter()).rows
    monkeypatch.setattr(admin.backend, "records", [])

    assert admin.get("/users/nobody").status_code == 404
    assert admin.get("/users/nobody.json").status_code == 404


@pytest.mark.parametrize(
    ("fields", "done", "noted"),
    [
        ({"do": "add", "text": " I like\nrain. "}, ("add", "default", "ana", "I like rain."), "fact.add"),
        (
            {"do": "edit", "fact": "1", "text": "I live in York."},
            ("edit", "default", "ana", 1, "I live in York."),
            "fact.edit",
        ),
        ({"do": "forget-fact", "fact": "1"}, ("forget-fact", "default", "ana", 1), "fact.forget"),
        ({"do": "forget", "sure": "yes"}, ("forget", "default", "ana"), "user.forget"),
    ],
)
def test_a_form_changes_what_is_remembered(
    admin: Visitor, backend: FakeBackend, fields: dict[str, str], done: tuple[object, ...], noted: str
) -> None:
    answer = admin.post("/users/ana?project=default", form(admin, **fields))

    assert answer.status_code == 303
    assert backend.people.done == [done, (noted, "default", "ana", "key-admin")]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"do": "add", "text": "  "}, 400), ({"do": "edit", "fact": "x", "text": "a"}, 404),
        ({"do": "forget-fact", "fact": "77"}, 404), ({"do": "forget"}, 400), ({"do": "dance"}, 400), ({}, 400),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_done_says_why(
    admin: Visitor, backend: FakeBackend, fields: dict[str, str], status: int
) -> None:
    answer = admin.post("/users/ana", form(admin, **fields))

    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert backend.people.done == []


def test_a_form_from_elsewhere_changes_nothing(admin: Visitor, backend: FakeBackend) -> None:
    wanted = form(admin, do="forget", sure="yes")

    assert admin.post("/users/ana", wanted, origin="https://evil.example").status_code == 403
    assert admin.post("/users/ana", {**wanted, "csrf": "guessed"}).status_code == 403
    assert backend.people.done == []


def test_who_may_only_look_changes_nothing(visitor: Visitor, backend: FakeBackend) -> None:
    visitor.sign_in(VIEWER_KEY)
    seen = visitor.see("/users/ana")
    assert not seen.all("input", name="do")

    answer = visitor.post("/users/ana", {"csrf": visitor.token("/users"), "do": "forget", "sure": "yes"})

    assert answer.status_code == 403
    assert backend.people.done == []


@pytest.mark.parametrize("path", ["/users", "/users/ana", "/users.json", "/users/ana.json"])
def test_a_stranger_sees_nothing(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code in {303, 401}


@pytest.mark.parametrize("user", ["a/b", "../x", "ú ñ", "<script>", "a?b#c", "x" * 128])
def test_a_strange_user_has_a_page_too(admin: Visitor, backend: FakeBackend, user: str) -> None:
    backend.people.facts[user] = backend.people.facts["ana"]

    answer = admin.get(_address(user, "default"))

    assert answer.status_code == 200
    assert "<script>" not in answer.text


@pytest.mark.parametrize("path", ["/users/a/b", "/users/%FF", "/users/" + "x" * 129])
def test_who_is_not_remembered_has_none(admin: Visitor, path: str) -> None:
    assert admin.get(path).status_code == 404
