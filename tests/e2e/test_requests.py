"""What may be done with requests: watched as they come in, scored, collected, compared."""

import time

import pytest

from tests.e2e.clicks import Clicks
from tests.server_process import ADMIN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


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
