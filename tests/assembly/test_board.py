"""The metrics of several processes: added up, never twice, and going on where a dead one stopped."""

from pathlib import Path

import pytest

from greenroom import config as configuration
from greenroom.assembly.workers import Board, Worker, added, check_workers
from greenroom.errors import ConfigError

ONE = """# TYPE asked_total counter
asked_total{app="a",outcome="answered"} 3
asked_total{app="b \\"x\\" 1",outcome="failed"} 1
# TYPE at_work gauge
at_work 2
# TYPE cpu_seconds_total counter
cpu_seconds_total 0.250000
"""
TWO = """# TYPE asked_total counter
asked_total{app="a",outcome="answered"} 4
# TYPE at_work gauge
at_work 1
# TYPE cpu_seconds_total counter
cpu_seconds_total 1.500000
# TYPE only_here_total counter
only_here_total 7
"""


def test_samples_are_summed_under_one_type_each() -> None:
    assert added([ONE, "", TWO]).splitlines() == [
        "# TYPE asked_total counter",
        'asked_total{app="a",outcome="answered"} 7',
        'asked_total{app="b \\"x\\" 1",outcome="failed"} 1',
        "# TYPE at_work gauge",
        "at_work 3",
        "# TYPE cpu_seconds_total counter",
        "cpu_seconds_total 1.750000",
        "# TYPE only_here_total counter",
        "only_here_total 7",
    ]


def test_who_is_asked_adds_what_the_others_posted(tmp_path: Path) -> None:
    first, second = Board(tmp_path, 1), Board(tmp_path, 2)
    first.post(ONE)
    second.post(TWO)

    assert first.sum(ONE) == second.sum(TWO) == added([ONE, TWO])
    assert first.sum(ONE.replace("} 3", "} 5")) == added([ONE.replace("} 3", "} 5"), TWO])


def test_counters_go_on_where_the_dead_one_stopped_and_gauges_do_not(tmp_path: Path) -> None:
    Board(tmp_path, 1).post(ONE)
    second = Board(tmp_path, 2)
    again = Board(tmp_path, 1)
    empty = "# TYPE asked_total counter\n# TYPE at_work gauge\nat_work 0\n"
    again.post(empty)

    text = second.sum(TWO)
    assert 'asked_total{app="a",outcome="answered"} 7' in text
    assert "at_work 1\n" in text
    once_more = Board(tmp_path, 1)
    assert 'asked_total{app="a",outcome="answered"} 7' in once_more.sum(empty), "as it was told last"


def worker(number: int, count: int) -> Worker:
    return Worker(
        number=number, count=count, data="data", config=None, listener=0, lock=0, ready=0, host="127.0.0.1",
        local_key="", canary="", secret=b"",
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 7, 32])
@pytest.mark.parametrize("whole", [1, 3, 32, 100])
def test_parts_of_places_add_up_to_the_whole(count: int, whole: int) -> None:
    parts = [worker(number + 1, count).share(whole) for number in range(count)]

    assert sum(part or 0 for part in parts) == whole
    if whole >= count:
        assert min(part or 0 for part in parts) >= 1
    assert worker(1, count).share(None) is None


def test_fewer_places_than_workers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "greenroom.toml"
    path.write_text('[providers.there]\nkind = "openai"\nparallel = 3\n')
    loaded = configuration.load(path)

    check_workers(loaded, 3, "greenroom.toml")
    with pytest.raises(ConfigError, match=r"providers\.there\.parallel is 3, and server\.workers 4"):
        check_workers(loaded, 4, "greenroom.toml")


def test_whoever_is_asked_next_tells_no_less(tmp_path: Path) -> None:
    first, second = Board(tmp_path, 1), Board(tmp_path, 2)
    first.post("# TYPE asked_total counter\nasked_total 3\n")  # of some seconds ago
    assert "asked_total 9" in first.sum("# TYPE asked_total counter\nasked_total 9\n")
    assert "asked_total 9" in second.sum("# TYPE asked_total counter\nasked_total 0\n")
