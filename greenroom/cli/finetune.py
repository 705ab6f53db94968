"""`greenroom finetune`: jobs that train models on this machine.

All commands work on the data folder, beside a running server or without one.
"""

from typing import TYPE_CHECKING, Any

from cyclopts import App

from greenroom.cli.finetune_check import check
from greenroom.cli.finetune_create import WHO, create, watched
from greenroom.cli.finetune_data import data, distill
from greenroom.cli.finetune_loop import loop
from greenroom.cli.finetune_should import should
from greenroom.cli.finetune_watch import settle
from greenroom.cli.output import console, print_json, print_table, printable
from greenroom.cli.place import FINDINGS, FINE, INCONCLUSIVE, Here, Place
from greenroom.errors import NotFound
from greenroom.exchange import Caller

if TYPE_CHECKING:
    from greenroom.assembly.finetuning import Finetuning
    from greenroom.store.jobs import JobRow

app = App(name="finetune", help="Train models on this machine, and look at how that goes.")
app.command(create)
app.command(loop)
app.command(check)
app.command(data)
app.command(distill)
app.command(should)

_LATEST = 10
"""Events that `show` prints."""


@app.command(name="list")
def list_jobs(*, project: str | None = None, limit: int = 20, json: bool = False, place: Here) -> int:
    """List jobs, newest first.

    Parameters
    ----------
    project
        Of this project only.
    limit
        How many at most.
    json
        Print the list as JSON.
    """
    from greenroom.offline.finetune.told import summary  # noqa: PLC0415  # only where jobs are looked at
    from greenroom.store.jobs import Page  # noqa: PLC0415  # as above

    training = _training(place)
    found = training.tools.kept.jobs(project, Page(max(1, limit)))[0]
    rows = [summary(one, training.desk.folder(one.id)) for one in found]
    if json:
        print_json({"data": rows})
    else:
        columns = ("id", "project", "status", "done", "model", "created_at")
        print_table(columns, [[_cell(one, name) for name in columns] for one in rows])
    return FINE


@app.command
def show(id: str, /, *, json: bool = False, place: Here) -> int:
    """Show a job and what it told last: exit 0 when it is done, 1 when it failed, 2 while it is at work.

    Parameters
    ----------
    id
        The job's id, as `greenroom finetune list` shows it.
    json
        Print the job, with its newest events, as JSON.
    """
    from greenroom.wire.finetune import JobQuery  # noqa: PLC0415  # as above

    training = _training(place)
    row = _row(training, id)
    caller = _caller(row)
    job = training.desk.get(caller, id)
    events = training.desk.events(caller, id, JobQuery(_LATEST))["data"]
    if json:
        print_json({**job, "events": events})
    else:
        _print(job, events, training)
    return {"succeeded": FINE, "failed": FINDINGS}.get(row.status, INCONCLUSIVE)


@app.command
def watch(id: str, /, *, json: bool = False, place: Here) -> int:
    """Watch a job until it ends: exit 0 when it succeeded, 1 when it failed, 2 when it rests or is cancelled.

    Where no server runs the jobs of this data folder, the job is run meanwhile.

    Parameters
    ----------
    id
        The job's id.
    json
        Say nothing until it ends, then print the job as JSON.
    """
    training = _training(place)
    row = _row(training, id)
    code = watched(training, id, quiet=json)
    job = training.desk.get(_caller(row), id)
    if json:
        print_json(job)
    elif job["fine_tuned_model"]:
        print(job["fine_tuned_model"])
    return code


@app.command
def cancel(id: str, /, *, json: bool = False, place: Here) -> int:
    """End a job for good.

    Parameters
    ----------
    id
        The job's id.
    json
        Print the job as JSON.
    """
    return _change(place, id, "cancel", as_json=json)


@app.command
def pause(id: str, /, *, json: bool = False, place: Here) -> int:
    """Let a job rest. What it trained so far is kept.

    Parameters
    ----------
    id
        The job's id.
    json
        Print the job as JSON.
    """
    return _change(place, id, "pause", as_json=json)


@app.command
def resume(id: str, /, *, json: bool = False, place: Here) -> int:
    """Let a job that rests go on, by the server, or by `greenroom finetune watch`.

    Parameters
    ----------
    id
        The job's id.
    json
        Print the job as JSON.
    """
    return _change(place, id, "resume", as_json=json)


def _change(place: Place, id: str, deed: str, *, as_json: bool) -> int:
    from greenroom.assembly.audit import Audit  # noqa: PLC0415  # as above

    training = _training(place)
    row = _row(training, id)
    desk = training.desk
    job = {"cancel": desk.cancel, "pause": desk.pause, "resume": desk.resume}[deed](_caller(row), id)
    Audit(training.house).note(WHO, f"finetune.{deed}", {"id": id, "project": row.project})
    if deed != "resume":
        settle(training, id)
    if as_json:
        print_json(job)
    else:
        print(f"{id} is {job['greenroom']['state'].replace('_', ' ')}.")
    return FINE


def _training(place: Place) -> "Finetuning":
    from greenroom.assembly.finetuning import Finetuning  # noqa: PLC0415  # a large import; others need none of it

    return Finetuning(place.open())


def _row(training: "Finetuning", id: str) -> "JobRow":
    row = training.tools.kept.job(id)
    if row is None:
        raise NotFound(f"There is no job '{id}'. 'greenroom finetune list' shows what there is.")
    return row


def _caller(row: "JobRow") -> Caller:
    return Caller(key_id=WHO, project=row.project, role="admin")


def _cell(row: dict[str, Any], name: str) -> object:  # Any: JSON
    if name != "done":
        return row[name]
    return "" if row["done"] is None else f"{row['done']:.0%}"


def _print(job: dict[str, Any], events: list[dict[str, Any]], training: "Finetuning") -> None:  # Any: JSON
    ours = job["greenroom"]
    progress = ours["progress"]
    facts = {
        "state": ours["state"].replace("_", " "),
        "model": ours["name"],
        "base": ours["base"] or "none",
        "method": f"{job['method']['type']}, {ours['tuning'] or ''}".rstrip(", "),
        "progress": progress and f"{progress['phase']}, step {progress['step']} of {progress['total_steps']}",
        "error": job["error"]["message"] if job["error"] else None,
        "folder": str(training.folder / job["id"]),
    }
    out = console()
    for name, value in facts.items():
        if value:
            out.print(printable(f"{name:<10}{value}"))
    for problem in (ours["report"] or {}).get("problems", ()):
        out.print(printable(f"  {problem}"))
    out.print()
    for one in reversed(events):
        out.print(printable(one["message"]))
