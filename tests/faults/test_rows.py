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
ROWS = re.findall(r"\b([ABC]\d+) ", faults.__doc__ or "")


def test_the_rows_are_found() -> None:
    assert {"A1", "A17", "B1", "B14", "C1", "C2"} < set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test(row: str) -> None:
    names = re.findall(rf"def test_(?:\w+_)?{row.lower()}_", SOURCES)
    cases = re.findall(rf'id="{row} ', SOURCES)

    assert names + cases
