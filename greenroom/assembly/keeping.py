"""Rows added to kept data sets: each addition makes the next version, as what is kept never changes."""

from typing import Any

from greenroom.assembly.house import House
from greenroom.errors import MalformedRequest, NotFound
from greenroom.offline.evals.kept import change_data
from greenroom.offline.evals.sample import Sample
from greenroom.server.pages.access import seen

Record = dict[str, Any]  # Any: JSON
MOST_ROWS = 10_000
"""Past so many, adding one row by one would copy too much: files are for that."""


def keep_exchange(house: House, id: str, name: str, expected: str) -> Record:
    """Add what an exchange asked, as it was stored, to a data set of its own project.

    What is expected is its answer, unless something else is given. The set is made where it is not there; a
    row that is there already adds nothing. Raises: NotFound; MalformedRequest.
    """
    record = house.traces.get(seen(), id)
    if record is None:
        raise NotFound("There is no request with this id. It may have been erased, or its time is over.")
    request = record["request"]
    messages = tuple(one for one in request["messages"] if one.get("content"))
    values = request.get("prompt", {}).get("variables") or {}
    if not messages and not values:
        raise MalformedRequest("The texts of this request were not kept, so there is no row to make of it.")
    sample = Sample(
        id=id, messages=messages, variables=values, expected=expected or record["reply"]["text"] or None,
        group=record["session"] or "",
    )  # fmt: skip

    def with_it(held: list[Sample]) -> list[Sample]:
        if len(held) >= MOST_ROWS:
            raise MalformedRequest(
                f"'{name}' has {len(held):,} rows. Add more to it from a file: greenroom eval data add.",
                "name",
            )
        return [*(one for one in held if one.id != id), sample]

    kept = change_data(house.evals, name, with_it, "requests", str(record["project"]))
    return {"name": kept.name, "version": kept.version, "rows": kept.rows}
