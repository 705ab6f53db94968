import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clicks import Clicks
from tests.furnished import furnish
from tests.seeded import answering
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server_process import ADMIN, ServerProcess

EXCHANGES = 100_000


@pytest.fixture(scope="session")
def seeded_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with a configuration and a filled store, made once for all test processes, to be copied."""
    if chromium() is None:
        pytest.skip("no Chromium here: pages are not opened in a browser")
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "seeded"
    with (folder.parent / "seeded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            folder.mkdir()
            furnish(folder, EXCHANGES)
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def seeded(seeded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server over a copy of it, and its provider; tests must leave the exchanges that they find."""
    own = tmp_path_factory.mktemp("e2e")
    shutil.copytree(seeded_folder, own, dirs_exist_ok=True)
    config = (own / "greenroom.toml").read_text(encoding="utf-8")
    with answering() as url, ServerProcess(own / "data", config.replace("{url}", url)) as server:
        yield server


@pytest.fixture(scope="session")
def person(seeded: ServerProcess) -> Iterator[Browser]:
    """A browser whose person has signed in as admin; starting one for each test costs a second each."""
    with Browser() as one:
        sign_in(one, seeded.url, ADMIN)
        yield one


@pytest.fixture
def browser(person: Browser) -> Browser:
    """The same on an empty page that has heard of nothing yet."""
    person.go("about:blank")
    person.prefer("")
    person.call("Emulation.clearDeviceMetricsOverride")
    for heard in (person.problems, person.dialogs, person.requested):
        heard.clear()
    return person


@pytest.fixture
def clicks(seeded: ServerProcess, browser: Browser) -> Clicks:
    """The first page before a person who is signed in and has clicked nothing."""
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False
    )
    browser.go(seeded.url + "/")
    return Clicks(browser)
