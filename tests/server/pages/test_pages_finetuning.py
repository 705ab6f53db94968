"""The pages of fine-tuning: curves, forms, twins, and what is hostile in a name."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from greenroom.errors import NotFound, RequestError
from greenroom.server.pages.curves import charts
from greenroom.server.pages.finetuning import FinetuningPages
from greenroom.server.pages.site import pages
from tests.server.pages.backend import ADMIN_KEY, VIEWER_KEY, FakeBackend
from tests.server.pages.browser import Browser, chromium, sign_in
from tests.server.pages.visitor import Clock, Visitor

Json = dict[str, Any]
NAME = "ft:tiny:one:<b>x</b>:1"
POINTS = [
    {"phase": "pretraining", "step": 1, "train_loss": 6.0},
    {"phase": "pretraining", "step": 2, "train_loss": 5.0},
    {"phase": "training", "step": 1, "train_loss": 4.0},
    {"phase": "training", "step": 2, "train_loss": 2.0, "valid_loss": 2.5, "valid_mean_token_accuracy": 0.5},
]


class Jobs:
    """Two jobs by hand; remembers what was done."""

    def __init__(self) -> None:
        self.state = "running"
        self.step = 2
        self.done: list[tuple[str, ...]] = []

    def list(self) -> list[Json]:
        return [
            self._summary("ftjob-1"),
            {**self._summary("ftjob-2"), "status": "failed", "error": "<i>No</i> rows."},
        ]

    def show(self, id: str) -> Json:
        if id != "ftjob-1":
            raise NotFound("There is no such job.")
        return {
            "id": id, "model": "tiny", "training_file": "file-1", "validation_file": None,
            "method": {"type": "supervised"}, "points": POINTS, "summary": self._summary(id),
            "greenroom": {
                "state": self.state, "name": NAME, "base": None, "start": "from_scratch", "tuning": "full",
                "progress": {"memory_mb": 450.5}, "estimate": {"told": "It is estimated to take 2 minutes."},
                "report": {"problems": []}, "starts": 2, "card": None,
            },
            "events": [{"level": "warn", "type": "message", "message": "<script>hit()</script>", "at": "2026-11-27T01:00:00Z"}],
            "checkpoints": [{"step_number": 2, "fine_tuned_model_checkpoint": f"{NAME}:ckpt-step-2", "metrics": {}}],
        }  # fmt: skip

    def change(self, id: str, deed: str, by: str, address: str) -> None:
        if deed == "resume":
            raise RequestError("The job is training and can't be resumed.")
        self.done.append((id, deed, by))

    def _summary(self, id: str) -> Json:
        return {
            "id": id, "project": "one", "model": NAME, "status": self.state, "phase": "training", "step": self.step,
            "total_steps": 10, "done": self.step / 10, "created_at": "2026-11-27T01:00:00Z", "ended_at": None,
            "finish_at": "2026-11-27T02:00:00Z", "error": None,
        }  # fmt: skip


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def visitor(jobs: Jobs) -> Iterator[Visitor]:
    with Visitor(FakeBackend(), Clock(), more=(FinetuningPages(jobs).routes,)) as visitor:
        visitor.sign_in()
        yield visitor


def form(visitor: Visitor, **fields: str) -> dict[str, str]:
    return {"csrf": visitor.token("/finetuning/ftjob-1"), **fields}


def test_all_jobs_are_listed_and_their_words_are_text(visitor: Visitor) -> None:
    seen = visitor.see("/finetuning")

    assert seen.all("a", href="/finetuning/ftjob-1")
    assert NAME in seen.text
    assert "<i>No</i> rows." in seen.text
    assert not seen.all("b")
    assert visitor.get("/finetuning.json").json()["data"][0]["id"] == "ftjob-1"


def test_a_job_shows_its_curves_its_progress_and_what_it_told(visitor: Visitor) -> None:
    seen = visitor.see("/finetuning/ftjob-1")

    assert [one["class"] for one in seen.all("polyline")] == ["curve-train", "curve-valid", "curve-valid"]
    assert len(seen.all("polyline")[0]["points"].split()) == 4
    assert "training, step 2 of 10" in seen.text
    assert "<script>hit()</script>" in seen.text
    assert "It is estimated to take 2 minutes." in seen.text
    assert seen.all("div", **{"data-live": "yes"})
    assert visitor.get("/finetuning/ftjob-1.json").json()["points"] == POINTS
    assert visitor.get("/finetuning/ftjob-3").status_code == 404


def test_a_job_that_ended_is_not_brought_up_to_date(visitor: Visitor, jobs: Jobs) -> None:
    jobs.state = "succeeded"

    seen = visitor.see("/finetuning/ftjob-1")

    assert seen.all("div", **{"data-live": ""})
    assert not seen.all("form", action="/finetuning/ftjob-1")


@pytest.mark.parametrize(
    ("state", "deeds"),
    [("failed", {"resume", "cancel"}), ("succeeded", set()), ("running", {"pause", "cancel"})],
)
def test_a_job_has_buttons_for_what_may_be_done_with_it(
    visitor: Visitor, jobs: Jobs, state: str, deeds: set[str]
) -> None:
    jobs.state = state

    page = visitor.get("/finetuning/ftjob-1").text

    assert {one for one in ("pause", "resume", "cancel") if f'name="do" value="{one}"' in page} == deeds


def test_forms_pause_and_cancel_what_the_reader_means(visitor: Visitor, jobs: Jobs) -> None:
    assert visitor.post("/finetuning/ftjob-1", form(visitor, do="pause")).status_code == 303
    unsure = visitor.post("/finetuning/ftjob-1", form(visitor, do="cancel"))
    assert (unsure.status_code, "Tick the box" in unsure.text) == (400, True)
    assert visitor.post("/finetuning/ftjob-1", form(visitor, do="cancel", sure="yes")).status_code == 303
    refused = visitor.post("/finetuning/ftjob-1", form(visitor, do="resume"))
    assert (refused.status_code, "can&#39;t be resumed" in refused.text) == (400, True)

    assert jobs.done == [("ftjob-1", "pause", "key-admin"), ("ftjob-1", "cancel", "key-admin")]


def test_forms_of_others_and_of_viewers_do_nothing(visitor: Visitor, jobs: Jobs) -> None:
    wanted = form(visitor, do="pause")
    assert visitor.post("/finetuning/ftjob-1", wanted, origin="https://evil.example").status_code == 403
    assert visitor.post("/finetuning/ftjob-1", {**wanted, "csrf": "guessed"}).status_code == 403

    with Visitor(FakeBackend(), Clock(), more=(FinetuningPages(jobs).routes,)) as viewer:
        viewer.sign_in(VIEWER_KEY)
        assert not viewer.see("/finetuning/ftjob-1").all("form", action="/finetuning/ftjob-1")
        answer = viewer.post("/finetuning/ftjob-1", {"csrf": viewer.token("/finetuning"), "do": "pause"})
        assert answer.status_code == 403
    assert jobs.done == []


@pytest.mark.parametrize(
    "path", ["/finetuning", "/finetuning/ftjob-1", "/finetuning.json", "/finetuning/ftjob-1.json"]
)
def test_nobody_sees_them_without_signing_in(jobs: Jobs, path: str) -> None:
    with Visitor(FakeBackend(), Clock(), more=(FinetuningPages(jobs).routes,)) as stranger:
        assert stranger.get(path).status_code in {303, 401}


def test_curves_stand_one_phase_after_another_within_the_drawing() -> None:
    loss, right = charts(POINTS)

    places = [float(one.partition(",")[0]) for one in loss.lines[0].path.split()]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (216.0, 708.0)
    assert [one.text for one in loss.parts] == ["pretraining", "training"]
    assert [one.text for one in loss.up] == ["2", "3", "4", "5", "6"]
    assert right.lines[0].newest == "0.500"
    assert charts(POINTS[:1]) == []
    assert charts([{"phase": "training", "step": n, "train_loss": float("nan")} for n in (1, 2)]) == []
    assert len(charts([{"phase": "training", "step": n, "train_loss": 1.0} for n in (1, 2)])) == 1


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="no Chromium here")
def test_a_page_brings_itself_up_to_date(jobs: Jobs) -> None:
    import socket
    import time

    with socket.create_server(("127.0.0.1", 0)) as listener, Browser() as browser:
        routes = pages(FakeBackend(), more=(FinetuningPages(jobs).routes,))
        server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes), log_level="warning", ws="none", lifespan="off")
        )
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            sign_in(browser, origin, ADMIN_KEY)
            browser.go(f"{origin}/finetuning/ftjob-1")
            jobs.step = 7
            deadline = time.monotonic() + 10
            while "step 7 of 10" not in browser.value("document.querySelector('main').textContent"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert browser.problems == []
        finally:
            server.should_exit = True
            thread.join()
