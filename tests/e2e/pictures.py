"""Pictures of every page of the bar over a seeded store: `python -m tests.e2e.pictures FOLDER [EXCHANGES] [PATH…]`.

Each page is taken wide in light and dark, and narrow: PAGE.png, PAGE-dark.png, PAGE-narrow.png.
"""

import sys
import tempfile
import time
from pathlib import Path

from greenroom.server.pages.navigation import GROUPS
from tests.seeded import seed
from tests.server.pages.browser import Browser, sign_in
from tests.server_process import ADMIN, ServerProcess

LOOKS = (("", 1280, False), ("-dark", 1280, True), ("-narrow", 390, False))


def take(server: ServerProcess, folder: Path, paths: list[str]) -> list[str]:
    """Save the pictures; return what the browser complained of."""
    folder.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        sign_in(browser, server.url, ADMIN)
        for path in paths:
            name = path.strip("/").partition("?")[0].replace("/", "-") or "ask"
            for ending, width, is_dark in LOOKS:
                browser.call(
                    "Emulation.setDeviceMetricsOverride",
                    width=width, height=900, deviceScaleFactor=1, mobile=False,
                )  # fmt: skip
                browser.prefer("dark" if is_dark else "light")
                browser.go(server.url + path)
                time.sleep(0.5)  # charts are drawn when their script has come
                browser.look(folder / f"{name}{ending}.png", width=width, dark=is_dark)
        return browser.problems


def main(arguments: list[str]) -> int:
    """Seed, serve, take the pictures; 1 where the browser complained."""
    folder, count = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 20_000
    paths = arguments[2:] or [place.path for group in GROUPS for place in group.places]
    with tempfile.TemporaryDirectory() as made:
        seed(Path(made), count)
        config = (Path(made) / "greenroom.toml").read_text(encoding="utf-8")
        with ServerProcess(Path(made) / "data", config) as server:
            problems = take(server, folder, paths)
    print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
