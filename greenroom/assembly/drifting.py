"""Drift at work: a thread that samples every hour, looks at every app, and tells of what moved.

Of several processes one does it. Nothing here is on the way of a request.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import msgpack
from msgspec.structs import replace

from greenroom.assembly.looking import Looking
from greenroom.assembly.quality import sums_of
from greenroom.errors import GreenroomError
from greenroom.offline.drift.look import Finding, Sides, look
from greenroom.offline.drift.plan import DriftConfig
from greenroom.offline.drift.reading import Reading, question_of, reading_of
from greenroom.offline.drift.standing import Standing, judged
from greenroom.offline.drift.windows import FARTHEST_H, WEEK_H, Hours, Span, choose
from greenroom.stages.language import detect
from greenroom.store.alerts import Notice
from greenroom.store.drift import Look, StandingRow, State, Stream
from greenroom.store.quality import Amount, Place
from greenroom.store.sampled import Sampled, sample

if TYPE_CHECKING:
    from greenroom.assembly.house import House

log = logging.getLogger("greenroom.drift")

HOUR_S = 3_600
HOUR_NS = HOUR_S * 1_000_000_000
LATE_S = 120
"""So long after an hour its exchanges are on disk, the slow ones too."""
_FIRST_S, _BETWEEN_S = 20.0, 60.0
_LONG_S = 0.05
"""An hour that takes longer is followed by a rest, so that requests do not starve while much is caught up."""
_AT_ONCE = 24
"""Hours whose readings are kept together."""
_DAY_S = 86_400
_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Reading).decode


class DriftWatch(Looking):
    """Looks once an hour, from `start` to `stop`."""

    def __init__(self, house: "House") -> None:
        super().__init__("greenroom-drift")
        self._house = house
        self._looked = 0

    def _run(self) -> None:
        wait_s = _FIRST_S
        while not self._stopping.wait(wait_s):
            wait_s = _BETWEEN_S
            try:
                if self._house.config.drift.watch:
                    self.turn(time.time())
            except GreenroomError as error:
                log.error("drift not looked at", extra={"reason": str(error)})  # noqa: TRY400  # no stack wanted
            except Exception:  # the thread goes on: whatever broke this hour may not break the next
                log.exception("drift not looked at")

    def turn(self, now_s: float) -> None:
        """Sample the hours that have passed, then look once at the newest. Raises: StoreError."""
        until = ended(now_s)
        for hours in batches(waiting(self._house, until)):
            sample_hours(self._house, hours, self._stopping.wait)
            if self._stopping.is_set():
                return
        if until > self._looked:
            look_at_all(self._house, until)
            self._looked = until
            pinned = _pinned(self._house.config.drift)
            kept = (0, 0) if pinned is None else (pinned, pinned + WEEK_H)
            self._house.drift.purge(until - FARTHEST_H, kept)


def ended(now_s: float) -> int:
    """The hour that goes on, or has just gone by: those before it are complete."""
    return int((now_s - LATE_S) // HOUR_S)


def waiting(house: "House", until: int) -> list[int]:
    """Hours that have traces and were not sampled, newest first."""
    days = min(FARTHEST_H, house.config.store.retention_days * 24)
    return sorted(house.drift.unsampled(range(until - days, until)), reverse=True)


def batches(hours: Sequence[int]) -> Iterator[Sequence[int]]:
    """Hours in parts that are kept together."""
    for start in range(0, len(hours), _AT_ONCE):
        yield hours[start : start + _AT_ONCE]


def sample_hours(
    house: "House", hours: Sequence[int], rest: Callable[[float], bool] = lambda _: False
) -> None:
    """Read some exchanges of each hour and keep what drift wants to know of them. Raises: StoreError.

    `rest` waits for so many seconds, and says whether to end: hours with much traffic take as long a rest.
    """
    most, traces = house.config.drift.sample_per_hour, house.folder() / "traces.db"
    read: dict[int, dict[Stream, list[tuple[str, str, bytes]]]] = {}
    took_s = 0.0
    for hour in hours:
        if rest(took_s if took_s > _LONG_S else 0.0):
            break
        began = time.monotonic()
        found = sample(traces, hour * HOUR_NS, (hour + 1) * HOUR_NS, most)
        read[hour] = {
            stream: [(str(one.row["user"] or ""), one.row["id"], _encode(_read(house, one))) for one in some]
            for stream, some in found.items()
        }
        took_s = time.monotonic() - began
    if read:
        house.drift.add(read)
        house.quality.add_hours({hour: measured(hour, house.drift.of_hour(hour)) for hour in read})


def measured(hour: int, kept: Sequence[tuple[str, str, bytes]]) -> dict[Place, Amount]:
    """What a sample of an hour shows of refusals and groundedness, as sums of its day."""
    values = []
    for project, app, body in kept:
        one = _decode(body)
        place = Place(hour // 24, project, app, one.model, one.prompt, "refused", "sample")
        values.append((place, float(one.is_refused)))
        if one.grounded is not None:
            values.append((place._replace(name="grounded"), one.grounded))
    return sums_of(values)


def _read(house: "House", one: Sampled) -> Reading:
    text = "" if one.body is None else question_of(one.body)
    language = one.row["language"] or (detect(text)[0] if text else "")
    found = reading_of(one.row, one.body, language)
    if house.config.drift.meaning and house.encoder is not None and text:
        vector = house.encoder.encode([text])[0]
        found = replace(found, meaning=vector.astype("float16").tobytes())
    return found


def chosen(house: "House", stream: Stream, until: int) -> tuple[Hours, Sides]:
    """The hours that are compared of an app, and their readings. Raises: StoreError."""
    plan, store = house.config.drift, house.drift
    since = store.accepted().get(stream, 0)
    sick = [Span(*one) for one in store.sick(stream)]
    sick += [
        Span(one.open_since - plan.window_h, until)
        for one in store.standings()
        if (one.project, one.app) == stream and one.open_since is not None
    ]
    known = store.hours(stream, until - FARTHEST_H if plan.pinned is None else 0)
    hours = choose(known, until, plan.window_h, since=since, sick=sick, pinned=_pinned(plan))
    found = store.readings(stream, {*hours.window, *hours.whole})
    readings = {hour: [_decode(one) for one in some] for hour, some in found.items()}
    return hours, Sides(*([one for at in some for one in readings[at]] for some in hours[:3]))


def _pinned(plan: DriftConfig) -> int | None:
    return None if plan.pinned is None else (plan.pinned.toordinal() - 719_163) * 24


def look_at_all(house: "House", until: int) -> list[Look]:
    """Look at every app whose window has readings; keep and tell what was found. Raises: StoreError."""
    plan, store = house.config.drift, house.drift
    found: dict[Stream, list[Finding]] = {}
    states = []
    for stream in store.streams(until - plan.window_h):
        hours, sides = chosen(house, stream, until)
        states.append(State(*stream, until, hours.missing_h, *map(len, sides)))
        if not hours.missing_h and sides.is_enough:
            found[stream] = look(sides)
    looks = [
        _look(stream, until, finding, is_over)
        for stream, some in judged(found, plan.alpha).items()
        for finding, is_over in some
    ]
    by_place = {_place(one): one for one in looks}
    before = {_place(one): one for one in store.standings()}
    standings, sick = [], []
    for place in {**by_place, **before}:  # what can't be told any more, as nobody asks, is not told for ever
        row, seen = before.get(place), by_place.get(place)
        was = Standing() if row is None else Standing(row.streak, row.calm, row.open_since)
        now = was.after(is_over=seen is not None and seen.is_over, hour=until, looks=plan.looks)
        standings.append(StandingRow(*place, now.streak, now.calm, now.open_since))
        if was.open_since is not None and now.open_since is None:
            sick.append((place[:2], was.open_since - plan.window_h, until))
    store.keep_looks(looks, standings, states, sick)
    for one in standings:
        _tell(house, by_place.get(_place(one)), one)
    return looks


def _place(one: Look | StandingRow) -> tuple[str, str, str]:
    return one.project, one.app, one.metric


def _look(stream: Stream, hour: int, one: Finding, is_over: bool) -> Look:
    return Look(
        *stream, one.metric, hour, one.kind, one.p, one.effect, one.new, one.old, one.n, one.m, one.about,
        is_over,
    )  # fmt: skip


def _tell(house: "House", seen: Look | None, now: StandingRow) -> None:
    if now.open_since is None:
        house.alerts.clear(rule_of(now.metric), now.project, now.app)  # no write where there is none
    elif seen is not None:
        house.alerts.tell(notice_of(seen))


def rule_of(metric: str) -> str:
    """The name of what tells of a metric."""
    return f"drift.{metric}"


def notice_of(one: Look) -> Notice:
    """What is told of a move."""
    figures = {"effect": one.effect, "p": one.p, "readings": float(one.n)}
    if one.new is not None and one.old is not None:
        figures |= {"new": one.new, "old": one.old}
    return Notice(
        rule_of(one.metric), "drift", one.project, one.app, "warning",
        f"App '{one.app}': {told(one)}.", figures,
        "/drift?" + urlencode({"project": one.project, "app": one.app, "metric": one.metric}),
    )  # fmt: skip


_NAMES = {
    "language": "the mix of languages", "topic": "the mix of topics", "prompt_words": "what is asked",
    "answer_words": "the wording of answers", "meaning": "what prompts are about",
    "prompt_length": "the length of prompts", "answer_length": "the length of answers", "cost": "cost",
    "latency": "latency", "refusal": "the share of refusals", "personal_data": "the share with personal data",
}  # fmt: skip


def told(one: Look) -> str:
    """A move as a sentence without its end."""
    name = _NAMES.get(one.metric, one.metric)
    if one.metric == "language":
        name = f"the share of the language '{one.about}'"
    effect = {"auc": f"AUC {0.5 + abs(one.effect):.2f}", "h": f"h {abs(one.effect):.2f}"}.get(
        one.kind, f"PSI {one.effect:.2f}"
    )
    p = f"p {one.p:.1g}" if one.p >= 1e-6 else "p < 1e-6"
    if one.new is None or one.old is None:
        return f"{name} {'moved' if one.is_over else 'is as before'} ({effect}, {p})"
    was, now = shown(one.metric, one.old), shown(one.metric, one.new)
    if was == now:
        return f"{name} is {now}, as before ({effect}, {p})"
    return f"{name} went from {was} to {now} ({effect}, {p})"


def shown(metric: str, value: float) -> str:
    """A median or a share with its unit."""
    if metric in ("language", "refusal", "personal_data"):
        return f"{100 * value:.1f} %"
    if metric == "cost":
        return f"${value / 1e9:.6f}"
    if metric == "latency":
        return f"{value / 1000:,.0f} ms"
    return f"{value:,.0f} characters"
