"""Jobs, their events and checkpoints: what is kept once, listed by page, and moved only from where it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.json import encode

from greenroom.errors import MalformedRequest
from greenroom.store.jobs import UNFINISHED, CheckpointRow, EventRow, JobRow, JobStore, Page


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    made = JobStore(tmp_path / "jobs.db")
    yield made
    made.close()


def add(store: JobStore, id: str, metadata: str = "null", project: str = "one") -> JobRow:
    return store.add(
        JobRow(id=id, project=project, key="k", request=b"{}", metadata=metadata, name=f"ft:{id}")
    )


def test_jobs_are_listed_newest_first_by_project_page_and_metadata(store: JobStore) -> None:
    for place in range(4):
        add(store, f"j{place}", f'{{"run":"{place % 2}","it\\"s":"odd"}}')
    add(store, "other", project="two")
    add(store, "bare")

    first, more = store.jobs("one", Page(2))
    second, end = store.jobs("one", Page(3, first[-1].id))

    assert ([one.id for one in first], more) == (["bare", "j3"], True)
    assert ([one.id for one in second], end) == (["j2", "j1", "j0"], False)
    assert [one.id for one in store.jobs("one", metadata={"run": "0", 'it"s': "odd"})[0]] == ["j2", "j0"]
    assert [one.id for one in store.jobs("one", without_metadata=True)[0]] == ["bare"]
    assert len(store.jobs(None)[0]) == 6
    with pytest.raises(MalformedRequest):
        store.jobs("one", Page(2, "none"))


def test_a_job_that_ended_moves_no_more_unless_that_is_meant(store: JobStore) -> None:
    add(store, "j")

    assert store.move("j", "cancelled")
    assert not store.move("j", "running")
    assert not store.note("j", starts=1)
    row = store.job("j")
    assert row is not None
    assert (row.status, row.ended_ns > 0, store.unfinished()) == ("cancelled", True, [])
    assert store.job("j", "two") is None


def test_what_the_file_said_is_kept_once(store: JobStore) -> None:
    job = add(store, "j")
    events = [EventRow(at_ns=n, message=f"event {n}") for n in range(3)]

    assert store.tell(job, events, 100, 0)
    assert not store.tell(job, events, 100, 0)

    rows, more = store.events(job, Page(2))
    assert ([one.message for one in rows], more) == (["event 2", "event 1"], True)
    assert [one.message for one in store.events(job, Page(2, rows[-1].id))[0]] == ["event 0"]


def test_long_curves_are_read_at_some_steps_and_at_all_validations(store: JobStore) -> None:
    job = add(store, "j")
    store.tell(
        job,
        [
            EventRow(
                at_ns=n, type="metrics", message=f"Step {n}: {'validation' if n % 250 == 0 else 'training'} loss",
                data=encode({"step": n, "train_loss": 1.0 / n}),
            )
            for n in range(1, 1001)
        ],
    )  # fmt: skip

    some = store.metrics(job, 100)

    assert len(store.metrics(job)) == 1000
    assert 100 <= len(some) <= 104
    assert sum("validation" in one.message for one in some) == 4
    assert store.newest_metrics(job) == {"step": 1000, "train_loss": 0.001}


def test_jobs_that_take_turns_all_have_their_curves(store: JobStore) -> None:
    jobs = [add(store, "j"), add(store, "k")]
    for n in range(1, 201):
        for job in jobs:
            store.tell(job, [EventRow(at_ns=n, type="metrics", message=f"Step {n}", data=b"{}")])

    assert [len(store.metrics(job, 50)) for job in jobs] == [50, 50]


def test_jobs_are_found_by_state_and_project(store: JobStore) -> None:
    for id in ("j", "k", "l"):
        add(store, id)
    store.move("k", "failed")

    assert store.ids(("failed", "validating_files")) == ["j", "k", "l"]
    assert store.ids(("failed",), "one") == ["k"]
    assert store.ids(("failed",), "two") == []


def test_checkpoints_are_kept_once_for_each_step(store: JobStore) -> None:
    job = add(store, "j")
    rows = [CheckpointRow(job=job.number, step=n, at_ns=n, model=f"m{n}", metrics=b"{}") for n in (10, 20)]

    store.add_checkpoints(rows)
    store.add_checkpoints(rows)

    found, more = store.checkpoints(job, Page(1))
    assert ([one.step for one in found], more) == ([20], True)
    assert [one.step for one in store.checkpoints(job, Page(5, found[0].id))[0]] == [10]


def test_a_job_is_added_by_one_process_and_seen_by_another(tmp_path: Path, store: JobStore) -> None:
    other = JobStore(tmp_path / "jobs.db")
    before = other.generation()

    add(store, "j")

    assert other.generation() > before
    assert len(other.ids(UNFINISHED, "one")) == 1
    other.close()
