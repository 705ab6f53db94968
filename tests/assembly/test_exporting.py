"""Days are exported once each, when they have ended; old files go; trouble stops nothing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from greenroom.assembly.exporting import export_days
from greenroom.assembly.house import House
from tests.store.exchanges import entry_of, make_exchange

NOW = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "greenroom.toml").write_text(
        f'[export]\nfolder = "{tmp_path / "out"}"\ndays = 3\nkeep_days = 5\nprojects = ["acme"]\n', "utf-8"
    )
    found = House.open(tmp_path / "greenroom.toml", tmp_path / "data", {})
    for days in (4, 3, 2, 1, 0):
        at = int((NOW - timedelta(days=days)).timestamp()) * 10**9
        found.traces.write([
            entry_of(make_exchange(f"{project}-{days}", project=project, created_ns=at))
            for project in ("acme", "other")
        ])  # fmt: skip
    yield found
    found.stop()


def test_each_day_that_ended_is_written_once(house: House, tmp_path: Path) -> None:
    written = export_days(house, NOW)

    assert [path.name for path in written] == [
        "exchanges-2026-11-24.jsonl", "exchanges-2026-11-25.jsonl", "exchanges-2026-11-26.jsonl",
    ]  # fmt: skip
    (line,) = written[-1].read_text("utf-8").splitlines()
    assert json.loads(line)["id"] == "acme-1"
    assert export_days(house, NOW) == []
    assert [path.name for path in export_days(house, NOW + timedelta(days=1))] == [
        "exchanges-2026-11-27.jsonl"
    ]


def test_a_day_is_not_taken_for_ended_just_after_midnight(house: House) -> None:
    midnight = datetime(2026, 11, 27, 0, 5, tzinfo=UTC)

    assert export_days(house, midnight)[-1].name == "exchanges-2026-11-25.jsonl"


def test_files_past_their_days_go_and_other_files_stay(house: House, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (
        "exchanges-2026-11-01.jsonl",
        "exchanges-2026-11-01.csv",
        "exchanges-of-ana.jsonl",
        "notes.txt",
    ):
        (out / name).touch()

    export_days(house, NOW)

    left = {path.name for path in out.iterdir()}
    assert left >= {"exchanges-of-ana.jsonl", "notes.txt", "exchanges-2026-11-26.jsonl"}
    assert not any("2026-11-01" in name for name in left)


def test_a_folder_that_cannot_be_made_is_logged(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out").write_text("a file")

    assert export_days(house, NOW) == []
    assert "not exported" in caplog.text
