"""`/v1/batches` of a house: its desk, and the batches that go on in the background.

Both are made when they are first needed: a server that nobody asks for batches neither loads nor opens them.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.errors import MalformedRequest, NotFound
from greenroom.exchange import Caller
from greenroom.gateway.access import Key
from greenroom.server.inside import answer_inside
from greenroom.server.v1 import V1
from greenroom.store.batches import BatchRow, BatchStore
from greenroom.wire.batches import MOST_BYTES, NewBatch

if TYPE_CHECKING:
    from greenroom.offline.batches.answer import Answer
    from greenroom.offline.batches.desk import BatchDesk
    from greenroom.offline.batches.hosted import Hosted
    from greenroom.offline.batches.run import Room

FILE = "batches.db"
FOLDER = "batches"
_SHOWN = 20
"""Faulty lines that a person is told of."""
Json = dict[str, Any]  # Any: JSON


def open_batches(house: House) -> BatchStore:
    """The store of batches, made if it is not there. Raises: StoreError."""
    return BatchStore(house.folder() / FILE)


class HostedBatches:
    """What answers for batches, and what does their work. Raises: StoreError.

    `first_wait_s` is how long a line waits before it is asked again, twice as long each time; `grace_s` how
    long lines on their way may take once their batch is to end.
    """

    def __init__(self, house: House, v1: V1, first_wait_s: float = 1.0, grace_s: float = 5.0) -> None:
        self._house = house
        self._v1 = v1
        self._times = first_wait_s, grace_s

    @cached_property
    def _store(self) -> BatchStore:
        return open_batches(self._house)

    @cached_property
    def _hosted(self) -> "Hosted":
        from greenroom.offline.batches.hosted import Hosted  # noqa: PLC0415  # a start can do without

        house = self._house
        return Hosted(self._room, (house.data / FILE).exists, lambda: house.config.store.retention_days)

    def _room(self) -> "Room":
        from greenroom.offline.batches.answer import Answer  # noqa: PLC0415  # as above
        from greenroom.offline.batches.pace import Pace  # noqa: PLC0415  # as above
        from greenroom.offline.batches.run import Room  # noqa: PLC0415  # as above

        house = self._house

        async def ask(key: Key, path: str, body: bytes, headers: Mapping[bytes, bytes]) -> "Answer":
            return Answer(*await answer_inside(self._v1, key, path, body, headers))

        return Room(
            self._store,
            house.documents.files,
            house.folder() / FOLDER,
            lambda: house.gateway,
            ask,
            Pace(lambda: house.gateway.at_work, lambda: house.config.server.in_flight),
            lambda: house.config.server.body_limit_mb << 20,
            *self._times,
        )

    @cached_property
    def desk(self) -> "BatchDesk":
        """What the routes ask."""
        from greenroom.offline.batches.desk import BatchDesk  # noqa: PLC0415  # as above

        house, hosted = self._house, self._hosted
        folder = house.folder() / FOLDER
        return BatchDesk(self._store, house.documents.files, folder, hosted.begin, hosted.cancel)

    async def start(self) -> None:
        """Go on with batches that processes before this one left."""
        await self._hosted.start()

    async def stop(self) -> None:
        """Leave batches as they stand."""
        await self._hosted.stop()
        if "_store" in vars(self):
            self._store.close()


class OfflineBatches:
    """Batches as the command line handles them, beside a server or before one: that asks the lines."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._store = open_batches(house)
        self._folder = house.folder() / FOLDER

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def create(self, path: Path, wanted: Callable[[str], NewBatch], key: str | None) -> Json:
        """Keep a file and a batch of it, which a server begins; `wanted` takes the file's id.

        Raises: MalformedRequest that names lines which can't be asked; NotFound for the key.
        """
        from greenroom.offline.batches.desk import BatchDesk, shown  # noqa: PLC0415  # as above
        from greenroom.offline.batches.input import check  # noqa: PLC0415  # as above

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
        row = BatchDesk(self._store, files, self._folder).add(caller, wanted(file.id))
        Audit(self._house).note("command line", "batch.create", {"id": row.id, "project": row.project})
        return shown(row)

    def _caller(self, named: str | None) -> Caller:
        if named is None:
            return Caller(key_id="local", role="operator")
        for row in self._house.keys.list():
            if named in {row.id, row.name} and row.revoked_ns is None:
                return Caller(key_id=row.id, project=row.project, role=row.role, apps=row.apps)
        raise NotFound(f"There is no key '{named}'. 'greenroom keys list' shows what there is.")

    def rows(self, limit: int) -> list[Json]:
        """The newest of all projects."""
        from greenroom.offline.batches.desk import shown  # noqa: PLC0415  # as above

        return [shown(row) for row in self._store.page(None, limit, None)[0]]

    def get(self, id: str) -> Json:
        """One. Raises: NotFound."""
        from greenroom.offline.batches.desk import shown  # noqa: PLC0415  # as above

        return shown(self._row(id))

    def cancel(self, id: str) -> Json:
        """Have one ended. Raises: NotFound; MalformedRequest where it has ended."""
        from greenroom.offline.batches.desk import BatchDesk, shown  # noqa: PLC0415  # as above

        row = self._row(id)
        caller = Caller(key_id=row.key, project=row.project)
        ended = BatchDesk(self._store, self._house.documents.files, self._folder).end(caller, id)
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
