"""The five strips of the overview, one for each quality: a few figures now and before, and charts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from msgspec import Struct

from greenroom.server.pages import figures, scores
from greenroom.server.pages.scores import Scored
from greenroom.server.pages.tiles import BAD, GOOD, NEUTRAL, Chart, Tile
from greenroom.store.bucket import Bucket
from greenroom.store.histogram import Histogram

Json = dict[str, Any]  # Any: what JSON holds
_MOST_SERIES = 6


class Grid(NamedTuple):
    """The steps of a chart: from, to (excluded) and how long, in Unix seconds; and what time it is."""

    since_s: int
    until_s: int
    step_s: int
    now_s: float

    @property
    def times(self) -> range:
        """When the steps begin."""
        return range(self.since_s, self.until_s, self.step_s)

    @property
    def part(self) -> float:
        """How much of all of it is over, from 0 to 1."""
        return max(0.0, min(1.0, (self.now_s - self.since_s) / (self.until_s - self.since_s)))

    def lasted_s(self, at: int) -> float:
        """How much of a step is over."""
        return max(1.0, min(self.step_s, self.now_s - at))


class Strip(Struct):
    """One quality."""

    name: str
    title: str
    question: str
    tiles: list[Tile]
    charts: list[Chart]


def strips(
    now: Sequence[Bucket],
    before: Sequence[Bucket],
    by_app: Sequence[Bucket],
    grid: Grid,
    lead: Mapping[str, str],
    scored: Sequence[Scored] = (),
) -> list[Strip]:
    """All five. `lead` are the conditions that a click on a point keeps."""
    new, old = _sum(now), _sum(before)
    plot = Plot({one.since_s: one for one in now}, grid)

    def leads(**more: str) -> str:
        return (
            "/requests?" + urlencode({**lead, **more}) + ("&" if lead or more else "") + "from={from}&to={to}"
        )

    return [
        _speed(plot, new, old, leads),
        _accuracy(plot, new, old, leads, scores.chosen(scored)),
        _scalability(plot, new, old, leads),
        _security(plot, new, old, leads),
        _cost(plot, new, old, by_app, leads),
    ]


Value = Callable[[Bucket], float | None]
_Leads = Callable[..., str]


class Plot(NamedTuple):
    """Lines over the steps of a grid. A line that says nothing is left out by `told`."""

    at: Mapping[int, Bucket]
    grid: Grid

    def line(self, label: str, value: Value, empty: float | None = None) -> Json:
        """What each step was; `empty` where nothing happened."""
        times = [time for time in self.grid.times if time <= self.grid.now_s]
        return {
            "label": label,
            "points": [[time, value(self.at[time]) if time in self.at else empty] for time in times],
        }

    def rate(self, label: str, count: Callable[[Bucket], int]) -> Json:
        """How many a minute, in what of a step is over."""
        times = [time for time in self.grid.times if time <= self.grid.now_s]
        return {
            "label": label,
            "points": [
                [time, 60 * (count(self.at[time]) if time in self.at else 0) / self.grid.lasted_s(time)]
                for time in times
            ],
        }


def _speed(plot: Plot, new: Bucket, old: Bucket, leads: _Leads) -> Strip:
    def percentiles(id: str, title: str, pick: Callable[[Bucket], Histogram], note: str = "") -> Chart:
        series = [plot.line(f"p{q * 100:g}", _percentile(pick, q)) for q in (0.5, 0.95, 0.99)]
        return Chart(id, title, "ms", told(series), note, leads())

    tiles = [
        _time("One of two is done in", new.total, old.total, 0.5),
        _time("19 of 20 are done in", new.total, old.total, 0.95),
        _time("First token, 19 of 20", new.first_token, old.first_token, 0.95),
        _time("Our own part, 99 of 100", new.overhead, old.overhead, 0.99),
    ]
    charts = [
        percentiles("total", "Whole requests", lambda one: one.total),
        percentiles("overhead", "Our own part", lambda one: one.overhead, "what is no model's"),
        percentiles("first-token", "Until the first token", lambda one: one.first_token, "streams"),
        percentiles("per-token", "Each further token", lambda one: one.per_token, "streams"),
    ]
    return Strip("speed", "Speed", "How long does it take?", tiles, charts)


def _accuracy(plot: Plot, new: Bucket, old: Bucket, leads: _Leads, scored: Sequence[Scored]) -> Strip:
    answered = (new.answered + new.cached, old.answered + old.cached)
    tiles = [
        _share("Answered", answered[0], new.requests, answered[1], old.requests, 1),
        _share("Failed", new.failed, new.requests, old.failed, old.requests, -1),
        _share("Answers we changed", _changed(new), new.requests, _changed(old), old.requests, 0),
        _share("Language known", _known(new), new.requests, _known(old), old.requests, 0),
        *map(scores.tile, scored),
    ]
    outcomes = [name for name in ("failed", "refused", "cancelled") if getattr(new, name)]
    languages = sorted(new.languages, key=lambda name: -new.languages[name])[:_MOST_SERIES]
    shares = [plot.line(name, _outcome_share(name)) for name in outcomes]
    spoken = [plot.line(name, _language(name)) for name in languages]
    charts = [
        Chart("outcomes", "Not answered", "share", told(shares), "part of all requests", leads()),
        Chart("languages", "Languages", "share", told(spoken), "of those a step told", leads()),
        *(scores.chart(one, place, leads(score=one.name)) for place, one in enumerate(scored)),
    ]
    return Strip("accuracy", "Accuracy", "Is it answered, and rightly?", tiles, charts)


def _scalability(plot: Plot, new: Bucket, old: Bucket, leads: _Leads) -> Strip:
    again = (new.attempts - new.calls, old.attempts - old.calls)
    tiles = [
        Tile(
            "Requests", figures.count(new.requests), *_change(plot.grid.part * old.requests, new.requests, 0)
        ),
        Tile("Tokens", figures.count(_tokens(new)), *_change(plot.grid.part * _tokens(old), _tokens(new), 0)),
        _share("Turned away or broken (429, 5xx)", _shed(new), new.requests, _shed(old), old.requests, -1),
        _share("Asked again", again[0], new.calls, again[1], old.calls, -1),
    ]
    outcomes = [
        name for name in ("answered", "cached", "refused", "failed", "cancelled") if getattr(new, name)
    ]
    statuses = sorted(
        (one for one in new.statuses if one == 429 or one >= 500), key=lambda one: -new.statuses[one]
    )
    traffic = [plot.rate(name, _outcome(name)) for name in outcomes]
    shed = [plot.rate(str(status), _status(status)) for status in statuses[:_MOST_SERIES]]
    tokens = [
        plot.rate("asked", lambda one: one.input_tokens),
        plot.rate("answered", lambda one: one.output_tokens),
    ]
    charts = [
        Chart("traffic", "Requests a minute", "", told(traffic), "by outcome", leads()),
        Chart(
            "shed", "Turned away or broken, a minute", "", told(shed), "by status", leads(outcome="failed")
        ),
        Chart("tokens", "Tokens a minute", "", told(tokens) if _tokens(new) else [], "", leads()),
    ]
    return Strip("scalability", "Scalability", "How much comes, and does it all get through?", tiles, charts)


def _security(plot: Plot, new: Bucket, old: Bucket, leads: _Leads) -> Strip:
    found, blocked, personal = _found(), _found(action="block"), _found(category="personal_data")
    categories = {name for name, _ in new.verdicts}
    actions = {done for _, done in new.verdicts}
    tiles = [
        _share("Refused", new.refused, new.requests, old.refused, old.requests, 0),
        Tile("Findings", figures.count(found(new)), *_change(plot.grid.part * found(old), found(new), 0)),
        Tile(
            "Blocked", figures.count(blocked(new)), *_change(plot.grid.part * blocked(old), blocked(new), 0)
        ),
        _rate("Personal data found, per 100 requests", personal, new, old),
    ]
    by_category = sorted(categories, key=lambda name: -_found(category=name)(new))[:_MOST_SERIES]
    by_action = sorted(actions, key=lambda done: -_found(action=done)(new))[:_MOST_SERIES]
    kinds = [plot.line(name.replace("_", " "), _found(category=name), 0) for name in by_category]
    deeds = [plot.line(done, _found(action=done), 0) for done in by_action]
    charts = [
        Chart("categories", "Findings by category", "", told(kinds), "in each step", leads()),
        Chart("actions", "What was done about them", "", told(deeds), "in each step", leads()),
    ]
    return Strip("security", "Security", "What was found, and what was done?", tiles, charts)


def _cost(plot: Plot, new: Bucket, old: Bucket, by_app: Sequence[Bucket], leads: _Leads) -> Strip:
    each, before = _a_thousand(new), _a_thousand(old)
    cached = (new.cached_tokens, new.input_tokens, old.cached_tokens, old.input_tokens)
    tiles = [
        Tile(
            "Cost",
            figures.dollars(_usd(new.cost_nano)),
            *_change(plot.grid.part * old.cost_nano, new.cost_nano, -1),
        ),
        Tile(
            "A thousand requests",
            figures.NONE
            if each is None
            else figures.dollars(f"{each:.4f}" if each >= 0.001 else f"{each:.9f}"),
            *_change(before or 0, each or 0, -1),
        ),
        _share("Answered from the cache", new.cached, new.requests, old.cached, old.requests, 1),
        _share("Input from providers' caches", *cached, 1),
    ]
    unknown = min(new.requests - new.priced, new.calls)
    if unknown > 0:
        tiles[0].note = f"{figures.count(unknown)} requests have no known price"
    thousand = [plot.line("USD", _a_thousand)] if new.cost_nano else []
    saved = [
        plot.line("answers", lambda one: _part(one.cached, one.requests)),
        plot.line("input of providers", lambda one: _part(one.cached_tokens, one.input_tokens)),
    ]
    is_saving = new.cached or new.cached_tokens
    charts = [
        costs(by_app, plot.grid, "app", leads()),
        Chart("thousand", "A thousand requests cost", "USD", told(thousand), "", leads()),
        Chart("saved", "From caches", "share", told(saved) if is_saving else [], "", leads(outcome="cached")),
    ]
    return Strip("cost", "Cost", "What does it cost, and what is saved?", tiles, charts)


def costs(buckets: Sequence[Bucket], grid: Grid, dimension: str, href: str = "") -> Chart:
    """What each step cost, by the dearest apps or models; the others together."""
    spent: dict[str, int] = {}
    for one in buckets:
        name = getattr(one, dimension) or ""
        spent[name] = spent.get(name, 0) + one.cost_nano
    names = sorted((name for name, nano in spent.items() if nano), key=lambda name: -spent[name])
    shown = names if len(names) <= _MOST_SERIES else names[: _MOST_SERIES - 1]
    sums: dict[str, dict[int, int]] = {}
    for one in buckets:
        name = getattr(one, dimension) or ""
        label = name if name in shown else "others"
        if spent[name]:
            of = sums.setdefault(label, {})
            of[one.since_s] = of.get(one.since_s, 0) + one.cost_nano
    series = [
        {
            "label": name,
            "points": [[time, sums[name].get(time, 0) / 1e9] for time in grid.times if time <= grid.now_s],
        }
        for name in (*shown, "others")
        if name in sums
    ]
    return Chart("costs", f"Cost by {dimension}", "USD", told(series), "in each step", href)


def told(series: list[Json]) -> list[Json]:
    """Only series that say something."""
    return [one for one in series if any(value is not None for _, value in one["points"])]


def _sum(buckets: Sequence[Bucket]) -> Bucket:
    whole = Bucket(since_s=0, step_s=60)
    for one in buckets:
        whole.add(one)
    return whole


def _time(label: str, new: Histogram, old: Histogram, q: float) -> Tile:
    value, before = _ms(new.percentile(q)), _ms(old.percentile(q))
    return Tile(label, figures.duration(value), *_change(before or 0, value or 0, -1))


def _share(label: str, part: int, whole: int, old_part: int, old_whole: int, better: int) -> Tile:
    value, before = _part(part, whole), _part(old_part, old_whole)
    if value is None:
        return Tile(label, figures.NONE)
    if before is None or abs(value - before) < 0.0005:
        return Tile(label, figures.share(value))
    change = value - before
    return Tile(label, figures.share(value), f"{100 * change:+.1f} points", _tone(change, better))


def _rate(label: str, count: Callable[[Bucket], int], new: Bucket, old: Bucket) -> Tile:
    value, before = _part(count(new), new.requests), _part(count(old), old.requests)
    if value is None:
        return Tile(label, figures.NONE)
    return Tile(label, f"{100 * value:.1f}", *_change(before or 0, value, 0))


def _change(before: float, after: float, better: int) -> tuple[str, str]:
    """How many percent more or less, and whether that is good: `better` is 1 where more is, -1 where less."""
    if not before or not after or abs(after / before - 1) < 0.005:
        return "", NEUTRAL
    ratio = after / before
    said = f"{ratio:.1f} times" if ratio >= 3 else f"{100 * (ratio - 1):+.0f} %"
    return said, _tone(after - before, better) if abs(ratio - 1) > 0.05 else NEUTRAL


def _tone(change: float, better: int) -> str:
    return NEUTRAL if not better else GOOD if change * better > 0 else BAD


def _part(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _usd(nano: int) -> str:
    return f"{nano / 1e9:.9f}"


def _tokens(one: Bucket) -> int:
    return one.input_tokens + one.output_tokens


def _shed(one: Bucket) -> int:
    return sum(count for status, count in one.statuses.items() if status == 429 or status >= 500)


def _known(one: Bucket) -> int:
    return sum(one.languages.values())


def _changed(one: Bucket) -> int:
    """Answers that a step of postprocess changed: at least as many as the busiest of them did."""
    return max(
        (
            timing.count
            for key, timing in one.steps.items()
            if key.stage == "postprocess" and key.outcome == "changed"
        ),
        default=0,
    )


def _a_thousand(one: Bucket) -> float | None:
    """What a thousand requests cost, in US dollars, of those whose cost is known."""
    return 1000 * one.cost_nano / 1e9 / one.priced if one.priced else None


def _percentile(pick: Callable[[Bucket], Histogram], q: float) -> Value:
    return lambda one: _ms(pick(one).percentile(q))


def _outcome(name: str) -> Callable[[Bucket], int]:
    return lambda one: int(getattr(one, name))


def _outcome_share(name: str) -> Value:
    return lambda one: _part(getattr(one, name), one.requests)


def _status(status: int) -> Callable[[Bucket], int]:
    return lambda one: one.statuses.get(status, 0)


def _language(name: str) -> Value:
    return lambda one: _part(one.languages.get(name, 0), _known(one))


def _found(*, category: str = "", action: str = "") -> Callable[[Bucket], int]:
    """Findings of a category or with an action; of all without either."""
    return lambda one: sum(
        count
        for (name, done), count in one.verdicts.items()
        if (not category or name == category) and (not action or done == action)
    )
