"""Batches as the command line handles them: files kept and begun, counted, ended and read back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenroom.assembly.audit import Audit
from greenroom.assembly.batches import FILE, FOLDER
from greenroom.assembly.house import House
from greenroom.errors import GreenroomError, MalformedRequest, NotFound
from greenroom.exchange import Caller
from greenroom.offline.batches.desk import BatchDesk, shown
from greenroom.offline.batches.input import check
from greenroom.store.batches import BatchRow, BatchStore
from greenroom.wire.batches import MOST_BYTES, NewBatch

_SHOWN = 20
"""Faulty lines that a person is told of."""
Json = dict[str, Any]  # Any: JSON


class OfflineBatches:
    """Batches as the command line handles them, beside a server or before one: that asks the lines."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._store = BatchStore(house.folder() / FILE)
        self._folder = house.folder() / FOLDER

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def create(self, path: Path, wanted: Callable[[str], NewBatch], key: str | None) -> Json:
        """Keep a file and a batch of it, which a server begins; `wanted` takes the file's id.

        Raises: MalformedRequest that names lines which can't be asked; NotFound for the key.
        """
        files, caller, asked = self._house.documents.files, self._caller(key), wanted("-")
        asked.check()
        try:
            found = check(path, asked.endpoint, self._house.config.server.body_limit_mb << 20)
        except OSError as error:
            raise MalformedRequest(f"'{path}' can't be read: {error.strerror}.") from None
        if found.errors:
            told = [_told(one) for one in found.errors[:_SHOWN]]
            more = len(found.errors) - len(told)
            raise MalformedRequest("\n".join([*told, *([f"… and {more} more."] if more else [])]))
        upload = files.begin(MOST_BYTES)
        try:
            with path.open("rb") as source:
                while data := source.read(1 << 20):
                    upload.write(data)
            file = files.keep(upload, project=caller.project, filename=path.name, purpose="batch")
        finally:
            upload.discard()
        try:
            row = self._desk().add(caller, wanted(file.id))
        except GreenroomError:
            self._house.documents.remove_file(caller.project, file.id)
            raise
        Audit(self._house).note("command line", "batch.create", {"id": row.id, "project": row.project})
        return shown(row)

    def _desk(self) -> BatchDesk:
        most = self._house.config.batches.waiting
        return BatchDesk(self._store, self._house.documents.files, self._folder, most)

    def _caller(self, named: str | None) -> Caller:
        if named is None:
            return Caller(key_id="local", role="operator")
        for row in self._house.keys.list():
            if named in {row.id, row.name} and row.revoked_ns is None:
                return Caller(key_id=row.id, project=row.project, role=row.role, apps=row.apps)
        raise NotFound(f"There is no key '{named}'. 'greenroom keys list' shows what there is.")

    def rows(self, limit: int) -> list[Json]:
        """The newest of all projects."""
        return [shown(row) for row in self._store.page(None, limit, None)[0]]

    def get(self, id: str) -> Json:
        """One. Raises: NotFound."""
        return shown(self._row(id))

    def cancel(self, id: str) -> Json:
        """Have one ended. Raises: NotFound; MalformedRequest where it has ended."""
        row = self._row(id)
        caller = Caller(key_id=row.key, project=row.project)
        ended = self._desk().end(caller, id)
        Audit(self._house).note("command line", "batch.cancel", {"id": id})
        return shown(ended)

    def file(self, id: str, *, errors: bool) -> Path | None:
        """Where its answers lie, or its errors; None where there are none. Raises: NotFound."""
        row, files = self._row(id), self._house.documents.files
        named = row.error_file if errors else row.output_file
        if named is None:
            return None
        file = files.get(row.project, named)
        if file is None:
            raise NotFound(f"The file '{named}' was deleted or has expired.")
        return files.path(file)

    def _row(self, id: str) -> BatchRow:
        row = self._store.get(id)
        if row is None:
            raise NotFound(f"There is no batch '{id[:64]}'. 'greenroom batch list' shows what there is.")
        return row


def _told(error: Json) -> str:
    place = "" if error["line"] is None else f"Line {error['line']}: "
    return f"{place}{error['message']}"
