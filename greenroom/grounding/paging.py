"""A page of a list that is ordered by number: what comes after or before one of its rows."""

from typing import Any, Literal, NamedTuple, TypeVar

Row = TypeVar("Row")


class Cursor(NamedTuple):
    """Which rows of a list: at most `limit`, from the one after the row `after` on, or up to `before`."""

    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    """The id of a row."""
    before: str | None = None

    def values(self, after: int | None, before: int | None) -> dict[str, Any]:  # Any: SQLite's values
        """What `PAGE` asks for, once the rows' numbers are known; one row more shows whether there are."""
        sign = 1 if self.order == "asc" else -1
        if self._is_backwards:
            sign, after, before = -sign, before, after
        return {"sign": sign, "after": after, "before": before, "limit": self.limit + 1}

    @property
    def _is_backwards(self) -> bool:
        return self.before is not None and self.after is None

    def cut(self, rows: list[Row]) -> tuple[list[Row], bool]:
        """The rows in the order wanted, and whether there are more."""
        kept = rows[: self.limit]
        return (kept[::-1] if self._is_backwards else kept), len(rows) > self.limit


def page(number: str) -> str:
    """The end of a query that gives a page by the column `number`."""
    return f"""
        AND (:after IS NULL OR {number} * :sign > :after * :sign)
        AND (:before IS NULL OR {number} * :sign < :before * :sign)
        ORDER BY {number} * :sign LIMIT :limit
    """
