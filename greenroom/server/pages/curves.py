"""Curves over the steps of training, as places in a drawing: lines, marks, and figures at the axes."""

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any, NamedTuple

Json = dict[str, Any]  # Any: what JSON holds

WIDTH, HEIGHT = 720, 240
"""Of a drawing, in its own units."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 28
_MARKS = 5


class Line(NamedTuple):
    """One curve."""

    name: str
    kind: str
    """Which of the two looks it has: `train` or `valid`."""
    path: str
    """`points` of a polyline."""
    dots: list[tuple[str, str]]
    newest: str


class Tick(NamedTuple):
    """A figure at an axis."""

    place: str
    text: str


class Chart(NamedTuple):
    """A drawing."""

    title: str
    told: str
    """What it shows, in words."""
    lines: list[Line]
    across: list[Tick]
    up: list[Tick]
    parts: list[Tick]
    """Where a phase begins, and its name."""


def charts(points: Sequence[Json]) -> list[Chart]:
    """Losses, and accuracies where there are any; none while there are fewer than two steps."""
    places = _places(points)
    if len(places) < 2:
        return []
    found = (
        _chart("Loss", points, places, {"train_loss": "training", "valid_loss": "validation"}),
        _chart(
            "Right tokens", points, places,
            {"train_mean_token_accuracy": "training", "valid_mean_token_accuracy": "validation"},
        ),
        _chart(
            "Preferences kept", points, places,
            {"train_preference_accuracy": "training", "valid_preference_accuracy": "validation"},
        ),
    )  # fmt: skip
    return [one for one in found if one is not None]


def _places(points: Sequence[Json]) -> dict[tuple[str, int], int]:
    """Where steps stand one after another, those of earlier phases first."""
    before = max((one["step"] for one in points if one["phase"] == "pretraining"), default=0)
    return {
        (one["phase"], one["step"]): one["step"] + (0 if one["phase"] == "pretraining" else before)
        for one in points
    }


def _chart(
    title: str, points: Sequence[Json], places: Mapping[tuple[str, int], int], names: Mapping[str, str]
) -> Chart | None:
    curves = {
        name: [
            (places[one["phase"], one["step"]], float(one[name]))
            for one in points
            if isinstance(one.get(name), int | float) and isfinite(one[name])
        ]
        for name in names
    }
    values = [value for curve in curves.values() for _, value in curve]
    if not values:
        return None
    marks = _round(min(values), max(values))
    last = max(places.values())

    def x(place: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * place / max(1, last)

    def y(value: float) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (marks[-1] - value) / (marks[-1] - marks[0])

    lines = []
    for name, curve in curves.items():
        if curve:
            kind = "valid" if name.startswith("valid") else "train"
            drawn = [(f"{x(place):.1f}", f"{y(value):.1f}") for place, value in curve]
            path = " ".join(",".join(one) for one in drawn)
            lines.append(
                Line(names[name], kind, path, drawn if kind == "valid" else [], f"{curve[-1][1]:.3f}")
            )
    begun: dict[str, int] = {}
    for (phase, _), place in places.items():
        begun[phase] = min(place, begun.get(phase, place))
    told = "; ".join(f"{one.name} {one.newest}" for one in lines)
    return Chart(
        title, f"{title} over {last} steps. Newest: {told}.", lines,
        [Tick(f"{x(mark):.1f}", f"{mark:g}") for mark in _round(0, last) if mark <= last],
        [Tick(f"{y(mark):.1f}", f"{mark:g}") for mark in marks],
        [Tick(f"{x(place):.1f}", phase) for phase, place in begun.items()] if len(begun) > 1 else [],
    )  # fmt: skip


def _round(low: float, high: float) -> list[float]:
    """Round figures around a range; at least two."""
    if high - low < 1e-9:
        low, high = low - abs(low) * 0.1 - 0.01, high + abs(high) * 0.1 + 0.01
    raw = (high - low) / (_MARKS - 1)
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [round(number * step, 12) for number in range(floor(low / step), -floor(-high / step) + 1)]
