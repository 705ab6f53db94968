"""A user's erasure while the server goes on: nothing is left in logs of stores, in names, or by a fault."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from greenroom.assembly import erasing
from greenroom.assembly.house import House
from greenroom.assembly.users import UserDesk
from greenroom.errors import StoreError
from greenroom.offline.bench import Bench, key_of
from greenroom.offline.budget import Budget
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.store.data_sets import DataSets
from greenroom.store.database import open_reader
from greenroom.store.responses import Kept, StoredResponses
from greenroom.store.trials import FILE, Trials
from greenroom.wire.otlp.signals import Origin, Span, Spans
from tests.offline.optimize.scripted import Model, prompt, samples
from tests.store.exchanges import entry_of, make_exchange

ANA = f"{10:032x}"
BEA = f"{20:032x}"
NAME = "ana-from-cascais"
WORDS = "near the lighthouse of Cascais"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House.open(None, tmp_path / "data", {})
    yield found
    found.stop()


def kept_in(folder: Path, words: str) -> list[str]:
    return sorted(
        path.name for path in folder.rglob("*") if path.is_file() and words.encode() in path.read_bytes()
    )


def test_while_the_server_runs_no_file_holds_what_was_erased(house: House) -> None:
    house.traces.write([entry_of(make_exchange(ANA, WORDS, user=NAME))])
    StoredResponses(house.responses).keep(
        Kept(
            id="resp_1", project="default", key="k", session="s", status="completed", user=NAME,
            created_at=int(time.time()), body={"output": WORDS},
        )
    )  # fmt: skip
    house.responses.flush()
    origin = Origin(resource={"service.name": "shop", "enduser.id": NAME})
    house.spans.add("default", [Spans(origin, [Span(trace=BEA, id="0" * 15 + "1", name=WORDS)])])
    number = Span(trace=f"{30:032x}", id="0" * 15 + "2", attributes={"user.id": 4711})
    house.spans.add("default", [Spans(Origin(), [number])])
    house.views.save("key_1", "hers", f"outcome:refused user:{NAME}")
    house.views.save("key_1", "others", f"user:{NAME}-2")
    assert len(kept_in(house.data, NAME)) >= 3
    assert len(kept_in(house.data, WORDS)) >= 2

    gone = UserDesk(house).forget("default", NAME)

    assert kept_in(house.data, WORDS) == []
    assert kept_in(house.data, NAME) == ["views.db"], "the view of another user alone"
    assert [one.name for one in house.views.of("key_1")] == ["others"]
    assert (gone["traces"], gone["spans"], gone["views"]) == (1, 1, 1)
    assert UserDesk(house).forget("default", "4711")["spans"] == 1


def test_what_failed_half_way_is_done_by_asking_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.traces.write([entry_of(make_exchange(ANA, WORDS, user=NAME))])
    row = json.dumps({"id": ANA, "messages": [{"role": "user", "content": WORDS}]}).encode()
    kept = DataSets(house.evals).add("default", "real", "d" * 64, [row], "traces")

    def fails(*_: object) -> int:
        raise StoreError("The store 'evals.db' is held by another process.")

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "erase_exchanges", fails)
        with pytest.raises(StoreError):
            UserDesk(house).forget("default", NAME)
    gone = UserDesk(house).forget("default", NAME)

    assert (gone["traces"], gone["eval_rows"]) == (1, 1)
    assert list(DataSets(house.evals).rows(kept)) == []


def test_an_erasure_cut_between_two_files_takes_no_row_of_another(house: House) -> None:
    house.traces.write([entry_of(make_exchange(ANA, WORDS, user=NAME))])
    folder = house.folder() / "finetune" / "ftjob-1"
    folder.mkdir(parents=True)
    lineage = "".join(
        json.dumps({"row": at, "line": at, "trace": id}) + "\n" for at, id in enumerate((ANA, BEA, BEA), 1)
    )
    (folder / "train.lineage.jsonl").write_text(lineage)
    (folder / "train.jsonl").write_text('{"row":"bea 1"}\n{"row":"bea 2"}\n')  # hers is gone already

    UserDesk(house).forget("default", NAME)

    assert (folder / "train.jsonl").read_text() == '{"row":"bea 1"}\n{"row":"bea 2"}\n'
    left = [json.loads(line) for line in (folder / "train.lineage.jsonl").read_text().splitlines()]
    assert [(one["row"], one["trace"]) for one in left] == [(1, BEA), (2, BEA)]


async def test_what_waits_to_be_stored_goes_too(tmp_path: Path) -> None:
    async with House.open(None, tmp_path / "data", {}).running() as house:
        house.recorder.put(make_exchange(ANA, WORDS, user=NAME))
        house.recorder.put(make_exchange(BEA, WORDS, user="bea"))

        gone = await asyncio.to_thread(UserDesk(house).forget, "default", NAME)

        await asyncio.sleep(0.5)
        assert gone["traces"] == 1
        assert house.traces.get(None, ANA) is None
        assert house.traces.get(None, BEA) is not None


async def test_answers_of_a_search_over_exchanges_and_what_judges_said_of_them_go(tmp_path: Path) -> None:
    class Judge:
        name = "judge"
        higher_is_better = True

        async def score(self, sample: Sample, output: Output) -> Score:
            return Score(name="judge", value=0.5, reason=f"it says {output.text}", cost_nano_usd=7)

    house = House.open(None, tmp_path / "data", {})
    house.traces.write([entry_of(make_exchange(ANA, WORDS, user=NAME))])
    rows = [replace(one, id=id) for one, id in zip(samples(2), (ANA, BEA), strict=True)]
    trials = Trials(house.data)
    model = Model(prompt(), 0.5, {})
    bench = Bench(house.evals, trials, "a", Budget(10**9), [Judge()])
    await bench.measure(model, rows)
    hers, others = (key_of(model, one) for one in rows)
    assert house.evals.newest(hers) is not None

    UserDesk(house).forget("default", NAME)

    assert house.evals.newest(hers) is None
    assert house.evals.newest(others) is not None
    with closing(open_reader(house.data / FILE)) as db:
        left = {row[0]: row[1] for row in db.execute("SELECT call, length(value) > 0 FROM scores")}
    assert left == {hers: 0, others: 1}
    assert trials.judged("a") == (14, 2), "that it was paid for stays"
    trials.close()
    house.stop()
