"""`spell`: slips mended and slips made, by the step itself, in modes apply and suggest."""

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from evals.figures import Goal, Row, cpu, read_rows, share
from greenroom.exchange import Edit, Exchange, StepRecord
from greenroom.stages.preprocess.spell import Spell, SpellConfig
from greenroom.testing import make_exchange

_FOLDER = Path(__file__).parent / "own"
_OWN = _FOLDER / "spelling_es.txt"
_EDITED = "Bosque"
"""What the source of clean texts is called that were edited; others, of the web, hold slips of their own."""
_MARK = re.compile(r"\[([^|\]]+)\|([^\]]+)\]")
_BOUNDS = {"en": 0.85, "pt": 0.82, "es": 0.82}


class Written(NamedTuple):
    """A text and its slips: (wrong, right)."""

    text: str
    slips: list[tuple[str, str]]


def measure(data: Path) -> Iterator[Row]:
    """Slips of the dev sets (one or two injected in a sentence that may hold others), and clean prompts."""
    folder = data / "text" / "spelling"
    sets = {
        (code, f"{code}_dev"): [
            Written(row["text"], [(one["wrong"], one["right"]) for one in row["errors"]])
            for row in read_rows(folder / f"{code}_dev.jsonl")
            if "errors" in row
        ]
        for code in ("en", "pt")
    }
    sets["es", "own/spelling_es"] = [one for one in own_rows() if one.slips]
    for (code, name), rows in sets.items():
        yield from _figures(rows, name, code)
    clean = read_rows(folder / "noharm_dev.jsonl")
    for code in ("en", "pt"):
        texts = [row["text"] for row in clean if row["lang"] == code]
        yield from _clean(texts, "noharm_dev", code)
        edited = [row["text"] for row in clean if row["lang"] == code and _EDITED in row["source"]]
        if edited:
            yield from _clean(edited, "noharm_dev, edited prose", code)
        yield from _work(texts, code, "noharm_dev")
    for code in _BOUNDS:
        yield from _clean(held_out(code), f"own/spelling_clean_{code}, held out", code)
    calm = [one.text for one in own_rows() if not one.slips]
    yield from _clean(calm, "own/spelling_es, clean", "es")
    chance = random.Random(1)
    long = [" ".join(chance.choices(calm, k=60))[:2000] for _ in range(200)]
    yield from _work(long, "es", "own/spelling_es, 2 KB of clean", ("<=", 400.0))
    for (code, name), rows in sets.items():
        yield from _work([one.text for one in rows], code, name, ("<=", 1000.0))


def own_rows() -> list[Written]:
    """Our own Spanish prompts; slips in capitalised words, which no step may touch, do not count."""
    lines = _lines(_OWN)
    return [
        Written(
            _MARK.sub(r"\1", line),
            [found for found in _MARK.findall(line) if found[0] != found[1] and found[0].islower()],
        )
        for line in lines
    ]


def held_out(code: str) -> list[str]:
    """Every other one of our own prompts without slips; the rest was read while the step was tuned."""
    return _lines(_FOLDER / f"spelling_clean_{code}.txt")[1::2]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in {"", "#"}]


def _work(texts: list[str], code: str, name: str, goal: Goal | None = None) -> Iterator[Row]:
    """Time of the step alone, a fresh exchange for each text; what would run in a thread runs here."""
    step = Spell(SpellConfig())

    def prepared(text: str) -> Exchange:
        exchange = make_exchange(text)
        exchange.steps.append(StepRecord("preprocess", "spell"))
        return exchange

    def call(exchange: Exchange) -> None:
        seen = step.unknown(exchange)
        if seen is not None:
            step.slips(exchange, *seen)

    yield from cpu("spell", name, code, [prepared(text) for text in texts], call, goal)


class Runner:
    """The step in one mode: a text in, its edits and their alternatives out."""

    def __init__(self, mode: str) -> None:
        self._step = Spell(SpellConfig(mode=mode))  # type: ignore[arg-type]  # one of the modes
        self._loop = asyncio.Runner()

    def __call__(self, text: str) -> tuple[list[Edit], dict[str, Sequence[str]]]:
        """Run it."""
        exchange = make_exchange(text)
        record = StepRecord("preprocess", "spell")
        exchange.steps.append(record)
        self._loop.run(self._step(exchange))
        alternatives = record.notes.get("alternatives", {})
        assert isinstance(alternatives, dict)
        return [edit for change in record.changes for edit in change.edits], alternatives


def _figures(rows: list[Written], name: str, code: str) -> Iterator[Row]:
    run = Runner("apply")
    made = right = found = offered = proposed = wanted = 0
    for row in rows:
        edits, alternatives = run(row.text)
        slips = dict(row.slips)
        wanted += len(slips)
        for edit in {(one.before, one.text): one for one in edits}.values():
            proposed += 1
            offered += slips.get(edit.before) in alternatives[edit.before]
            if edit.applied:
                made += 1
                right += slips.get(edit.before) == edit.text
        found += sum(
            any(one.applied and (one.before, one.text) == slip for one in edits) for slip in slips.items()
        )
    goals: tuple[Goal, Goal] = (">=", 0.98), (">=", 0.70)
    yield share("spell", "applied, precision", name, code, right, made, goals[0])
    yield share("spell", "applied, recall", name, code, found, wanted, goals[1])
    yield share("spell", "suggested, precision (3)", name, code, offered, proposed, (">=", 0.90))
    yield share("spell", "suggested, recall (3)", name, code, offered, wanted, (">=", _BOUNDS[code]))


def _clean(texts: list[str], name: str, code: str) -> Iterator[Row]:
    run = Runner("apply")
    changed = sum(any(edit.applied for edit in run(text)[0]) for text in texts)
    yield share("spell", "clean prompts changed", name, code, changed, len(texts), ("<=", 0.005))
