import re
import time

import pytest

from greenroom.server.pages.headers import CONTENT_SECURITY_POLICY
from tests.server.pages.backend import FakeBackend
from tests.server.pages.records import HOSTILE, Json, all_records, hostile, portuguese, record, step
from tests.server.pages.visitor import Clock, Seen, Visitor

IDS = [one["id"] for one in all_records()]
PATHS = [
    "/",
    "/requests",
    "/requests?q=a&outcome=failed&session=s&limit=2",
    "/requests/nope",
    *(f"/requests/{id}" for id in IDS),
]
PAYLOADS = [
    "<script>hit()</script>",
    "</textarea><script>hit()</script>",
    "</title><script>hit()</script>",
    "'\"><img src=x onerror=hit()>",
    "<svg onload=hit()>",
    "<a href='javascript:hit()'>x</a>",
    "javascript:hit()",
    "data:text/html,<script>hit()</script>",
    "{{ 7*7 }}{% include 'login.html' %}",
    '" onmouseover=hit() x="',
    "' autofocus onfocus=hit() '",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example>",
    "<iframe srcdoc='<script>hit()</script>'>",
    "<form action=//evil.example><button>",
    "&lt;script&gt;hit()&lt;/script&gt;",
    "\u202e<b>\u2066\u200b\x00\x1b[31m\x07",
    "\ud800 half a pair",
    "../../etc/passwd?#%2e%2e/",
]  # fmt: skip
ELEMENTS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "div", "img", "span",
    "nav", "form", "input", "button", "main", "p", "h1", "h2", "h3", "h4", "svg", "rect", "dl",
    "dt", "dd", "aside", "section", "ul", "ol", "li", "small", "b", "article", "details",
    "summary", "ins", "del", "em", "code", "table", "caption", "thead", "tbody", "tr", "th", "td",
    "mark", "pre", "time", "label", "select", "option", "textarea", "kbd",
    "gr-theme", "gr-cmdk", "gr-live", "fieldset", "legend", "datalist",
}  # fmt: skip
ATTRIBUTES = {
    "defer",
    "lang", "charset", "name", "content", "rel", "href", "type", "src", "class", "id", "tabindex",
    "alt", "width", "height", "method", "action", "value", "aria-label", "aria-hidden",
    "aria-current", "aria-labelledby", "aria-describedby", "aria-invalid", "role", "dir", "title",
    "datetime", "scope", "x", "y", "rx", "open", "for", "rows", "maxlength", "required",
    "placeholder", "selected", "spellcheck", "autocomplete", "autofocus", "data-rows", "data-row",
    "data-ask", "data-search", "data-older", "data-newest", "data-newer", "data-share",
    "data-copy", "data-command", "data-passage", "target", "most", "paused", "aria-pressed", "list", "form", "download",
    "autocapitalize", "inputmode", "popover", "popovertarget",
}  # fmt: skip


def assert_harmless(text: str) -> None:
    seen = Seen(text)
    assert {tag for tag, _ in seen.elements} <= ELEMENTS
    assert {name for _, attributes in seen.elements for name in attributes} <= ATTRIBUTES
    for tag, attributes in seen.elements:
        for name in ("href", "src", "action"):
            assert re.fullmatch(r"(?:[/#](?!/).*)?", attributes.get(name, ""), re.DOTALL), (tag, attributes)
    for script in seen.all("script"):
        assert script.get("src", "").startswith("/static/") or script["type"] == "application/json"


def filled(value: object, payload: str) -> object:
    """The same record with the payload in every text that may hold anything."""
    if isinstance(value, dict):
        return {name if name in _KNOWN else payload: filled(one, payload) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, payload) for one in value]
    return payload if value == HOSTILE else value


_KNOWN = set(hostile()) | {
    key for part in (
        hostile()["model"], hostile()["model"]["attempts"][0], hostile()["stages"][0], hostile()["entities"][0],
        hostile()["stages"][0]["changes"][0], hostile()["stages"][0]["changes"][0]["edits"][0], hostile()["verdicts"][0],
        hostile()["passages"][0], hostile()["recalled"][0], hostile()["usage"], hostile()["timing_ms"], hostile()["prompt"],
        hostile()["reply"], {"messages": 0, "role": 0, "content": 0, "code": 0, "confidence": 0, "sentences": 0, "label": 0},
    ) for key in part
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_page_renders_and_holds_nothing_inline(admin: Visitor, path: str) -> None:
    answer = admin.get(path)

    assert answer.status_code == (404 if path.endswith("nope") else 200)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert_harmless(answer.text)
    assert answer.text.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "path", [*PATHS, "/login", "/requests.json", "/requests/nope.json", "/requests/old-1.json", "/index.json"]
)
def test_every_answer_is_strict(admin: Visitor, path: str) -> None:
    headers = admin.get(path).headers

    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_whatever_a_record_holds_is_text(backend: FakeBackend, clock: Clock, payload: str) -> None:
    one = filled(hostile(), payload)
    assert isinstance(one, dict)
    backend.records = [one]
    with Visitor(backend, clock) as visitor:
        visitor.sign_in()

        shown = visitor.get("/requests/hostile-1")
        listed = visitor.get("/requests")

    assert shown.status_code == listed.status_code == 200
    assert_harmless(shown.text)
    assert_harmless(listed.text)


