"""Lists of items by page: what the query asks for, and the page as it is shown."""

from collections.abc import Mapping
from typing import NamedTuple

from greenroom.errors import MalformedRequest
from greenroom.server.responses.desk import Desk
from greenroom.server.responses.front import RESULTS
from greenroom.wire.digits import number_in
from greenroom.wire.responses_items import Item

MOST_LISTED = 100


class Page(NamedTuple):
    """Which items of a list are wanted."""

    limit: int
    newest_first: bool
    after: str | None


def page_of(query: Mapping[str, str]) -> Page:
    """`limit`, `order` and `after` of a list. Raises MalformedRequest naming the parameter."""
    limit, order = number_in(query.get("limit", "20"), 0, MOST_LISTED), query.get("order", "desc")
    if limit is None:
        raise MalformedRequest(f"'limit' must be a number from 0 to {MOST_LISTED}.", "limit")
    if order not in {"asc", "desc"}:
        raise MalformedRequest("'order' must be 'asc' or 'desc'.", "order")
    return Page(limit, order == "desc", query.get("after") or None)


def paged(
    desk: Desk,
    project: str,
    session: str,
    found: tuple[list[Item], bool] | None,
    page: Page,
    includes: frozenset[str],
) -> dict[str, object]:
    """A page as it is shown. Raises MalformedRequest where `after` is not in the list."""
    if found is None:
        raise MalformedRequest(f"There is no item '{(page.after or '')[:64]}' to list from.", "after")
    items, has_more = found
    return listed(
        [told_item(one, includes) for one in desk.reveal(project, session, items)], has_more=has_more
    )


def listed(items: list[Item], *, has_more: bool) -> dict[str, object]:
    """Items as a list of the dialect, whose first and last id are texts even where there is none."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else "",
        "last_id": items[-1]["id"] if items else "",
        "has_more": has_more,
    }


def told_item(item: Item, includes: frozenset[str]) -> Item:
    """An item with no more of a search than was asked for."""
    if item["type"] != "file_search_call" or RESULTS in includes:
        return item
    return {name: value for name, value in item.items() if name != "results"}
