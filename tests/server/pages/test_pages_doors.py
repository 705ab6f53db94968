import sqlite3

import pytest

from greenroom.server.pages.forms import local_path
from tests.server.pages.backend import ADMIN_KEY, VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Visitor

PAGES = ["/", "/requests", "/requests/old-1", "/ask", "/logout"]
TWINS = ["/index.json", "/requests.json", "/requests/old-1.json"]


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_sign_in(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("path", TWINS)
def test_a_stranger_gets_no_json(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_signed_in"
    assert visitor.backend.filters == []


def test_signing_in_leads_to_the_page_that_was_asked_for(visitor: Visitor) -> None:
    wanted = visitor.get("/requests?outcome=failed").headers["location"]
    form = visitor.see(wanted).all("input", name="next")[0]["value"]

    answer = visitor.try_key(ADMIN_KEY, next=form)

    assert answer.headers["location"] == "/requests?outcome=failed"


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\r\nb",
        "evil",
    ],
)
def test_signing_in_never_leads_elsewhere(visitor: Visitor, address: str) -> None:
    assert local_path(address) == "/"
    assert visitor.try_key(ADMIN_KEY, next=address).headers["location"] == "/"


@pytest.mark.parametrize("key", ["", "wrong", "gr-app", "\x00", "ключ", "' OR 1=1 --"])
def test_a_wrong_key_opens_nothing_and_is_not_repeated(visitor: Visitor, key: str) -> None:
    answer = visitor.try_key(key)

    assert answer.status_code == 403
    assert "greenroom_session" not in answer.headers.get("set-cookie", "")
    assert not key.strip("\x00") or key not in answer.text
    assert visitor.get("/").status_code == 303


def test_the_session_cookie_is_out_of_reach(visitor: Visitor) -> None:
    cookie = next(
        one
        for one in visitor.try_key(ADMIN_KEY).headers.get_list("set-cookie")
        if "greenroom_session=" in one
    )

    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert ADMIN_KEY not in cookie


def test_the_session_cookie_is_secure_under_tls(backend: FakeBackend, clock: Clock) -> None:
    with Visitor(backend, clock, "https://testserver") as visitor:
        cookies = visitor.try_key(ADMIN_KEY).headers.get_list("set-cookie")

    assert all("Secure" in one and one.startswith("__Host-greenroom_") for one in cookies)


def test_signing_in_again_makes_a_fresh_session_and_ends_the_old_one(admin: Visitor) -> None:
    old = admin.client.cookies["greenroom_session"]
    admin.client.cookies.clear()
    token = admin.token("/login")
    both = f"greenroom_session={old}; greenroom_login={admin.client.cookies['greenroom_login']}"
    admin.client.cookies.clear()

    answer = admin.post("/login", {"csrf": token, "key": ADMIN_KEY}, cookie=both)

    assert answer.status_code == 303
    assert admin.client.cookies["greenroom_session"] != old
    admin.client.cookies.clear()
    assert admin.get("/", cookie=f"greenroom_session={old}").status_code == 303


def test_signing_out_ends_the_session_on_the_server(admin: Visitor) -> None:
    id = admin.client.cookies["greenroom_session"]

    answer = admin.post("/logout", {"csrf": admin.token("/")})

    assert answer.headers["location"] == "/login"
    assert admin.get("/", cookie=f"greenroom_session={id}").status_code == 303


def test_a_session_ends_after_twelve_idle_hours(admin: Visitor, clock: Clock) -> None:
    clock.now += 11.9 * 3600
    assert admin.get("/").status_code == 200
    clock.now += 12.1 * 3600

    assert admin.get("/").status_code == 303


def test_a_revoked_key_ends_its_session_within_a_second(admin: Visitor, clock: Clock) -> None:
    assert admin.get("/").status_code == 200
    del admin.backend.roles[ADMIN_KEY]
    clock.now += 1.0

    assert admin.get("/").status_code == 303
    assert admin.get("/requests.json").status_code == 401


