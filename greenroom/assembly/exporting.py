"""`[export]` at work: the exchanges of each day that has ended, in a file of its own."""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenroom.errors import GreenroomError
from greenroom.offline.export.files import check_format, export
from greenroom.offline.export.recorded import records
from greenroom.store.listing import TraceFilter

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom.export")

_NAME = re.compile(r"exchanges-(\d{4}-\d{2}-\d{2})\.(?:jsonl|csv|parquet)\Z")
SETTLED = timedelta(minutes=15)
"""After midnight; what ended just before it is stored by then."""


def export_days(house: "House", now: datetime | None = None) -> list[Path]:
    """Write the files of days that are not there yet; which those are. Never raises: trouble is logged.

    A day's file is complete or not there, and is never written again.
    """
    table = house.config.export
    if table.folder is None:
        return []
    written = []
    today = ((now or datetime.now(UTC)) - SETTLED).date()
    try:
        check_format(table.format)
        folder = Path(table.folder)
        for back in range(table.days, 0, -1):
            day = today - timedelta(days=back)
            path = folder / f"exchanges-{day.isoformat()}.{table.format}"
            if not path.exists():
                count = export(_of_day(house, day), path, table.format)
                log.info("day exported", extra={"day": day.isoformat(), "count": count})
                written.append(path)
        _remove_old(folder, today, table.keep_days)
    except (GreenroomError, OSError) as error:
        log.error("not exported", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
    return written


def _of_day(house: "House", day: date) -> Iterator[dict[str, Any]]:  # Any: JSON
    since, until = (
        int(datetime(one.year, one.month, one.day, tzinfo=UTC).timestamp()) * 1_000_000_000
        for one in (day, day + timedelta(days=1))
    )
    for project in house.config.export.projects or (None,):
        yield from records(house.traces, TraceFilter(project=project, since_ns=since, until_ns=until))


def _remove_old(folder: Path, today: date, keep_days: int | None) -> None:
    if keep_days is None:
        return
    for path in folder.glob("exchanges-*"):
        named = _NAME.fullmatch(path.name)
        if named is not None and named[1] < (today - timedelta(days=keep_days)).isoformat():
            path.unlink(missing_ok=True)
