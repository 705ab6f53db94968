"""Who may open what: one table, default deny, and nobody sees another project's things."""

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.server.pages.access import NOBODY_ELSE, ROLES, RULES, may_look, page_of, seen
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.navigation import GROUPS
from greenroom.server.pages.rendering import json_answer
from greenroom.server.pages.sessions import Session
from tests.server.pages.backend import FakeBackend, fact
from tests.server.pages.visitor import Clock, Visitor

KEYS = {role: f"gr-{role}-0123456789abcdef" for role in ROLES}
PLACES = [place for group in GROUPS for place in group.places]


class Fresh:
    """A page that somebody adds and forgets to list."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    def room(self, doors: Doors) -> list[BaseRoute]:
        async def page(request: Request, session: Session) -> Response:
            self.reached.append(f"{session.role} {request.method}")
            return json_answer({"project": seen(), "who": session.who})

        return [
            Route("/fresh", doors.page(page), methods=["GET", "POST"]),
            Route("/fresh.json", doors.twin(page)),
            Route("/fresh/{id}/deeper", doors.page(page), methods=["GET", "POST"]),
        ]


@pytest.fixture
def fresh() -> Fresh:
    return Fresh()


@pytest.fixture
def visitors(clock: Clock, fresh: Fresh) -> dict[str, Visitor]:
    found: dict[str, Visitor] = {}
    for role, key in KEYS.items():
        backend = FakeBackend()
        backend.roles = {key: role}
        found[role] = Visitor(backend, clock, more=[fresh.room])
        found[role].sign_in(key)
    return found


def test_an_unlisted_page_is_for_admins_alone(visitors: dict[str, Visitor], fresh: Fresh) -> None:
    for role in ("viewer", "operator"):
        for path in ("/fresh", "/fresh.json", "/fresh/1/deeper"):
            assert visitors[role].get(path).status_code == 403, (role, path)
        token = visitors[role].token("/")
        assert visitors[role].post("/fresh", {"csrf": token}).status_code == 403
        assert visitors[role].post("/fresh/1/deeper", {"csrf": token}).status_code == 403
    assert fresh.reached == []
    assert visitors["admin"].get("/fresh.json").json() == {"project": None, "who": "key-admin"}


def test_who_may_not_open_a_page_has_no_line_that_leads_there(visitors: dict[str, Visitor]) -> None:
    hidden = 0
    for role, visitor in visitors.items():
        lines = {one["href"] for one in visitor.see("/").all("a") if "href" in one}
        for place in PLACES:
            assert (place.path in lines) == may_look(role, place.path), (role, place)
            status = visitor.get(place.path).status_code
            assert status == 404 or (status == 403) == (not may_look(role, place.path)), (role, place)
            hidden += not may_look(role, place.path)
    assert hidden, "some pages are not for everybody"


@pytest.mark.parametrize(
    "path", ["/users/ana", "/ask", "/collections", "/finetuning/1", "/settings/keys", "/requests"]
)
def test_a_viewer_changes_nothing_anywhere(visitors: dict[str, Visitor], path: str) -> None:
    viewer = visitors["viewer"]

    answer = viewer.post(path, {"csrf": viewer.token("/"), "do": "forget", "sure": "yes", "text": "x"})

    assert answer.status_code in {403, 404, 405}
    assert viewer.backend.people.done == []
    assert viewer.backend.asked == []


def test_a_project_is_seen_by_its_own_keys_alone(visitors: dict[str, Visitor], fresh: Fresh) -> None:
    for role in ("viewer", "operator"):
        visitor = visitors[role]
        assert visitor.get("/users/ana?project=default").status_code == 200
        assert visitor.get("/users/ana?project=other").status_code == 404
        assert visitor.get("/users/ana.json?project=other").status_code == 404
        assert visitor.get("/users?project=other").status_code == 404
    operator = visitors["operator"]
    forget = {"csrf": operator.token("/"), "do": "forget", "sure": "yes"}
    assert operator.post("/users/ana?project=other", forget).status_code == 404
    assert operator.backend.people.done == []
    visitors["admin"].backend.people.facts["ana"] = [fact(1, "I live in Leeds.")]
    assert visitors["admin"].get("/users/ana?project=other").status_code == 200


def test_no_rule_lets_one_change_what_one_may_not_see() -> None:
    for name, rule in {**RULES, "anything else": NOBODY_ELSE}.items():
        assert ROLES.index(rule.change) >= ROLES.index(rule.look), name


@pytest.mark.parametrize(
    ("path", "page"),
    [("/", ""), ("/index.json", "index"), ("/requests.json", "requests"), ("/requests/a.json", "requests"),
     ("//requests", "requests"), ("/settings/keys?x=/requests", "settings"), ("/Requests", "Requests")],
)  # fmt: skip
def test_a_page_is_named_by_the_first_part_of_its_path(path: str, page: str) -> None:
    assert page_of(path) == page


def test_what_a_page_asks_by_itself_keeps_no_session_alive(visitor: Visitor, clock: Clock) -> None:
    visitor.sign_in()
    for _ in range(13):
        clock.now += 3600
        last = visitor.get("/", x_greenroom_unattended="1").status_code

    assert last == 303, "twelve hours without anybody at the keys"
