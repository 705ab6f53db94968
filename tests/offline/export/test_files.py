"""Records in files: JSON lines that are whole, tables no spreadsheet runs, Parquet that others read."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ExtraMissing
from greenroom.offline.export.files import export, write
from greenroom.offline.export.recorded import records
from greenroom.offline.export.rows import COLUMNS, safe
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.store.exchanges import entry_of, make_exchange

HOSTILE = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "\n=1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    found = TraceStore(tmp_path / "traces.db")
    found.write([
        entry_of(make_exchange(f"id-{number}", text, 'He said "olá",\nthen left.', user="ana", tags={"team": "a"}))
        for number, text in enumerate((*HOSTILE, "São Paulo, 10 °C"))
    ])  # fmt: skip
    yield found
    found.close()


def all_of(store: TraceStore, limit: int | None = None) -> list[dict[str, Any]]:
    return list(records(store, TraceFilter(), limit))


def test_json_lines_are_the_whole_records(store: TraceStore, tmp_path: Path) -> None:
    store.score(None, "id-9", Score(name="helpful", value=1.0))

    count = export(records(store, TraceFilter()), tmp_path / "out" / "all.jsonl", "jsonl")

    lines = [json.loads(line) for line in (tmp_path / "out" / "all.jsonl").read_text("utf-8").splitlines()]
    assert count == len(lines) == 10
    assert lines == all_of(store)
    assert lines[0]["scores"][0]["name"] == "helpful"
    assert (tmp_path / "out" / "all.jsonl").stat().st_mode & 0o777 == 0o600


def test_no_cell_of_a_table_is_a_formula_and_every_text_is_there(store: TraceStore) -> None:
    out = io.StringIO(newline="")

    write(records(store, TraceFilter()), out, "csv")

    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert list(rows[0]) == list(COLUMNS)
    prompts = [row["prompt"] for row in reversed(rows)]
    assert prompts.pop() == "São Paulo, 10 °C"
    assert all(prompt.startswith("'") for prompt in prompts)
    assert [prompt.replace("'", "") for prompt in prompts] == [text.replace("'", "") for text in HOSTILE]
    assert {row["reply"] for row in rows} == {'He said "olá",\nthen left.'}
    assert {(row["cost_usd"], row["user"], row["tags"]) for row in rows} == {
        ("0.000123", "ana", '{"team":"a"}')
    }


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize(
    "hidden",
    ['hi;=HYPERLINK("http://x.example","y");', "hi\t=1", "hi\n=1+1\n", "hi;  \u00a0@SUM(A1)", 'hi;"=1+1"',
     "hi;-cmd|' /C calc'!A0;", "hi\r\n+WEBSERVICE(A1)", "hi;＝1", "=1;=2", ";\n;=1"],
)  # fmt: skip
def test_a_spreadsheet_that_parts_columns_otherwise_finds_no_formula_either(
    store: TraceStore, separator: str, hidden: str
) -> None:
    store.write([entry_of(make_exchange("id-x", hidden, hidden, user=hidden))])
    out = io.StringIO(newline="")

    write(records(store, TraceFilter()), out, "csv")

    seen = csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=separator)
    cells = [cell.strip(' \u00a0"') for row in seen for cell in row]
    assert len(cells) > 10
    assert [cell for cell in cells if cell.startswith(("=", "@", "+", "-", "＝"))] == []


@pytest.mark.parametrize(
    "cell", ["plain", "a=b", "3 - 2", "", None, -1.5, 7, "Two:\n- one\n- two; -3", "x != y; z"]
)
def test_what_is_no_formula_stays_as_it_is(cell: str | float | None) -> None:
    assert safe(cell) == cell


def test_a_limit_and_an_empty_store_are_kept_to(store: TraceStore, tmp_path: Path) -> None:
    assert len(all_of(store, 3)) == 3
    assert all_of(store, 0) == []
    assert export([], tmp_path / "none.csv", "csv") == 0
    assert (tmp_path / "none.csv").read_text().startswith('"id","created_at"')


def test_a_failure_halfway_leaves_what_was_there(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield {"id": "1", "created_at": "x"}
        raise OSError("gone")

    (tmp_path / "all.jsonl").write_text("before")
    with pytest.raises(OSError, match="gone"):
        export(broken(), tmp_path / "all.jsonl", "jsonl")

    assert (tmp_path / "all.jsonl").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


def test_parquet_is_read_by_duckdb_with_its_types(store: TraceStore, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra analytics is not installed")
    path = tmp_path / "it's.parquet"

    assert export(records(store, TraceFilter()), path, "parquet") == 10

    found = duckdb.connect().execute(
        "SELECT count(*), sum(cost_usd), sum(output_tokens), min(created_at) IS NOT NULL, count(DISTINCT prompt)"
        " FROM read_parquet(?)",
        [str(path)],
    ).fetchone()  # fmt: skip
    assert found == (10, pytest.approx(0.00123), 30, True, 10)
    assert not list(tmp_path.glob(".*"))


def test_without_duckdb_the_command_that_brings_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(ExtraMissing, match=r"greenroom\[analytics\]"):
        export([], tmp_path / "x.parquet", "parquet")
