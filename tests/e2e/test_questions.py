"""Three questions of a stranger, each answered in at most three clicks from the first page."""

import pytest

from tests.e2e.clicks import Clicks
from tests.seeded import DEARER

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

MOST_CLICKS = 3


def test_why_was_this_request_refused(clicks: Clicks) -> None:
    clicks.link("nav a", "Requests")
    clicks.link(".facets a", "refused")
    clicks.link("a[data-row]")

    assert clicks.count <= MOST_CLICKS
    assert "Why was it refused?" in clicks.text(".because")
    assert "injection.override" in clicks.text(".because")
    assert "before any model saw it" in clicks.text(".because")
    assert clicks.browser.problems == []


def test_which_app_became_dearer_this_week_and_why(clicks: Clicks) -> None:
    clicks.link("nav a", "Overview")
    which = clicks.browser.value(
        "[...document.querySelectorAll('.movers tbody tr')].map(row => [...row.cells].map(cell => cell.innerText))"
        ".filter(cells => cells[0].endsWith('app') && cells[1] === 'cost' && cells[4].startsWith('+'))"
    )
    clicks.link(".movers a", f"Why? {DEARER}, cost")

    assert clicks.count <= MOST_CLICKS
    assert [cells[0] for cells in which] == [f"{DEARER} app"]
    assert clicks.text(".ranges [aria-current]") == "7 days"
    assert clicks.text("h1") == f"Why {DEARER} costs more"
    assert "of the change: tokens answered, per call" in clicks.text(".lead")
    assert clicks.browser.problems == []


def test_what_did_we_send_to_the_provider_for_this_user(clicks: Clicks) -> None:
    clicks.link("nav a", "Users")
    user = clicks.text("a[data-row]")
    clicks.link("a[data-row]")
    clicks.link("a[href$='#sent']")

    assert clicks.count <= MOST_CLICKS
    assert user in clicks.text(".minor")
    assert "What the provider got" in clicks.text("#sent")
    assert clicks.text("#sent .sent-text").strip()
    top = clicks.browser.value("document.querySelector('#sent').getBoundingClientRect().top")
    assert -5 <= top < 400
    assert clicks.browser.problems == []
