"""`clean`: dirty text repaired, and text that must stay left as it is."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from evals.figures import Row, cpu, read_rows, share
from greenroom.exchange import StepRecord
from greenroom.stages.preprocess.clean import Clean, CleanConfig
from greenroom.testing import make_exchange


def measure(data: Path) -> Iterator[Row]:
    """Repaired to the letter (spaces joined, as an app may ask for), and clean prompts changed by default."""
    rows = read_rows(data / "text" / "cleaning_dev.jsonl")
    thorough = Cleaner(CleanConfig(white_space="apply"))
    for code in ("pt", ""):
        own = [row for row in rows if row["lang"] == code]
        hits = sum(thorough(row["text"]) == row["gold"] for row in own)
        yield share("clean", "repaired", "cleaning_dev", code or "all", hits, len(own), (">=", 0.99))
    usual = Cleaner(CleanConfig())
    for code in ("en", "pt"):
        texts = [
            row["text"]
            for row in read_rows(data / "text" / "spelling" / "noharm_dev.jsonl")
            if row["lang"] == code
        ]
        changed = sum(usual(text) != text for text in texts)
        yield share("clean", "clean prompts changed", "noharm_dev", code, changed, len(texts), ("<=", 0.0))
        yield from cpu("clean", "noharm_dev", code, texts, usual)


class Cleaner:
    """The step: a text in, the text out."""

    def __init__(self, config: CleanConfig) -> None:
        self._step = Clean(config)
        self._loop = asyncio.Runner()

    def __call__(self, text: str) -> str:
        """Run it."""
        exchange = make_exchange(text)
        exchange.steps.append(StepRecord("preprocess", "clean"))
        self._loop.run(self._step(exchange))
        return exchange.request.texts[0].value
