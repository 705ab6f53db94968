"""What is asked of jobs, beside those that HTTP shows: who may loosen the gate, and what becomes of failed jobs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import convert

from greenroom.errors import Forbidden, MalformedRequest, NotFound, QuotaExceeded, RequestError
from greenroom.exchange import Caller
from greenroom.grounding.database import Database
from greenroom.grounding.files import Files
from greenroom.offline.finetune import desk as desks
from greenroom.offline.finetune.desk import JobDesk
from greenroom.offline.finetune.settings import FinetuneConfig
from greenroom.store.jobs import JobRow, JobStore, Status
from greenroom.store.trained import TrainedModels
from greenroom.wire.finetune import NewJob

Role = Literal["app", "operator", "admin"]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs.db")
    yield store
    store.close()


@pytest.fixture
def desk(tmp_path: Path, kept: JobStore, monkeypatch: pytest.MonkeyPatch) -> JobDesk:
    monkeypatch.setattr(desks, "_LIBRARIES", ())
    files = Files(Database(tmp_path / "documents.db"), tmp_path / "files")
    trained: Callable[[], TrainedModels] = lambda: TrainedModels(tmp_path / "trained.db")  # noqa: E731  # short
    return JobDesk(kept, trained, files, tmp_path / "finetune", lambda: FinetuneConfig(quota_mb=1))


def caller(role: Role) -> Caller:
    return Caller(key_id="k", project="one", role=role)


def asked(**data: Any) -> NewJob:
    body = {
        "model": "tiny",
        "training_file": "file-none",
        "greenroom": {"start": "from_scratch", "data": data},
    }
    return convert(body, NewJob)


def add(kept: JobStore, id: str, status: Status) -> None:
    kept.add(JobRow(id=id, project="one", key="k", request=b'{"model":"tiny","training_file":"f","seed":1}'))
    kept.move(id, status)


@pytest.mark.parametrize("loose", [{"mask": False}, {"evaluation": False}, {"consent": "any"}])
def test_the_key_of_an_app_can_not_turn_protection_off(desk: JobDesk, loose: dict[str, Any]) -> None:
    with pytest.raises(Forbidden, match=rf"greenroom\.data\.{next(iter(loose))}' .*operator or admin"):
        desk.create(caller("app"), asked(**loose))
    for role in ("operator", "admin"):
        with pytest.raises(NotFound, match="file-none"):  # the next thing that is looked at
            desk.create(caller(role), asked(**loose))


def test_the_key_of_an_app_may_be_stricter(desk: JobDesk) -> None:
    with pytest.raises(NotFound, match="file-none"):
        desk.create(caller("app"), asked(consent="stated", duplicates=False, least_rows=50))


@pytest.mark.parametrize("wrong", [{"concent": "stated"}, {"max_tokens": 0}, {"least_rows": -1}])
def test_a_slip_in_what_the_gate_shall_do_is_told(desk: JobDesk, wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequest, match=r"greenroom\.data"):
        desk.create(caller("admin"), asked(**wrong))


def test_a_failed_job_that_fills_the_quota_can_be_given_up(desk: JobDesk, kept: JobStore) -> None:
    add(kept, "ftjob-1", "failed")
    folder = desk.folder("ftjob-1")
    folder.make()
    (folder.path / "weights").write_bytes(bytes(2 << 20))
    with pytest.raises(RequestError, match="cancel jobs that failed"):
        desk._check_room("one")

    assert desk.cancel(caller("app"), "ftjob-1")["status"] == "cancelled"

    with pytest.raises(RequestError, match="was cancelled"):
        desk.cancel(caller("app"), "ftjob-1")
    with pytest.raises(RequestError, match="was cancelled"):
        desk.resume(caller("app"), "ftjob-1")


def test_jobs_at_rest_count_so_that_pausing_makes_no_room_for_more(desk: JobDesk, kept: JobStore) -> None:
    for number in range(FinetuneConfig().waiting):
        desk._check_room("one")
        add(kept, f"ftjob-{number}", "paused")

    with pytest.raises(QuotaExceeded, match="wait, rest or train"):
        desk._check_room("one")
    desk._check_room("two")


def test_one_that_succeeded_can_not_be_cancelled(desk: JobDesk, kept: JobStore) -> None:
    add(kept, "ftjob-1", "succeeded")

    with pytest.raises(RequestError, match="has succeeded"):
        desk.cancel(caller("app"), "ftjob-1")
