"""Rows whose answers a stronger model gives, each paid for once and never past the cap."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256

from msgspec import Struct
from msgspec.json import Encoder

from greenroom.errors import GreenroomError, RequestError
from greenroom.offline.bench import Bench, Contender, spent_before
from greenroom.offline.budget import Budget, BudgetSpent, dollars
from greenroom.offline.evals.runner import digest_of_all
from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.finetune.rows.lines import Json
from greenroom.offline.finetune.rows.recorded import Example
from greenroom.store.evals import EvalStore
from greenroom.store.trials import Trials

_encode = Encoder(order="deterministic").encode


class Distilled(Struct, kw_only=True, frozen=True):
    """What a model answered."""

    examples: tuple[Example, ...]
    skipped: dict[str, int]
    """Prompts without a usable answer, by reason."""
    spent_nano: int
    calls: int
    is_out_of_money: bool
    run: str


class Cap(Struct, kw_only=True, frozen=True):
    """What may be spent."""

    nano: int | None = None
    calls: int | None = None
    concurrency: int = 8


async def distil(
    contender: Contender,
    samples: Sequence[Sample],
    cap: Cap,
    answers: EvalStore,
    trials: Trials,
    on_answer: Callable[[Budget], None] = lambda _: None,
) -> Distilled:
    """Ask for each prompt; the same call again goes on where it was, and pays for nothing twice.

    Raises: RequestError where the budget reaches for no call or the price is not known; InfrastructureError
    where the model can't be asked; Conflict; StoreError.
    """
    run = "dst_" + sha256(_encode((contender.fingerprint, digest_of_all(samples)))).hexdigest()[:16]
    with trials.working_on(run):
        trials.begin(run, "distil", _encode([contender.name]))
        worst = max((contender.worst_nano_usd(one) or 0 for one in samples), default=0)
        spent, calls = spent_before(answers, trials, run, worst)
        budget = Budget(cap.nano, cap.calls, spent=spent, calls=calls)
        bench = Bench(answers, trials, run, budget, (), concurrency=cap.concurrency)
        outputs, is_spent = await _ask(contender, samples, bench, cap.concurrency, partial(on_answer, budget))
    if is_spent and not outputs:
        raise RequestError(
            f"The budget does not reach for one call, which may cost up to ${dollars(worst)}. Raise it, or "
            "bound the answers with --max-tokens.",
            "budget_usd",
        )
    skipped: Counter[str] = Counter()
    made = tuple(
        Example(_row(samples[place], output, contender.name), samples[place].group or samples[place].id)
        for place, output in sorted(outputs.items())
        if _is_usable(output, skipped)
    )
    if is_spent:
        skipped["the money ended before"] = len(samples) - len(outputs)
    return Distilled(
        examples=made, skipped=dict(skipped), spent_nano=budget.spent, calls=budget.calls,
        is_out_of_money=is_spent, run=run,
    )  # fmt: skip


async def _ask(
    contender: Contender, samples: Sequence[Sample], bench: Bench, at_once: int, tell: Callable[[], None]
) -> tuple[dict[int, Output], bool]:
    """Answers by place, and whether the money ended; what is under way then is still waited for."""
    outputs: dict[int, Output] = {}
    waiting = iter(enumerate(samples))
    problems: list[GreenroomError] = []

    async def ask() -> None:
        for place, sample in waiting:
            if problems:
                return
            try:
                outputs[place] = await bench.ask(contender, sample)
            except GreenroomError as error:
                problems.append(error)
                return
            tell()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(ask())
    for one in problems:
        if not isinstance(one, BudgetSpent):
            raise one
    return outputs, bool(problems)


def _is_usable(output: Output, skipped: Counter[str]) -> bool:
    choice = (output.body.get("choices") or [{}])[0]
    if output.outcome != "answered":
        skipped["it was refused" if output.outcome == "refused" else "the call failed"] += 1
    elif choice.get("finish_reason") == "length":
        skipped["the answer was cut off at --max-tokens"] += 1
    elif not output.text.strip() or (choice.get("message") or {}).get("tool_calls"):
        skipped["it has no answer in words"] += 1
    else:
        return True
    return False


def _row(sample: Sample, output: Output, model: str) -> Json:
    asked = sample.messages or output.record.get("request", {}).get("messages", ())
    before = [{**one, "weight": 0} if one.get("role") == "assistant" else one for one in asked]
    metadata = {"distilled_from": model, "sample": sample.id}
    if output.trace_id:
        metadata["trace"] = output.trace_id
    return {"messages": [*before, {"role": "assistant", "content": output.text}], "metadata": metadata}