@pytest.mark.parametrize("payload", PAYLOADS[:-2])
def test_whatever_an_address_holds_is_text(admin: Visitor, payload: str) -> None:
    answer = admin.client.get("/requests", params={"q": payload, "model": payload, "session": payload})
    searched = admin.backend.requests.wanted[-1].q
    wrong = admin.client.get("/requests", params={"filter": payload})

    assert_harmless(answer.text)
    assert_harmless(wrong.text)
    assert searched == payload.strip()


@pytest.mark.parametrize("payload", PAYLOADS[:-2])
def test_whatever_is_asked_comes_back_as_text(admin: Visitor, payload: str) -> None:
    answer = admin.post("/ask", {"csrf": admin.token("/"), "text": payload, "app": "gone"})

    assert answer.status_code == 404
    assert_harmless(answer.text)
    assert "There is no app" in answer.text


@pytest.mark.parametrize("id", IDS)
def test_the_twin_of_a_request_is_its_record(admin: Visitor, id: str) -> None:
    assert admin.get(f"/requests/{id}.json").json() == admin.backend.get_trace(id)


def test_the_twin_of_the_list_is_what_the_backend_gave(admin: Visitor) -> None:
    told = admin.get("/requests.json?limit=2").json()

    assert [one["id"] for one in told["data"]] == [one["id"] for one in admin.backend.records[:2]]
    assert told["next"] == "2"
    assert told["facets"]["counted"] == len(admin.backend.records)


@pytest.mark.parametrize("id", ["nope", "%00", "%2e%2e%2fx", "a" * 3000, "%E2%80%AE", "%ff"])
def test_an_unknown_id_is_a_page_that_says_so(admin: Visitor, id: str) -> None:
    answer = admin.get(f"/requests/{id}")
    twin = admin.get(f"/requests/{id}.json")

    assert answer.status_code == 404
    assert twin.status_code == 404
    if id == "nope":
        assert "There is no request with this id" in answer.text
        assert twin.json()["error"]["code"] == "not_found"


def test_the_flagship_tells_the_whole_story(admin: Visitor) -> None:
    text = " ".join(admin.see(f"/requests/{portuguese()['id']}").text.split())

    for said in (
        "answered", "anthropic/claude-haiku-4-5", "openai/gpt-5-mini was tried first and answered 503", "1.41\u202fs", "8.30\u202fms",
        "521\u202fms", "$0.001835", "768 cached", "64 reasoning", "loja-4821", "zero-width characters removed", "ZWSP", "spelling",
        "VocesVocês", "suggested only", "CPF masked", "3 passages put in as data", "Política de trocas › Produto com defeito",
        "br.cpf", "personal data", "mask", "São Paulo", "groundedness", "Prefere retirar na loja.", "support@production",
        "The model is overloaded.", "mask put back", "not supported", "fit 9\u202fµs",
    ):  # fmt: skip
        assert " ".join(said.split()) in text


def test_users_words_are_marked_with_their_language(admin: Visitor) -> None:
    seen = admin.see(f"/requests/{portuguese()['id']}")

    assert seen.all("html", lang="en")
    assert seen.all("h1", lang="pt")
    assert seen.all("div", lang="pt")


def test_a_refused_prompt_is_said_not_to_have_reached_a_model(admin: Visitor) -> None:
    assert (
        "it was refused before any model saw it"
        in admin.see("/requests/0193a7c2-6aa0-7b3e-8c11-20a4f4e7d102").text
    )


def test_what_a_budget_kept_at_home_was_sent_to_nobody(backend: FakeBackend, admin: Visitor) -> None:
    tried = [{"target": "a/x", "status": None, "error": "insufficient_quota", "ms": 0.0}]
    model = {"asked": "support", "used": None, "attempts": tried, "why": "the app 'support' names it"}
    backend.records = [
        record("dear", outcome="refused", status=429, error="insufficient_quota", cost_usd="0", model=model)
    ]

    text = admin.see("/requests/dear").text

    assert "no model was reached" in text
    assert "a budget that counts it is used up" in text
    assert "Nothing of this left the house" in text
    assert "What the provider got" not in text


