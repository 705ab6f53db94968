"""Prompts, the playground, evaluations and experiments by hand on the seeded store."""

import json
import time

import pytest

from tests.server.pages.browser import Browser
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


def until(browser: Browser, script: str, wanted: object = True) -> None:
    """Wait for a page to say something."""
    deadline = time.monotonic() + 20
    while browser.value(script) != wanted:
        assert time.monotonic() < deadline, f"{script} is {browser.value(script)!r}"
        time.sleep(0.1)


def test_a_prompt_is_edited_promoted_and_tried_beside_a_model(
    seeded: ServerProcess, browser: Browser
) -> None:
    browser.go(f"{seeded.url}/prompts/support/edit")
    browser.value("document.querySelector('[name=text-0]').value = 'Answer like a pirate.'")
    browser.value("document.querySelector('#values').value = '{\"question\": \"Where is my parcel?\"}'")
    browser.run_and_wait("document.querySelector('button[value=preview]').click()")
    preview = browser.value("document.querySelector('.preview').innerText")
    browser.run_and_wait("document.querySelector('button[value=save]').click()")
    saved = browser.value("location.search")
    browser.run_and_wait("document.querySelector('form:has([value=promote])').requestSubmit()")
    promoted = browser.value("document.querySelector('h1').innerText")
    browser.run_and_wait("document.querySelector('form:has([value=rollback])').requestSubmit()")
    rolled_back = browser.value("document.querySelector('h1').innerText")

    assert "Where is my parcel?" in preview
    assert saved.startswith("?version=")
    assert "production" in promoted
    assert "production" not in rolled_back

    browser.go(f"{seeded.url}/playground?column=fast|support@1&column=careful|")
    until(browser, "document.querySelector('[data-field=system]').value.length > 0")
    browser.value("document.querySelector('#question').value = 'Where is my parcel?'")
    values = json.dumps(json.dumps({"question": "Where is it?"}))
    browser.value(f"document.querySelector('#values').value = {values}")
    browser.value("document.querySelector('[data-playground]').requestSubmit()")
    until(browser, "document.querySelectorAll('[data-after]:not([hidden])').length", 2)
    steps = browser.value("document.querySelectorAll('.play-steps li').length")
    answers = browser.value(
        "[...document.querySelectorAll('[data-answer]')].map(one => one.textContent.length)"
    )
    journey = browser.value("document.querySelector('[data-journey]').getAttribute('href')")
    browser.value("document.querySelector('[data-add]').click()")
    until(browser, "document.querySelectorAll('[data-columns] [data-column]').length", 3)
    browser.value("document.querySelector('[data-keep]').click()")
    browser.value("document.querySelector('[data-more] button').click()")
    until(browser, "document.querySelector('[data-more]').textContent.startsWith('Kept')")
    browser.go(seeded.url + journey)

    assert steps > 10
    assert all(length > 0 for length in answers)
    assert "answered" in browser.value("document.querySelector('main').innerText").lower()
    assert browser.problems == []


def test_runs_are_compared_and_an_experiment_stopped_and_started_again(
    seeded: ServerProcess, browser: Browser
) -> None:
    browser.go(f"{seeded.url}/evaluations")
    browser.run_and_wait("document.querySelector('[data-row]').click()")
    browser.value("document.querySelector('#baseline').selectedIndex = 1")
    browser.run_and_wait("document.querySelector('form.compare').requestSubmit()")
    compared = browser.value("document.querySelector('[aria-labelledby=against-title]').innerText")
    browser.value("document.querySelector('.case summary').click()")
    is_open = browser.value("document.querySelector('.case').open")
    browser.go(f"{seeded.url}/experiments/shorter")
    rows = browser.value("document.querySelectorAll('[aria-labelledby=arms-title] tbody tr').length")
    browser.run_and_wait("document.querySelector('form:has([value=stop])').requestSubmit()")
    stopped = browser.value("document.querySelector('h1').innerText")
    browser.run_and_wait("document.querySelector('form:has([value=start])').requestSubmit()")
    again = browser.value("document.querySelector('h1').innerText")

    assert "p (Holm)" in compared
    assert is_open
    assert rows == 2
    assert ("stopped" in stopped, "running" in again) == (True, True)
    assert browser.problems == []
