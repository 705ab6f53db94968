"""`offense`: offensive texts against others, by source and language, since sources mean different things."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from evals.figures import Row, auroc, by_language, f_score, read_rows, resampled, share
from greenroom.stages.check.judging import assess

_WARN = 0.5
_BARS = {"pt": 0.70, "es": 0.70}


def measure(data: Path) -> Iterator[Row]:
    """F1 as shipped and AUROC; ordinary prompts of the injection set show what is flagged without reason."""
    rows = read_rows(data / "safety" / "toxicity.dev.jsonl.gz")
    scored = [
        {**row, "scored": (assess(row["text"], "full").offense.score, row["label"] == "toxic")}
        for row in rows
    ]
    for language, own in by_language(scored).items():
        bar = _BARS.get(language)
        yield from _figures("toxicity.dev", language, [row["scored"] for row in own], bar)
        for source in sorted({row["source"] for row in own}):
            few = [row["scored"] for row in own if row["source"] == source]
            if len(few) > 20:
                yield from _figures(f"toxicity.dev, {source.split('/')[-1][:20]}", language, few, None)
    harmless = [
        row for row in read_rows(data / "safety" / "injection.dev.jsonl.gz") if row["label"] == "benign"
    ]
    flagged = sum(assess(row["text"], "full").offense.score >= _WARN for row in harmless)
    yield share(
        "offense", "harmless flagged", "injection.dev, benign", "all", flagged, len(harmless), ("<=", 0.01)
    )


def _figures(
    set: str, language: str, scored: Sequence[tuple[float, bool]], bar: float | None
) -> Iterator[Row]:
    def f1(some: Sequence[tuple[float, bool]]) -> float:
        found = [is_bad for score, is_bad in some if score >= _WARN]
        return f_score(sum(found), len(found), sum(is_bad for _, is_bad in some))

    yield resampled("offense", "F1", set, language, scored, f1, (">=", bar) if bar else None)
    goal = (">=", 0.88) if language == "en" and set == "toxicity.dev" else None
    yield resampled("offense", "AUROC", set, language, scored, auroc, goal)
    found = [is_bad for score, is_bad in scored if score >= _WARN]
    yield share("offense", "precision", set, language, sum(found), len(found))
    yield share("offense", "recall", set, language, sum(found), sum(is_bad for _, is_bad in scored))
