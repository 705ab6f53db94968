"""Routing by content on `routing/`: a fifth of the groups is held out, the rest is learned from.

`make eval-routing`. The pair with all labels and with 1,500, the pool of nine, chances, and the time of one
decision with its vector. A column "labels" counts prompts, each scored for every target.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import thread_time_ns
from typing import Any

import numpy as np

from evals.figures import Goal, Row
from greenroom.models.encoder import MiniLM, is_installed
from greenroom.models.learned.curves import apgr, area, ece
from greenroom.models.learned.examples import Answer, Examples, gather, group_of
from greenroom.models.learned.held_out import resampled
from greenroom.models.learned.predictor import Predictor
from greenroom.models.learned.training import fit, prepare

_PARTS, _HELD = 5, 1
_TIMED = 300


def measure(data: Path) -> Iterator[Row]:
    """All figures; takes minutes."""
    encoder = MiniLM() if is_installed() else None
    meta = json.loads((data / "routing" / "meta.json").read_text(encoding="utf-8"))
    pair, pool = _rows(data, "pair_train.jsonl"), _rows(data, "pool9_train.jsonl")
    yield from _pair(pair, meta["pair"], encoder, None, 0.68)
    yield from _pair(pair, meta["pair"], encoder, 1_500, 0.65)
    yield from _pool(pool, meta["pool9"], encoder)


def _rows(data: Path, name: str) -> list[dict[str, Any]]:  # Any: JSON
    with (data / "routing" / name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _held(rows: list[dict[str, Any]]) -> list[bool]:  # Any: JSON
    """Which prompts are held out: a fifth of the groups.

    A group of more than a hundredth of the prompts is none of them: the 548 questions of moral_scenarios
    begin with the same sentences, and would decide the figure by the side they fall on.
    """
    groups = [group_of(row["prompt"]) for row in rows]
    sizes = Counter(groups)
    return [one % _PARTS == _HELD and sizes[one] * 100 <= len(rows) for one in groups]


def _examples(
    rows: list[dict[str, Any]], names: list[str], rates: list[float] | None
) -> Examples:  # Any: JSON
    """Costs as the set's own rule has them: `meta.json`."""
    answers = []
    for row in rows:
        tokens = len(row["prompt"]) / 4 + 200
        costs = row.get("cost") or [tokens * rate / 1e6 for rate in rates or ()]
        answers += [Answer(row["prompt"], *one) for one in zip(names, row["score"], costs, strict=True)]
    return gather(answers)


def _learned(
    rows: list[dict[str, Any]],
    meta: dict[str, Any],
    encoder: MiniLM | None,
    labels: int | None,  # Any: JSON
) -> tuple[Predictor, Examples]:
    is_held = _held(rows)
    kept = [row for row, out in zip(rows, is_held, strict=True) if not out]
    if labels is not None:
        chosen = np.sort(np.random.default_rng(1).permutation(len(kept))[:labels])
        kept = [kept[int(at)] for at in chosen]
    names, rates = meta["models"], meta["usd_per_mtok"]
    glance = encoder.glance if encoder is not None else None
    fitted = fit(prepare(_examples(kept, names, rates), glance, lambda _: "en"))
    held = _examples([row for row, out in zip(rows, is_held, strict=True) if out], names, rates)
    return Predictor(fitted.trained, glance), held


def _guesses(predictor: Predictor, held: Examples) -> tuple[np.ndarray, list[float]]:
    """Chances `(prompts, targets)`, and the CPU milliseconds of 300 decisions, the least of five each.

    Blanks at the end make the same prompt one whose vector is not remembered.
    """
    guesses = [predictor.guess(prompt) for prompt in held.prompts]
    found = np.array([[one.chances[name] for name in held.targets] for one in guesses])
    taken = []
    for prompt in held.prompts[:_TIMED]:
        each = []
        for blanks in range(1, 6):
            before = thread_time_ns()
            predictor.guess(prompt + " " * blanks)
            each.append((thread_time_ns() - before) / 1e6)
        taken.append(min(each))
    return found, taken


def _pair(
    rows: list[dict[str, Any]],
    meta: dict[str, Any],
    encoder: MiniLM | None,
    labels: int | None,
    goal: float,  # Any: JSON
) -> Iterator[Row]:
    predictor, held = _learned(rows, meta, encoder, labels)
    chances, taken = _guesses(predictor, held)
    weak, strong = np.argsort(held.scores.mean(0))
    gain = chances[:, strong] - chances[:, weak]
    one = resampled(len(gain), lambda at: apgr(gain[at], held.scores[at, weak], held.scores[at, strong]))
    count = predictor.header.prompts
    where = f"pair, {count:,} labels"
    yield Row("routing", "APGR", where, "en", one.value, len(gain), one.low, one.high, (">=", goal))
    yield from _common(where, chances, held, taken)


def _pool(
    rows: list[dict[str, Any]], meta: dict[str, Any], encoder: MiniLM | None
) -> Iterator[Row]:  # Any: JSON
    predictor, held = _learned(rows, meta, encoder, None)
    chances, taken = _guesses(predictor, held)
    where = f"pool9, {predictor.header.prompts:,} labels"
    one = resampled(len(chances), lambda at: area(chances[at], held.scores[at], held.costs[at]), rounds=100)
    yield Row("routing", "AIQ", where, "en", one.value, len(chances), one.low, one.high, (">=", 0.66))
    means = np.tile([each.mean for each in predictor.header.targets], (len(chances), 1))
    yield Row(
        "routing", "AIQ of means alone", where, "en", area(means, held.scores, held.costs), len(chances)
    )
    yield from _common(where, chances, held, taken)


def _common(where: str, chances: np.ndarray, held: Examples, taken: list[float]) -> Iterator[Row]:
    goal: Goal = ("<=", 0.03)
    count = len(chances)
    flat, scores = chances.ravel(), held.scores.ravel()
    one = resampled(len(flat), lambda at: ece(flat[at], scores[at]))
    yield Row("routing", "ECE", where, "en", one.value, count, one.low, one.high, goal)
    yield Row("routing", "CPU p50 ms", where, "en", float(np.quantile(taken, 0.5)), len(taken))
    yield Row(
        "routing", "CPU p99 ms", where, "en", float(np.quantile(taken, 0.99)), len(taken), goal=("<=", 5.0)
    )
