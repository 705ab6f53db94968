import json

import pytest

from tests.server.pages.backend import ADMIN_KEY, FakeBackend
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server.pages.records import portuguese

pytestmark = [pytest.mark.browser, pytest.mark.skipif(chromium() is None, reason="needs Chromium")]


def test_hostile_records_do_nothing_in_a_real_browser(origin: str) -> None:
    with Browser() as browser:
        sign_in(browser, origin, ADMIN_KEY)
        for path in (
            "/",
            "/requests",
            "/requests/hostile-1",
            "/requests/odd-1",
            "/requests?q=%3Cscript%3Ewindow.hit=1%3C/script%3E",
        ):
            browser.go(origin + path)

            assert browser.value("window.hit") is None
            assert browser.value("document.title").endswith("Greenroom")
        assert browser.dialogs == []
        assert browser.problems == []
        assert [one for one in browser.requested if not one.startswith(origin)] == []


def test_signing_in_asking_and_signing_out_by_hand(origin: str, backend: FakeBackend) -> None:
    with Browser() as browser:
        sign_in(browser, origin, ADMIN_KEY)
        browser.value("document.querySelector('#text').value = 'How do I add a provider?'")
        browser.run_and_wait("document.querySelector('[data-ask]').requestSubmit()")

        assert browser.value("location.pathname") == "/requests/asked-1"
        assert backend.asked == [("How do I add a provider?", "default")]
        assert browser.value("document.cookie") == ""
        browser.run_and_wait("document.querySelector('.sign-out').requestSubmit()")
        assert browser.value("location.pathname") == "/login"
        assert browser.problems == []


def test_the_list_is_walked_by_keys(origin: str, backend: FakeBackend) -> None:
    with Browser() as browser:
        sign_in(browser, origin, ADMIN_KEY)
        browser.go(f"{origin}/requests")
        for key in "jjjk":
            browser.press(key)

        assert browser.value("document.activeElement.getAttribute('href')") == "/requests/" + str(
            backend.records[1]["id"]
        )
        browser.press("/")
        assert browser.value("document.activeElement.name") == "filter"


def test_a_link_on_another_site_opens_the_page_for_who_is_signed_in(origin: str) -> None:
    elsewhere = origin.replace("127.0.0.1", "localhost")
    with Browser() as browser:
        sign_in(browser, origin, ADMIN_KEY)
        browser.go(f"{elsewhere}/login")
        browser.run_and_wait(f"location.href = {json.dumps(origin + '/requests/old-1')}")
        if browser.value("document.title").startswith("One moment"):
            browser.run_and_wait("1")

        assert browser.value("location.href") == f"{origin}/requests/old-1"
        assert "answered" in browser.value("document.querySelector('h1').parentElement.textContent")


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_its_window(origin: str, width: int) -> None:
    with Browser() as browser:
        sign_in(browser, origin, ADMIN_KEY)
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        for path in (
            "/",
            "/requests",
            f"/requests/{portuguese()['id']}",
            "/requests/hostile-1",
            "/requests/odd-1",
        ):
            browser.go(origin + path)

            assert browser.value("document.documentElement.scrollWidth") <= width, path