def test_an_unknown_price_is_never_shown_as_nothing(admin: Visitor) -> None:
    text = admin.see("/requests/0193a7c2-7c02-7a55-b1d0-9a0b1c2d3e03").text

    assert "unknown" in text
    assert "$0" not in text


def test_long_bodies_are_cut_with_a_way_to_the_rest(admin: Visitor) -> None:
    answer = admin.get("/requests/0193a7c2-af35-7022-84e6-33cc44dd5506")

    assert len(answer.content) < 400_000
    assert "Cut at 64 KB" in answer.text


@pytest.mark.slow
def test_thirty_thousand_steps_open_in_good_time(backend: FakeBackend, clock: Clock) -> None:
    backend.records = [record("big", stages=[step("check", f"rule-{n}", 0.01) for n in range(30_000)])]
    with Visitor(backend, clock) as visitor:
        visitor.sign_in()
        visitor.get("/requests/big")
        started = time.perf_counter()

        answer = visitor.get("/requests/big")

        assert time.perf_counter() - started < 2.0
    assert answer.status_code == 200
    assert "29,600 more steps" in answer.text


def test_rows_without_words_get_them_from_the_trace(backend: FakeBackend, clock: Clock) -> None:
    class WithoutWords(FakeBackend):
        def list_traces(self, **filters: str | int) -> tuple[list[Json], str | None]:
            rows, older = super().list_traces(**filters)
            return [{"id": one["id"], "language": "pt"} for one in rows], older

    with Visitor(WithoutWords([portuguese()]), clock) as visitor:
        visitor.sign_in()

        assert "Meu CPF" in visitor.see("/").text


def test_older_requests_are_one_link_away_and_keep_the_filters(admin: Visitor) -> None:
    seen = admin.see("/requests?limit=2&app=support&q=a%26b")
    older = seen.all("a", rel="next")[0]["href"]

    admin.get(older)

    wanted = admin.backend.requests.wanted[-1]
    assert (wanted.q, wanted.limit, wanted.cursor) == ("a&b", 2, "2")
    assert wanted.conditions == (("app", "=", "support"),)


@pytest.mark.parametrize("limit", ["0", "-1", "201", "1e9", "x", "²", "9" * 99, ""])
def test_a_strange_limit_becomes_the_default(admin: Visitor, limit: str) -> None:
    admin.client.get("/requests", params={"limit": limit})

    assert admin.backend.requests.wanted[-1].limit == 50


def test_asking_leads_to_the_trace(admin: Visitor) -> None:
    answer = admin.post(
        "/ask", {"csrf": admin.token("/"), "text": "How do I\r\nadd a provider?", "app": "support"}
    )

    assert answer.status_code == 303
    assert admin.backend.asked == [("How do I\nadd a provider?", "support")]
    assert admin.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize(
    ("text", "said"), [(" \n", "Write a question first."), ("x" * 100_001, "use the API")]
)
def test_a_question_that_cannot_be_asked_comes_back(admin: Visitor, text: str, said: str) -> None:
    answer = admin.post("/ask", {"csrf": admin.token("/"), "text": text, "app": "default"})

    assert answer.status_code == 400
    assert said in answer.text
    assert admin.backend.asked == []


def test_what_was_lost_is_told_at_the_start(admin: Visitor) -> None:
    assert "No trace was lost" in admin.see("/").text
    admin.backend.losses["rows_lost"] = 3

    text = admin.see("/").text

    assert "rows lost" in text
    assert "No trace was lost" not in text


def test_static_files_are_named_by_their_content_and_kept(admin: Visitor) -> None:
    seen = admin.see("/login") if admin.get("/login").status_code == 200 else admin.see("/")
    for address in (
        seen.all("script")[0]["src"],
        seen.all("link", rel="stylesheet")[0]["href"],
        seen.all("img")[0]["src"],
    ):
        answer = admin.get(address)

        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert admin.get("/static/../handlers.py").status_code == 404
    assert admin.get("/static/%2e%2e/handlers.py").status_code == 404


def test_no_element_id_is_given_twice(admin: Visitor) -> None:
    for path in PATHS:
        ids = [attributes["id"] for _, attributes in admin.see(path).elements if "id" in attributes]

        assert len(ids) == len(set(ids)), path
