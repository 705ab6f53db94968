"""What axe finds: nothing serious on any page, in light and dark."""

from pathlib import Path

import pytest

from tests.e2e.walk import walk
from tests.server.pages.browser import Browser
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
_RUN = """axe.run(%s).then(found => JSON.stringify(found.violations
  .filter(one => ['serious', 'critical'].includes(one.impact))
  .map(one => one.id + ': ' + one.nodes.slice(0, 3).map(node => node.target.join(' ')).join(' | '))))"""
RULES = {"light": "{resultTypes: ['violations']}", "dark": "{runOnly: ['color-contrast']}"}
"""All of them once; what differs in the dark is colours."""
_SETTLE = "document.getAnimations().forEach(one => one.finish())"


def test_axe_finds_nothing_serious(seeded: ServerProcess, browser: Browser) -> None:
    found = {}
    browser.prefer("light")
    for path in walk(browser, seeded.url, of_a_kind=1):
        browser.run(AXE)
        for look, rules in RULES.items():
            if look == "dark" and "?" in path:
                continue  # has the colours of the page without a question
            browser.prefer(look)
            browser.run(_SETTLE)
            complaints = browser.promised(_RUN % rules)
            if complaints != "[]":
                found[path, look] = complaints
        browser.prefer("light")

    assert found == {}
    assert browser.problems == []
