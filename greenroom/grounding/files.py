"""Files as they were uploaded: bytes in a folder under names of our own, rows in the documents' database.

A file comes in under a temporary name and is moved into place when it is whole, just before its row is
written: what a crash leaves is a file without a row, and `sweep` takes it away. Knows no format.
"""

import errno
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from msgspec import Struct

from greenroom.errors import MalformedRequest, NotFound, StorageFull, StoreError, TooLarge
from greenroom.grounding.database import Database
from greenroom.grounding.paging import Cursor, page

T = TypeVar("T")

MAX_NAME = 200
ORPHAN_S = 60.0
"""A file without a row that is older than this was left by a crash."""
UPLOAD_S = 3_600.0
"""As long may an upload of a process that still runs be at work."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_COLUMNS = "id, project, filename, purpose, bytes, sha256, created_at, expires_at"
_LIVING = "(expires_at IS NULL OR expires_at > :now)"
_ONE = f"SELECT {_COLUMNS} FROM files WHERE project = :project AND id = :id AND {_LIVING}"  # noqa: S608 - our words
_PAGE = f"""
    SELECT {_COLUMNS} FROM files
    WHERE project = :project AND (:purpose IS NULL OR purpose = :purpose) AND {_LIVING} {page("number")}
"""  # noqa: S608 - our own words


class FileRow(Struct, kw_only=True, frozen=True):
    """A file as it is listed."""

    id: str
    project: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    created_at: int
    """Unix seconds, as `expires_at`."""
    expires_at: int | None


_Rows = list[FileRow]
_Expired = list[tuple[str, str]]


class Upload:
    """A file on its way in. Blocks; end it with `Files.keep` or `discard`, which may follow each other."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.path = folder / f".{os.getpid()}-{secrets.token_hex(12)}.part"
        self.size_bytes = 0
        self._limit = limit_bytes
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = _on_disk(lambda: os.fdopen(os.open(self.path, _NEW, 0o600), "wb"))

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises TooLarge past the limit, StoreError when the disk is full."""
        self.size_bytes += len(data)
        if self.size_bytes > self._limit:
            raise TooLarge(f"The file is larger than {self._limit // 1048576} MB.", "file")
        assert self._file is not None, "nothing follows the end"
        file = self._file
        _on_disk(lambda: file.write(data))
        self._digest.update(data)

    def finish(self) -> str:
        """Bring everything onto the disk; the SHA-256 of it."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                _on_disk(file.flush)
                _on_disk(lambda: os.fsync(file.fileno()))
        return self._digest.hexdigest()

    def move(self, target: Path) -> None:
        """Give it its name."""
        _on_disk(lambda: self.path.rename(target))

    def discard(self) -> None:
        """Leave nothing behind. Does nothing to a file that was kept."""
        if self._file is not None:
            with suppress(OSError):  # what was buffered has no room; it is not wanted anyway
                self._file.close()
            self._file = None
        self.path.unlink(missing_ok=True)


