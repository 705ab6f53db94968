"""What the pages of batches ask, answered from store and files; loads nothing before somebody looks."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import DecodeError
from msgspec.json import decode

from greenroom.assembly.audit import Audit
from greenroom.assembly.batches import FILE, HostedBatches
from greenroom.assembly.house import House
from greenroom.errors import NotFound
from greenroom.exchange import Caller
from greenroom.server.pages.access import seen
from greenroom.store.batches import BatchRow

Record = dict[str, Any]  # Any: JSON
LISTED = 50
_SHOWN = 20
"""Lines of each kind on the page of one batch."""
_LONGEST_LINE = 1 << 20
"""Bytes of a result's line that are read to show it."""
_LONGEST_TEXT = 400


class BatchPagesDesk:
    """Shows batches of the projects that may be seen. All but `cancel` runs in worker threads."""

    def __init__(self, house: House, batches: HostedBatches) -> None:
        self._house = house
        self._batches = batches

    def list(self, after: str | None) -> Record:
        """The newest, and the id to go on from; makes no store. Raises: MalformedRequest for a wrong id."""
        from greenroom.offline.batches.desk import shown  # noqa: PLC0415  # only where somebody looks

        if not (self._house.data / FILE).exists():
            return {"data": [], "next": None}
        rows, has_more = self._batches.store.page(seen(), LISTED, after)
        told = [{**shown(row), "project": row.project, "key": row.key} for row in rows]
        return {"data": told, "next": rows[-1].id if has_more else None}

    def show(self, id: str) -> Record:
        """One, with the first lines of what came of it. Raises: NotFound."""
        from greenroom.offline.batches.desk import shown  # noqa: PLC0415  # as above

        row = self._row(id)
        lines = [
            {"kind": kind, **_told(line)}
            for kind in ("output", "error")
            for line in islice(self._lines(row, kind), _SHOWN)
        ]
        return {**shown(row), "project": row.project, "key": row.key, "lines": lines}

    async def cancel(self, id: str, by: str, address: str) -> None:
        """End one where it stands. Raises: NotFound; MalformedRequest where it has ended."""
        from starlette.concurrency import run_in_threadpool  # noqa: PLC0415  # as above

        row = await run_in_threadpool(self._row, id)
        await self._batches.desk.cancel(Caller(key_id="page", project=row.project, role="operator"), id)
        about = {"id": id, "project": row.project}
        await run_in_threadpool(lambda: Audit(self._house).note(by, "batch.cancel", about, address=address))

    def file(self, id: str, kind: str) -> tuple[Path, str]:
        """The whole of its results or errors, and what the file is called. Raises: NotFound."""
        row = self._row(id)
        named = {"output": row.output_file, "error": row.error_file}.get(kind)
        file = None if named is None else self._house.documents.files.get(row.project, named)
        if file is None:
            raise NotFound("This batch has no such file. It is not at its end, or the file was deleted.")
        return self._house.documents.files.path(file), file.filename

    def _row(self, id: str) -> BatchRow:
        row = self._batches.store.get(id, seen()) if (self._house.data / FILE).exists() else None
        if row is None:
            raise NotFound("There is no such batch. It may be over for longer than batches are kept.")
        return row

    def _lines(self, row: BatchRow, kind: str) -> Iterator[bytes]:
        """From the file once there is one, before that from the store."""
        if row.status not in {"completed", "failed", "expired", "cancelled"}:
            yield from self._batches.store.results(row.number, is_fine=kind == "output")
            return
        try:
            path, _ = self.file(row.id, kind)
        except NotFound:
            return
        with path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE):
                yield line


def _told(line: bytes) -> Record:
    """A line of results in a few words; one that is too long to be read whole says so."""
    try:
        found = decode(line, type=dict[str, Any])
    except DecodeError:
        return {"custom_id": "", "request": "", "status": None, "text": "This line is too long to show."}
    response = found.get("response") or {}
    error = found.get("error") or (response.get("body") or {}).get("error") or {}
    said = error.get("message") or _text(response.get("body") or {})
    return {
        "custom_id": str(found.get("custom_id") or ""),
        "request": str(response.get("request_id") or ""),
        "status": response.get("status_code"),
        "text": str(said)[:_LONGEST_TEXT],
    }


def _text(body: Record) -> str:
    """The answer's text, by whichever of the dialects it is in."""
    for choice in body.get("choices") or ():
        return str((choice.get("message") or {}).get("content") or choice.get("text") or "")
    for item in body.get("output") or ():
        for part in item.get("content") or () if isinstance(item, dict) else ():
            return str(part.get("text") or "")
    data = body.get("data") or body.get("results") or ()
    return f"{len(data)} results" if data else ""
