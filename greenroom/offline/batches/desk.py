"""What the routes of `/v1/batches` and the command line ask: batches of the project of the key that asks."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec.json import decode, encode

from greenroom.errors import Forbidden, MalformedRequest, NotFound, QuotaExceeded
from greenroom.exchange import Caller, usd
from greenroom.grounding.files import Files
from greenroom.offline.batches.input import hold, input_of
from greenroom.store.batches import BatchRow, BatchStore, new_id
from greenroom.wire.batches import MOST_BYTES, WINDOW, WINDOW_S, NewBatch
from greenroom.wire.evals import page

Json = dict[str, Any]  # Any: JSON
_TIMES = (
    "created_at", "in_progress_at", "expires_at", "finalizing_at", "completed_at", "failed_at", "expired_at",
    "cancelling_at", "cancelled_at",
)  # fmt: skip


class BatchDesk:
    """Answers for batches. Raises: NotFound for what another project has, too; StoreError.

    A project may have `most_open` that wait or are at work. `begin` has one worked on in this process,
    `cancel` ends it where it is at work here; without them that is left to a server, which looks twice a
    second.
    """

    def __init__(
        self,
        store: BatchStore,
        files: Files,
        folder: Path,
        most_open: int,
        begin: Callable[[str], Awaitable[None]] | None = None,
        cancel: Callable[[str], None] | None = None,
    ) -> None:
        self._store = store
        self._files = files
        self._folder = folder
        self._most_open = most_open
        self._begin = begin
        self._cancel = cancel

    async def create(self, caller: Caller, wanted: NewBatch) -> Json:
        """Keep a batch and begin it. Raises: MalformedRequest naming the field, QuotaExceeded."""
        row = await asyncio.to_thread(self.add, caller, wanted)
        if self._begin is not None:
            await self._begin(row.id)
        return await self.get(caller, row.id)

    def add(self, caller: Caller, wanted: NewBatch) -> BatchRow:
        """Keep a batch. Blocks; raises as `create`."""
        wanted.check()
        project = _project(caller)
        file = self._files.get(project, wanted.input_file_id)
        if file is None:
            raise NotFound(f"There is no file '{wanted.input_file_id}'.", "input_file_id")
        if file.purpose != "batch":
            raise MalformedRequest(
                f"The file was uploaded with purpose '{file.purpose}'. Upload it with purpose 'batch'.",
                "input_file_id",
            )
        if file.bytes > MOST_BYTES:
            raise MalformedRequest(
                f"The file is larger than {MOST_BYTES >> 20} MB. Make several.", "input_file_id"
            )
        if self._store.count_open(project) >= self._most_open:
            raise QuotaExceeded(
                f"{self._most_open} batches of this project wait or are at work. Wait for one of them.", 30.0
            )
        now = int(time.time())
        extension, expires = wanted.greenroom, wanted.output_expires_after
        budget = None if extension is None else extension.budget_usd
        row = BatchRow(
            id=new_id(), project=project, key=caller.key_id, endpoint=wanted.endpoint, input_file=file.id,
            metadata=encode(wanted.metadata), output_expires_s=None if expires is None else expires.seconds,
            budget_nano=None if budget is None else max(1, round(budget * 1e9)),
            created_at=now, expires_at=now + WINDOW_S,
        )  # fmt: skip
        hold(self._files.path(file), input_of(self._folder, row.id))
        self._store.add(row, is_mine=self._begin is not None)
        return row

    async def get(self, caller: Caller, id: str) -> Json:
        """A batch."""
        return shown(await asyncio.to_thread(self._row, caller, id))

    async def list(self, caller: Caller, limit: int, after: str | None) -> Json:
        """A page, newest first. Raises: MalformedRequest."""
        rows, has_more = await asyncio.to_thread(self._store.page, _project(caller), limit, after)
        return page([shown(row) for row in rows], has_more=has_more)

    async def cancel(self, caller: Caller, id: str) -> Json:
        """End a batch where it stands; what is done is kept. Raises: MalformedRequest where it has ended."""
        row = await asyncio.to_thread(self.end, caller, id)
        if self._cancel is not None:
            self._cancel(row.id)
        return shown(row)

    def end(self, caller: Caller, id: str) -> BatchRow:
        """Have a batch ended. Blocks; raises as `cancel`."""
        row = self._row(caller, id)
        if not self._store.move(row.id, "cancelling"):
            row = self._row(caller, id)
            if row.status not in {"cancelling", "cancelled"}:
                raise MalformedRequest(f"The batch can't be cancelled: it is {row.status}.", "batch_id")
        return self._row(caller, id)

    def _row(self, caller: Caller, id: str) -> BatchRow:
        row = self._store.get(id, _project(caller))
        if row is None:
            raise NotFound(f"There is no batch '{id[:64]}'.", "batch_id")
        return row


def _project(caller: Caller) -> str:
    if caller.apps:
        raise Forbidden(
            "This key is limited to some apps; batches and their files belong to the whole project. Use a "
            "key without such a limit."
        )
    return caller.project


def shown(row: BatchRow) -> Json:
    """A batch as clients expect it."""
    errors = decode(row.errors)
    return {
        "id": row.id,
        "object": "batch",
        "endpoint": row.endpoint,
        "model": row.model,
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": row.input_file,
        "completion_window": WINDOW,
        "status": row.status,
        "output_file_id": row.output_file,
        "error_file_id": row.error_file,
        **{name: getattr(row, name) for name in _TIMES},
        "request_counts": {"total": row.total, "completed": row.completed, "failed": row.failed},
        "usage": {
            "input_tokens": row.input_tokens,
            "input_tokens_details": {"cached_tokens": row.cached_tokens},
            "output_tokens": row.output_tokens,
            "output_tokens_details": {"reasoning_tokens": row.reasoning_tokens},
            "total_tokens": row.input_tokens + row.output_tokens,
        },
        "metadata": decode(row.metadata),
        "greenroom": {
            "cost_usd": usd(row.cost_nano),
            "unpriced": row.unpriced,
            "budget_usd": usd(row.budget_nano),
        },
    }
