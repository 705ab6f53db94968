"""Every page of the bar opens on the seeded store, in light and dark, without a complaint of the browser."""

import pytest

from greenroom.server.pages.navigation import GROUPS
from tests.server.pages.browser import Browser
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


def test_every_page_of_the_bar_opens(seeded: ServerProcess, browser: Browser) -> None:
    for place in (place for group in GROUPS for place in group.places):
        browser.go(seeded.url + place.path)

        assert browser.value("location.pathname") == place.path
        assert browser.value("document.querySelector('[aria-current=page]').textContent") == place.title
        assert browser.value("document.querySelectorAll('h1').length") == 1, place.path
    assert browser.problems == []
    assert all(address.startswith((seeded.url, "data:")) for address in browser.requested)
