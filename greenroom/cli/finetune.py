"""`greenroom finetune`: jobs that train models on this machine."""

from cyclopts import App

from greenroom.cli.output import print_json, print_table
from greenroom.cli.place import FINE, Here
from greenroom.store.jobs import Page
from greenroom.store.material import stamp

app = App(name="finetune", help="Train models on this machine, and look at how that goes.")


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
    rows = [
        {"id": one.id, "project": one.project, "model": one.name, "status": one.status,
         "created_at": stamp(one.created_ns)}
        for one in place.open().jobs.jobs(project, Page(limit))[0]
    ]  # fmt: skip
    if json:
        print_json({"data": rows})
    else:
        columns = ("id", "project", "model", "status", "created_at")
        print_table(columns, [[one[key] for key in columns] for one in rows])
    return FINE
