"""Quality against cost as a picture: SVG for the report, text for a terminal. Drawn here, no library."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from math import floor, log10
from typing import NamedTuple

from greenroom.offline.compare.comparison import COST, Comparison

WIDTH, HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 20, 48
_LINE, _LETTER = 14, 6.5
"""Height of a label, and about the width of a letter."""


class Point(NamedTuple):
    """One model."""

    label: str
    cost: float
    """US dollars per sample."""
    quality: float
    low: float
    high: float


class Axis(NamedTuple):
    """From which value to which, and where marks stand."""

    start: float
    end: float
    marks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value stands, 0 to 1."""
        return (value - self.start) / (self.end - self.start)


def points(found: Comparison) -> list[Point]:
    """The models whose quality and cost are known."""
    out = []
    for one in found.standings:
        quality, cost = one.measure(found.metric), one.measure(COST)
        if quality is None or cost is None or quality.estimate is None or cost.estimate is None:
            continue
        if cost.missing:
            continue
        own = quality.estimate
        out.append(Point(one.model, cost.estimate.value, own.value, own.low, own.high))
    return out


def axis(low: float, high: float, most: int = 6) -> Axis:
    """Round marks around a range; never empty. `most`: how many marks at most."""
    if high - low < 1e-12:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - (pad if low - pad >= 0 or low < 0 else low), high + pad
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = floor(low / step), -floor(-high / step)
    marks = tuple(round(place * step, 12) for place in range(first, last + 1))
    return Axis(marks[0], marks[-1], marks)


def svg(found: Comparison) -> str:
    """The picture, with a text label for each model; empty where fewer than two have a known cost."""
    shown = points(found)
    if len(shown) < 2:
        return ""
    across = axis(0.0, max(one.cost for one in shown))
    up = axis(min(one.low for one in shown), max(one.high for one in shown))
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(cost: float) -> float:
        return round(_LEFT + wide * across.share(cost), 1)

    def y(quality: float) -> float:
        return round(_TOP + high * (1 - up.share(quality)), 1)

    told = "; ".join(f"{one.label}: {found.metric} {one.quality:.3f}, ${one.cost:.6g}" for one in shown)
    lines = []
    lines.append(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape("Quality against cost. " + told)}" font-family="system-ui, sans-serif" '
        f'font-size="12" fill="currentColor">'
    )
    lines += [
        f'<line x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y(mark)}" y2="{y(mark)}" stroke="currentColor" '
        f'opacity="0.15"/><text x="{_LEFT - 8}" y="{y(mark) + 4}" text-anchor="end">{mark:g}</text>'
        for mark in up.marks
    ]
    lines += [
        f'<text x="{x(mark)}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{mark:g}</text>'
        for mark in across.marks
    ]
    lines.append(
        f'<text x="{_LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">US dollars per sample</text>'
        f'<text x="12" y="{_TOP - 6}">{escape(found.metric)}</text>'
    )
    heights = _spread([y(one.quality) for one in shown])
    for one, height in zip(shown, heights, strict=True):
        at = x(one.cost)
        fits = at + 10 + len(one.label) * _LETTER <= WIDTH
        where = f'x="{at + 10}"' if fits else f'x="{at - 10}" text-anchor="end"'
        lines.append(
            f'<line x1="{at}" x2="{at}" y1="{y(one.low)}" y2="{y(one.high)}" stroke="currentColor" '
            f'stroke-width="1.5" opacity="0.5"/><circle cx="{at}" cy="{y(one.quality)}" r="5"/>'
            f'<text {where} y="{height + 4}">{escape(one.label)}</text>'
        )
    return "\n".join([*lines, "</svg>"])


def _spread(heights: Sequence[float]) -> list[float]:
    """Where labels go so that none covers another: as near to their points as it can be."""
    placed = list(heights)
    order = sorted(range(len(placed)), key=placed.__getitem__)
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + _LINE)
    over = max(0.0, placed[order[-1]] - (HEIGHT - _BOTTOM)) if order else 0.0
    return [one - over for one in placed]


def lines(found: Comparison, width: int = 60, height: int = 12) -> list[str]:
    """The same for a terminal: a letter for each model, and what the letters mean."""
    shown = points(found)
    if len(shown) < 2:
        return []
    across = axis(0.0, max(one.cost for one in shown), 4)
    up = axis(min(one.quality for one in shown), max(one.quality for one in shown), 4)
    grid = [[" "] * width for _ in range(height)]
    for place, one in enumerate(shown):
        column = round(across.share(one.cost) * (width - 1))
        row = round((1 - up.share(one.quality)) * (height - 1))
        while grid[row][column] != " " and column < width - 1:  # beside the one that stands there
            column += 1
        grid[row][column] = chr(ord("A") + place % 26)
    marked = {round((1 - up.share(mark)) * (height - 1)): f"{mark:g}" for mark in up.marks}
    out = [found.metric]
    out += [f"{marked.get(number, ''):>8} │{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    out.append(f"{'':>8} └{'─' * width}")
    left, right = f"{across.marks[0]:g}", f"{across.marks[-1]:g}"
    out.append(f"{'':>9} {left}{'US dollars per sample':^{width - len(left) - len(right)}}{right}")
    out += [
        f"{'':>9} {chr(ord('A') + place % 26)}  {one.label}  {one.quality:.3f}  ${one.cost:.6g}"
        for place, one in enumerate(shown)
    ]
    return out
