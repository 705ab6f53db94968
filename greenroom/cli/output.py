"""What commands print: JSON for programs, a table for people at a terminal, tab-separated lines otherwise."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec.json import encode, format  # noqa: A004  # it formats JSON; the builtin is not used here

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: object) -> None:
    """`value` as indented JSON."""
    print(format(encode(value), indent=2).decode())


def print_json_line(value: object) -> None:
    """`value` as JSON on one line, sent at once."""
    print(encode(value).decode(), flush=True)


def fail(message: str, code: int) -> int:
    """Print one sentence on stderr; the code is handed back, to be returned."""
    print(message, file=sys.stderr)
    return code


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headings at a terminal; otherwise one line per row, fields separated by tabs, no heading."""
    lines = [[_cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            print("\t".join(line))
        return
    from rich.table import Table  # noqa: PLC0415  # rich costs 100 ms and is for people only
    from rich.text import Text  # noqa: PLC0415  # rich costs 100 ms; plain output needs none

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    console().print(table)


def console() -> "Console":
    """Where coloured text goes; plain when stdout is no terminal or NO_COLOR is set."""
    from rich.console import Console  # noqa: PLC0415  # as above

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), markup=False, emoji=False)


def printable(text: str) -> str:
    """`text` without what a terminal would obey: control characters become their number, lines stay."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\u{ord(one):04x}" for one in text)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(printable(str(value)).split())