class Files:
    """The files of all projects. Methods block; any thread may call them.

    Raises: StoreError when the folder or the database can't be written.
    """

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._folder = folder
        self.quota_bytes: int | None = None
        """What the files of one project may take together; None means no limit."""

    def begin(self, limit_bytes: int, folder: Path | None = None) -> Upload:
        """Make room for a file that is coming in; `folder` is another than that of whole files."""
        place = folder or self._folder
        _on_disk(lambda: place.mkdir(mode=0o700, exist_ok=True))
        return Upload(place, limit_bytes)

    def keep(
        self,
        upload: Upload,
        *,
        project: str,
        filename: str,
        purpose: str,
        expires_s: int | None = None,
        stays: bool = True,
        id: str | None = None,
    ) -> FileRow:
        """Make an upload a file of a project; `stays` says whether it outlives its last collection.

        `id` is its own where the same work may be begun anew, so that it makes one file.

        Raises: StorageFull when the project would have more than its share.
        """
        digest = upload.finish()
        now = int(time.time())
        row = FileRow(
            id=id or f"file-{secrets.token_hex(12)}", project=project, filename=plain_name(filename),
            purpose=purpose, bytes=upload.size_bytes, sha256=digest, created_at=now,
            expires_at=None if expires_s is None else now + expires_s,
        )  # fmt: skip
        with self._db.writing("files") as db:
            self._check_room(db, project, row.bytes)
            db.execute(
                "INSERT INTO files (id, project, filename, purpose, bytes, sha256, created_at, expires_at,"
                " stays) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (row.id, project, row.filename, purpose, row.bytes, digest, now, row.expires_at, stays),
            )
            upload.move(self._path(row.id))
        return row

    def _check_room(self, db: sqlite3.Connection, project: str, more: int) -> None:
        if self.quota_bytes is None:
            return
        used = db.execute("SELECT coalesce(sum(bytes), 0) FROM files WHERE project = ?", (project,))
        if used.fetchone()[0] + more > self.quota_bytes:
            raise StorageFull(
                f"The project's files may take {self.quota_bytes // 1048576} MB together. Delete some first.",
                "file",
            )

    def get(self, project: str, id: str) -> FileRow | None:
        """A project's file, unless it has expired."""
        values = {"project": project, "id": id, "now": int(time.time())}
        row = self._db.connection().execute(_ONE, values).fetchone()
        return None if row is None else _row(row)

    def newest(self, purpose: str, limit: int, project: str | None = None) -> _Rows:
        """The newest files of a project, or of all, that were uploaded for something."""
        rows = self._db.connection().execute(
            f"SELECT {_COLUMNS} FROM files WHERE purpose = :purpose AND {_LIVING}"  # noqa: S608 - our own words
            " AND (:project IS NULL OR project = :project) ORDER BY number DESC LIMIT :limit",
            {"purpose": purpose, "limit": limit, "project": project, "now": int(time.time())},
        )
        return [_row(row) for row in rows]

    def find(self, id: str) -> FileRow | None:
        """A file of whichever project, unless it has expired."""
        row = self._db.connection().execute(
            f"SELECT {_COLUMNS} FROM files WHERE id = :id AND {_LIVING}",  # noqa: S608 - our own words
            {"id": id, "now": int(time.time())},
        ).fetchone()  # fmt: skip
        return None if row is None else _row(row)

    def list(self, project: str, cursor: Cursor, purpose: str | None = None) -> tuple[_Rows, bool]:
        """A page of a project's files, and whether there are more. Raises MalformedRequest for the cursor."""
        values = cursor.values(self._number(project, cursor.after), self._number(project, cursor.before))
        values |= {"project": project, "purpose": purpose, "now": int(time.time())}
        return cursor.cut([_row(row) for row in self._db.connection().execute(_PAGE, values)])

    def _number(self, project: str, id: str | None) -> int | None:
        if id is None:
            return None
        row = self._db.connection().execute(
            "SELECT number FROM files WHERE project = ? AND id = ?", (project, id)
        ).fetchone()  # fmt: skip
        if row is None:
            raise MalformedRequest(f"There is no file '{id[:64]}' to list from.", "after")
        number: int = row[0]
        return number

    def erase(self, ids: Iterable[str]) -> None:
        """Take away the bytes of files whose rows are gone."""
        for id in ids:
            self._path(id).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Take away what crashes left: uploads never ended, bytes without a row. How many those were."""
        try:
            found = list(self._folder.iterdir())
        except OSError:
            return 0
        known = {id for (id,) in self._db.connection().execute("SELECT id FROM files")}
        stray = [one for one in found if one.name not in known and _is_left(one)]
        for one in stray:
            one.unlink(missing_ok=True)
        return len(stray)

    def expired(self) -> _Expired:
        """Project and id of each file whose time is over."""
        rows = self._db.connection().execute(
            "SELECT project, id FROM files WHERE expires_at <= ?", (int(time.time()),)
        )
        return rows.fetchall()

    def path(self, row: FileRow) -> Path:
        """Where the bytes of a file are. Raises NotFound when they are gone."""
        path = self._path(row.id)
        if not path.is_file():
            raise NotFound(f"The bytes of {row.id} are gone. Delete it and upload it again.")
        return path

    def _path(self, id: str) -> Path:
        return self._folder / id


def plain_name(filename: str) -> str:
    """The last part of a name, printable and short: it is shown, and never used as a path."""
    last = filename.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(one for one in last if one.isprintable()).strip()[-MAX_NAME:] or "document"


def _is_left(path: Path) -> bool:
    try:
        age_s = time.time() - path.stat().st_mtime
        if not path.name.startswith("."):
            return age_s > ORPHAN_S
        pid = int(path.name[1:].partition("-")[0])
        if age_s < UPLOAD_S:
            os.kill(pid, 0)
    except (ProcessLookupError, ValueError):
        return True
    except OSError:  # gone meanwhile, or somebody else's process
        return False
    return age_s > UPLOAD_S


def _on_disk(work: Callable[[], T]) -> T:
    """Do it; a disk that has no room, or fails, is told in words."""
    try:
        return work()
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreError(
                "There is no room left on the disk for files. Free some, then try again."
            ) from error
        raise StoreError("The folder of files can't be written. The server's log says why.") from error


def _row(row: tuple[object, ...]) -> FileRow:
    return FileRow(**dict(zip(FileRow.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]  # columns in field order
