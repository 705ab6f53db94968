"""A person's clicks, counted."""

from tests.server.pages.browser import Browser


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
        """What is written there."""
        return str(self.browser.value(f"document.querySelector({selector!r}).textContent"))
