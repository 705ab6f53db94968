"""Two projects on one server: neither's viewers and operators see anything of the other on any page."""

import re
from collections.abc import Iterator

import httpx2
import pytest

from greenroom.server.pages.access import may_look
from greenroom.server.pages.navigation import GROUPS
from tests.patience import within
from tests.server_process import ADMIN, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PLACES = [place.path for group in GROUPS for place in group.places]
"""Every page of the bar, those that are added later among them."""


_OPEN: list[httpx2.Client] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def sign_in(url: str, key: str) -> httpx2.Client:
    client = httpx2.Client(base_url=url, timeout=20, headers={"accept": "text/html"})
    _OPEN.append(client)
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    answer = client.post("/login", data={"csrf": token[1], "key": key}, headers={"origin": url})
    assert answer.status_code == 303, answer.text
    return client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("tenants") / "data", None) as one:
        yield one


def make_key(admin: httpx2.Client, url: str, name: str, project: str, role: str) -> str:
    """A key made by hand on the settings page; within a second the server knows it."""
    page = admin.get("/settings/keys").text
    fields = dict(re.findall(r'name="(csrf|once)" value="([^"]+)"', page))
    answer = admin.post(
        "/settings/keys", data={**fields, "do": "create", "name": name, "project": project, "role": role},
        headers={"origin": url},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    found = re.search(r'id="made-key">([^<]+)<', answer.text)
    assert found is not None
    head = {"authorization": f"Bearer {found[1]}"}
    assert within(1.0, lambda: httpx2.get(f"{url}/v1/models", headers=head).status_code != 401)
    return found[1]


def test_a_project_shows_nothing_of_another(server: ServerProcess) -> None:
    admin = sign_in(server.url, ADMIN)
    keys = {
        (project, role): make_key(admin, server.url, f"{project} {role}", project, role)
        for project in ("north", "south") for role in ("app", "viewer", "operator")
    }  # fmt: skip
    status, _ = server.ask("Where is the secret lighthouse of the north?", key=keys["north", "app"])
    assert status == 200
    body = {"user": "nora-of-the-north", "session": "n1",
            "turns": [{"role": "user", "text": "I live in the north.", "time": "2026-03-01T10:00:00Z"}]}  # fmt: skip
    told = httpx2.post(
        f"{server.url}/api/sessions", json=body, headers={"authorization": f"Bearer {keys['north', 'app']}"}
    )
    assert told.status_code < 300, told.text
    made = httpx2.post(
        f"{server.url}/v1/vector_stores", json={"name": "northern charts"},
        headers={"authorization": f"Bearer {keys['north', 'app']}"},
    )  # fmt: skip
    assert made.status_code == 200
    viewer = sign_in(server.url, keys["north", "viewer"])
    assert within(1.0, lambda: bool(viewer.get("/requests.json").json()["data"]))

    id = viewer.get("/requests.json").json()["data"][0]["id"]
    for role in ("viewer", "operator"):
        north, south = sign_in(server.url, keys["north", role]), sign_in(server.url, keys["south", role])
        assert north.get(f"/requests/{id}").status_code == 200
        assert "lighthouse" in north.get("/requests").text
        assert "northern charts" in north.get("/collections").text
        for path in (one for one in PLACES if may_look(role, one)):
            for address in (path, path.rstrip("/") + ".json" if path != "/" else "/index.json"):
                answer = south.get(address)
                assert answer.status_code == 200, address
                for word in ("lighthouse", "nora", "northern charts", "north viewer", made.json()["id"]):
                    assert word not in answer.text, (address, word)
        for path in (f"/requests/{id}", f"/requests/{id}.json", f"/collections/{made.json()['id']}",
                     "/users/nora-of-the-north?project=north", "/users/nora-of-the-north",
                     "/usage?project=north", "/users?project=north"):  # fmt: skip
            assert south.get(path).status_code == 404, path
        closed = [one for one in PLACES if not may_look(role, one)]
        assert "/settings" in closed
        for path in (*closed, "/settings/keys.json"):
            assert south.get(path).status_code == 403, path


def test_who_asks_on_the_start_page_asks_as_themselves(server: ServerProcess) -> None:
    admin = sign_in(server.url, ADMIN)
    east, west = (
        sign_in(server.url, make_key(admin, server.url, name, name, "operator")) for name in ("east", "west")
    )
    token = re.search(r'name="csrf" value="([^"]+)"', east.get("/").text)
    assert token is not None

    asked = east.post(
        "/ask", data={"csrf": token[1], "text": "How do I add a provider?", "app": "default"},
        headers={"origin": server.url},
    )  # fmt: skip

    assert asked.status_code == 303
    assert east.get(asked.headers["location"]).status_code == 200
    assert east.get(f"{asked.headers['location']}.json").json()["project"] == "east"
    assert west.get(asked.headers["location"]).status_code == 404


def test_a_revoked_key_is_out_within_a_second_and_the_log_says_who_did_it(server: ServerProcess) -> None:
    admin = sign_in(server.url, ADMIN)
    viewer = sign_in(server.url, make_key(admin, server.url, "short-lived", "default", "viewer"))
    assert viewer.get("/").status_code == 200
    row = next(one for one in admin.get("/settings/keys.json").json()["data"] if one["name"] == "short-lived")
    token = re.search(r'name="csrf" value="([^"]+)"', admin.get("/").text)
    assert token is not None

    admin.post("/settings/keys", data={"csrf": token[1], "do": "revoke", "id": row["id"], "sure": "yes"},
               headers={"origin": server.url})  # fmt: skip

    assert within(1.0, lambda: viewer.get("/").headers.get("location") == "/login")
    lines = admin.get("/audit.json").json()["data"]
    change = next(
        one
        for one in lines
        if one.get("what", "").startswith("key.revoke") or "revoke" in str(one.get("what"))
    )
    assert change["who"] not in {"", "admin"}


def test_browsers_get_a_page_where_there_is_none_and_clients_get_json(server: ServerProcess) -> None:
    page = httpx2.get(f"{server.url}/nowhere", headers={"accept": "text/html"})
    client = httpx2.get(f"{server.url}/v1/nowhere", headers={"accept": "*/*"})

    assert page.status_code == client.status_code == 404
    assert "<h1>Not found</h1>" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert client.json()["error"]["code"] == "not_found"
