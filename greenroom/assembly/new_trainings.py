"""What the page asks that makes a fine-tuning job: files, bases, what it would take, and the job itself.

An estimate is made as the job's own preparation is: the same process looks at the same rows, in a folder that
is thrown away. One at a time, since it may take all cores for some seconds.
"""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from msgspec import ValidationError, convert, to_builtins

from greenroom.assembly.audit import Audit
from greenroom.assembly.finetuning import Finetuning
from greenroom.errors import InfrastructureError, MalformedRequest, NotFound, QuotaExceeded
from greenroom.exchange import Caller
from greenroom.grounding.files import FileRow, Files, Upload
from greenroom.server.pages.access import check_project, seen

Record = dict[str, Any]  # Any: JSON
PURPOSE = "fine-tune"
FOLDER = "estimates"
"""In the data folder: what is looked at for an estimate, while it is."""
_LISTED = 200
_MOST_S = 180.0
_STALE_S = 3_600.0
_LOOK_S = 0.05


class NewTrainings:
    """What the page asks; all of it runs in worker threads."""

    def __init__(self, training: Finetuning) -> None:
        self._training = training
        self._house = training.house
        self._one = threading.Lock()
        """Held while an estimate is made."""

    @property
    def files(self) -> Files:
        """Where an upload goes. Raises: StoreError."""
        return self._house.documents.files

    @property
    def most_bytes(self) -> int:
        """Of an upload."""
        return self._house.config.server.file_limit_mb << 20

    def offers(self) -> Record:
        """What there is to choose from: `files`, newest first, `bases` and `projects`."""
        own = seen()
        files = [_shown(one) for one in self.files.newest(PURPOSE, _LISTED, own)]
        trained = self._house.shelf.names(own)
        return {
            "files": files,
            "bases": [*sorted(self._house.config.finetune.bases), *sorted(trained)],
            "projects": list(dict.fromkeys([own or "default", *(one["project"] for one in files)])),
        }

    def keep(self, upload: Upload, project: str, filename: str, by: str, address: str) -> Record:
        """Keep a file of rows. Raises: StorageFull; NotFound for a project of others."""
        check_project(project)
        kept = self.files.keep(upload, project=project, filename=filename, purpose=PURPOSE)
        self._note(by, "file.create", kept.id, project, address)
        return _shown(kept)

    def estimate(self, body: Record) -> Record:
        """What a job would take, and what the gate would do with its rows: as `prepared.json` says it.

        Raises: RequestError as `JobDesk.create`; QuotaExceeded while another is made; InfrastructureError.
        """
        from greenroom.offline.finetune.child import start  # noqa: PLC0415  # only where somebody trains
        from greenroom.offline.finetune.job_folder import JobFolder  # noqa: PLC0415  # as above
        from greenroom.offline.finetune.outside import Ready  # noqa: PLC0415  # as above

        row = self._training.desk.planned(*self._asked(body))
        tools = self._training.tools
        order = tools.outside.order(row)
        if not self._one.acquire(blocking=False):
            raise QuotaExceeded("Another estimate is being made. Wait a moment and ask again.", 5.0)
        place = self._house.folder() / FOLDER
        folder = JobFolder(place / row.id)
        try:
            _forget_stale(place)
            folder.make()
            folder.put("order.json", order)
            threads = self._house.config.finetune.threads
            child = start(tools.outside.preparer, folder.path, self._house.environment, threads)
            until = time.monotonic() + _MOST_S
            while child.is_alive and time.monotonic() < until:
                time.sleep(_LOOK_S)
            child.kill()
            ready = folder.read("prepared.json", Ready)
        except OSError as error:
            raise InfrastructureError(
                f"The rows can't be looked at: {error.strerror or error}. The server's log says more."
            ) from error
        finally:
            shutil.rmtree(folder.path, ignore_errors=True)
            self._one.release()
        if ready is None:
            raise InfrastructureError(
                f"The rows could not be looked at within {_MOST_S:.0f} s. The job itself may take longer."
            )
        return {**to_builtins(ready), "name": row.name}

    def create(self, body: Record, by: str, address: str) -> str:
        """Make the job; its id. Raises: RequestError as `JobDesk.create`."""
        caller, wanted = self._asked(body)
        made = self._training.desk.create(caller, wanted)
        self._note(by, "finetune.create", made["id"], caller.project, address)
        return str(made["id"])

    def _asked(self, body: Record) -> tuple[Caller, Any]:  # Any: a NewJob, which is imported late
        """Who asks, by the project of the rows, and for what. Raises: NotFound, MalformedRequest."""
        from greenroom.wire.finetune import NewJob  # noqa: PLC0415  # as above

        file = self.files.find(str(body.get("training_file", "")))
        if file is None or seen() not in {None, file.project}:
            raise NotFound("There is no such file of rows. Choose one, or upload it first.", "training_file")
        try:
            wanted = convert(body, NewJob)
        except ValidationError as error:
            message, _, place = str(error).partition(" - at `$.")
            field = place.rstrip("`")
            raise MalformedRequest(f"'{field or 'body'}': {message}.", field or None) from None
        return Caller(key_id="page", project=file.project, role="operator"), wanted

    def _note(self, by: str, what: str, id: str, project: str, address: str) -> None:
        Audit(self._house).note(by, what, {"id": id, "project": project}, address=address)


def _shown(file: FileRow) -> Record:
    return {"id": file.id, "project": file.project, "name": file.filename, "bytes": file.bytes}


def _forget_stale(place: Path) -> None:
    """Take away what a crash left of estimates before."""
    if not place.is_dir():
        return
    for one in place.iterdir():
        if one.stat().st_mtime < time.time() - _STALE_S:
            shutil.rmtree(one, ignore_errors=True)
