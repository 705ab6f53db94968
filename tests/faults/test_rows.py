"""Every row of the fault matrix that is claimed has a test that bears its name."""

import re
from pathlib import Path

import pytest

from tests import faults

HERE = Path(__file__).parent
SOURCES = "".join(
    path.read_text(encoding="utf-8")
    for folder in (HERE, HERE.parent / "server")
    for path in sorted(folder.glob("test_*.py"))
)
ROWS = re.findall(r"^([ABC]\d+) ", faults.__doc__ or "", re.MULTILINE)


def test_the_rows_are_found() -> None:
    upstream, client = {f"A{n}" for n in range(1, 23)}, {f"B{n}" for n in range(1, 15)}
    process = {f"C{n}" for n in (*range(1, 8), *range(10, 14))}

    assert set(ROWS) == upstream | client | process
    assert len(ROWS) == len(set(ROWS))


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test(row: str) -> None:
    names = re.findall(rf"def test_(?:\w+_)?{row.lower()}_", SOURCES)
    cases = re.findall(rf'id="{row} ', SOURCES)

    assert names + cases
