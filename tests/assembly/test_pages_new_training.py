"""A fine-tuning job made from the page: rows uploaded, looked at, and trained on only when that is asked for."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly.finetuning import Finetuning
from greenroom.assembly.house import House
from greenroom.assembly.new_trainings import FOLDER, NewTrainings
from greenroom.offline.finetune import desk as desks
from greenroom.server.pages.new_training import NewTrainingPage
from greenroom.store.jobs import Page
from tests.server.pages.backend import OPERATOR_KEY, VIEWER_KEY, FakeBackend
from tests.server.pages.visitor import Clock, Seen, Visitor


def lines(count: int = 20) -> bytes:
    """Rows of a file; one says who to write to."""
    rows = [
        {"messages": [
            {"role": "user", "content": f"Is pier {n} open? I am ana{n}@example.org."},
            {"role": "assistant", "content": f"Pier {n} is open."},
        ]}
        for n in range(count)
    ]  # fmt: skip
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(desks, "_LIBRARIES", ())  # nothing is trained here
    found = House.open(None, tmp_path / "data", {})
    yield found
    found.stop()


@pytest.fixture
def visitor(house: House) -> Iterator[Visitor]:
    page = NewTrainingPage(NewTrainings(Finetuning(house)))
    with Visitor(FakeBackend(), Clock(), more=(page.routes,)) as one:
        yield one


def upload(visitor: Visitor, data: bytes) -> str:
    """Send rows by the form; where the browser is sent then."""
    fields = {"csrf": visitor.token("/finetuning/new"), "project": "one"}
    answer = visitor.client.post(
        "/finetuning/files",
        data=fields,
        files={"file": ("rows.jsonl", data)},
        headers={"origin": visitor.origin},
    )
    assert answer.status_code == 303, Seen(answer.text).text
    return answer.headers["location"]


@pytest.mark.slow
def test_the_estimate_comes_first_and_the_job_once(house: House, visitor: Visitor) -> None:
    visitor.sign_in()
    place = upload(visitor, lines())
    asked = {
        "csrf": visitor.token("/finetuning/new"), "file": place.partition("file=")[2], "start": "from_scratch",
        "suffix": "piers",
    }  # fmt: skip
    estimate = visitor.post("/finetuning/new", {**asked, "do": "estimate"})
    before = house.jobs.jobs(None, Page(10))[0]
    mark = Seen(estimate.text).all("input", name="mark")[0]["value"]
    made = visitor.post("/finetuning/new", {**asked, "do": "create", "mark": mark})
    twice = visitor.post("/finetuning/new", {**asked, "do": "create", "mark": mark})
    jobs = house.jobs.jobs(None, Page(10))[0]
    changes = [(one.what, one.who) for one in house.keys.audit_log(10)]

    seen = Seen(estimate.text)
    assert place.startswith("/finetuning/new?file=file-")
    assert "It is estimated to take" in seen.text
    assert "20 of 20" in seen.text
    assert "EMAIL" in seen.text
    assert before == []
    assert [(one.project, one.id) for one in jobs] == [("one", made.headers["location"].rpartition("/")[2])]
    assert twice.status_code == 409
    assert changes == [("finetune.create", "key-admin"), ("file.create", "key-admin")]
    assert list((house.folder() / FOLDER).iterdir()) == []


@pytest.mark.slow
def test_rows_that_cannot_be_trained_on_are_told_line_by_line(visitor: Visitor) -> None:
    visitor.sign_in()
    place = upload(visitor, b'{"messages": []}\nnonsense\n')
    asked = {
        "csrf": visitor.token("/finetuning/new"),
        "file": place.partition("file=")[2],
        "start": "from_scratch",
    }
    page = Seen(visitor.post("/finetuning/new", {**asked, "do": "estimate"}).text)

    assert "It would be refused" in page.text
    assert "line 2" in page.text.lower()
    assert not page.all("input", name="mark")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": "base"}, "Say what to start from"),
        ({"start": "from_scratch", "file": "file-none"}, "no such file of rows"),
        ({"start": "from_scratch", "epochs": "many"}, "'epochs' must be a number"),
        ({"start": "from_scratch", "method": "magic"}, "'method.type'"),
        ({"start": "from_scratch", "tuning": "lora"}, "no 'tuning' but full"),
    ],
)
def test_what_can_not_be_meant_is_said(visitor: Visitor, fields: dict[str, str], said: str) -> None:
    visitor.sign_in()
    place = upload(visitor, b"{}")
    asked = {"file": place.partition("file=")[2], "csrf": visitor.token("/finetuning/new"), "do": "estimate"}
    answer = visitor.post("/finetuning/new", {**asked, **fields})

    assert answer.status_code in (400, 404)
    assert said in Seen(answer.text).text


def test_rows_of_other_projects_are_not_there(visitor: Visitor) -> None:
    visitor.sign_in()
    file = upload(visitor, b"{}").partition("file=")[2]
    visitor.client.cookies.clear()
    visitor.sign_in(OPERATOR_KEY)
    csrf = visitor.token("/finetuning/new")
    asked = {"csrf": csrf, "file": file, "start": "from_scratch", "do": "estimate"}
    offered = visitor.get("/finetuning/new.json").json()
    tried = visitor.post("/finetuning/new", asked)
    sent = visitor.client.post(
        "/finetuning/files", data={"csrf": csrf, "project": "one"}, files={"file": ("rows.jsonl", b"{}")},
        headers={"origin": visitor.origin},
    )  # fmt: skip

    assert (offered["files"], offered["projects"]) == ([], ["default"])
    assert tried.status_code == 404
    assert sent.status_code == 404


def test_who_may_only_look_makes_nothing(house: House, visitor: Visitor) -> None:
    visitor.sign_in(VIEWER_KEY)
    page = visitor.see("/finetuning/new")
    csrf = page.all("input", name="csrf")[0]["value"]
    made = visitor.post(
        "/finetuning/new", {"csrf": csrf, "do": "create", "mark": "m", "start": "from_scratch"}
    )
    sent = visitor.client.post(
        "/finetuning/files", data={"csrf": csrf}, files={"file": ("rows.jsonl", b"{}")}, headers={"origin": visitor.origin}
    )  # fmt: skip

    assert "may look, but not train" in page.text
    assert (made.status_code, sent.status_code) == (403, 403)
    assert house.documents.files.newest("fine-tune", 10) == []
