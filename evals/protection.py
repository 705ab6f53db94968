"""What nobody may touch: code, links, numbers, quotations and their like, after the whole preprocess."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from evals.figures import Row, cpu, read_rows, share
from greenroom.assembly.steps import STEPS
from greenroom.config import PREPROCESS
from greenroom.exchange import StepRecord
from greenroom.stages.preprocess.clean import Clean, CleanConfig
from greenroom.stages.preprocess.spell import Spell, SpellConfig
from greenroom.stages.protect import protected_spans
from greenroom.testing import make_exchange

_OWN = Path(__file__).parent / "own" / "protected.txt"
_PROSE = frozenset({"clean"})
"""The kind of row that is whole prose: `spell` has its own figures for it."""


def measure(data: Path) -> Iterator[Row]:
    """Byte for byte the same, by the default pipeline and with `spell` set to apply."""
    rows = [
        (row["text"], row["lang"])
        for row in read_rows(data / "text" / "spelling" / "noharm_dev.jsonl")
        if row["kind"] not in _PROSE
    ]
    own = [
        tuple(line.split("\t", 1))
        for line in _OWN.read_text(encoding="utf-8").splitlines()
        if line[:1] != "#"
    ]
    for name, kept in (
        ("noharm_dev, not prose", rows),
        ("own/protected", [(text, code) for code, text in own]),
    ):
        for figure, mode in (("untouched, by default", "suggest"), ("untouched, spell applied", "apply")):
            run = Preprocess(mode)
            for code in sorted({code for _, code in kept}):
                texts = [text for text, language in kept if language == code]
                same = sum(run(text) == text for text in texts)
                yield share("protection", figure, name, code, same, len(texts), (">=", 1.0))
    prose = [row["text"] for row in read_rows(data / "text" / "spelling" / "noharm_dev.jsonl")]
    yield from cpu("protection", "noharm_dev", "all", prose, protected_spans)


class Preprocess:
    """The steps of preprocess that edit text: a text in, the text out."""

    def __init__(self, mode: str) -> None:
        assert {"clean", "spell"} <= set(PREPROCESS) <= set(STEPS)
        self._steps = (Clean(CleanConfig()), Spell(SpellConfig(mode=mode)))  # type: ignore[arg-type]  # one of the modes
        self._loop = asyncio.Runner()

    def __call__(self, text: str) -> str:
        """Run them."""
        exchange = make_exchange(text)
        for step in self._steps:
            exchange.steps.append(StepRecord("preprocess", step.name))
            self._loop.run(step(exchange))
        return exchange.request.texts[0].value
