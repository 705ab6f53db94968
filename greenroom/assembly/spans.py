"""Spans of applications around an exchange, as a page shows them."""

from contextlib import closing
from typing import Any

from greenroom.assembly.stores import Stores
from greenroom.store.material import Record
from greenroom.store.spans import FILE, MOST_SHOWN, SeenSpan
from greenroom.store.tail import Tail
from greenroom.wire.otlp.signals import KINDS, STATUSES, Attributes, text_of

_LONGEST = 2_000
"""Characters shown of one value."""


def spans_of(house: Stores, trace_id: str, *, project: str | None = None) -> Record:
    """What applications told of a trace (`record["trace"]["id"]`): JSON for the page of a request.

    `spans`, in the order in which they began, each with `id`, `parent` ("" for none; ours among them is
    `record["trace"]["parent"]`), `name`, `kind`, `service`, `scope`, `start_ns`, `end_ns`, `ms`, `status`
    ("unset", "ok" or "error"), `message`, `attributes` (name → text), `events` and `dropped` (how many
    attributes, events and links were left out); `total` counts all there are. Makes no store.

    Cost: about 10 µs a span. Raises: StoreError.
    """
    if "spans" not in vars(house) and not (house.data / FILE).exists():
        return {"spans": [], "total": 0}
    found = house.spans.of(project, trace_id, MOST_SHOWN)
    return {"spans": [_shown(one) for one in found.spans], "total": found.total}


def _shown(seen: SeenSpan) -> Record:
    span, origin = seen
    return {
        "id": span.id,
        "parent": span.parent,
        "name": span.name,
        "kind": _named(KINDS, span.kind),
        "service": origin.service,
        "scope": origin.scope,
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "ms": round(max(span.end_ns - span.start_ns, 0) / 1_000_000, 4),
        "status": _named(STATUSES, span.status),
        "message": span.message,
        "attributes": _texts(span.attributes),
        "events": [
            {"name": one.name, "at_ns": one.at_ns, "attributes": _texts(one.attributes)}
            for one in span.events
        ],
        "dropped": span.dropped + span.dropped_events + span.dropped_links,
    }


def _texts(attributes: Attributes) -> dict[str, Any]:  # Any: texts; JSON's own type
    return {name: text_of(value)[:_LONGEST] for name, value in attributes.items()}


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else names[0]


def forget_spans(house: Stores, project: str | None, user: str) -> int:
    """Erase what applications told of a user: spans that name them, and the traces their exchanges came with.

    To be called before the exchanges go. How many spans went; makes no store. Raises: StoreError.
    """
    if not (house.data / FILE).exists():
        return 0
    with closing(Tail(house.folder() / "traces.db")) as tail:
        traces = tail.traces_of(project, user)
    return house.spans.erase(project, user, traces)
