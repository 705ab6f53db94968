"""What training will take before it starts: memory, time, energy, money, each with its error.

    found = survey(folder)                    # ten seconds, in a process of its own
    estimate(plan, found.tokens, Machine(memory_bytes=…, threads=2, speed=found.speed))

Without a survey, tokens told from characters and the speed of another machine give a first idea at once.
Figures and how they were held to runs: docs/finetune-export.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from greenroom.offline.finetune.costs import SECONDS, memory_bytes, rate_of, time_amounts
from greenroom.offline.finetune.plan import Plan
from greenroom.offline.finetune.resources import (
    WATTS_PER_THREAD,
    Estimate,
    Figure,
    Machine,
    Speed,
    TokenCounts,
)
from greenroom.offline.finetune.shape import Shape, read_shape
from greenroom.offline.finetune.workload import Workload, workload

MB: Final = 1 << 20
MEMORY_ERROR: Final = 0.10
TIME_ERROR: Final = 0.20
TOKENS_ERROR: Final = 0.35
"""Of tokens that were not counted."""
UNKNOWN_SPEED: Final = 3.0
"""Another machine may be so many times faster or slower."""
WATTS_SPREAD: Final = 2.0
"""What is drawn may be so many times more or less than WATTS_PER_THREAD."""
TYPICAL: Final = Speed(flops=5e10, bytes_per_s=2e10, calls_per_s=3e5, start_s=6.0, start_mb=400.0)
"""A core of a server of 2023 with AVX-512."""
_SERIAL: Final = frozenset({"starting", "reading", "keeping", "exporting"})
"""Parts that a second thread hardly speeds up."""
_THREADS_GAIN: Final = 0.8
"""Of each thread beside the first, in training."""


def estimate(plan: Plan, tokens: TokenCounts, machine: Machine) -> Estimate:
    """What a run will take, and whether it fits into the machine's memory.

    Raises: RequestError when the base can't be read, or no row can be trained on.
    """
    shape = None if plan.start == "from_scratch" or plan.base is None else read_shape(Path(plan.base))
    found = _told(plan, tokens, machine, shape)
    if found.fits:
        return found
    remedies = tuple(_remedies(plan, tokens, machine, shape))
    return replace(found, remedies=remedies)


def _told(plan: Plan, tokens: TokenCounts, machine: Machine, shape: Shape | None) -> Estimate:
    work = workload(plan, tokens, shape)
    speed = machine.speed or TYPICAL
    memory = {name: amount / MB for name, amount in memory_bytes(work, speed.start_mb).items()}
    seconds = _seconds(work, plan, tokens, speed)
    cpu_s = sum(seconds.values())
    wall_s = _wall_s(seconds, machine.threads)
    tokens_error = 0.0 if tokens.is_counted else TOKENS_ERROR
    peak = _figure(sum(memory.values()), MEMORY_ERROR + tokens_error / 2)
    factor = 1.0 if machine.speed is not None else UNKNOWN_SPEED
    time_error = TIME_ERROR + tokens_error
    kwh = (machine.watts or WATTS_PER_THREAD * machine.threads) * wall_s / 3.6e6
    spread = 1.0 if machine.watts is not None else WATTS_SPREAD
    wall = _figure(wall_s, time_error, factor)
    energy = _figure(kwh, time_error, factor * spread)
    per_hour, per_kwh = machine.nano_usd_per_hour, machine.nano_usd_per_kwh
    cost = Figure(
        *(
            float(round(hours / 3600 * per_hour + used * per_kwh))
            for hours, used in zip(
                (wall.value, wall.low, wall.high), (energy.value, energy.low, energy.high), strict=True
            )
        )
    )
    fits = not machine.memory_bytes or peak.high * MB <= machine.memory_bytes
    return Estimate(
        peak_memory_mb=peak,
        wall_s=wall,
        cpu_s=_figure(cpu_s, time_error, factor),
        energy_kwh=energy,
        cost_nano_usd=cost,
        steps=work.choices.steps,
        first_steps=work.first_steps,
        tokens=round(sum(one.tokens for one in work.passes if one.is_training)),
        parameters=work.parameters,
        trained_parameters=work.trained,
        memory={name: round(value, 1) for name, value in memory.items() if value >= 0.05},
        seconds={name: round(value, 2) for name, value in seconds.items()},
        fits=fits,
        why=_why(peak, machine, fits=fits),
    )


def _seconds(work: Workload, plan: Plan, tokens: TokenCounts, speed: Speed) -> dict[str, float]:
    """CPU seconds by part."""
    found = {"starting": speed.start_s}
    for name, amount in time_amounts(work, plan, tokens).items():
        part = name.partition(".")[0]
        found[part] = found.get(part, 0.0) + amount * SECONDS.get(name, 0.0) / rate_of(name)(speed)
    return found


def _wall_s(seconds: dict[str, float], threads: int) -> float:
    gain = 1 + _THREADS_GAIN * (threads - 1)
    return sum(value if name in _SERIAL else value / gain for name, value in seconds.items())


def _figure(value: float, error: float, factor: float = 1.0) -> Figure:
    return Figure(value, value * max(0.0, 1 - error) / factor, value * (1 + error) * factor)


def _why(peak: Figure, machine: Machine, *, fits: bool) -> str:
    needs = f"It needs {peak.value:,.0f} MB of memory at its peak ({peak.low:,.0f} to {peak.high:,.0f})"
    if not machine.memory_bytes:
        return f"{needs}; how much there is here is not known."
    have = f"{machine.memory_bytes / MB:,.0f} MB can be had"
    return f"{needs}, and {have}." if fits else f"{needs}, and only {have}."


def _remedies(plan: Plan, tokens: TokenCounts, machine: Machine, shape: Shape | None) -> Iterator[str]:
    """The least change of each kind that fits; where no single one does, LoRA with small steps."""
    set_ = plan.hyperparameters

    def fitting(changed: Plan) -> Estimate | None:
        told = _told(changed, tokens, machine, shape)
        return told if told.fits else None

    choices = workload(plan, tokens, shape).choices
    batch, longest = choices.hyperparameters.batch_size or 1, choices.hyperparameters.max_length or 16
    may_adapt = plan.tuning == "full" and plan.start != "from_scratch"
    is_found = False
    for size in _halves(batch // 2, 1):
        if told := fitting(replace(plan, hyperparameters=replace(set_, batch_size=size))):
            yield f"Set batch_size to {size}: {told.peak_memory_mb.value:,.0f} MB."
            is_found = True
            break
    if may_adapt and (told := fitting(replace(plan, tuning="lora"))):
        yield f"Train a LoRA instead of all weights: {told.peak_memory_mb.value:,.0f} MB."
        is_found = True
    for length in _halves(longest // 2, max(16, min(tokens.lengths))):
        if told := fitting(replace(plan, hyperparameters=replace(set_, max_length=length))):
            left = sum(one > length for one in tokens.lengths)
            yield (
                f"Set max_length to {length}: {told.peak_memory_mb.value:,.0f} MB; {left} of "
                f"{len(tokens.lengths)} rows are longer and would be left out."
            )
            is_found = True
            break
    if plan.start == "from_scratch" and plan.scratch is not None:
        for size in range(plan.scratch.size - 1, 0, -1):
            if told := fitting(replace(plan, scratch=replace(plan.scratch, size=size))):
                yield f"Set size to {size}: {told.peak_memory_mb.value:,.0f} MB."
                return
    if not is_found:
        small = replace(
            plan,
            tuning="lora" if may_adapt else plan.tuning,
            hyperparameters=replace(
                set_, batch_size=1, max_length=max(16, min(tokens.lengths), longest // 4)
            ),
        )
        least = _told(small, tokens, machine, shape)
        if least.fits:
            kind = "Train a LoRA with batch_size 1" if may_adapt else "Set batch_size to 1"
            yield (
                f"{kind} and max_length {small.hyperparameters.max_length}: "
                f"{least.peak_memory_mb.value:,.0f} MB."
            )
        else:
            first = "Take a smaller base, or a machine" if shape is not None else "Take a machine"
            yield (
                f"{first} with {least.peak_memory_mb.high:,.0f} MB of free memory, which the least of "
                "settings needs."
            )


def _halves(value: int, least: int) -> Iterator[int]:
    while value >= least and value > 0:
        yield value
        value //= 2
