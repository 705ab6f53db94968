"""Three answers to a wish: the best model, the best value, and the best that keeps prompts on this machine.

Quality is expected from facts and corrected by what was seen here (quality.py). Value is quality less price
and time, each on a logarithmic scale: `price_of_quality` points for ten times the price, as many for ten
times the seconds. These are conventions; every answer says what it rests on and how to put it to the test.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from math import log10
from typing import Any, Final

from msgspec import structs

from greenroom.models.catalogue.candidates import (
    USUAL_BANDWIDTH,
    USUAL_GPU_BANDWIDTH,
    Candidate,
    Dropped,
    Here,
    sort_out,
)
from greenroom.models.catalogue.catalogue import Catalogue
from greenroom.models.catalogue.quality import Quality, Seen, expect, learn
from greenroom.models.catalogue.speed import EFFICIENCY, ERROR
from greenroom.models.catalogue.wish import INPUT_TOKENS, OUTPUT_TOKENS, Task, Wish
from greenroom.models.prices import PriceBook

Record = dict[str, Any]  # Any: JSON

CHEAPEST_NANO: Final = 10_000
"""Below a thousandth of a cent a request, a lower price counts for nothing more."""
_UNKNOWN_S: Final = 3.0
"""Seconds that an answer of a hosted model is taken to need where nothing was measured."""
_SCORER: Final[dict[Task, str]] = {
    "classify": "exact", "extract": "exact", "translate": "chrf", "rag": "grounded",
}  # fmt: skip
"""What scores a task's answers; `contains` the others'."""
SHOWN: Final = 8
"""Candidates that are listed beside the three answers."""
_MOST_DROPPED: Final = 400


class _Ranked:
    """A candidate with what it is worth."""

    def __init__(self, candidate: Candidate, quality: Quality, wish: Wish) -> None:
        self.candidate = candidate
        self.quality = quality
        points = wish.price_of_quality / 100
        cost = max(candidate.nano_usd, CHEAPEST_NANO) / CHEAPEST_NANO
        seconds = max(candidate.latency_s or candidate.guessed_s or _UNKNOWN_S, 0.1)
        self.value = quality.mean - points * log10(cost) - points * log10(seconds)

    @property
    def for_best(self) -> tuple[float, int, str]:
        return -self.quality.mean, self.candidate.nano_usd, self.candidate.name

    @property
    def for_value(self) -> tuple[float, int, str]:
        return -self.value, self.candidate.nano_usd, self.candidate.name


def recommend(
    wish: Wish, catalogue: Catalogue, here: Here, seen: Mapping[str, Seen], prices: PriceBook, today: date
) -> Record:
    """The answer as JSON: `best`, `value`, `private`, `others`, `assumed`, `filtered`, `try`.

    `seen` are scores by the name of a target. Raises: UnknownQuantisation.
    """
    wish, assumed = _settled(wish, here)
    kept, dropped = sort_out(wish, catalogue, here, prices, today)
    newest = max(
        (one.knowledge.value for one in catalogue.models.values() if one.knowledge is not None), default=""
    )
    ranked = [_Ranked(one, _quality(one, wish, newest, seen.get(one.name)), wish) for one in kept]
    ranked.sort(key=lambda one: one.for_best)
    best = ranked[0] if ranked else None
    value = min(ranked, key=lambda one: one.for_value, default=None)
    local = min(
        (one for one in ranked if one.candidate.fit is not None), key=lambda one: one.for_best, default=None
    )
    answers = [one for one in (best, value, local) if one is not None]
    names = list(dict.fromkeys(one.candidate.name for one in answers))
    others = [one for one in ranked if one.candidate.name not in names][:SHOWN]
    return {
        "wish": wish,
        "best": _shown(best, wish),
        "value": _shown(value, wish),
        "private": _shown(local, wish),
        "no_private": None if local is not None else _why_none(dropped),
        "undecided": _undecided(best, ranked),
        "others": [_shown(one, wish) for one in others],
        "assumed": assumed + _assumptions(wish, here, answers),
        "candidates": len(ranked),
        "filtered": {
            "by_condition": dict(Counter(one.condition for one in dropped).most_common()),
            "models": [one._asdict() for one in dropped[:_MOST_DROPPED]],
        },
        "try": _commands(answers, names, here, wish.task),
        "catalogue": {"edition": catalogue.edition, "sha256": catalogue.sha256, "prices": prices.edition},
    }


def _settled(wish: Wish, here: Here) -> tuple[Wish, list[str]]:
    """The wish with a mix of tokens, and where that is from."""
    given = wish.input_tokens or here.input_tokens
    made = wish.output_tokens or here.output_tokens
    told = {
        "input_tokens": "said" if wish.input_tokens else "seen in your traces" if given else "assumed",
        "output_tokens": "said" if wish.output_tokens else "seen in your traces" if made else "assumed",
    }
    settled = structs.replace(wish, input_tokens=given or INPUT_TOKENS, output_tokens=made or OUTPUT_TOKENS)
    line = (
        f"A request has {settled.mix[0]:,} tokens ({told['input_tokens']}) and its answer {settled.mix[1]:,} "
        f"({told['output_tokens']}); there are {wish.requests:,} requests a month."
    )
    return settled, [line]


def _quality(candidate: Candidate, wish: Wish, newest: str, seen: Seen | None) -> Quality:
    expected = expect(candidate.model, wish.task, candidate.usd_per_mtok, newest, wish.codes)
    return expected if seen is None else learn(expected, seen)


def _shown(one: _Ranked | None, wish: Wish) -> Record | None:
    if one is None:
        return None
    candidate, quality = one.candidate, one.quality
    monthly = candidate.nano_usd * wish.requests
    shown: Record = {
        "model": candidate.name,
        "quality": {"mean": round(quality.mean, 3), "low": round(quality.low, 3),
                    "high": round(quality.high, 3), "scored_answers": quality.seen},
        "usd_per_request": candidate.nano_usd / 1e9,
        "usd_per_month": monthly / 1e9,
        "latency_s": None if candidate.latency_s is None else round(candidate.latency_s, 2),
        "latency_measured": candidate.latency_measured,
        "is_here": candidate.is_here,
        "unknown": list(candidate.unknown),
        "reasons": _reasons(one, wish),
    }  # fmt: skip
    if candidate.fit is not None:
        need = candidate.fit.need
        shown["memory"] = {
            "where": candidate.fit.where, "quantisation": candidate.quantisation, "need_bytes": need.total,
            "weights_bytes": need.weights, "cache_bytes": need.cache, "compute_bytes": need.compute,
            "have_bytes": candidate.fit.have,
        }  # fmt: skip
        if candidate.speed is not None:
            shown["tokens_per_second"] = {
                name: round(value, 1) for name, value in candidate.speed._asdict().items()
            }
    return shown


def _reasons(one: _Ranked, wish: Wish) -> list[str]:
    candidate, quality = one.candidate, one.quality
    out = [f"Quality {quality.mean:.0%} ({quality.low:.0%} to {quality.high:.0%}): {quality.why}."]
    if candidate.fit is None:
        monthly = candidate.nano_usd * wish.requests / 1e9
        out.append(f"${candidate.nano_usd / 1e9:.6f} a request, ${monthly:,.2f} a month, by the price book.")
    else:
        kind = f" as {candidate.quantisation}" if candidate.quantisation else ""
        need = candidate.fit.need.total / (1 << 30)
        have = candidate.fit.have / (1 << 30)
        out.append(
            f"It needs {need:.1f} GiB{kind} for {wish.parallel} × {wish.context:,} tokens, of {have:.1f}: "
            f"{candidate.fit.why}."
        )
        out.append("Prompts stay on this machine, and a request costs nothing but power.")
    if candidate.speed is not None:
        low, usual, high = candidate.speed
        out.append(f"About {usual:.0f} tokens a second ({low:.0f} to {high:.0f}), estimated from bandwidth.")
    elif candidate.latency_measured and candidate.latency_s is not None:
        out.append(f"Half of its answers here took at most {candidate.latency_s:.1f} s.")
    if candidate.model.end_of_life is not None:
        out.append(f"Its provider ends it on {candidate.model.end_of_life.value}.")
    if not candidate.is_here:
        out.append("Its key is not here yet." if candidate.fit is None else "Its file is not here yet.")
    return out


def _undecided(best: _Ranked | None, ranked: Sequence[_Ranked]) -> str | None:
    """A sentence where the best can't be told from others, which is so until answers were scored."""
    if best is None or len(ranked) < 2:
        return None
    close = [one for one in ranked[1:] if one.quality.high > best.quality.low]
    if not close:
        return None
    return (
        f"This can't tell {best.candidate.name} from {len(close)} other models: their intervals overlap. "
        f"Score some answers of your own to decide."
    )


