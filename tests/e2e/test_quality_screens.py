"""Quality and drift on the seeded store: a thumb is seen with its interval, and leads to the requests."""

import json
import time
import urllib.request

import pytest

from tests.e2e.conftest import EXCHANGES
from tests.server.pages.browser import Browser
from tests.server_process import ADMIN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


def thumb(seeded: ServerProcess, number: int, *, is_up: bool) -> None:
    """Score one exchange over the API."""
    body = {"id": f"{number:032x}", "name": "e2e.thumb", "value": is_up}
    request = urllib.request.Request(
        f"{seeded.url}/api/feedback", json.dumps(body).encode(), {"authorization": f"Bearer {ADMIN}"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


def test_thumbs_are_drawn_with_their_interval_and_drift_opens(
    seeded: ServerProcess, browser: Browser
) -> None:
    for number in range(EXCHANGES - 1_000, EXCHANGES - 990):
        thumb(seeded, number, is_up=number % 5 > 0)
    until = time.monotonic() + 30
    while True:
        browser.go(f"{seeded.url}/quality?days=30")
        if "80 %, surely 49 % to 94.3 %, of 10" in str(browser.value("document.body.textContent")):
            break
        assert time.monotonic() < until, "the scores were not summed up"
        time.sleep(0.5)

    assert browser.value("document.querySelectorAll('gr-chart').length") >= 1
    browser.go(f"{seeded.url}/requests?score=e2e.thumb%3A0")
    assert browser.value("document.querySelectorAll('[data-row]').length") == 2
    browser.go(f"{seeded.url}/drift")
    assert browser.value("document.querySelector('h1').textContent") == "Drift"
    assert browser.problems == []
