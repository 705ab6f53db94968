"""What a stranger wants to know of requests, in at most three clicks; and what may be done with one."""

import time

import pytest

from tests.server.pages.browser import Browser
from tests.server_process import ADMIN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


class Clicks:
    """Presses what a person sees, and counts."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.count = 0

    def link(self, selector: str, text: str = "") -> None:
        """Press the first link that fits and says this."""
        self.count += 1
        found = (
            f"[...document.querySelectorAll({selector!r})].find(one => one.textContent.includes({text!r})"
            " && one.getClientRects().length)"
        )
        assert self.browser.value(f"!!{found}"), (selector, text)
        self.browser.run_and_wait(f"{found}.click()")

    def text(self, selector: str) -> str:
        return str(self.browser.value(f"document.querySelector({selector!r}).textContent"))


@pytest.fixture
def clicks(seeded: ServerProcess, browser: Browser) -> Clicks:
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False
    )
    browser.go(seeded.url + "/")
    return Clicks(browser)


def test_why_was_this_request_refused(clicks: Clicks) -> None:
    clicks.link("nav a", "Requests")
    clicks.link(".facets a", "refused")
    clicks.link("a[data-row]")

    assert clicks.count == 3
    assert "Why was it refused?" in clicks.text(".because")
    assert "injection.override" in clicks.text(".because")
    assert "before any model saw it" in clicks.text(".because")
    assert clicks.browser.problems == []


def test_what_did_we_send_to_the_provider_for_this_user(clicks: Clicks) -> None:
    clicks.link("nav a", "Users")
    user = clicks.text("a[data-row]")
    clicks.link("a[data-row]")
    clicks.link("a[href$='#sent']")

    assert clicks.count == 3
    assert user in clicks.text(".minor")
    assert "What the provider got" in clicks.text("#sent")
    assert clicks.text("#sent .sent-text").strip()
    top = clicks.browser.value("document.querySelector('#sent').getBoundingClientRect().top")
    assert -5 <= top < 400
    assert clicks.browser.problems == []


def test_new_requests_come_in_while_one_looks(seeded: ServerProcess, clicks: Clicks) -> None:
    browser = clicks.browser
    browser.go(seeded.url + "/requests?filter=lighthouse")
    browser.value("document.querySelector('gr-live button').click()")
    until = time.monotonic() + 10
    while (
        browser.value("document.querySelector('gr-live').dataset.state") != "on" and time.monotonic() < until
    ):
        time.sleep(0.05)
    time.sleep(1.2)

    status, _ = seeded.ask("Where is the lighthouse?", key=ADMIN)

    assert status == 200
    rows = "document.querySelectorAll('#rows a[data-row]').length"
    while not browser.value(rows) and time.monotonic() < until:
        time.sleep(0.1)
    assert "Where is the lighthouse?" in clicks.text("#rows")


def test_a_request_is_scored_collected_and_put_beside_another(clicks: Clicks) -> None:
    browser = clicks.browser
    clicks.link("nav a", "Requests")
    clicks.link("a[data-row]")
    address = browser.value("location.pathname")

    browser.value("document.querySelector('#comment').value = 'Just right.'")
    clicks.link(".thumbs button", "Helpful")
    assert "Just right." in clicks.text(".scores")
    browser.value("document.querySelector('#data-set').value = 'seen'")
    browser.run_and_wait("document.querySelector('#data-set').form.requestSubmit()")
    assert browser.value("location.pathname") == address
    browser.go(browser.value("location.origin") + address + "?view=raw")
    assert clicks.text(".switch [aria-current]") == "raw"
    browser.value("document.querySelector('#with').value = location.href.split('?')[0]")
    browser.run_and_wait("document.querySelector('#with').form.requestSubmit()")

    assert browser.value("document.querySelectorAll('.compare .differs').length") == 0
    assert browser.problems == []
