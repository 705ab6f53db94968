"""The settings: what they show, what they never show, and what becomes of keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.server.keys import NewKey, NewLimits
from greenroom.server.pages.settings import SettingsPages
from greenroom.store.shared import SharedFile, SharedThings
from tests.server.pages.backend import VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Visitor

Json = dict[str, Any]  # Any: JSON
HOSTILE = "<script>window.hit=1</script>\"'"


def key_row(id: str, **other: object) -> Json:
    limits = {
        "requests_per_minute": 60, "requests_per_day": None, "tokens_per_minute": None, "tokens_per_day": None,
        "parallel": None, "budget_nano_usd": 2_500_000_000, "budget_period": "month",
    }  # fmt: skip
    return {
        "id": id, "shown": "gr-abcde", "project": "default", "name": f"name of {id}", "role": "app", "apps": [],
        "pipeline_off": False, "limits": limits, "created_ns": 1_764_200_000_000_000_000, "expires_ns": None,
        "revoked_ns": None, **other,
    }  # fmt: skip


class Settings:
    """Remembers what was done."""

    def __init__(self) -> None:
        self.rows = [
            key_row("key-admin", role="admin"),
            key_row("k2", name=HOSTILE),
            key_row("k3", revoked_ns=10**18),
        ]
        self.done: list[tuple[object, ...]] = []
        self.lost = 0

    def health(self) -> Json:
        return {
            "version": "0.1.0", "python": "3.11.7", "up_s": 90_061, "process": 1, "workers": 1, "is_ready": True,
            "in_flight": 3, "queued": 0, "unindexed": 0, "memory_bytes": 60_000_000,
            "disk": {"free_bytes": 10**10, "total_bytes": 10**11}, "files": [{"name": HOSTILE, "bytes": 10}],
            "model": {"name": "a/b", "why": HOSTILE}, "config": "greenroom.toml",
            "losses": [{"name": "traces_lost", "count": self.lost, "what": "Lost.", "remedy": "Look."}],
            "retention": {"capture": "redacted", "retention_days": 30, "audit_days": 365, "files_mb": 1, "responses_mb": 1},
        }  # fmt: skip

    def makings(self) -> Json:
        return {
            "providers": [{"name": HOSTILE, "kind": "openai", "host": "api.example", "from": "the configuration",
                           "key": "from OPENAI_API_KEY", "parallel": None}],
            "models": [{"name": "fast", "route": "ordered", "targets": ["a/b"]}],
            "apps": [{"name": "support", "model": "fast", "prompt": None, "pipeline": "on", "cache": "off",
                      "on_block": "answer", "collections": ["c"], "stages": {"check": ["pii", "secrets"]}}],
        }  # fmt: skip

    def keys(self) -> list[Json]:
        return self.rows

    def projects(self) -> list[Json]:
        used = {"requests": 3, "input_tokens": 10, "output_tokens": 5, "cost_usd": "0.5"}
        return [{"id": "default", "keys": 2, "usage": used}, {"id": HOSTILE, "keys": 0, "usage": None}]

    def budgets(self) -> list[Json]:
        return [{"budget": HOSTILE, "project": "default", "key": None, "user": None, "tag": None, "period": "day",
                 "begins": "2026-11-27", "renews": "2026-11-28", "limit_usd": "10", "spent_usd": "9.5",
                 "reserved_usd": "0", "left_usd": "0.5", "share": 0.95}]  # fmt: skip

    def create(self, wanted: NewKey, by: str, address: str) -> Json:
        self.done.append(("create", wanted, by))
        return {**key_row("new", name=wanted.name), "key": "gr-the-secret-itself"}

    def limit(self, id: str, wanted: NewLimits, by: str, address: str) -> Json:
        self.done.append(("limit", id, wanted, by))
        return key_row(id)

    def rotate(self, id: str, grace_s: int, by: str, address: str) -> Json:
        self.done.append(("rotate", id, grace_s, by))
        return {**key_row(id), "key": "gr-another-secret"}

    def revoke(self, id: str, by: str, address: str) -> bool:
        self.done.append(("revoke", id, by))
        return id == "k2"


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def admin(backend: FakeBackend, clock: Clock, settings: Settings) -> Iterator[Visitor]:
    with Visitor(backend, clock, more=[SettingsPages(settings).routes]) as one:
        one.sign_in()
        yield one


def form(admin: Visitor, **fields: str) -> dict[str, str]:
    page = admin.see("/settings/keys")
    once = page.all("input", name="once")[-1]["value"]
    return {"csrf": page.all("input", name="csrf")[0]["value"], "once": once, **fields}


@pytest.mark.parametrize("path", ["/settings", "/settings/models", "/settings/keys", "/settings/projects"])
def test_every_tab_opens_for_an_admin_alone_and_what_it_shows_is_text(
    admin: Visitor, backend: FakeBackend, clock: Clock, settings: Settings, path: str
) -> None:
    answer = admin.get(path)

    assert answer.status_code == 200
    assert "<script>window" not in answer.text
    assert admin.get(path + ".json").status_code == 200
    with Visitor(backend, clock, more=[SettingsPages(settings).routes]) as viewer:
        viewer.sign_in(VIEWER_KEY)
        assert viewer.get(path).status_code == 403
        assert viewer.get(path + ".json").status_code == 403


def test_a_loss_is_told_with_what_to_do(admin: Visitor, settings: Settings) -> None:
    assert "Nothing was lost" in admin.get("/settings").text
    settings.lost = 7

    text = admin.see("/settings").text

    assert "Nothing was lost" not in text
    assert "Look." in text


def test_a_new_key_is_shown_once_and_made_once(admin: Visitor, settings: Settings) -> None:
    fields = form(
        admin, do="create", name="bot", project="shop", role="app", apps="support, fast",
        requests_per_minute="1,000", budget_usd="2.5", budget_period="day",
    )  # fmt: skip

    made = admin.post("/settings/keys", fields)
    again = admin.post("/settings/keys", fields)

    wanted = NewKey(name="bot", project="shop", apps=["support", "fast"], requests_per_minute=1000, budget_usd=2.5,
                    budget_period="day")  # fmt: skip
    assert settings.done == [("create", wanted, "key-admin")]
    assert made.status_code == 201
    assert "gr-the-secret-itself" in made.text
    assert made.headers["cache-control"] == "no-store"
    assert again.status_code == 409
    assert "gr-the-secret-itself" not in again.text
    assert "gr-the-secret-itself" not in admin.get("/settings/keys").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Name"),
        ({"name": "x", "role": "owner"}, "Role"),
        ({"name": "x", "requests_per_minute": "many"}, "Requests per minute"),
        ({"name": "x", "requests_per_minute": "-1"}, "Requests per minute"),
        ({"name": "x", "parallel": "9" * 30}, "Parallel"),
        ({"name": "x", "budget_usd": "nan"}, "Budget in USD"),
        ({"name": "x", "budget_usd": "1e400"}, "Budget in USD"),
        ({"name": "x", "budget_period": "year"}, "Budget period"),
        ({"name": "x" * 200}, "Name"),
    ],
)
def test_a_wrong_field_is_named_and_what_was_written_stays(
    admin: Visitor, settings: Settings, fields: dict[str, str], said: str
) -> None:
    answer = admin.post("/settings/keys", form(admin, do="create", project="kept-as-written", **fields))

    assert answer.status_code == 400
    assert said in answer.text
    assert "kept-as-written" in answer.text
    assert settings.done == []


def test_of_many_keys_some_are_shown_and_all_are_found(admin: Visitor, settings: Settings) -> None:
    settings.rows = [key_row(f"k{number}", created_ns=number) for number in range(2_000)]

    page = admin.get("/settings/keys")

    assert len(page.content) < 700_000
    assert "1,900 more" in page.text
    assert "name of k1999" in page.text
    assert "name of k77<" not in page.text
    found = admin.get("/settings/keys?q=OF+k77").text
    assert "name of k77<" in found
    assert "name of k1999" not in found
    assert "No key fits" in admin.get("/settings/keys?q=<script>").text


def test_limits_are_changed_and_taken_away(admin: Visitor, settings: Settings) -> None:
    answer = admin.post(
        "/settings/keys", form(admin, do="limit", id="k2", requests_per_day="5", budget_period="week")
    )

    limits = NewLimits(
        requests_per_minute=None, requests_per_day=5, tokens_per_minute=None, tokens_per_day=None, parallel=None,
        budget_usd=None, budget_period="week",
    )  # fmt: skip
    assert settings.done == [("limit", "k2", limits, "key-admin")]
    assert answer.status_code == 303
    assert "The limits of the key name of k2 are changed." in admin.see("/settings/keys").text
    assert "are changed" not in admin.see("/settings/keys").text, "said once"


def test_a_key_is_revoked_only_by_who_means_it_and_never_ones_own(admin: Visitor, settings: Settings) -> None:
    unsure = admin.post("/settings/keys", form(admin, do="revoke", id="k2"))
    own = admin.post("/settings/keys", form(admin, do="revoke", id="key-admin", sure="yes"))
    gone = admin.post("/settings/keys", form(admin, do="revoke", id="k9", sure="yes"))
    done = admin.post("/settings/keys", form(admin, do="revoke", id="k2", sure="yes"))

    assert [one.status_code for one in (unsure, own, gone, done)] == [400, 409, 404, 303]
    assert settings.done == [("revoke", "k9", "key-admin"), ("revoke", "k2", "key-admin")]


def test_a_secret_is_renewed_with_a_time_of_grace(admin: Visitor, settings: Settings) -> None:
    wrong = admin.post("/settings/keys", form(admin, do="rotate", id="k2", grace="a year"))
    done = admin.post("/settings/keys", form(admin, do="rotate", id="k2", grace="1 hour"))

    assert wrong.status_code == 400
    assert "gr-another-secret" in done.text
    assert settings.done == [("rotate", "k2", 3600, "key-admin")]


@pytest.mark.parametrize("do", ["", "drop", "create; revoke"])
def test_a_form_that_says_nothing_does_nothing(admin: Visitor, settings: Settings, do: str) -> None:
    assert admin.post("/settings/keys", form(admin, do=do, id="k2", name="x")).status_code == 400
    assert admin.post("/settings/keys", {"do": "revoke", "id": "k2", "sure": "yes"}).status_code == 403
    assert settings.done == []


def test_a_form_that_reaches_two_processes_makes_one_key(
    backend: FakeBackend, clock: Clock, settings: Settings, tmp_path: Path
) -> None:
    made = []
    files = [SharedFile(tmp_path / "shared.db", b"s" * 32) for _ in range(2)]
    for file in files:
        with Visitor(
            backend, clock, more=[SettingsPages(settings, SharedThings(file, "form", 3)).routes]
        ) as one:
            one.sign_in()
            sent = form(one, do="create", name="web", role="app") | {"once": "the same form"}
            made.append([one.post("/settings/keys", sent).status_code for _ in range(2)])
    for file in files:
        file.close()

    assert made == [[201, 409], [409, 409]]
    assert len(settings.done) == 1
