"""Pictures of every page over a store in use, as the documentation shows them: `python -m tests.e2e.pictures [EXCHANGES]`.

They go to docs/pictures/pages, the first of each three in the dark. Take them on a machine that does nothing else: they show times.
"""

import sys
import tempfile
import time
from pathlib import Path

from greenroom.cli import main as command
from greenroom.server.pages.navigation import GROUPS
from tests.furnished import furnish
from tests.seeded import answering
from tests.server.pages.browser import Browser, sign_in
from tests.server_process import ADMIN, ServerProcess

FOLDER = Path(__file__).parents[2] / "docs" / "pictures" / "pages"
TALLEST = 1500
REFUSED = "/requests?filter=outcome:refused"
FIRST = "document.querySelector('main tbody a[href]').getAttribute('href')"
INSIDE = {
    "request": "/requests?filter=app:loja+outcome:answered", "refused": REFUSED, "session": "/sessions",
    "prompt": "/prompts", "evaluation": "/evaluations", "data-set": "/datasets", "batch": "/batches",
    "collection": "/collections", "user": "/users",
}  # fmt: skip
"""A page each that a list leads to."""
ASKED = {"choose": "?languages=pt"}
"""What stands behind the path of a page, so that it has something to show."""
PLAYED = """
document.querySelector('[name=question]').value = 'What is the capital of France?';
for (let columns = 1; columns < 3; columns++) document.querySelector('[data-add]').click();
document.querySelectorAll('[data-field=model]').forEach((one, place) => one.value = ['fast', 'careful', 'support'][place]);
document.querySelector('[data-run]').click();
"""
"""One question for three of those who answer, side by side."""


def take(server: ServerProcess, folder: Path) -> list[str]:
    """Save the pictures; return what the browser complained of."""
    folder.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        sign_in(browser, server.url, ADMIN)
        paths = {place.here: place.path for group in GROUPS for place in group.places}
        for name, listing in INSIDE.items():
            browser.go(server.url + listing)
            paths[name] = browser.value(FIRST)
        paths["why"] = "/overview/why"
        for place, (name, path) in enumerate(sorted(paths.items())):
            browser.prefer("dark" if place % 3 == 0 else "light")
            browser.go(server.url + path + ASKED.get(name, ""))
            time.sleep(0.6)  # charts are drawn when their script has come
            if name == "playground":
                browser.value(PLAYED)
                time.sleep(4)
            browser.look(folder / f"{name}.webp", most=TALLEST, dark=place % 3 == 0)
        return browser.problems


def main(count: int) -> int:
    """Seed, serve, take the pictures; 1 where the browser complained."""
    with tempfile.TemporaryDirectory() as made, answering() as url:
        config = furnish(Path(made), count).read_text(encoding="utf-8").replace("{url}", url)
        look = Path(made) / "look.toml"
        look.write_text(config, encoding="utf-8")
        command(["--config", str(look), "--data", str(Path(made) / "data"), "drift", "look"])
        with ServerProcess(Path(made) / "data", config) as server:
            for _ in range(2):
                server.ask()
            problems = take(server, FOLDER)
    print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
