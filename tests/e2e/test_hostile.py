"""Stored markup: two hundred payloads in every field that is kept, and every page that shows one opened."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.assembly.workers import Model
from tests.e2e.liar import Liar
from tests.e2e.payloads import PAYLOADS
from tests.e2e.speaker import CONFIG, PER_CHAT, Speaker
from tests.e2e.walk import walk
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server_process import ADMIN, ServerProcess, environment_of, greenroom

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SUITE = """
data = "seen.jsonl"
[subjects.echo]
model = "mock"
[subjects.liar]
model = "liar"
[scorers.right]
type = "contains"
"""
SHOWN = {
    "/",
    "/requests",
    "/sessions",
    "/users",
    "/usage",
    "/alerts",
    "/alerts/1",
    "/prompts",
    "/prompts/prompt-0",
    "/playground",
    "/experiments/trial",
    "/collections",
    "/datasets/seen",
    "/datasets/loaded",
    "/deployments",
    "/settings/keys",
}
"""Pages on which some must be read, beside those of requests, runs, batches and documents."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, list[str]]]:
    """A server that was told all payloads, and the ids of the exchanges."""
    if chromium() is None:
        pytest.skip("no Chromium here: pages are not opened in a browser")
    folder, model = tmp_path_factory.mktemp("hostile"), Model()
    with Liar() as liar, ServerProcess(folder / "data", model.config + liar.config + CONFIG) as server:
        speaker = Speaker(server)
        speaker.spans()
        ids = [speaker.chat(number) for number in range(len(PAYLOADS) // PER_CHAT)]
        for number in range(4):
            speaker.document()
            speaker.people(speaker.plain(60) if number else "default")
            speaker.prompt(f"prompt-{number}")
            speaker.batch()
        speaker.trials()
        speaker.forms(ids[0])
        speaker.alerts()
        _run_commands(folder, speaker)
        yield server, ids
    model.close()


def _run_commands(folder: Path, speaker: Speaker) -> None:
    """What only commands make: an evaluation of rows that are payloads, and a run of the canary prompts."""
    rows = [json.dumps({"question": speaker.next(), "expected": speaker.next()}) for _ in range(10)]
    (folder / "seen.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "suite.toml").write_text(SUITE, encoding="utf-8")
    for command in (("eval", "run", str(folder / "suite.toml")), ("drift", "canaries", "--run")):
        done = greenroom(
            folder / "data",
            "--config",
            str(folder / "greenroom.toml"),
            *command,
            environment=environment_of(ADMIN),
        )
        assert done.returncode in {0, 1, 2}, f"{command}: {done.returncode} {done.stdout}{done.stderr}"


def test_no_payload_runs_and_nothing_is_fetched(hostile: tuple[ServerProcess, list[str]]) -> None:
    server, ids = hostile
    shown: set[str] = set()
    with Browser() as browser:
        sign_in(browser, server.url, ADMIN)
        for id in ids:
            browser.go(f"{server.url}/requests/{id}")
            shown |= _shown_calmly(browser, id)
            assert browser.value("document.querySelectorAll('#spans .bar-label').length") > 0, id
        rooms = {
            path.partition("?")[0]: _shown_calmly(browser, path)
            for path in walk(browser, server.url, of_a_kind=2)
        }

        assert browser.dialogs == []
        assert [one for one in browser.requested if not one.startswith((server.url, "data:"))] == []
    assert len(shown) >= 0.8 * len(PAYLOADS)  # a fifth has what is not shown as it is
    assert {room for room in SHOWN if not rooms.get(room)} == set()
    for kind in ("/evaluations/", "/batches/", "/collections/"):
        assert any(some for room, some in rooms.items() if room.startswith(kind)), kind


def _shown_calmly(browser: Browser, path: str) -> set[str]:
    """The payloads that one reads on the page, in which none may have run."""
    assert browser.value("window.hit === undefined"), path
    text = str(browser.value("document.body.textContent"))
    return {one for one in PAYLOADS if one in text}


def test_payloads_differ() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 200
