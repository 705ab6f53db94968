"""Batches whose process ends, whose disk is full, and that several processes share."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from greenroom.offline.batches import hosted as running
from greenroom.offline.batches.input import hold, input_of
from greenroom.offline.batches.results import write
from greenroom.store.batches import BatchRow, Result, new_id
from tests.assembly.bulk import CHAT, Shop, hosted, line, lines, names, shop_of, until


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop_of(tmp_path) as shop:
        yield shop


async def test_nothing_is_opened_until_somebody_asks(shop: Shop) -> None:
    await asyncio.sleep(0.05)

    assert not (shop.house.data / "batches.db").exists()


async def test_a_batch_goes_on_where_the_process_before_left_it(shop: Shop) -> None:
    shop.model.delay_s = 0.02
    id = await shop.begin(lines(80))
    await until(lambda: shop.model.asked.total() > 20)
    await shop.batches.stop()
    left = shop.model.asked.total()

    after = hosted(shop.house)
    await after.start()
    told = await shop._replace(batches=after).ended(id)
    await after.stop()

    assert 20 < left < 80
    assert (told.batch["status"], told.ids, told.errors) == ("completed", names(80), [])
    assert set(shop.model.asked.values()) == {1}
    assert told.batch["request_counts"]["completed"] == 80


async def test_where_the_disk_is_full_answers_wait_until_it_is_not(shop: Shop) -> None:
    await shop.ended(await shop.begin(line(0)))
    store = shop.batches.store
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    asked = shop.model.asked.total()

    id = await shop.begin(lines(60))
    await until(lambda: shop.model.asked.total() - asked >= 8)
    await asyncio.sleep(0.3)
    while_full = shop.model.asked.total() - asked
    store._connection.execute("PRAGMA max_page_count = 1000000")
    told = await shop.ended(id)

    assert while_full < 60
    assert (told.ids, told.errors) == (names(60), [])
    assert shop.model.asked.total() - asked == 60


async def test_lines_that_hang_are_dropped_once_their_batch_is_cancelled(shop: Shop) -> None:
    shop.model.delay_s = 5.0
    id = await shop.begin(lines(3))
    await until(lambda: shop.model.asked.total() == 3)

    began = time.monotonic()
    await shop.batches.desk.cancel(shop.caller, id)
    told = await shop.ended(id)

    assert time.monotonic() - began < 3
    assert (told.output, told.ids, told.codes) == ([], names(3), {"batch_cancelled"})


async def test_an_answer_that_is_being_written_down_when_its_batch_is_cancelled_stands(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, waits = shop.batches.store.keep, iter([1.2] * 3)

    def slow(batch: int, results: Sequence[Result]) -> int:
        time.sleep(next(waits, 0.0))  # a disk that is busy, longer than lines on their way have
        return keep(batch, results)

    monkeypatch.setattr(shop.batches.store, "keep", slow)
    id = await shop.begin(lines(3))
    await until(lambda: shop.model.asked.total() == 3)
    await asyncio.sleep(0.1)
    await shop.batches.desk.cancel(shop.caller, id)
    told = await shop.ended(id)

    assert (told.batch["status"], len(told.output), told.errors) == ("cancelled", 3, [])


async def test_of_two_processes_one_works_on_a_batch_and_either_may_end_it(shop: Shop) -> None:
    shop.model.delay_s = 0.03
    id = await shop.begin(lines(200))
    other = hosted(shop.house)
    await other.start()
    await until(lambda: shop.model.asked.total() > 8)

    taken = await asyncio.to_thread(other.store.take_up)
    first = await other.desk.cancel(shop.caller, id)
    told = await shop.ended(id)
    await other.stop()

    assert (taken, first["status"], told.batch["status"]) == ([], "cancelling", "cancelled")
    assert told.ids == names(200)
    assert set(shop.model.asked.values()) == {1}


async def test_what_came_of_a_line_is_written_once(shop: Shop) -> None:
    await shop.ended(await shop.begin(line(0)))
    store = shop.batches.store
    row = BatchRow(id=new_id(), project="p", key="k", endpoint=CHAT, input_file="f", expires_at=1 << 40)
    store.add(row)
    found = store.get(row.id)
    assert found is not None
    first = Result(1, is_fine=True, body=b"first", input_tokens=5, cost_nano=7)

    counts = [store.keep(found.number, [first]), store.keep(found.number, [first._replace(body=b"second")])]

    after = store.get(row.id)
    assert after is not None
    assert counts == [1, 0]
    assert (after.completed, after.input_tokens, after.cost_nano) == (1, 5, 7)
    assert list(store.results(found.number, is_fine=True)) == [b"first"]


async def test_batches_that_are_long_over_are_forgotten_and_open_ones_stay(shop: Shop) -> None:
    done = await shop.ended(await shop.begin(line(0)))
    shop.model.delay_s = 0.5
    at_work = await shop.begin(line(1))
    store = shop.batches.store

    counts = [store.purge(int(time.time()) - 60), store.purge(int(time.time()) + 60)]

    assert counts == [0, 1]
    assert store.get(done.batch["id"]) is None
    assert (await shop.ended(at_work)).ids == ["c1"]


async def test_results_that_were_written_before_a_crash_are_not_written_again(shop: Shop) -> None:
    done = await shop.ended(await shop.begin(lines(3)))
    store, files = shop.batches.store, shop.house.documents.files
    row = store.get(done.batch["id"])
    assert row is not None
    store.keep(row.number, [Result(1, is_fine=True, body=b"again")])

    again = write(store, files, row, is_fine=True)

    assert again == done.batch["output_file_id"]
    assert shop.told(done.batch).output == done.output


async def test_a_batch_that_broke_is_begun_anew(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RETRY_S", 0.2)
    shop.model.delay_s = 0.05
    first = await shop.begin(lines(40))
    await until(lambda: shop.model.asked.total() > 4)
    given = next((shop.house.data / "batches").iterdir())
    data = given.read_bytes()
    await shop.batches.stop()
    given.unlink()
    given.mkdir()  # what can't be read

    after = hosted(shop.house)
    await after.start()
    await asyncio.sleep(0.3)
    given.rmdir()
    given.write_bytes(data)
    told = await shop._replace(batches=after).ended(first)
    await after.stop()

    assert (told.batch["status"], told.ids) == ("completed", names(40))


async def test_the_input_of_a_batch_that_is_being_made_is_not_taken_for_a_stray(
    shop: Shop, tmp_path: Path
) -> None:
    uploaded = tmp_path / "long-ago"
    uploaded.write_bytes(line(0))
    os.utime(uploaded, (1.0, 1.0))
    hold(uploaded, input_of(tmp_path, "batch_new"))  # its row comes just after

    running._sweep(shop.batches.store, tmp_path, 30)

    assert input_of(tmp_path, "batch_new").read_bytes() == line(0)


async def test_what_results_took_is_given_back_to_the_disk(shop: Shop) -> None:
    done = await shop.ended(await shop.begin(line(0)))
    store, path = shop.batches.store, shop.house.data / "batches.db"
    store.keep(1, [Result(number, is_fine=True, body=b"a" * 100_000) for number in range(2, 80)])
    row = store.get(done.batch["id"])
    assert row is not None
    store.end(row, None, None)
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size

    store.shrink()
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert path.stat().st_size < 200_000 < before