def _why_none(dropped: Sequence[Dropped]) -> str:
    local = [one for one in dropped if "/" not in one.name]
    counted = Counter(one.condition for one in local).most_common(3)
    if not counted:
        return "No open weights are known."
    said = ", ".join(f"{count} by {name}" for name, count in counted)
    return f"No local model meets the conditions: {len(local)} fall out, {said}."


def _assumptions(wish: Wish, here: Here, answers: Sequence[_Ranked]) -> list[str]:
    out = [
        f"Ten times the price or time must bring {wish.price_of_quality:g} points of quality.",
        "Expectations of quality are a convention, from size, price and age; no benchmark is in them.",
    ]
    if any(one.quality.seen for one in answers):
        out.append("Scores count alike, whatever the task was that they are of.")
    if any(one.candidate.fit is not None for one in answers):
        out.append("Local models are run by llama.cpp with flash attention and a 16-bit cache.")
    if any(one.candidate.speed is not None for one in answers):
        out.append(
            f"Speed is {EFFICIENCY:.0%} of what memory allows, ± {ERROR:.0%}; a prompt takes time besides."
        )
    if any(one.candidate.guessed_s is not None for one in answers):
        out.append(
            f"For the value, memory is taken to bring {USUAL_BANDWIDTH / 1e9:.0f} GB a second, that of a GPU "
            f"{USUAL_GPU_BANDWIDTH / 1e9:.0f}; --probe-speed measures it."
        )
    if any(one.candidate.fit is None and one.candidate.latency_s is None for one in answers):
        out.append(
            f"For the value, a hosted model that was not asked here is taken to need {_UNKNOWN_S:g} s."
        )
    if any(one.candidate.model.reasoning and one.candidate.model.reasoning.value for one in answers):
        out.append("Models that think first may write several times as many tokens as are counted here.")
    if here.hardware.limited:
        out.append("Memory is what this container may take, not what the machine has.")
    return out


def _commands(answers: Sequence[_Ranked], names: Sequence[str], here: Here, task: Task) -> list[str]:
    """What to type to put the answers to the test."""
    out = []
    for one in answers:
        candidate = one.candidate
        if candidate.is_here:
            continue
        provider, _, name = candidate.name.partition("/")
        if candidate.fit is None:
            out.append(f"greenroom providers set-key {provider}")
        elif name in here.pullable:
            out.append(f"greenroom models pull {name}")
        else:
            licence = candidate.model.licence
            card = f", see {licence.url}" if licence is not None and licence.url else ""
            out.append(f"greenroom models pull ADDRESS --name {name}   # ADDRESS of its GGUF file{card}")
    if len(names) > 1:
        scorer = _SCORER.get(task, "contains")
        chosen = f"--models {','.join(names)} --data questions.jsonl --scorers {scorer}"
        out.append(f"greenroom models compare {chosen}")
    elif names:
        out.append(f'greenroom ask "…" --app {names[0]}')
    return list(dict.fromkeys(out))
