"""What the pages of fine-tuning ask, answered from the store; loads nothing of it before somebody looks."""

from typing import Any

from msgspec.json import decode

from greenroom.assembly.audit import Audit
from greenroom.assembly.finetuning import FILE, Finetuning
from greenroom.errors import NotFound
from greenroom.exchange import Caller
from greenroom.server.pages.access import seen
from greenroom.store.jobs import JobRow
from greenroom.store.material import stamp

Record = dict[str, Any]  # Any: JSON
_LISTED, _EVENTS, _READ, _POINTS = 100, 200, 2_000, 400
"""Jobs, lines of what one told, steps that are read and that are drawn."""


class TrainingPages:
    """What the pages ask: of the projects that the one at the browser may see."""

    def __init__(self, training: Finetuning) -> None:
        self._training = training

    def list(self) -> list[Record]:
        """The newest jobs; makes no store."""
        from greenroom.offline.finetune.told import summary  # noqa: PLC0415  # only where somebody looks
        from greenroom.store.jobs import Page  # noqa: PLC0415  # as above

        if not (self._training.house.data / FILE).exists():
            return []
        rows = self._training.house.jobs.jobs(seen(), Page(_LISTED))[0]
        return [summary(row, self._training.desk.folder(row.id)) for row in rows]

    def show(self, id: str) -> Record:
        """A job, with `events`, `checkpoints`, `points` and `summary`. Raises: NotFound."""
        from greenroom.offline.finetune.card import curves  # noqa: PLC0415  # as above
        from greenroom.offline.finetune.told import summary, told_checkpoint, told_event  # noqa: PLC0415  # as above
        from greenroom.store.jobs import Page  # noqa: PLC0415  # as above

        row = self._row(id)
        kept, desk = self._training.house.jobs, self._training.desk
        events = kept.events(row, Page(_EVENTS))[0]
        checkpoints = kept.checkpoints(row, Page(_EVENTS))[0]
        points = [decode(one.data) for one in kept.metrics(row, _READ)]
        return {
            **desk.get(_operator(row), id),
            "summary": summary(row, desk.folder(id)),
            "events": [{**told_event(one), "at": stamp(one.at_ns)} for one in events],
            "checkpoints": [told_checkpoint(one, row, desk.folder(id)) for one in checkpoints],
            "points": curves(points, _POINTS),
        }

    def change(self, id: str, deed: str, by: str, address: str) -> None:
        """Pause, resume or cancel a job. Raises: NotFound, RequestError."""
        row, desk = self._row(id), self._training.desk
        {"pause": desk.pause, "resume": desk.resume, "cancel": desk.cancel}[deed](_operator(row), id)
        about = {"id": id, "project": row.project}
        Audit(self._training.house).note(by, f"finetune.{deed}", about, address=address)

    def _row(self, id: str) -> JobRow:
        has_jobs = (self._training.house.data / FILE).exists()
        row = self._training.house.jobs.job(id) if has_jobs else None
        if row is None or seen() not in {None, row.project}:
            raise NotFound("There is no such job.")
        return row


def _operator(row: JobRow) -> Caller:
    return Caller(key_id="page", project=row.project, role="operator")
