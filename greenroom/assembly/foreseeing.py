"""What a job that is ready will take on this machine, and whether it may: asked by `assembly.preparing`.

A first idea comes from the rows' characters and the speed of another machine, at once. Where that is not
clearly within what the job may take, or it will run for long, a look in a process of its own makes it sharp.
"""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from greenroom.errors import InfrastructureError, RequestError
from greenroom.models.catalogue.hardware import Hardware, probe
from greenroom.offline.finetune.asked import Budget
from greenroom.offline.finetune.estimate import estimate
from greenroom.offline.finetune.outside import Refusal
from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.resources import NANO, Estimate, Figure, Machine, TokenCounts
from greenroom.offline.finetune.rows.prepared import Part, Prepared
from greenroom.offline.finetune.survey import survey

SHORT_S = 300.0
"""A run estimated to be shorter is not looked at, which would take some ten seconds."""
_AROUND = 20
"""Tokens that a chat template puts around a row, about."""
_SMALL_VOCABULARY = 2.0
"""A tokenizer of some thousand tokens, as models from nothing have, makes so many times more of a text."""
_ONE_SIDE = 0.6
"""Of a preference pair's tokens: the question and one answer."""


class Means(Struct, frozen=True, kw_only=True):
    """What training may take here, and what that costs."""

    memory_mb: int | None = None
    threads: int | None = None
    watts: float | None = None
    usd_per_kwh: float = 0.0
    usd_per_hour: float = 0.0


def foreseen(folder: Path, plan: Plan, rows: Prepared, budget: Budget, means: Means) -> Estimate:
    """What the job in `folder`, whose plan.json and rows are written, will take.

    Raises: RequestError for a job that can't be run, InfrastructureError when it can't be looked at.
    """
    machine = _machine(means, budget, probe())
    is_limited = budget.hours is not None or budget.usd is not None
    try:
        first = estimate(plan, _guessed(plan, rows), machine)
    except RequestError:  # rows are longer than may be, if the guess is right
        found = survey(folder, threads=means.threads)
        return estimate(plan, found.tokens, replace(machine, speed=found.speed))
    if first.fits and not is_limited and first.wall_s.value < SHORT_S:
        return first
    try:
        found = survey(folder, threads=means.threads)
    except InfrastructureError:
        return first  # what is wrong there will be told by the run itself
    return estimate(plan, found.tokens, replace(machine, speed=found.speed))


def refused(told: Estimate, budget: Budget, most_hours: float | None = None) -> Refusal | None:
    """Why a job of that estimate may not run, or None. `most_hours` is what any job may take here."""
    if not told.fits:
        return Refusal(code="does_not_fit", message=" ".join([told.why, *told.remedies]))
    hours, usd = told.wall_s.value / 3600, told.cost_nano_usd.value / NANO
    for name, value, most, unit in (
        ("hours", hours, budget.hours, "hours"),
        ("usd", usd, budget.usd, "US dollars"),
    ):
        if most is not None and value > most:
            return Refusal(
                code="budget_exceeded",
                message=(
                    f"It is estimated to take {value:.3g} {unit}, more than the {most:.3g} that it may. Set "
                    "fewer epochs or max_steps, or take a smaller base."
                ),
                param=f"greenroom.budget.{name}",
            )
    if most_hours is not None and hours > most_hours:
        return Refusal(
            code="budget_exceeded",
            message=(
                f"It is estimated to take {hours:.3g} hours, more than the {most_hours:.3g} that jobs may "
                "take here (finetune.hours). Set fewer epochs or max_steps, or take a smaller base."
            ),
        )
    return None


def sentence(told: Estimate) -> str:
    """The estimate, for people."""
    unit, name = (60, "minutes") if told.wall_s.value >= 120 else (1, "seconds")
    parts = [
        f"{_span(told.wall_s, unit)} {name}",
        f"{_span(told.peak_memory_mb, 1)} MB of memory at its peak",
        f"{told.energy_kwh.value:.2g} kWh",
    ]
    if told.cost_nano_usd.value:
        parts.append(f"{told.cost_nano_usd.value / NANO:.2g} US dollars")
    return f"It is estimated to take {', '.join(parts)}: {told.steps + told.first_steps:,} steps."


def _span(figure: Figure, unit: float) -> str:
    return f"{figure.value / unit:,.0f} ({figure.low / unit:,.0f} to {figure.high / unit:,.0f})"


def _machine(means: Means, budget: Budget, found: Hardware) -> Machine:
    have = found.usable_vram or found.usable_ram
    limits = [int(one * 2**20) for one in (means.memory_mb, budget.memory_mb) if one is not None]
    return Machine(
        memory_bytes=min([*limits, have]) if have else min(limits, default=0),
        threads=means.threads or found.processors or 1,
        watts=means.watts,
        nano_usd_per_kwh=round(means.usd_per_kwh * NANO),
        nano_usd_per_hour=round(means.usd_per_hour * NANO),
    )


def _guessed(plan: Plan, rows: Prepared) -> TokenCounts:
    """Tokens told from characters: every row as long as the mean, but one."""
    times = _SMALL_VOCABULARY if plan.start == "from_scratch" else 1.0
    times *= _ONE_SIDE if plan.method == "dpo" else 1.0

    def lengths(part: Part | None) -> list[int]:
        if part is None or not part.rows:
            return []
        mean = round(part.tokens / part.rows * times) + _AROUND
        return [mean] * (part.rows - 1) + [round(part.longest_tokens * times) + _AROUND]

    text = plan.scratch.text if plan.scratch is not None else None
    size = Path(text).stat().st_size if text is not None else rows.train.chars
    return TokenCounts(
        lengths=lengths(rows.train),
        valid_lengths=lengths(rows.valid),
        text_tokens=round(size / 4.6 * times) if text is not None or plan.start == "from_scratch" else 0,
        text_bytes=size if plan.start == "from_scratch" else 0,
    )
