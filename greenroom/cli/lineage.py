"""`greenroom models lineage`: from an answer back to what its model was trained on."""

from datetime import UTC, datetime

from greenroom.assembly.lineage import lineage as find_lineage
from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, Here
from greenroom.errors import ModelNotFound


def lineage(named: str, /, *, project: str | None = None, json: bool = False, place: Here) -> int:
    """Say what a trained model was made of; for an answer, also the rows nearest to its question.

    Ends with 1 when there is no such model or trace, or it was answered by no model that was trained here.

    Parameters
    ----------
    named
        The model's name, or the id of a trace.
    project
        Look at this project's models and traces only.
    json
        Print everything as JSON.
    """
    house = place.open()
    try:
        found = find_lineage(house, named, project)
    except ModelNotFound as error:
        return fail(str(error), FINDINGS)
    finally:
        house.close_stores()
    if json:
        print_json(found)
        return FINE
    made = datetime.fromtimestamp(found["created_ns"] / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{found['model']}: {found['kind']} of the project '{found['project']}', made {made}.")
    print(f"base: {found['base'] or 'none, it was trained from nothing'}")
    print(f"job: {found['job']}")
    if project not in (None, found["project"]):
        print("What it was trained on is shown to its own project alone.")
    elif found["folder"] is None:
        print("The job's folder is gone, and its training rows with it.")
    else:
        print(f"rows: {found['rows']} in {found['folder']}/train.jsonl, {len(found['traces'])} from traces")
    digest = (found["data"] or {}).get("digest")
    if digest:
        print(f"data: {digest}")
    if found.get("nearest"):
        print("Rows nearest to the question:")
        print_table(
            ("row", "line", "trace", "likeness", "text"),
            [
                (one["row"], one["line"], one["trace"], one["likeness"], one["text"])
                for one in found["nearest"]
            ],
        )
    return FINE
