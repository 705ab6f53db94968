"""What each of several writers of traces lost is known exactly, and nobody counts another's."""

from pathlib import Path

from greenroom.exchange import Exchange
from greenroom.gateway.record import row_of
from greenroom.store.traces import Entry, TraceStore
from tests.store.exchanges import make_exchange


def accept(store: TraceStore, count: int, stored: int, name: str) -> None:
    """Count so many as accepted and write so many of them."""
    store.tally_cells[0] += count
    store.write([Entry(row_of(one(f"{name}{number}")), None) for number in range(stored)])


def one(id: str) -> Exchange:
    return make_exchange(id)


def test_a_worker_that_was_killed_is_settled_by_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    first, second = TraceStore(path, worker=1), TraceStore(path, worker=2)
    assert (first.begin(), second.begin()) == (0, 0)
    accept(first, 5, 3, "a")
    accept(second, 4, 4, "b")
    first.close()  # as a kill would: without `end`

    again = TraceStore(path, worker=1)
    assert again.begin() == 2
    assert second.counts()["lost_rows"] == 2
    assert second.counts()["stored"] == 7
    assert [(loss["kind"], loss["rows"]) for loss in second.losses()] == [("unclean_shutdown", 2)]
    accept(again, 1, 1, "c")
    for store in (again, second):
        store.end()
        store.close()

    for number in (1, 2):
        store = TraceStore(path, worker=number)
        assert store.begin() == 0
        store.end()
        store.close()
    alone = TraceStore(path)
    assert alone.begin() == 0
    assert alone.counts()["unclean_shutdowns"] == 1
    assert {name for name in alone.counts() if name.startswith("worker")} == set()
    alone.close()


def test_what_all_lost_is_counted_by_a_start_alone_or_with_fewer(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    stores = [TraceStore(path, worker=number) for number in (1, 2, 3)]
    for store in stores:
        store.begin()
        accept(store, 4, 3, str(store._worker))
        store.close()

    alone = TraceStore(path)
    assert alone.begin() == 3
    assert alone.counts()["lost_rows"] == 3
    alone.tally_cells[0] += 2  # and now it is killed itself
    alone.close()
    alone = TraceStore(path)
    assert alone.begin() == 2
    assert alone.counts()["lost_rows"] == 5
    alone.end()
    alone.close()


def test_what_a_writer_gave_up_itself_is_not_counted_again(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    store = TraceStore(path, worker=1)
    store.begin()
    store.tally_cells[0] += 3
    store.write([Entry(row_of(one("a")), None)], lost_rows=2)
    store.close()

    again = TraceStore(path, worker=1)
    assert again.begin() == 0
    assert again.counts()["lost_rows"] == 2
    again.close()
