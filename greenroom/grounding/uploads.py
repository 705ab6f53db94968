"""Files that come in parts: each is kept as it comes, and all become one file when the client says so.

A part lies in the folder `uploads` under its id until its upload is completed, cancelled or past its time.
"""

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from greenroom.errors import Conflict, MalformedRequest, NotFound, StorageFull
from greenroom.grounding.database import Database
from greenroom.grounding.files import ORPHAN_S, FileRow, Files, Upload, plain_name

LIFE_S = 3_600
"""How long an upload waits for its parts."""
MOST_PENDING = 100
"""Uploads of a project that wait for parts."""
MOST_PARTS = 10_000
"""Of one upload: a part is a file, which takes a block of the disk however small it is."""
PART_BYTES = 64 * 1024 * 1024
_TOLD_S = 86_400
"""How long it is told what became of an upload, after its time."""
_CHUNK = 1024 * 1024
_COLUMNS = "id, project, filename, purpose, bytes, created_at, expires_at, file_expires_s, status, file"
_TAKE = "SELECT id, bytes FROM upload_parts WHERE upload = ?"


class UploadRow(Struct, kw_only=True, frozen=True):
    """A file that is to come in parts."""

    id: str
    project: str
    filename: str
    purpose: str
    bytes: int
    """Of the whole file, as the client said before."""
    created_at: int
    """Unix seconds, as `expires_at`."""
    expires_at: int
    file_expires_s: int | None
    """How long the file stays, once it is one."""
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: str | None
    """Its id, once it is completed."""


class PartRow(NamedTuple):
    """A part as it is told."""

    id: str
    created_at: int
    upload: str


