"""Why something costs more than before, in words and figures that add up; and movers as a list shows them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from greenroom.server.pages import figures
from greenroom.server.pages.tiles import Chart
from greenroom.store.bucket import Bucket
from greenroom.store.dearer import FACTORS, Ratios, Split, split
from greenroom.store.movers import Mover, What

Json = dict[str, Any]  # Any: what JSON holds
_SAID: dict[What, str] = {
    "cost": "cost", "requests": "requests", "failed": "failed", "refused": "refused",
    "cached": "from the cache", "time": "mean time", "tokens": "tokens a call",
}  # fmt: skip


class Shown(NamedTuple):
    """A mover in words, and where it leads."""

    mover: Mover
    what: str
    before: str
    after: str
    change: str
    tone: str
    href: str
    leads: str
    """What the link says."""

    def told(self) -> Json:
        """For the JSON twin."""
        one = self.mover
        return {
            one.dimension: one.name, "what": one.what, "before": one.before, "after": one.after,
            "href": self.href,
        }  # fmt: skip


def shown(mover: Mover, address: Callable[..., str], since_s: int, until_s: int) -> Shown:
    """One line of the list of movers."""
    named: dict[str, str | None] = {mover.dimension: mover.name}
    if mover.what == "cost":
        href, leads = address("/overview/why", **named), "Why?"
    else:
        outcome = {"outcome": mover.what} if mover.what in {"failed", "refused", "cached"} else {}
        href = "/requests?" + urlencode(lead({mover.dimension: mover.name, **outcome}, since_s, until_s))
        leads = "Requests"
    is_worse = mover.after > mover.before and mover.what in {"cost", "failed", "time"}
    is_better = mover.after < mover.before and mover.what in {"cost", "failed", "time"}
    tone = "bad" if is_worse else "good" if is_better else "neutral"
    before, after = (_figure(value, mover.what) for value in (mover.before, mover.after))
    return Shown(mover, _SAID[mover.what], before, after, _difference(mover), tone, href, leads)


def lead(conditions: dict[str, str], since_s: int, until_s: int) -> dict[str, str]:
    """The query of the requests of a time."""
    return {**conditions, "from": _iso(since_s), "to": _iso(until_s)}


class Part(NamedTuple):
    """One cause: what it brought, as an amount and a bar, and its figures before and now."""

    factor: str
    title: str
    amount: str
    tone: str
    width: str
    """Of its bar, as a part of the largest; percent."""
    before: str
    after: str


class Model(NamedTuple):
    """What one model cost in both times."""

    name: str
    before: str
    after: str
    calls: str
    per_call: str
    tokens: str


class Why(NamedTuple):
    """All that the page says."""

    split: Split
    sentence: str
    because: str
    parts: list[Part]
    models: list[Model]
    change: str
    chart: Chart
    markers: list[Json]
    unpriced: int

    @property
    def heading(self) -> str:
        """What the page asks, with a place for whose cost it is."""
        if not _is_change(self.split):
            return "What {} costs"
        return "Why {} costs less" if self.split.change < 0 else "Why {} costs more"

    @property
    def before_usd(self) -> str:
        """What it cost before."""
        return usd(self.split.before)

    @property
    def after_usd(self) -> str:
        """What it costs now."""
        return usd(self.split.after)

    def told(self) -> Json:
        """For the JSON twin; amounts in nano-dollars."""
        return {
            "before_nano_usd": self.split.before,
            "after_nano_usd": self.split.after,
            "change_nano_usd": self.split.change,
            "parts": {name: round(value, 1) for name, value in self.split.parts.items()},
            "main": self.split.main,
            "said": f"{self.sentence} {self.because}".strip(),
            "unpriced_requests": self.unpriced,
            "markers": self.markers,
        }


def explain(
    before: Sequence[Bucket],
    after: Sequence[Bucket],
    ratios: Callable[[str], Ratios],
    chart: Chart,
    markers: list[Json],
) -> Why:
    """Put the change of a cost into words."""
    found = split(before, after, ratios)
    sides = (_sum(before), _sum(after))
    largest = max((abs(value) for value in found.parts.values()), default=0) or 1
    parts = [
        Part(
            name, FACTORS[name], signed(value), "bad" if value > 0 else "good",
            f"{100 * abs(value) / largest:.2f}%", *(_factor(name, one) for one in sides),
        )
        for name, value in sorted(found.parts.items(), key=lambda one: -abs(one[1]))
        if abs(value) >= 500
    ]  # fmt: skip
    unpriced = sum(max(0, min(one.requests - one.priced, one.calls)) for one in after)
    return Why(
        found, _sentence(found), _because(found), parts, _models(before, after), signed(found.change), chart,
        markers, unpriced,
    )  # fmt: skip


def _sentence(found: Split) -> str:
    now, then = usd(found.after), usd(found.before)
    if found.before == 0 and found.after == 0:
        return "It cost nothing in either time."
    if found.before == 0:
        return f"It costs {now}; the time before it cost nothing."
    percent = 100 * found.change / found.before
    if not _is_change(found):
        return f"It costs {now}, about as much as the time before ({then})."
    much = f"{found.after / found.before:.1f} times as much as" if percent >= 200 else None
    word = "more" if found.change > 0 else "less"
    told = much or f"{abs(percent):.0f} % {word} than"
    return f"It costs {now}, {told} the time before ({then})."


def _is_change(found: Split) -> bool:
    return abs(found.change) >= 0.005 * found.before


def _because(found: Split) -> str:
    if not found.before or not _is_change(found):
        return ""
    part = found.parts[found.main] / found.change
    share = "Nearly all" if part > 0.9 else "Most" if part > 0.5 else "The largest part"
    cause = FACTORS[found.main]
    return f"{share} of the change: {cause[0].lower()}{cause[1:]} ({signed(found.parts[found.main])})."


def _factor(name: str, one: Bucket) -> str:
    """The figure of a factor in one of the times."""
    if not one.requests:
        return figures.NONE
    fresh = max(one.input_tokens - one.retry_input, 0)
    told = {
        "volume": f"{figures.count(one.requests)} requests",
        "asked": f"{figures.share(1 - one.calls / one.requests)} asked none",
        "mix": "",
        "retries": usd(one.retry_nano),
    }
    if name in told:
        return told[name]
    if not one.calls:
        return figures.NONE
    return {
        "input": f"{fresh / one.calls:,.0f} tokens",
        "output": f"{max(one.output_tokens - one.retry_output, 0) / one.calls:,.0f} tokens",
        "prompt_cache": f"{figures.share(one.cached_tokens / fresh)} cached" if fresh else figures.NONE,
        "price": f"{figures.dollars(f'{_a_million(one):.9f}')} a million tokens",
    }[name]


def _a_million(one: Bucket) -> float:
    tokens = one.input_tokens + one.output_tokens
    return one.cost_nano / 1e9 / tokens * 1e6 if tokens else 0.0


def _models(before: Sequence[Bucket], after: Sequence[Bucket]) -> list[Model]:
    nothing = Bucket(since_s=0, step_s=60)
    sides = [{one.model or "": one for one in some} for some in (before, after)]
    names = sorted(sides[0].keys() | sides[1].keys(), key=lambda name: -sides[1].get(name, nothing).cost_nano)
    shown = []
    for name in names:
        pair = [side.get(name, nothing) for side in sides]
        if not any(one.calls for one in pair):
            continue
        each = [one.cost_nano / one.calls if one.calls else None for one in pair]
        tokens = [(one.input_tokens + one.output_tokens) / one.calls if one.calls else None for one in pair]
        shown.append(
            Model(
                name=name or "unknown",
                before=usd(pair[0].cost_nano),
                after=usd(pair[1].cost_nano),
                calls=_pair(pair[0].calls, pair[1].calls),
                per_call=" → ".join(figures.NONE if one is None else usd(one) for one in each),
                tokens=_pair(*tokens),
            )
        )
    return shown


def _pair(before: float | None, after: float | None) -> str:
    return " → ".join(figures.NONE if one is None else f"{one:,.0f}" for one in (before, after))


def usd(nano: float) -> str:
    """Nano-dollars as people read them."""
    return figures.dollars(f"{nano / 1e9:.9f}")


def signed(nano: float) -> str:
    """The same with its sign."""
    return ("+" if nano > 0 else "−" if nano < 0 else "") + usd(abs(nano))


def _difference(mover: Mover) -> str:
    if mover.what in {"failed", "refused", "cached"}:
        return f"{100 * (mover.after - mover.before):+.1f} points"
    if mover.is_new:
        return "new"
    if mover.after == 0:
        return "gone"
    ratio = mover.after / mover.before
    return f"{ratio:.1f} times" if ratio >= 3 else f"{100 * (ratio - 1):+.0f} %"


def _figure(value: float, what: What) -> str:
    if what == "cost":
        return usd(value)
    if what == "time":
        return figures.duration(value * 1000)
    if what in {"requests", "tokens"}:
        return f"{value:,.0f}"
    return figures.share(value)


def _sum(buckets: Sequence[Bucket]) -> Bucket:
    whole = Bucket(since_s=0, step_s=60)
    for one in buckets:
        whole.add_counts(one)
    return whole


def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
