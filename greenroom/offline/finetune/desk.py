"""What the routes of `/v1/fine_tuning`, the command line and the page ask: jobs of the project that asks.

Nothing of HTTP is known here, and nothing is trained. Methods block; any thread may call them. A job of
another project is not there. A key that is limited to some apps trains nothing, as files are the project's.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec.json import decode, encode

from greenroom.errors import (
    ExtraMissing,
    Forbidden,
    MalformedRequest,
    NotFound,
    QuotaExceeded,
    RequestError,
    StorageFull,
)
from greenroom.exchange import Caller
from greenroom.grounding.files import FileRow, Files
from greenroom.offline.finetune.asked import name_of, new_seed, plan_of, read_extra
from greenroom.offline.finetune.job_folder import JobFolder
from greenroom.offline.finetune.rows.options import Options
from greenroom.offline.finetune.settings import FinetuneConfig
from greenroom.offline.finetune.told import told_checkpoint, told_event, told_job, told_permission
from greenroom.store.jobs import ENDED, UNFINISHED, EventRow, JobRow, JobStore, Page, Status, new_id
from greenroom.store.trained import TrainedModels
from greenroom.wire.evals import page
from greenroom.wire.finetune import JobQuery, NewJob

Json = dict[str, Any]  # Any: JSON
INSTALL = "make install-finetune, or pip install 'greenroom[finetune]'"
_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors", "gguf")
_STATES = {
    "validating_files": "is being prepared",
    "queued": "waits",
    "running": "is training",
    "cancelled": "was cancelled",
}
_LEAST_FREE_BYTES = 256 << 20
"""A disk with less room takes no job."""


class JobDesk:
    """Answers for jobs. Raises: NotFound for what another project has, too; StoreError."""

    def __init__(
        self,
        kept: JobStore,
        trained: Callable[[], TrainedModels],
        files: Files,
        folder: Path,
        settings: Callable[[], FinetuneConfig],
    ) -> None:
        self._kept = kept
        self._trained = trained
        self._files = files
        self._folder = folder
        self._settings = settings

    # jobs

    def create(self, caller: Caller, wanted: NewJob, *, may_be_folder: bool = False) -> Json:
        """Take a job in.

        `may_be_folder`: the base may be any folder, which is for the operator's own commands.
        Raises: ExtraMissing, MalformedRequest, NotFound, Forbidden, QuotaExceeded, StorageFull.
        """
        row = self._kept.add(self.planned(caller, wanted, may_be_folder=may_be_folder))
        self._tell(row, f"Created fine-tuning job: {row.id}")
        if wanted.integrations:
            self._tell(row, "Integrations are left out: Greenroom sends nothing to other services.", "warn")
        return self._told(row)

    def planned(self, caller: Caller, wanted: NewJob, *, may_be_folder: bool = False) -> JobRow:
        """The job that would be taken in; nothing is kept. Raises as `create`."""
        _all(caller)
        extra = read_extra(wanted.greenroom)
        _check_loosened(caller, extra.data)
        id = new_id()
        name = name_of(extra.base or wanted.model, caller.project, wanted.suffix, id)
        seed = new_seed() if wanted.seed is None else wanted.seed
        plan_of(wanted, extra, name, seed)
        _check_installed()
        for field in ("training_file", "validation_file"):
            self._file(caller.project, getattr(wanted, field), field)
        self._file(caller.project, extra.text_file, "greenroom.text_file")
        self._check_room(caller.project)
        asked = {**decode(encode(wanted)), "seed": seed, "may_be_folder": may_be_folder}
        return JobRow(
            id=id, project=caller.project, key=caller.key_id, request=encode(asked),
            metadata=encode(wanted.metadata).decode(), name=name,
        )  # fmt: skip

    def get(self, caller: Caller, id: str) -> Json:
        """A job."""
        return self._told(self.row(caller, id))

    def jobs(self, caller: Caller, query: JobQuery) -> Json:
        """A page of jobs, newest first, without their cards."""
        if caller.apps:
            return page([], has_more=False)
        rows, has_more = self._kept.jobs(
            caller.project, Page(query.limit, query.after), query.metadata,
            without_metadata=query.without_metadata,
        )  # fmt: skip
        told = [told_job(row, self.folder(row.id), with_card=False) for row in rows]
        return page(told, has_more=has_more)

    def cancel(self, caller: Caller, id: str) -> Json:
        """End a job for good, one that failed and could be resumed, too; its files go.

        Raises: RequestError when it has ended otherwise.
        """
        return self._moved(
            self.row(caller, id), "cancelled", "The job was cancelled.", of=(*UNFINISHED, "failed")
        )

    def pause(self, caller: Caller, id: str) -> Json:
        """Let a job rest; what it trained so far is kept. Raises: RequestError when it has ended."""
        row = self.row(caller, id)
        if row.status == "paused":
            return self._told(row)
        return self._moved(row, "paused", "The job is asked to pause.")

    def resume(self, caller: Caller, id: str) -> Json:
        """Let a job that rests, or that failed while it trained, go on. Raises: RequestError for others."""
        row = self.row(caller, id)
        if row.status != "paused" and not (row.status == "failed" and row.plan):
            raise _refused(row, "resumed")
        to: Status = "queued" if row.plan else "validating_files"
        if self._kept.move(row.id, to, of=("paused", "failed"), failures=0, error=b"", ended_ns=0):
            self._tell(row, "The job is resumed.")
        return self._told(self._kept.job(row.id) or row)

    def _moved(self, row: JobRow, to: Status, said: str, of: Sequence[Status] = UNFINISHED) -> Json:
        if not self._kept.move(row.id, to, of=of):
            raise _refused(self._kept.job(row.id) or row, to)
        self._tell(row, said)
        return self._told(self._kept.job(row.id) or row)

    def events(self, caller: Caller, id: str, query: JobQuery) -> Json:
        """A page of what a job told, newest first."""
        rows, has_more = self._kept.events(self.row(caller, id), Page(query.limit, query.after))
        return page([told_event(one) for one in rows], has_more=has_more)

    def checkpoints(self, caller: Caller, id: str, query: JobQuery) -> Json:
        """A page of a job's checkpoints, newest first."""
        row = self.row(caller, id)
        rows, has_more = self._kept.checkpoints(row, Page(query.limit, query.after))
        return page([told_checkpoint(one, row, self.folder(id)) for one in rows], has_more=has_more)

    def row(self, caller: Caller, id: str) -> JobRow:
        """A job of the caller's project. Raises: NotFound."""
        found = None if caller.apps else self._kept.job(id, caller.project)
        if found is None:
            raise NotFound(f"There is no fine-tuning job '{id[:64]}'.", "fine_tuning_job_id")
        return found

    # permissions

    def permit(self, caller: Caller, model: str, projects: list[str]) -> Json:
        """Let other projects use a model. Raises: ModelNotFound."""
        given = self._trained().permit(model, projects, self._owner(caller))
        return {"object": "list", "data": [told_permission(one) for one in given], "has_more": False}

    def permissions(self, caller: Caller, model: str, query: JobQuery) -> Json:
        """Which projects may use a model. Raises: ModelNotFound, MalformedRequest."""
        rows = self._trained().permitted(model, self._owner(caller))
        if query.oldest_first:
            rows.reverse()
        if query.project is not None:
            rows = [one for one in rows if one.project == query.project]
        if query.after is not None:
            places = [place for place, one in enumerate(rows) if one.id == query.after]
            if not places:
                raise MalformedRequest(f"There is no '{query.after[:64]}' to list from.", "after")
            rows = rows[places[0] + 1 :]
        told = [told_permission(one) for one in rows[: query.limit]]
        return page(told, has_more=len(rows) > query.limit)

    def revoke(self, caller: Caller, model: str, permission: str) -> Json:
        """Take a permission back. Raises: ModelNotFound, NotFound."""
        self._trained().revoke(model, permission, self._owner(caller))
        return {"id": permission, "object": "checkpoint.permission", "deleted": True}

    @staticmethod
    def _owner(caller: Caller) -> str | None:
        """Whose models may be given: an admin's are all."""
        return None if caller.role == "admin" else caller.project

    # what all of it uses

    def folder(self, id: str) -> JobFolder:
        """Where a job's files lie."""
        return JobFolder(self._folder / id)

    def _told(self, row: JobRow) -> Json:
        return told_job(row, self.folder(row.id))

    def _tell(self, row: JobRow, message: str, level: str = "info") -> None:
        self._kept.tell(row, [EventRow(at_ns=time.time_ns(), level=level, message=message)])

    def _file(self, project: str, id: str | None, field: str) -> FileRow | None:
        if id is None:
            return None
        found = self._files.get(project, id)
        if found is None:
            raise NotFound(f"There is no file '{id[:64]}'.", field)
        if found.purpose != "fine-tune":
            raise MalformedRequest(
                f"The file '{id[:64]}' was uploaded for '{found.purpose}'. Upload it with the purpose "
                "'fine-tune'.",
                field,
            )
        return found

    def _check_room(self, project: str) -> None:
        settings = self._settings()
        if len(self._kept.ids(UNFINISHED, project)) >= settings.waiting:
            raise QuotaExceeded(
                f"{settings.waiting} jobs of this project wait, rest or train. Wait for one of them, or "
                "cancel it.",
                60.0,
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < _LEAST_FREE_BYTES:
            raise StorageFull("The disk of this server is full. Free some of it first.")
        used = sum(self.folder(one).size_bytes() for one in self._kept.ids((*UNFINISHED, *ENDED), project))
        if used > settings.quota_mb << 20:
            raise StorageFull(
                f"The project's jobs take more than {settings.quota_mb:,} MB (finetune.quota_mb). Delete "
                "models that nobody uses, or cancel jobs that failed, first."
            )


def _all(caller: Caller) -> None:
    if caller.apps:
        raise Forbidden("This key is limited to some apps; training takes files of the whole project.")


def _check_loosened(caller: Caller, data: Options) -> None:
    """Whose personal data is trained on, and with whose consent, is not for an app's key to say."""
    field = data.loosened()
    if field is not None and caller.role not in {"operator", "admin"}:
        raise Forbidden(
            f"'greenroom.data.{field}' can be set so by keys with the role operator or admin only. Leave it "
            "out, or ask an operator to make the job."
        )


def _check_installed() -> None:
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise ExtraMissing(
            f"Training is not installed here ({', '.join(missing)} missing). Install it with: {INSTALL}"
        )


def _refused(row: JobRow, deed: str) -> RequestError:
    """400, as 409 would have OpenAI's clients try again."""
    state = _STATES.get(row.status, f"has {row.status}")
    return RequestError(f"The job '{row.id}' {state} and can't be {deed}.", "fine_tuning_job_id")