def test_five_wrong_keys_are_free_then_each_one_waits_longer(visitor: Visitor, clock: Clock) -> None:
    statuses = [visitor.try_key("wrong").status_code for _ in range(5)]
    assert statuses == [403] * 5

    waits = []
    for _ in range(4):
        refused = visitor.try_key(ADMIN_KEY)
        assert refused.status_code == 429
        waits.append(int(refused.headers["retry-after"]))
        clock.now += waits[-1]
        assert visitor.try_key("wrong").status_code == 403

    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]


def test_no_key_is_looked_at_while_one_has_to_wait(visitor: Visitor) -> None:
    for _ in range(5):
        visitor.try_key("wrong")
    looked_at = len(visitor.backend.verified)

    visitor.try_key(ADMIN_KEY)

    assert len(visitor.backend.verified) == looked_at


def test_the_right_key_lets_in_after_the_wait(visitor: Visitor, clock: Clock) -> None:
    for _ in range(5):
        visitor.try_key("wrong")
    clock.now += 301

    assert visitor.try_key(ADMIN_KEY).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"origin": "http://evil.example"}, id="another site"),
        pytest.param({"origin": "https://testserver"}, id="another scheme"),
        pytest.param({"origin": "http://testserver:8080"}, id="another port"),
        pytest.param({"origin": "null"}, id="no site at all"),
        pytest.param(
            {"origin": "http://testserver", "sec_fetch_site": "cross-site"}, id="the browser says cross-site"
        ),
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/ask"])
def test_a_form_from_elsewhere_is_refused(admin: Visitor, path: str, headers: dict[str, str]) -> None:
    fields = {"csrf": admin.token("/"), "text": "Hello", "app": "default", "key": ADMIN_KEY}

    answer = admin.post(path, fields, **headers)

    assert answer.status_code == 403
    assert admin.backend.asked == []
    assert admin.get("/").status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "é"])
@pytest.mark.parametrize("path", ["/login", "/logout", "/ask"])
def test_a_form_without_its_token_is_refused(admin: Visitor, path: str, token: str) -> None:
    answer = admin.post(path, {"csrf": token, "text": "Hello", "app": "default", "key": ADMIN_KEY})

    assert answer.status_code == 403
    assert admin.backend.asked == []
    assert admin.get("/").status_code == 200


def test_a_request_that_says_nothing_of_its_origin_is_refused(admin: Visitor) -> None:
    answer = admin.client.post("/ask", data={"csrf": admin.token("/"), "text": "Hello", "app": "default"})

    assert answer.status_code == 403


def test_a_viewer_looks_but_does_not_ask(visitor: Visitor) -> None:
    visitor.sign_in(VIEWER_KEY)
    home = visitor.see("/")

    answer = visitor.post(
        "/ask", {"csrf": home.all("input", name="csrf")[0]["value"], "text": "Hello", "app": "default"}
    )

    assert home.all("textarea") == []
    assert answer.status_code == 403
    assert visitor.backend.asked == []


def test_a_form_that_is_too_long_or_none_is_refused(admin: Visitor) -> None:
    token = admin.token("/")

    too_long = admin.post("/ask", {"csrf": token, "text": "x" * 600_000, "app": "default"})
    no_form = admin.client.post("/ask", json={"csrf": token}, headers={"origin": admin.origin})
    too_many = admin.client.post(
        "/ask", content="a=1&" * 500,
        headers={"origin": admin.origin, "content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip

    assert [too_long.status_code, no_form.status_code, too_many.status_code] == [413, 400, 400]


def test_a_link_from_another_site_is_asked_again_from_here(visitor: Visitor) -> None:
    answer = visitor.get("/requests/old-1?x=\"'<", sec_fetch_site="cross-site")

    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert "0;url=/requests/old-1?x=" in answer.text


@pytest.mark.parametrize(
    ("path", "kind"), [("/requests", "text/html"), ("/requests.json", "application/json")]
)
def test_a_damaged_store_is_told_with_what_to_do(
    admin: Visitor, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    def breaks(wanted: object) -> object:
        raise sqlite3.DatabaseError("file is not a database")

    monkeypatch.setattr(admin.backend.requests, "browse", breaks)
    answer = admin.get(path)

    assert answer.status_code == 500
    assert kind in answer.headers["content-type"]
    assert "file is not a database" in answer.text
    assert "greenroom db check" in answer.text
