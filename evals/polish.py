"""`polish`: clean sentences that it would change, and what it costs. What it finds its tests hold."""

from collections.abc import Iterator
from pathlib import Path

from evals.figures import Row, by_language, cpu, read_rows, share
from greenroom.exchange import Caller, ChatRequest, Exchange
from greenroom.stages.postprocess.polish import Polish, PolishConfig, PolishFilter

_SIZE = 2000


def measure(data: Path) -> Iterator[Row]:
    """Sentences of noharm_dev (the English part is the web's own writing, with real faults in it)."""
    rows = [row for row in read_rows(data / "text" / "spelling" / "noharm_dev.jsonl") if row.get("lang")]
    for language, own in by_language(rows).items():
        texts = [row["text"] for row in own]
        for figure, step in _STEPS:
            changed = sum(_polished(step, text, language) != text for text in texts)
            yield share("polish", figure, "noharm_dev", language, changed, len(texts), ("<=", 0.005))
        long = " ".join(texts)
        pieces = [long[at : at + _SIZE] for at in range(0, len(long) - _SIZE, _SIZE)]
        yield from cpu(
            "polish", f"noharm_dev, {_SIZE} characters", language, pieces,
            lambda text, language=language: _polished(_DEFAULT, text, language),
        )  # fmt: skip


_DEFAULT = Polish(PolishConfig())
_STEPS = (
    ("mechanical: changed", Polish(PolishConfig(grammar="off", style=False))),
    ("own grammar: changed", Polish(PolishConfig(grammar="apply", harper=False, style=False))),
    ("with Harper: changed", Polish(PolishConfig(grammar="apply", style=False))),
)


def _polished(step: Polish, text: str, language: str) -> str:
    exchange = Exchange("x1", Caller(key_id="k"), ChatRequest(b"{}", "m"), "default")
    exchange.language = (language, 1.0)
    opened = step.open(exchange, "content")
    assert isinstance(opened, PolishFilter)
    return opened.whole(text)
