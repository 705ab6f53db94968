"""The page of the audit log, and what a request's page says of policies."""

from typing import Any

from tests.server.pages.backend import ADMIN_KEY, FakeBackend
from tests.server.pages.records import portuguese
from tests.server.pages.visitor import Seen, Visitor

FINDING = {
    "kind": "finding", "number": 7, "at": "2026-11-24T15:04:05+00:00", "project": "p", "app": "support",
    "key": "key_1", "exchange": "abc", "step": "pii", "rule": "br.cpf", "category": "personal_data", "severity": 2,
    "where": "input", "action": "mask", "policy": "strict <b>", "shadow": "trial", "would": "block", "message": 0,
    "start": 1, "end": 15, "value": "00", "previous": "", "hash": "f" * 64,
}  # fmt: skip
CHANGE = {
    "kind": "change", "number": 3, "at": "2026-11-24T15:04:04+00:00", "who": "key_9", "what": "key.create",
    "before": None, "after": {"name": "<script>", "limits": {"parallel": None, "requests_per_minute": 60}}, "address": "10.0.0.1", "hash": "e" * 64,
}  # fmt: skip


def test_findings_and_changes_are_shown_with_policy_and_shadow(backend: FakeBackend, admin: Visitor) -> None:
    backend.lines = [FINDING, CHANGE]

    page = admin.client.get("/audit")

    seen = Seen(page.text)
    assert page.status_code == 200
    for said in (
        "br.cpf",
        "by strict <b>",
        "shadow: trial would block",
        "key.create",
        "10.0.0.1",
        "name <script>, limits.requests_per_minute 60",
    ):
        assert said in seen.text
    assert "parallel" not in seen.text
    assert "<b>" not in page.text.replace("<b>x", "") or "strict &lt;b&gt;" in page.text
    assert seen.all("a", href="/requests/abc")
    assert admin.client.get("/audit.json").json() == {"data": [FINDING, CHANGE], "next": None}


def test_the_list_is_narrowed_and_goes_on_with_the_same_filter(backend: FakeBackend, admin: Visitor) -> None:
    backend.lines = [FINDING] * 3 + [CHANGE]

    seen = Seen(admin.client.get("/audit?action=mask&nobody=x").text)

    (older,) = seen.all("a", rel="next")
    assert older["href"] == "/audit?action=mask&cursor=2"
    assert len(admin.client.get("/audit.json?action=mask&cursor=2").json()["data"]) == 1
    assert "No line fits." in Seen(admin.client.get("/audit?action=warn").text).text


def test_nobody_reads_it_without_signing_in(visitor: Visitor) -> None:
    assert visitor.client.get("/audit").headers["location"].startswith("/login")
    assert visitor.client.get("/audit.json").status_code == 401


def test_signing_in_and_failing_to_are_written_down(backend: FakeBackend, admin: Visitor) -> None:
    assert [key for key, _ in backend.logins] == [ADMIN_KEY]


def test_a_request_s_page_shows_who_decided_and_what_a_shadow_would_have_done(
    backend: FakeBackend, admin: Visitor
) -> None:
    trace: Any = portuguese()
    for one in [*trace["verdicts"], *(one for step in trace["stages"] for one in step["verdicts"])]:
        one.update(policy="strict", shadow="trial", would="block")
    backend.records = [trace]

    text = Seen(admin.client.get(f"/requests/{trace['id']}").text).text

    assert "by strict" in text
    assert "shadow: trial would block" in text
