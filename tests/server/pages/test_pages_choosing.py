"""The page that says which model to choose: its form, its answers, and what is wrong with a wish."""

import json

import pytest

from greenroom.models.catalogue.quality import Seen
from greenroom.models.catalogue.wish import Wish
from tests.server.pages.backend import ADMIN_KEY, FakeBackend
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server.pages.visitor import Seen as Page
from tests.server.pages.visitor import Visitor


def test_nothing_is_asked_before_the_form_is_sent(backend: FakeBackend, admin: Visitor) -> None:
    page = admin.see("/choose")

    assert backend.wishes == []
    assert page.all("form", action="/choose")
    assert "No model is called" in page.text


def test_three_answers_are_shown_with_reasons_and_commands(backend: FakeBackend, admin: Visitor) -> None:
    backend.seen = {"openai/gpt-5-nano": Seen(300, 297.0, "<b>traces</b>")}

    text = admin.get("/choose?task=rag&languages=pt%2Cen&context=8,000&budget_usd=50&tools=1&more=x").text

    page = Page(text)
    assert backend.wishes == [
        Wish(task="rag", languages=("pt", "en"), context=8000, budget_usd=50.0, tools=True)
    ]
    assert "openai/gpt-5-nano" in page.text
    assert "300 scored answers of your own" in page.text
    assert "<b>traces" not in text
    assert "greenroom models compare --models" in page.text
    assert "Assumed" in page.text
    assert page.all("input", name="languages", value="pt,en")


def test_images_are_asked_for_by_a_tick(backend: FakeBackend, admin: Visitor) -> None:
    admin.get("/choose?image=1&structured_output=1")

    assert backend.wishes == [Wish(input=("text", "image"), structured_output=True)]


def test_the_twin_is_the_same_as_json(admin: Visitor) -> None:
    page = admin.see("/choose?private=1&hardware=none")
    twin = json.loads(admin.get("/choose.json?private=1&hardware=none").text)

    assert "No model meets these conditions." in page.text
    assert twin["best"] is None
    assert twin["no_private"] in page.text


@pytest.mark.parametrize(
    ("query", "said"),
    [("context=much", "'context' must be a number"), ("task=war", "task"), ("requests=0", "requests")],
)
def test_a_wrong_wish_is_told_beside_the_form(admin: Visitor, query: str, said: str) -> None:
    answer = admin.get(f"/choose?{query}")

    assert answer.status_code == 400
    assert said in Page(answer.text).text
    assert Page(answer.text).all("form", action="/choose")
    assert admin.get(f"/choose.json?{query}").status_code == 400


def test_it_is_for_those_who_are_signed_in(visitor: Visitor) -> None:
    assert visitor.get("/choose?task=rag").status_code == 303
    assert visitor.get("/choose.json?task=rag").status_code == 401


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_no_wider_than_its_window_and_calls_nobody_else(origin: str, width: int) -> None:
    with Browser() as browser:
        sign_in(browser, origin, ADMIN_KEY)
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        browser.go(f"{origin}/choose?task=code&languages=es")

        assert browser.value("document.querySelectorAll('.choice').length") >= 2
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.problems == []
        assert [one for one in browser.requested if not one.startswith(origin)] == []
