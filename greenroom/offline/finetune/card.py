"""A model's card: what it is made of, how training went, what it cost; as JSON and as a page to read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.json import decode, encode

from greenroom.offline.finetune.plan import Plan, Result
from greenroom.store.jobs import JobRow

Json = dict[str, Any]  # Any: JSON
MOST_POINTS = 200
"""Of a curve on a card; the events have all of them."""
_FIGURES = (
    "train_loss", "train_mean_token_accuracy", "train_preference_accuracy", "valid_loss",
    "valid_mean_token_accuracy", "valid_preference_accuracy",
)  # fmt: skip


def card_of(
    row: JobRow, plan: Plan, result: Result, trainers: Mapping[str, Any], points: Sequence[Json]
) -> Json:
    """The card. `trainers` is the training process's own, `points` are its metrics."""
    estimate = decode(row.estimate) if row.estimate else {}
    return {
        "model": row.name,
        "job": row.id,
        "project": row.project,
        "created_at": datetime.fromtimestamp(result.at, UTC).isoformat(timespec="seconds"),
        "base": plan.base_name or None,
        "start": plan.start,
        "method": plan.method,
        "tuning": plan.tuning,
        "parameters": result.parameters,
        "trained_parameters": result.trained_parameters,
        "data": plan.data,
        "settings": {
            **{name: value for name, value in decode(encode(result.chosen)).items() if value is not None},
            "seed": plan.seed,
            "formats": list(plan.formats),
        },
        "figures": {
            **result.metrics,
            "steps": result.steps,
            "trained_tokens": result.trained_tokens,
            "wall_s": round(result.wall_s, 1),
            "cpu_s": round(result.cpu_s, 1),
            "peak_memory_mb": round(result.peak_memory_mb, 1),
        },
        "estimated": estimate,
        "curves": curves(points),
        "files": {"model": result.model, "adapter": result.adapter, "gguf": dict(result.gguf)},
        "versions": result.versions,
        "reasons": trainers.get("reasons") or {},
        "scratch": trainers.get("scratch"),
    }


def curves(points: Sequence[Json], most: int = MOST_POINTS) -> list[Json]:
    """Losses and accuracies by step, the last that was said of each; at most so many steps."""
    by_step: dict[tuple[str, int], Json] = {}
    for one in points:
        step = one.get("step")
        if isinstance(step, int) and not isinstance(step, bool):
            key = (str(one.get("phase", "training")), step)
            told = {name: one[name] for name in _FIGURES if isinstance(one.get(name), int | float)}
            by_step.setdefault(key, {"phase": key[0], "step": step}).update(told)
    rows = [by_step[key] for key in sorted(by_step, key=lambda one: (one[0] != "pretraining", one[1]))]
    if len(rows) <= most:
        return rows
    has_validation = [one for one in rows if "valid_loss" in one][-most // 2 :]
    others = [one for one in rows if "valid_loss" not in one]
    room = max(1, most - len(has_validation))
    chosen = {id(others[place * len(others) // room]) for place in range(room)} if others else set()
    chosen |= {id(one) for one in has_validation} | {id(rows[-1])}
    return [one for one in rows if id(one) in chosen]


def markdown(card: Json) -> str:
    """The card as a page to read."""
    title = f"# {card['model']}"
    what = {
        "Made by": f"job {card['job']} on {card['created_at']}",
        "Base": card["base"] or "none: trained from nothing",
        "How": f"{card['method']}, {card['tuning']}, {card['start'].replace('_', ' ')}",
        "Parameters": f"{card['parameters']:,}, of which {card['trained_parameters']:,} were trained",
    }
    parts = [title, "\n".join(f"- {name}: {_line(value)}" for name, value in what.items())]
    for heading in ("data", "settings", "reasons", "figures", "estimated", "versions"):
        if card.get(heading):
            parts.append(f"## {heading.capitalize()}")
            parts.append(_table(card[heading]))
    shown = curves(card["curves"], 20)
    if shown:
        names = ["phase", "step", *(name for name in _FIGURES if any(name in one for one in shown))]
        rows = [" | ".join(_figure(one.get(name)) for name in names) for one in shown]
        parts.append("## Curves")
        head = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
        parts.append("\n".join([*head, *(f"| {row} |" for row in rows)]))
    return "\n\n".join(parts) + "\n"


def _table(values: Mapping[str, Any]) -> str:
    lines = [
        f"| {_line(name)} | {_line(value)} |" for name, value in values.items() if value not in (None, {}, [])
    ]
    return "\n".join(["| what | value |", "|---|---|", *lines])


def _figure(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(value: object) -> str:
    """A value in one cell; what a cell can't hold is replaced."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_line(one)}" for name, one in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(_line(one) for one in value)
    else:
        text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _figure(value)
    return " ".join(text.replace("|", "\\|").split())
