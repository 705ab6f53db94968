"""What clients send to `/v1/evals`: an eval, a change of one, a run, and which part of a list.

What lies in a data source or a grader is read where it is used, so that the message names its field.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from greenroom.errors import MalformedRequest
from greenroom.wire.digits import number_in

MOST_LISTED = 100
Json = dict[str, Any]  # Any: JSON
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
Name = Annotated[str, Meta(max_length=256)]


class NewEval(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/evals`."""

    data_source_config: Json
    testing_criteria: list[Json]
    name: Name | None = None
    metadata: Metadata | None = None


class EvalChange(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/evals/{eval_id}`."""

    name: Name | None = None
    metadata: Metadata | UnsetType | None = UNSET


class NewRun(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/evals/{eval_id}/runs`."""

    data_source: Json
    name: Name | None = None
    metadata: Metadata | None = None


class ListQuery(NamedTuple):
    """Which rows of a list are wanted."""

    limit: int
    newest_first: bool
    after: str | None
    status: str | None = None
    by_update: bool = False


def read_query(query: Mapping[str, str], statuses: tuple[str, ...] = ()) -> ListQuery:
    """`limit`, `order`, `after`, `status` and `order_by`. Raises: MalformedRequest naming the parameter."""
    limit = number_in(query.get("limit", "20"), 0, MOST_LISTED)
    if limit is None:
        raise MalformedRequest(f"'limit' must be a number from 0 to {MOST_LISTED}.", "limit")
    order = _one_of(query, "order", ("asc", "desc")) or "asc"
    by = _one_of(query, "order_by", ("created_at", "updated_at"))
    status = _one_of(query, "status", statuses)
    return ListQuery(limit, order == "desc", query.get("after") or None, status, by == "updated_at")


def _one_of(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    found = query.get(name) or None
    if found is not None and known and found not in known:
        raise MalformedRequest(f"'{name}' must be {' or '.join(known)}.", name)
    return found


def page(rows: list[Json], *, has_more: bool) -> Json:
    """Rows as a list of the dialect."""
    return {
        "object": "list",
        "data": rows,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": has_more,
    }
