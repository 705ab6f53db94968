"""Models that were trained here: what they are called, what they are made of, and where their files lie."""

import re
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from secrets import token_urlsafe
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.json import Decoder, encode

from greenroom.errors import Conflict, ModelNotFound, NotFound, RequestError
from greenroom.store.counted import CountedStore

FILE: Final = "trained.db"
"""In the data folder."""
_MIGRATIONS = (
    """
-- A row stays when its model is deleted: answers of the past still lead to their training rows.
CREATE TABLE models (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, project TEXT NOT NULL, body BLOB NOT NULL,
    deleted_ns INTEGER
);
CREATE UNIQUE INDEX models_by_name ON models (name) WHERE deleted_ns IS NULL;
CREATE TABLE permissions (
    id TEXT PRIMARY KEY, model INTEGER NOT NULL REFERENCES models (number), project TEXT NOT NULL,
    created_ns INTEGER NOT NULL, UNIQUE (model, project)
) WITHOUT ROWID;
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (0);
""",
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")


class TrainedModel(Struct, frozen=True, kw_only=True):
    """One model, as jobs register it and engines load it."""

    name: str
    """`ft:BASE:PROJECT:SUFFIX:ID`, or what its maker called it; what clients put in `model`."""
    project: str
    created_ns: int
    base: str
    """The base model's name; empty when it was trained from nothing."""
    job: str
    """The job that made it: the way back to data and settings."""
    kind: Literal["model", "adapter"]
    gguf: str
    """The file that is loaded, relative to the data folder; for an adapter the adapter's own."""
    base_gguf: str | None = None
    """What an adapter is laid over, relative to the data folder."""
    checkpoint_of: str | None = None
    """The model of whose training this is an earlier state."""
    card: dict[str, Any] = {}  # Any: JSON
    """Data digest, settings, curves, licences, figures, peak memory and time."""


class Permission(Struct, frozen=True):
    """Another project may use a model."""

    id: str
    project: str
    created_ns: int


class TrainedModels(CountedStore):
    """All of one data folder, in one file. `generation` rises with every change.

    Raises: StoreError from every method when the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _MIGRATIONS)
        self._decoder = Decoder(TrainedModel)

    def register(self, model: TrainedModel) -> None:
        """Take a model in; from now on it answers. Doing it again for the same job and file changes nothing.

        Names hold letters, digits, '.', '_', ':' and '-', at most 200, and are one project's.
        Raises: RequestError for a name or a path that can't be; Conflict when the name is taken.
        """
        if _NAME.fullmatch(model.name) is None:
            raise RequestError(
                f"'{model.name[:200]}' is not a name of a model: letters, digits, '.', '_', ':' and '-', "
                "at most 200.",
                "model",
            )
        if (model.kind == "adapter") != (model.base_gguf is not None):
            raise RequestError("An adapter needs base_gguf, the file it is laid over; a model has none.")
        for path in filter(None, (model.gguf, model.base_gguf)):
            parts = PurePosixPath(path).parts
            if path.startswith("/") or ".." in parts or not path.endswith(".gguf"):
                raise RequestError(f"'{path}' is not a GGUF file inside the data folder.", "gguf")
        with self._changing() as db:
            found = self._row(db, model.name)
            if found is None:
                db.execute(
                    "INSERT INTO models (name, project, body) VALUES (?, ?, ?)",
                    (model.name, model.project, encode(model)),
                )
                return
            known = self._decoder.decode(found[1])
            if (known.project, known.job, known.gguf) != (model.project, model.job, model.gguf):
                raise Conflict(f"There is a model '{model.name}' already. Choose another name.")

    def find(self, name: str, project: str | None) -> TrainedModel:
        """A model that a project may use: its own, or one it has permission for; None sees all.

        Raises: ModelNotFound.
        """
        with self._reading() as db:
            found = db.execute(
                "SELECT body FROM models WHERE name = ?1 AND deleted_ns IS NULL"
                " AND (?2 IS NULL OR project = ?2"
                " OR EXISTS (SELECT 1 FROM permissions WHERE model = number AND permissions.project = ?2))",
                (name, project),
            ).fetchone()
        if found is None:
            raise ModelNotFound(f"There is no model '{name}'.", "model")
        return self._decoder.decode(found[0])

    def all(self, project: str | None = None) -> list[TrainedModel]:
        """Those that a project may use, the oldest first; None: all."""
        with self._reading() as db:
            found = db.execute(
                "SELECT body FROM models WHERE deleted_ns IS NULL AND (?1 IS NULL OR project = ?1"
                " OR EXISTS (SELECT 1 FROM permissions WHERE model = number AND permissions.project = ?1))"
                " ORDER BY number",
                (project,),
            ).fetchall()
        return [self._decoder.decode(row[0]) for row in found]

    def ever(self, name: str) -> list[TrainedModel]:
        """All that were ever called so, deleted ones too, the newest first: for what they once answered."""
        with self._reading() as db:
            found = db.execute(
                "SELECT body FROM models WHERE name = ? ORDER BY number DESC", (name,)
            ).fetchall()
        return [self._decoder.decode(row[0]) for row in found]

    def who_may(self) -> dict[str, list[str]]:
        """Projects that may use models of others, by the model's name."""
        with self._reading() as db:
            found = db.execute(
                "SELECT name, permissions.project FROM permissions JOIN models ON number = model"
                " WHERE deleted_ns IS NULL"
            ).fetchall()
        given: dict[str, list[str]] = {}
        for name, project in found:
            given.setdefault(name, []).append(project)
        return given

    def doomed(self) -> list[str]:
        """Files of deleted models, relative to the data folder, that no other model is made of."""
        with self._reading() as db:
            gone = db.execute("SELECT body FROM models WHERE deleted_ns IS NOT NULL").fetchall()
        kept = {path for one in self.all() for path in (one.gguf, one.base_gguf)}
        return [path for path in {self._decoder.decode(row[0]).gguf for row in gone} if path not in kept]

    def delete(self, name: str, project: str | None) -> TrainedModel:
        """Let nobody use a model any more; its files are left alone. None as project deletes anybody's.

        Raises: ModelNotFound, also for a model that the project may use but does not own.
        """
        with self._changing() as db:
            found = self._row(db, name, project)
            if found is None:
                raise ModelNotFound(f"There is no model '{name}'.", "model")
            db.execute("DELETE FROM permissions WHERE model = ?", (found[0],))
            db.execute("UPDATE models SET deleted_ns = ? WHERE number = ?", (time.time_ns(), found[0]))
        return self._decoder.decode(found[1])

    # who else may use it

    def permit(self, name: str, projects: Collection[str], owner: str | None = None) -> list[Permission]:
        """Let other projects use a model; those that may already keep what they have. In the given order.

        With an `owner` only that project's models. Raises: ModelNotFound.
        """
        now = time.time_ns()
        with self._changing() as db:
            number = self._number(db, name, owner)
            db.executemany(
                "INSERT OR IGNORE INTO permissions VALUES (?, ?, ?, ?)",
                [(f"cp_{token_urlsafe(18)}", number, project, now) for project in projects],
            )
        given = {one.project: one for one in self.permitted(name, owner)}
        return [given[project] for project in dict.fromkeys(projects)]

    def permitted(self, name: str, owner: str | None = None) -> list[Permission]:
        """Which other projects may use a model, the newest first. Raises: ModelNotFound."""
        with self._reading() as db:
            found = db.execute(
                "SELECT id, project, created_ns FROM permissions WHERE model = ?"
                " ORDER BY created_ns DESC, id",
                (self._number(db, name, owner),),
            ).fetchall()
        return [Permission(*row) for row in found]

    def revoke(self, name: str, permission: str, owner: str | None = None) -> None:
        """Take a permission back, by its id. Raises: ModelNotFound; NotFound when there is no such one."""
        with self._changing() as db:
            number = self._number(db, name, owner)
            gone = db.execute("DELETE FROM permissions WHERE model = ? AND id = ?", (number, permission))
            if not gone.rowcount:
                raise NotFound(f"The model '{name}' has no permission '{permission}'.", "permission_id")

    def _number(self, db: sqlite3.Connection, name: str, owner: str | None) -> int:
        found = self._row(db, name, owner)
        if found is None:
            raise ModelNotFound(f"There is no model '{name}'.", "model")
        return found[0]

    def _row(self, db: sqlite3.Connection, name: str, project: str | None = None) -> tuple[int, bytes] | None:
        found: tuple[int, bytes] | None = db.execute(
            "SELECT number, body FROM models WHERE name = ?1 AND deleted_ns IS NULL"
            " AND (?2 IS NULL OR project = ?2)",
            (name, project),
        ).fetchone()
        return found
