"""Data sets from recorded exchanges: what was really asked, redacted as it was stored."""

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import structs

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.data import DataSet, from_rows
from greenroom.offline.evals.sample import Json
from greenroom.store.listing import TraceFilter
from greenroom.store.traces import TraceStore

_PAGE = 200
_CHATS = frozenset(("chat", "messages", "responses", "completions"))


def from_traces(store: TraceStore, wanted: TraceFilter, *, expect_reply: bool = False) -> DataSet:
    """The requests of the newest exchanges that fit the filter, `wanted.limit` of them at most.

    Exchanges of one conversation are one group. What evaluations asked is left out, unless the filter names
    their tag. With `expect_reply` the answer that was given is what is
    expected. Raises: MalformedRequest where none has its texts.
    """
    skipped: Counter[str] = Counter()
    source = "traces"
    with_evals = (wanted.tag or "").startswith("eval=")
    rows = _rows(store, wanted, skipped, expect_reply=expect_reply, with_evals=with_evals)
    try:
        found = from_rows(rows, source)
    except MalformedRequest as error:
        if not skipped:
            raise MalformedRequest("No recorded exchange fits the filter.", "data") from error
        raise MalformedRequest(f"No recorded exchange can be used: {_said(skipped)}", "data") from error
    notes = [f"Left out: {_said(skipped)}"] if skipped else []
    return structs.replace(found, notes=(*notes, *found.notes))


def from_records(records: Sequence[Json], *, expect_reply: bool = False) -> DataSet:
    """The requests of these records, in their order. Raises: MalformedRequest where none has its texts."""
    skipped: Counter[str] = Counter()
    rows = [
        (f"trace {record['id']}", row)
        for record in records
        if (row := _row(record, skipped, expect_reply=expect_reply)) is not None
    ]
    if not rows:
        raise MalformedRequest(f"None of these requests can be used: {_said(skipped)}", "data")
    return from_rows(iter(rows), "traces", [f"Left out: {_said(skipped)}"] if skipped else [])


def _rows(
    store: TraceStore, wanted: TraceFilter, skipped: Counter[str], *, expect_reply: bool, with_evals: bool
) -> Iterator[tuple[str, Json]]:
    left = wanted.limit
    page = structs.replace(wanted, limit=_PAGE)
    while left > 0:
        found = store.list(page)
        for one in found.rows:
            record = store.get(None, one["id"])
            if record is not None and "eval" in record["tags"] and not with_evals:
                continue
            row = _row(record, skipped, expect_reply=expect_reply)
            if row is not None:
                yield f"trace {one['id']}", row
                left -= 1
                if left == 0:
                    return
        if found.next is None:
            return
        page = structs.replace(page, cursor=found.next)


def _row(record: Json | None, skipped: Counter[str], *, expect_reply: bool) -> Json | None:
    if record is None or record["surface"] not in _CHATS:
        skipped["not a chat"] += 1
        return None
    messages = [one for one in record["request"]["messages"] if one.get("content") or one.get("tool_calls")]
    if not messages:
        skipped["its texts were not kept"] += 1
        return None
    row: Json = {"id": record["id"], "messages": messages, "app": record["app"]}
    if record["language"] is not None:
        row["language"] = record["language"]["code"]
    if record["session"]:
        row["group"] = record["session"]
    if expect_reply:
        if not record["reply"]["text"]:
            skipped["it has no answer"] += 1
            return None
        row["expected"] = record["reply"]["text"]
    return row


def _said(skipped: Counter[str]) -> str:
    return ", ".join(f"{count} ({reason})" for reason, count in skipped.most_common()) + "."