class Uploads:
    """The uploads of all projects. Methods block; any thread may call them.

    Raises: NotFound for what another project has, too; StoreError when the disk can't be written.
    """

    def __init__(self, db: Database, folder: Path, files: Files) -> None:
        self._db = db
        self._folder = folder
        self._files = files

    def create(
        self, *, project: str, filename: str, purpose: str, size: int, expires_s: int | None = None
    ) -> UploadRow:
        """Expect a file of `size` bytes. Raises: StorageFull, Conflict where too many wait."""
        now = int(time.time())
        row = UploadRow(
            id=f"upload_{secrets.token_hex(12)}", project=project, filename=plain_name(filename),
            purpose=purpose, bytes=size, created_at=now, expires_at=now + LIFE_S, file_expires_s=expires_s,
            status="pending", file=None,
        )  # fmt: skip
        with self._db.writing("files") as db:
            count, coming = db.execute(
                "SELECT count(*), coalesce(sum(bytes), 0) FROM uploads"
                " WHERE project = ? AND status = 'pending' AND expires_at > ?",
                (project, now),
            ).fetchone()
            if count >= MOST_PENDING:
                raise Conflict(
                    f"{MOST_PENDING} uploads of this project wait for parts. Complete or cancel some."
                )
            self._check_room(db, project, coming + size)
            db.execute(
                "INSERT INTO uploads (id, project, filename, purpose, bytes, created_at, expires_at,"
                " file_expires_s, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
                (row.id, project, row.filename, purpose, size, now, row.expires_at, expires_s),
            )
        return row

    def _check_room(self, db: sqlite3.Connection, project: str, more: int) -> None:
        quota = self._files.quota_bytes
        if quota is None:
            return
        used = db.execute("SELECT coalesce(sum(bytes), 0) FROM files WHERE project = ?", (project,))
        if used.fetchone()[0] + more > quota:
            raise StorageFull(
                f"The project's files may take {quota // 1048576} MB together. Delete some first.", "bytes"
            )

    def get(self, project: str, id: str) -> UploadRow:
        """An upload of a project."""
        found = self._db.connection().execute(
            f"SELECT {_COLUMNS} FROM uploads WHERE project = ? AND id = ?",  # noqa: S608 - our own words
            (project, id),
        ).fetchone()  # fmt: skip
        if found is None:
            raise NotFound(f"There is no upload '{id[:64]}'.", "upload_id")
        row = UploadRow(**dict(zip(UploadRow.__struct_fields__, found, strict=True)))
        if row.status == "pending" and row.expires_at <= time.time():
            return replace(row, status="expired")
        return row

    def pending(self, project: str, id: str) -> UploadRow:
        """An upload that takes parts. Raises: MalformedRequest where it does not any more."""
        row = self.get(project, id)
        if row.status != "pending":
            raise MalformedRequest(f"The upload is {row.status}. Make a new one.", "upload_id")
        return row

    def begin(self, limit_bytes: int) -> Upload:
        """Make room for a part that is coming in."""
        return self._files.begin(limit_bytes, self._folder)

    def keep(self, part: Upload, row: UploadRow) -> PartRow:
        """Make what came in a part of an upload. Raises: MalformedRequest past its size or number."""
        part.finish()
        told = PartRow(f"part_{secrets.token_hex(12)}", int(time.time()), row.id)
        with self._db.writing("files") as db:
            self.pending(row.project, row.id)
            there, count = db.execute(
                "SELECT coalesce(sum(bytes), 0), count(*) FROM upload_parts WHERE upload = ?", (row.id,)
            ).fetchone()
            if count >= MOST_PARTS:
                raise MalformedRequest(
                    f"An upload has {MOST_PARTS:,} parts at most. Send larger ones.", "data"
                )
            if there + part.size_bytes > row.bytes:
                raise MalformedRequest(
                    f"The parts have more than the {row.bytes:,} bytes that the upload was made for.", "data"
                )
            db.execute(
                "INSERT INTO upload_parts (id, upload, bytes, created_at) VALUES (?, ?, ?, ?)",
                (told.id, row.id, part.size_bytes, told.created_at),
            )
            part.move(self._folder / told.id)
        return told

    def complete(
        self, project: str, id: str, part_ids: Sequence[str], md5: str | None
    ) -> tuple[UploadRow, FileRow]:
        """Join the parts, in this order, into a file. Raises: MalformedRequest, StorageFull, Conflict."""
        row = self.pending(project, id)
        sizes = dict(self._db.connection().execute(_TAKE, (id,)).fetchall())
        missing = next((one for one in part_ids if one not in sizes), None)
        if missing is not None:
            raise MalformedRequest(f"The upload has no part '{missing[:64]}'.", "part_ids")
        if len(set(part_ids)) != len(part_ids):
            raise MalformedRequest("A part stands twice in 'part_ids'.", "part_ids")
        size = sum(sizes[one] for one in part_ids)
        if size != row.bytes:
            raise MalformedRequest(
                f"These parts have {size:,} bytes together; the upload was made for {row.bytes:,}.",
                "part_ids",
            )
        if not size:
            raise MalformedRequest("The file is empty.", "part_ids")
        file = self._join(row, part_ids, md5)
        with self._db.writing("files") as db:
            db.execute("UPDATE uploads SET status = 'completed', file = ? WHERE id = ?", (file.id, id))
            db.execute("DELETE FROM upload_parts WHERE upload = ?", (id,))
        self._erase(sizes)
        return self.get(project, id), file

    def _join(self, row: UploadRow, part_ids: Sequence[str], md5: str | None) -> FileRow:
        own = "file-" + hashlib.sha256(row.id.encode()).hexdigest()[:24]
        made = self._files.get(row.project, own)
        if made is not None:  # a crash came between the file and the end of its upload
            return made
        whole = self._files.begin(row.bytes)
        digest = hashlib.md5(usedforsecurity=False)
        try:
            for one in part_ids:
                with closing(self._opened(one)) as part:
                    while data := part.read(_CHUNK):
                        digest.update(data)
                        whole.write(data)
            if md5 is not None and md5.lower() != digest.hexdigest():
                raise MalformedRequest(
                    "The bytes that came have another MD5 than 'md5'. Send them again.", "md5"
                )
            return self._files.keep(
                whole, project=row.project, filename=row.filename, purpose=row.purpose,
                expires_s=row.file_expires_s, id=own,
            )  # fmt: skip
        except sqlite3.IntegrityError:
            raise Conflict("The upload is being completed by another request.") from None
        finally:
            whole.discard()

    def _opened(self, part: str) -> IO[bytes]:
        try:
            return (self._folder / part).open("rb")
        except OSError:
            raise Conflict("The upload is being completed or cancelled by another request.") from None

    def cancel(self, project: str, id: str) -> UploadRow:
        """Let go of an upload and its parts. Raises: MalformedRequest where it is completed."""
        row = self.get(project, id)
        if row.status == "completed":
            raise MalformedRequest("The upload is completed. Delete its file instead.", "upload_id")
        self._let_go([id], "cancelled")
        return self.get(project, id)

    def _let_go(self, ids: Sequence[str], status: str) -> None:
        for id in ids:
            with self._db.writing("files") as db:
                parts = dict(db.execute(_TAKE, (id,)).fetchall())
                db.execute("UPDATE uploads SET status = ? WHERE id = ? AND status = 'pending'", (status, id))
                db.execute("DELETE FROM upload_parts WHERE upload = ?", (id,))
            self._erase(parts)

    def _erase(self, parts: dict[str, int]) -> None:
        for part in parts:
            (self._folder / part).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Take away parts of uploads whose time is over, what a crash left, and rows that are long over."""
        db, now = self._db.connection(), int(time.time())
        late = db.execute("SELECT id FROM uploads WHERE status = 'pending' AND expires_at <= ?", (now,))
        self._let_go([id for (id,) in late.fetchall()], "expired")
        with self._db.writing("files") as writer:
            writer.execute(
                "DELETE FROM uploads WHERE status <> 'pending' AND expires_at < ?", (now - _TOLD_S,)
            )
        known = {id for (id,) in db.execute("SELECT id FROM upload_parts")}
        for path in self._folder.glob("*") if self._folder.exists() else ():
            with suppress(FileNotFoundError):  # an upload was completed meanwhile
                if path.name not in known and path.stat().st_mtime < now - max(ORPHAN_S, LIFE_S):
                    path.unlink()
