"""The rows of a list of requests, ready to show."""

from collections.abc import Callable
from typing import Any, NamedTuple

from greenroom.server.pages import figures
from greenroom.server.pages.glyphs import one_line
from greenroom.server.pages.record import Record, UsageView, read_record

Json = dict[str, Any]  # Any: what JSON holds


class Row(NamedTuple):
    """One line of the list, every field ready to show."""

    id: str
    time: str
    created_at: str
    outcome: str
    words: str
    language: str
    app: str
    model: str
    asked: str
    tokens: str
    tokens_title: str
    cost: str
    total: str
    overhead: str


def with_words(found: list[Json], get_trace: Callable[[str], Json | None]) -> list[Json]:
    """Return rows with their first words, taken from the whole trace where the list left them out."""
    return [
        one if "preview" in one or "request" in one else one | _words_of(get_trace(str(one["id"])))
        for one in found
    ]


def _words_of(trace: Json | None) -> Json:
    return {} if trace is None else {"request": trace.get("request")}


def read_rows(found: list[Json]) -> list[Row]:
    """Return the lines to show; a row of a shape this version does not know is shown by its id alone."""
    return [_row(read_record(one) or Record(id=str(one.get("id", "")), preview="(cannot be shown)"))
            for one in found]  # fmt: skip


def _row(record: Record) -> Row:
    tokens, title = _tokens(record.usage)
    return Row(
        id=record.id,
        time=figures.short_clock(record.created_at),
        created_at=record.created_at,
        outcome=record.outcome,
        words=one_line(record.preview or record.newest_user()[1], 140) or "(no text)",
        language=record.language.code if record.language else "",
        app=one_line(record.app, 40),
        model=one_line(record.model.used or figures.NONE, 60),
        asked=one_line(record.model.asked or "", 60),
        tokens=tokens,
        tokens_title=title,
        cost=figures.dollars(record.cost_usd),
        total=figures.duration(record.timing_ms.total),
        overhead=figures.duration(record.timing_ms.overhead),
    )


def _tokens(usage: UsageView | None) -> tuple[str, str]:
    """Return the sum and its parts; "~" marks what was counted here, because the provider did not."""
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return figures.NONE, ""
    sum_of_both = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    parts = f"{figures.count(usage.input_tokens)} in, {figures.count(usage.output_tokens)} out"
    if usage.estimated:
        return f"~{sum_of_both:,}", f"{parts}, estimated"
    return f"{sum_of_both:,}", parts
