"""Attributes of documents, and the filters that choose by them. Knows no index."""

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any, Literal

from msgspec import Struct

from greenroom.errors import MalformedRequest

Value = str | int | float | bool
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "and", "or"]
DEPTH = 16
"""How deep filters may lie in one another."""
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
}  # Any: two of a kind


class Filter(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A comparison of one attribute (`key`, `value`), or `and` / `or` over other filters."""

    type: Operator
    key: str | None = None
    value: Value | list[Value] | None = None
    filters: list["Filter"] | None = None

    def check(self, depth: int = 1) -> None:
        """Raise MalformedRequest where a part is missing or has the wrong kind."""
        if depth > DEPTH:
            raise MalformedRequest(f"Filters lie in one another more than {DEPTH} deep.", "filters")
        if self.type in {"and", "or"}:
            if not self.filters or self.key is not None or self.value is not None:
                raise MalformedRequest(
                    f"A filter of type '{self.type}' takes a list of 'filters'.", "filters"
                )
            for one in self.filters:
                one.check(depth + 1)
            return
        is_many = self.type in {"in", "nin"}
        if not self.key or self.value is None or self.filters is not None:
            raise MalformedRequest(f"A filter of type '{self.type}' takes a 'key' and a 'value'.", "filters")
        if isinstance(self.value, list) is not is_many:
            kind = "a list" if is_many else "one value"
            raise MalformedRequest(f"The value of a filter of type '{self.type}' is {kind}.", "filters")

    def fits(self, attributes: Mapping[str, Value]) -> bool:
        """Whether a document with these attributes is chosen.

        Values of different kinds are never equal and never in order; a missing attribute equals nothing, so
        that only `ne` and `nin` choose a document without it.
        """
        if self.filters is not None:
            found = (one.fits(attributes) for one in self.filters)
            return all(found) if self.type == "and" else any(found)
        own = attributes.get(self.key or "")
        wanted: Sequence[Any] = self.value if isinstance(self.value, list) else [self.value]  # Any: values
        if self.type in {"eq", "in"}:
            return any(_is_same(own, one) for one in wanted)
        if self.type in {"ne", "nin"}:
            return not any(_is_same(own, one) for one in wanted)
        return _kind(own) == _kind(wanted[0]) and own is not None and _ORDER[self.type](own, wanted[0])


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def _is_same(one: object, other: object) -> bool:
    return _kind(one) == _kind(other) and one == other
