"""Language of short prompts: how often it is told right; rows without a language count against it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from evals.figures import Row, cpu, read_rows, share
from evals.spell import own_rows
from greenroom.stages.language import detect

_SHORT = 40
_CODES = ("en", "pt", "es")


def measure(data: Path) -> Iterator[Row]:
    """Every set by language, whole and at most 40 characters long; then all that are prompts together."""
    right: Counter[tuple[str, bool]] = Counter()
    count: Counter[tuple[str, bool]] = Counter()
    texts: dict[str, list[str]] = {code: [] for code in _CODES}
    for name, rows in _sets(data):
        for code in _CODES:
            own = sorted({text for text, language in rows if language == code})
            told = {text: detect(text)[0] == code for text in own}
            short = [text for text in own if len(text) <= _SHORT]
            for is_short, some in ((False, own), (True, short)):
                hits = sum(told[text] for text in some)
                right[code, is_short] += hits
                count[code, is_short] += len(some)
                if len(some) >= 20:
                    figure = f"told right, ≤ {_SHORT} characters" if is_short else "told right"
                    yield share("language", figure, name, code, hits, len(some))
            texts[code] += own
    for code in _CODES:
        yield share(
            "language", "told right", "all", code, right[code, False], count[code, False], (">=", 0.99)
        )
        yield share(
            "language", f"told right, ≤ {_SHORT} characters", "all", code,
            right[code, True], count[code, True], (">=", 0.97),
        )  # fmt: skip
        yield from cpu("language", "all", code, texts[code][:1000], detect)


def _sets(data: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Own rows, web and news text; of the safety sets the rows written for them."""
    text = data / "text"
    yield (
        "spelling dev",
        [
            (row["text"], row["lang"])
            for code in ("en", "pt")
            for row in read_rows(text / "spelling" / f"{code}_dev.jsonl")
        ],
    )
    yield (
        "noharm_dev",
        [
            (row["text"], row["lang"])
            for row in read_rows(text / "spelling" / "noharm_dev.jsonl")
            if row["kind"] == "clean"
        ],
    )
    yield (
        "cleaning_dev, gold",
        [(row["gold"], row["lang"]) for row in read_rows(text / "cleaning_dev.jsonl") if row["lang"]],
    )
    yield (
        "memory_own",
        [
            (row["text"], row["conv"].split("-")[1])
            for row in read_rows(text / "memory_own" / "turns.jsonl")
            if row["role"] == "user"
        ],
    )
    yield "own/spelling_es", [(row.text, "es") for row in own_rows()]
    for name in ("injection", "pii", "toxicity"):
        yield (
            f"{name}.dev, own",
            [
                (row["text"], row["lang"])
                for row in read_rows(data / "safety" / f"{name}.dev.jsonl.gz")
                if row["source"].startswith("own")
            ],
        )
