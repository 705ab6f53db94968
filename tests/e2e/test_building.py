"""What an operator does on the pages of deployments, safety, documents and data sets, in a browser."""

import json

import pytest

from tests.server.pages.browser import Browser
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

_ROW = "[...document.querySelectorAll('#findings tbody tr')]"


def fill(browser: Browser, **fields: str) -> None:
    """Type into the fields of these ids."""
    for id, value in fields.items():
        browser.value(f"document.getElementById({json.dumps(id)}).value = {json.dumps(value)}")


def text(browser: Browser, selector: str = "main") -> str:
    return str(browser.value(f"document.querySelector({json.dumps(selector)}).textContent"))


def test_a_canary_is_rolled_back_by_one_click(seeded: ServerProcess, browser: Browser) -> None:
    browser.go(f"{seeded.url}/deployments?app=tutor")
    fill(browser, app="support", name="careful", share="10", no_gate="seen by hand")
    browser.value("document.querySelector('[aria-labelledby=begin-title] details').open = true")
    browser.run_and_wait("document.querySelector('[aria-labelledby=begin-title] form button').click()")
    begun = text(browser, "body")
    browser.run_and_wait("document.querySelector('.panel .bad-button').click()")

    assert "canary 10 %" in begun
    assert "It stands before the app now." in begun
    assert "It was rolled back." in text(browser, "body")
    browser.go(f"{seeded.url}/deployments?app=support")
    assert not browser.value("document.querySelector('.panel .bad-button')")
    assert "rolled back" in text(browser)
    assert browser.problems == []


def test_a_false_alarm_is_marked_by_one_click_and_unmarked_by_another(
    seeded: ServerProcess, browser: Browser
) -> None:
    browser.go(f"{seeded.url}/safety?days=30&rule=br.cpf")
    rule = "[...document.querySelectorAll('table td:first-child a')].find(a => a.textContent === 'br.cpf')"
    counted = f"{rule}.closest('tr').lastElementChild.textContent"
    before = browser.value(counted)
    browser.run_and_wait(f"{_ROW}[0].querySelector('form').requestSubmit()")
    marked, shown = browser.value(counted), browser.value(f"{_ROW}[0].lastElementChild.textContent")
    browser.run_and_wait(f"{_ROW}[0].querySelector('form').requestSubmit()")

    assert before == "0"
    assert marked.startswith("1")
    assert "false alarm" in shown
    assert browser.value(counted) == "0"
    assert browser.problems == []


def test_a_document_becomes_passages_that_are_found(seeded: ServerProcess, browser: Browser) -> None:
    browser.go(f"{seeded.url}/collections")
    browser.run_and_wait(
        "[...document.querySelectorAll('a.strong')].find(a => a.textContent === 'handbook').click()"
    )
    browser.run_and_wait("document.querySelector('td a.strong').click()")
    address = browser.value("location.href")
    fill(browser, q="How many days?")
    browser.run_and_wait("document.querySelector('[role=search]').requestSubmit()")
    found = text(browser, ".found")
    browser.go(address)
    browser.value("document.querySelector('details.go').open = true")
    browser.run_and_wait("document.querySelector('details.go form').requestSubmit()")

    assert "30 days" in found
    assert browser.value("location.href") == address
    assert "It is being read again." in text(browser, "body")


def test_requests_become_rows_of_a_data_set(seeded: ServerProcess, browser: Browser) -> None:
    browser.go(f"{seeded.url}/datasets")
    fill(browser, **{"requests-name": "from-requests", "app": "support", "limit": "60"})
    browser.run_and_wait("document.getElementById('q').form.requestSubmit()")
    heading = text(browser, "h1")
    browser.run_and_wait("document.querySelector('a[data-older]').click()")

    assert heading.startswith("from-requests")
    assert browser.value("location.search") == "?from=50"
    assert browser.value("document.querySelectorAll('tbody tr').length") == 10
    assert browser.problems == []
