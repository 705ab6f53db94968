"""A user's erasure reaches what was made of the exchanges; retention keeps to each project's days."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.keys import KeyDesk
from greenroom.assembly.retaining import RetentionDesk, let_go
from greenroom.assembly.users import UserDesk
from greenroom.errors import MalformedRequest
from greenroom.offline.evals.recorded import from_traces
from greenroom.store.data_sets import DataSets
from greenroom.store.listing import TraceFilter
from greenroom.store.responses import Kept, StoredResponses
from greenroom.store.trained import TrainedModel
from greenroom.wire.otlp.signals import Origin, Span, Spans
from tests.store.exchanges import entry_of, make_exchange

ANA = [f"{number:032x}" for number in range(10, 13)]
BEA = [f"{number:032x}" for number in range(20, 22)]
DAY_NS = 86_400_000_000_000
WORDS = "I live in Cascais near the lighthouse"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "greenroom.toml").write_text(
        "[projects.short]\nretention_days = 2\n[projects.long]\nretention_days = 400\n", encoding="utf-8"
    )
    found = House.open(tmp_path / "greenroom.toml", tmp_path / "data", {})
    yield found
    found.stop()


def fill(house: House) -> None:
    for user, ids in (("ana", ANA), ("bea", BEA)):
        house.traces.write(
            [entry_of(make_exchange(id, f"{WORDS}, says {user} in {id}.", user=user)) for id in ids]
        )


def everything_kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nothing_that_was_made_of_a_users_exchanges_stays(house: House) -> None:
    fill(house)
    data = from_traces(house.traces, TraceFilter(project="default", limit=50), expect_reply=True)
    sets = DataSets(house.evals)
    kept = sets.add("default", "real", data.digest, [
        json.dumps({"id": one.id, "messages": one.messages}, default=str).encode() for one in data.samples
    ], "traces")  # fmt: skip
    call = house.evals.ask("run_1", "key")
    house.evals.answered(call, "answered", 5, WORDS.encode())
    house.evals.add_item("run_1", 0, 0, ANA[0], call, b"{}", 0)
    with house.evals.changing() as db:
        db.execute(
            "INSERT INTO openai_rows VALUES ('evalrun_1', 0, ?)", (f'{{"trace":"{ANA[1]}"}}'.encode(),)
        )
        db.execute(
            "INSERT INTO openai_rows VALUES ('evalrun_1', 1, ?)", (f'{{"trace":"{BEA[0]}"}}'.encode(),)
        )
    for place, name in ((0, "ana"), (1, "bea")):
        graded = house.evals.ask("evalrun_1", f"row {place}")
        house.evals.answered(graded, "answered", 3, f"{WORDS}, says {name}".encode())
        house.evals.add_item("evalrun_1", place, 0, str(place), graded, b"{}", 0)
    for run, key in (
        ("evalrun_1#judge", "judge 1"),
        ("evalrun_1", "not graded"),
        ("evalrun_2#judge", "judge 2"),
    ):
        said = "bea" if run == "evalrun_2#judge" else "ana"
        house.evals.answered(house.evals.ask(run, key), "answered", 2, f"says {said}".encode())
    for trace, user in ((ANA[2], "ana"), (BEA[0], "bea")):
        span = Span(trace=trace, id="0" * 15 + "1", name=WORDS, attributes={"enduser.id": user})
        house.spans.add("default", [Spans(Origin(), [span])])

    gone = UserDesk(house).forget("default", "ana")

    assert (gone["traces"], gone["eval_rows"], gone["spans"]) == (3, 6, 1)
    rows = [json.loads(row)["id"] for row in sets.rows(kept)]
    assert sorted(rows) == sorted(BEA)
    assert house.evals.newest("key") is None
    kept_keys = [key for key in ("row 0", "row 1", "judge 1", "judge 2") if house.evals.newest(key)]
    assert kept_keys == ["row 1", "judge 2"]
    assert house.evals.spent("evalrun_1").nano_usd == 8
    assert house.evals.spent("run_1").nano_usd == 5  # that it was paid for stays
    assert len(house.spans.of(None, BEA[0]).spans) == 1
    house.stop()
    left = everything_kept(house.data)
    assert b"says ana" not in left
    assert not any(id.encode() in left for id in ANA)
    assert BEA[0].encode() in left


def test_rows_to_train_on_go_and_models_that_learnt_from_them_are_counted(house: House) -> None:
    fill(house)
    folder = house.folder() / "finetune" / "ftjob-1"
    folder.mkdir(parents=True)
    ids = [ANA[0], BEA[0], ANA[1]]
    (folder / "train.jsonl").write_text(
        "".join(json.dumps({"messages": [{"role": "user", "content": f"row of {id}"}]}) + "\n" for id in ids)
    )
    (folder / "train.lineage.jsonl").write_text(
        "".join(json.dumps({"row": at, "line": at, "trace": id}) + "\n" for at, id in enumerate(ids, 1))
    )
    (folder / "plan.json").write_text("{}")
    house.trained.register(
        TrainedModel(
            name="ft:tiny:default:x:1", project="default", created_ns=1, base="tiny", job="ftjob-1",
            kind="model", gguf="finetune/ftjob-1/out.gguf",
        )
    )  # fmt: skip

    gone = UserDesk(house).forget("default", "ana")

    assert (gone["training_rows"], gone["models"]) == (2, 1)
    assert BEA[0] in (folder / "train.jsonl").read_text()
    assert "row of" in (folder / "train.jsonl").read_text()
    assert ANA[0] not in (folder / "train.jsonl").read_text()
    lineage = [json.loads(line) for line in (folder / "train.lineage.jsonl").read_text().splitlines()]
    assert lineage == [{"row": 1, "line": 2, "trace": BEA[0]}]
    assert UserDesk(house).forget("default", "nobody")["traces"] == 0


def test_each_project_keeps_what_it_recorded_as_long_as_it_says(house: House) -> None:
    now = time.time_ns()
    names = ("default", "short", "long")
    for days in (500, 100, 10, 1):
        house.traces.write([
            entry_of(make_exchange(f"{one}-{days}", project=one, created_ns=now - days * DAY_NS)) for one in names
        ])  # fmt: skip
    for one in names:
        for days in (500, 10):
            StoredResponses(house.responses).keep(
                Kept(
                    id=f"resp_{one}_{days}", project=one, key="k", session="s", status="completed",
                    created_at=int(time.time()) - days * 86_400, body={},
                )
            )  # fmt: skip
    house.spans.add("short", [Spans(Origin(), [Span(trace=ANA[0], id="0" * 16)])], now_ns=now - 3 * DAY_NS)
    house.spans.add("long", [Spans(Origin(), [Span(trace=ANA[1], id="0" * 16)])], now_ns=now - 300 * DAY_NS)

    hour = now // 3_600_000_000_000
    house.drift.add({
        hour - 24 * days: {(one, "app"): [("ana", f"{one}-{days}", b"")] for one in names} for days in (10, 1)
    })  # fmt: skip

    let_go(house)

    assert sorted(one[0] for one in house.drift.of_hour(hour - 240)) == ["default", "long"]
    assert len(house.drift.of_hour(hour - 24)) == 3
    left = {one["id"] for one in house.traces.list(TraceFilter(limit=50)).rows}
    assert left == {"default-10", "default-1", "short-1", "long-100", "long-10", "long-1"}
    with house.responses.changing() as db:
        kept = {row[0] for row in db.execute("SELECT id FROM responses")}
    assert kept == {"resp_default_10", "resp_long_10"}
    assert house.spans.of(None, ANA[0]).total == 0
    assert house.spans.of(None, ANA[1]).total == 1


def test_without_projects_of_their_own_days_one_bound_holds_for_all(tmp_path: Path) -> None:
    house = House.open(None, tmp_path / "data", {})
    old = time.time_ns() - 31 * DAY_NS
    house.traces.write([entry_of(make_exchange(f"{one}", project=one, created_ns=old)) for one in "abc"])

    let_go(house)

    assert house.traces.list(TraceFilter(limit=5)).rows == []
    house.stop()


def test_days_set_over_the_api_go_before_those_of_the_configuration(house: House) -> None:
    desk, now = RetentionDesk(house), time.time_ns()
    ids = [f"long-{days}" for days in (20, 3)]
    for id in ids:
        age = int(id.partition("-")[2])
        house.traces.write([entry_of(make_exchange(id, project="long", created_ns=now - age * DAY_NS))])

    told = desk.set_days("long", 10, "key_ana", "10.0.0.7")
    let_go(house)

    assert told == {"id": "long", "object": "project", "retention_days": 10}
    assert [one["id"] for one in house.traces.list(TraceFilter(limit=5)).rows] == ["long-3"]
    days = {one["id"]: one["retention_days"] for one in KeyDesk(house).projects()}
    assert days == {"long": 10, "short": 2}
    assert desk.set_days("long", None, "key_ana", "")["retention_days"] == 400
    log = house.keys.audit_log(5)
    assert [(one.what, one.who) for one in log] == [("project.retention", "key_ana")] * 2
    assert (log[1].before["retention_days"], log[1].after["retention_days"]) == (400, 10)
    with pytest.raises(MalformedRequest):
        desk.set_days("a\nb", 5, "key_ana", "")
