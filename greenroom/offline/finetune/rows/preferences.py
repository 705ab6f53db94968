"""Pairs of answers of which one is preferred: from what people corrected, and from experiments in traffic."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from greenroom.offline.finetune.rows.duplicates import Bands, Seen, repeats
from greenroom.offline.finetune.rows.lines import Json
from greenroom.offline.finetune.rows.recorded import Answered, Example, metadata_of
from greenroom.offline.finetune.rows.small_words import SMALL_WORDS
from greenroom.offline.finetune.rows.wording import is_exchanged, likeness, says_other, wording

_ROUNDING = 1e-9
"""1.0 and 0.8 are 0.2 apart, whatever floating point says."""
SAME = 0.85
"""Likeness of two conversations that ask nearly the same: higher than for duplicates, as there no answers
tell them apart."""


def from_edits(found: Iterable[Answered], skipped: Counter[str]) -> Iterator[Example]:
    """The correction is preferred to what was answered."""
    for one in found:
        if not one.correction:
            skipped["nobody corrected it"] += 1
        elif wording(one.correction).plain == wording(one.text).plain:
            skipped["the correction changes no word"] += 1
        else:
            yield Example(_pair(one, one.correction, one.text), one.conversation)


def from_experiment(
    found: Iterable[Answered], name: str, metric: str, gap: float, skipped: Counter[str]
) -> Iterator[Example]:
    """Of exchanges that asked the same, or nearly, in different arms: the best answer and the worst.

    `metric` is the score that says what better means, `gap` by how much they must differ at least.
    """
    scored = [one for one in found if _is_scored(one, name, metric, skipped)]
    for asked in _asking_the_same(scored):
        best = max(asked, key=lambda one: one.scores[metric])
        others = [one for one in asked if one.arm != best.arm and one.text != best.text]
        if not others:
            skipped["only one arm was asked this"] += len(asked)
            continue
        worst = min(others, key=lambda one: one.scores[metric])
        if best.scores[metric] - worst.scores[metric] < max(gap, 0) - _ROUNDING or (
            best.scores[metric] == worst.scores[metric]
        ):
            skipped["its scores are too near to each other"] += len(asked)
            continue
        yield Example(_pair(best, best.text, worst.text), best.conversation)


def _is_scored(one: Answered, name: str, metric: str, skipped: Counter[str]) -> bool:
    if not one.arm.startswith(f"{name}/"):
        skipped["not of this experiment"] += 1
    elif metric not in one.scores:
        skipped[f"it has no score '{metric}'"] += 1
    else:
        return True
    return False


def _asking_the_same(found: Sequence[Answered]) -> Iterator[list[Answered]]:
    bands = Bands()
    for one in found:
        bands.add(_question(one))
    first = list(range(len(found)))
    for number, like in repeats(bands, lambda at: _question(found[at]), _is_same):
        first[number] = first[like]
    asked: defaultdict[int, list[Answered]] = defaultdict(list)
    for number, one in zip(first, found, strict=True):
        asked[number].append(one)
    yield from asked.values()


def _question(one: Answered) -> Json:
    return {"messages": [message for message in one.messages if message["role"] != "assistant"]}


def _is_same(one: tuple[Seen, ...], other: tuple[Seen, ...]) -> bool:
    """Whether two conversations ask the same; an exchanged word makes them two."""
    return all(
        mine.text.plain == others.text.plain
        or (
            likeness(mine.runs, others.runs) >= SAME
            and not says_other(mine.text, others.text)
            and not is_exchanged(mine.text.words - SMALL_WORDS, mine.text, others.text)
        )
        for mine, others in zip(one, other, strict=True)
    )


def _pair(one: Answered, preferred: str, other: str) -> Json:
    return {
        "input": {"messages": one.messages},
        "preferred_output": [{"role": "assistant", "content": preferred}],
        "non_preferred_output": [{"role": "assistant", "content": other}],
        "metadata": metadata_of(one),
    }
