"""`greenroom trace`: what was recorded."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from greenroom.cli.journey import print_journey
from greenroom.cli.output import console, fail, print_json, print_json_line, print_table, printable
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE, Here
from greenroom.store.listing import TraceFilter
from greenroom.store.scores import Score, Source

if TYPE_CHECKING:
    from greenroom.store.traces import TraceStore

app = App(name="trace", help="Look at what was recorded.")

_COLUMNS = ("id", "time", "app", "model", "outcome", "tokens", "usd", "ms")
_POLL_S = 0.5
_PAGE = 200

Summary = dict[str, Any]  # Any: a record, as JSON


@Parameter(name="*")
@dataclass(frozen=True)
class Which:
    """Which traces. Conditions are joined by "and"."""

    q: str | None = None
    """Words in the question or the answer."""
    app: str | None = None
    """The app."""
    model: str | None = None
    """The name asked for, or the target that answered."""
    outcome: Literal["answered", "cached", "refused", "failed", "cancelled"] | None = None
    """How it ended."""
    session: str | None = None
    """The conversation."""
    user: str | None = None
    """The user the client named."""
    tag: str | None = None
    """A tag, as key=value."""
    score: str | None = None
    """A score's name, or with a bound: helpful, helpful:1, 'helpful:<0.5'."""
    project: str | None = None
    """The project; without it all."""
    since: datetime | None = None
    """The earliest moment, as 2026-11-24 or 2026-11-24T10:00:00; local time."""
    until: datetime | None = None
    """The moment before which."""

    def filter(self, limit: int) -> TraceFilter:
        """The store's form of it."""
        return TraceFilter(
            project=self.project, q=self.q, app=self.app, model=self.model, outcome=self.outcome,
            session=self.session, user=self.user, tag=self.tag, score=self.score, since_ns=_ns(self.since),
            until_ns=_ns(self.until), limit=limit,
        )  # fmt: skip


_ALL = Which()


@app.command(name="list")
def list_traces(which: Which = _ALL, *, limit: int = 20, json: bool = False, place: Here) -> int:
    """List what was recorded, newest first.

    Parameters
    ----------
    limit
        How many at most.
    json
        Print a JSON array.
    """
    rows = list(_newest(place.open().traces, which, limit))
    if json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [_row(one) for one in rows])
    return FINE


@app.command
def show(id: str, /, *, json: bool = False, place: Here) -> int:
    """Show one exchange: what every step did, the model, the answer.

    Parameters
    ----------
    id
        The trace's id: `x-request-id` of the answer.
    json
        Print the whole record as JSON.
    """
    record = place.open().traces.get(None, id)
    if record is None:
        return fail(f"There is no trace '{id}'. 'greenroom trace list' shows what there is.", FINDINGS)
    if json:
        print_json(record)
        return FINE
    out = console()
    asked = (record.get("model") or {}).get("asked")
    out.print(f"{record['id']}  {record['created_at']}  {record['app']}  {asked}  {record['outcome']}\n")
    print_journey(record)
    text = (record.get("reply") or {}).get("text")
    out.print(printable(text or record.get("error") or "The texts of this exchange were not kept."))
    return FINE


@app.command
def score(
    id: str,
    name: str,
    value: float,
    /,
    *,
    comment: str = "",
    correction: str = "",
    source: Source = "person",
    json: bool = False,
    place: Here,
) -> int:
    """Score an exchange; of one name and source the newest counts. Exit 1 when there is no such trace.

    Parameters
    ----------
    id
        The trace's id: `x-request-id` of the answer.
    name
        What is judged, as helpful.
    value
        A number; for experiments from 0 (bad) to 1 (good), unless they say otherwise.
    comment
        Why; personal data and secrets in it become masks.
    correction
        What the answer should have said; 'greenroom finetune data' makes rows of it.
    source
        Who says so: person, code or judge.
    json
        Print the score as JSON.
    """
    from greenroom.assembly.feedback import score_trace  # noqa: PLC0415  # a large import; others need none of it

    given = Score(name=name, value=value, comment=comment, source=source, correction=correction)
    added = score_trace(place.open(), None, id, given)
    if added is None:
        return fail(f"There is no trace '{id}'. 'greenroom trace list' shows what there is.", FINDINGS)
    if json:
        print_json(added)
    else:
        print(f"Scored {id}: {name} {value:g}.")
    return FINE


@app.command
def tail(which: Which = _ALL, *, json: bool = False, place: Here) -> int:
    """Print every exchange as it ends, until interrupted.

    Parameters
    ----------
    json
        Print one JSON object a line.
    """
    store = place.open().traces
    seen: set[str] = {one["id"] for one in _newest(store, which, _PAGE)}
    try:
        while True:
            time.sleep(_POLL_S)
            newest = list(_newest(store, which, _PAGE))
            for one in reversed([one for one in newest if one["id"] not in seen]):
                if json:
                    print_json_line(one)
                else:
                    print("\t".join("–" if cell is None else str(cell) for cell in _row(one)), flush=True)
            seen = {one["id"] for one in newest}
    except KeyboardInterrupt:
        return FINE


@app.command
def export(
    which: Which = _ALL,
    *,
    format: Annotated[Literal["jsonl", "csv", "parquet"], Parameter(name="--format")] = "jsonl",
    to: Path | None = None,
    limit: int | None = None,
    place: Here,
) -> int:
    """Print or write whole records, newest first. Texts are as they are kept: with masks.

    Parameters
    ----------
    format
        jsonl: a whole record a line; csv and parquet: one row each, for spreadsheets and queries. Parquet
        needs the extra `analytics`.
    to
        The file; without it jsonl and csv are printed. It is complete or not there.
    limit
        How many at most; without it all.
    """
    from greenroom.offline.export import files, recorded  # noqa: PLC0415  # few need it

    if to is None and format == "parquet":
        return fail("Parquet is no text to print: name a file with --to.", USAGE)
    found = recorded.records(place.open().traces, which.filter(_PAGE), limit)
    if to is None:
        files.write(found, sys.stdout, format)
        return FINE
    try:
        count = files.export(found, to, format)
    except OSError as error:
        return fail(f"'{to}' can't be written: {error.strerror or error}.", ENVIRONMENT)
    print(f"{to}: {count} exchanges")
    return FINE


def _newest(store: "TraceStore", which: Which, limit: int | None) -> Iterator[Summary]:
    """Up to `limit` summaries, newest first, page by page."""
    left = limit
    wanted = which.filter(_PAGE)
    while left is None or left > 0:
        page = store.list(msgspec.structs.replace(wanted, limit=min(_PAGE, left or _PAGE)))
        yield from page.rows
        if page.next is None:
            return
        left = None if left is None else left - len(page.rows)
        wanted = msgspec.structs.replace(wanted, cursor=page.next)


def _row(one: Summary) -> list[object]:
    model = one.get("model") or {}
    usage = one.get("usage") or {}
    tokens = (usage.get("input_tokens") or 0) + (usage.get("output_tokens") or 0)
    total = (one.get("timing_ms") or {}).get("total")
    return [
        one["id"], one["created_at"], one["app"], model.get("used") or model.get("asked"), one["outcome"],
        tokens, one.get("cost_usd"), None if total is None else round(total, 1),
    ]  # fmt: skip


def _ns(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp()) * 1_000_000_000
