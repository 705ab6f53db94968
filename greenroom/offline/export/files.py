"""Records into a file: complete or not there. Parquet is written by DuckDB, of the extra `analytics`."""

import contextlib
import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from msgspec.json import encode

from greenroom.errors import ExtraMissing, InfrastructureError
from greenroom.offline.export.rows import COLUMNS, Record, row_of, safe
from greenroom.offline.export.settings import Format

INSTALL = "pip install 'greenroom[analytics]'"


def check_format(format: Format) -> None:
    """Raises: ExtraMissing for one whose library is not installed."""
    if format == "parquet":
        _duckdb()


def export(records: Iterable[Record], path: Path, format: Format) -> int:
    """Write records to a file that is then complete, and readable by its owner alone; how many.

    Raises: ExtraMissing; OSError; InfrastructureError where DuckDB fails.
    """
    check_format(format)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.part")
    try:
        if format == "parquet":
            count = _write_parquet(records, part)
        else:
            with _private(part) as file:
                count = write(records, file, format)
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def write(records: Iterable[Record], file: IO[str], format: Format) -> int:
    """Write JSON lines or comma-separated values to an open text file; how many."""
    count = 0
    if format == "jsonl":
        for record in records:
            file.write(encode(record).decode() + "\n")
            count += 1
        return count
    rows = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")  # RFC 4180
    rows.writerow(COLUMNS)
    for record in records:
        rows.writerow([safe(cell) for cell in row_of(record).values()])
        count += 1
    return count


def _write_parquet(records: Iterable[Record], path: Path) -> int:
    """By way of a file of JSON lines beside it, so that no table stands in memory."""
    duckdb = _duckdb()
    rows = path.with_name(f"{path.name}.rows")
    count = 0
    try:
        with _private(rows) as file:
            for record in records:
                file.write(encode(row_of(record)).decode() + "\n")
                count += 1
        columns = ", ".join(f"'{name}': '{kind}'" for name, (kind, _) in COLUMNS.items())
        with contextlib.closing(duckdb.connect()) as connection:
            connection.execute("SET threads = 1")
            connection.execute("SET memory_limit = '512MB'")
            connection.execute(
                f"COPY (SELECT * FROM read_json(?, format = 'newline_delimited', columns = {{{columns}}},"  # noqa: S608  # constants
                f" maximum_object_size = 67108864)) TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd)",
                [str(rows)],
            )
        path.chmod(0o600)
    except duckdb.Error as error:
        raise InfrastructureError(f"Parquet was not written: {str(error).splitlines()[0][:200]}") from None
    finally:
        rows.unlink(missing_ok=True)
    return count


def _quoted(path: Path) -> str:
    """A path inside single quotes of SQL: COPY takes no parameter there."""
    return str(path).replace("'", "''")


@contextlib.contextmanager
def _private(path: Path) -> Iterator[IO[str]]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
        yield file


def _duckdb() -> Any:  # Any: a module of an extra
    try:
        import duckdb  # noqa: PLC0415  # an extra
    except ImportError:
        raise ExtraMissing(f"Parquet needs DuckDB. Install it with: {INSTALL}", "format") from None
    return duckdb
