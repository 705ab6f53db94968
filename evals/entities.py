"""`entities`: names against marked names (F1 of spans and kinds), patterns against sentences of our own.

The shipped models are measured. Those trained with share-alike rows too are measured where
`ENTITIES_SHARE_ALIKE` names their folder, or says `train` (two minutes); otherwise they are left out.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from evals.figures import Goal, Row, cpu, f_score, read_rows, resampled, share
from greenroom.stages.ground import patterns
from greenroom.stages.ground.found import Found
from greenroom.stages.ground.tagger import KINDS, Tagger

_ROOT = Path(__file__).parent.parent
_GOALS: dict[str, Goal] = {"en": (">=", 0.60), "pt": (">=", 0.76)}
_OWN = _ROOT / "training" / "entities"
_MARKED = re.compile(r"\[(PER|LOC|ORG) ([^\[\]]+)\]")
_VALUED = re.compile(r"\[([A-Z]+) ([^\[\]=]+)=([^\[\]]*)\]")

Spans = set[tuple[int, int, str]]


class Marked(NamedTuple):
    """A text and its names."""

    text: str
    spans: Spans


class Counts(NamedTuple):
    """Of one sentence: names found rightly, names found, names there."""

    hits: int
    found: int
    wanted: int


def measure(data: Path) -> Iterator[Row]:
    """Shipped models, share-alike models where asked, patterns."""
    sets = {f"ner, {language}_dev": (language, _dev(data, language)) for language in ("en", "pt")}
    for language in ("en", "pt", "es"):
        own = _own(language)
        if own:
            sets[f"own {language}, kept from training"] = (language, own)
    shipped = Tagger()
    yield from _names(shipped, "shipped", sets)
    for name, (language, rows) in sets.items():
        if name.startswith("own"):
            texts = [one.text for one in rows]
            yield from cpu("entities", "own, names", language, texts, _find(shipped, language))
    yield from _share_alike(data, sets)
    yield from _patterns()


def _find(tagger: Tagger, language: str) -> Callable[[str], object]:
    return lambda text: tagger.find(text, language)


def _find_values(language: str) -> Callable[[str], list[Found]]:
    return lambda text: patterns.find(text, lambda: language == "en")


def _names(tagger: Tagger, which: str, sets: dict[str, tuple[str, list[Marked]]]) -> Iterator[Row]:
    for name, (language, rows) in sets.items():
        counts: dict[str, list[Counts]] = {kind: [] for kind in ("all", *KINDS)}
        for row in rows:
            found = {(one.start, one.end, one.kind) for one in tagger.find(row.text, language)}
            for kind, own in counts.items():
                mine = {one for one in found if kind in ("all", one[2])}
                gold = {one for one in row.spans if kind in ("all", one[2])}
                own.append(Counts(len(mine & gold), len(mine), len(gold)))
        goal = _GOALS.get(language) if name.startswith("ner") else None
        label = f"{name}, {which}"
        yield resampled("entities", "names F1", label, language, counts["all"], _f1, goal)
        hits, found_all, wanted = (sum(column) for column in zip(*counts["all"], strict=True))
        yield share("entities", "names precision", label, language, hits, found_all)
        yield share("entities", "names recall", label, language, hits, wanted)
        for kind in KINDS:
            yield resampled("entities", f"{kind} F1", label, language, counts[kind], _f1)


def _f1(rows: Sequence[Counts]) -> float:
    hits, found, wanted = (sum(column) for column in zip(*rows, strict=True))
    return f_score(hits, found, wanted)


def _share_alike(data: Path, sets: dict[str, tuple[str, list[Marked]]]) -> Iterator[Row]:
    asked = os.environ.get("ENTITIES_SHARE_ALIKE", "")
    if not asked:
        print("entities: models with share-alike rows left out (ENTITIES_SHARE_ALIKE)", file=sys.stderr)
        return
    if asked != "train":
        yield from _names(Tagger((Path(asked),)), "share-alike", sets)
        return
    with tempfile.TemporaryDirectory() as folder:
        script = _ROOT / "scripts" / "train_entities.py"
        subprocess.run(  # noqa: S603  # our own script, no words of others in the command
            [sys.executable, str(script), "--data", str(data), "--share-alike", "--out", folder, "en", "pt"],
            check=True,
            stdout=sys.stderr,
        )
        yield from _names(Tagger((Path(folder),)), "share-alike", sets)


def _dev(data: Path, language: str) -> list[Marked]:
    return [
        _gold(row["text"], row["tokens"], row["tags"])
        for row in read_rows(data / "text" / "ner" / f"{language}_dev.jsonl")
    ]


def _gold(text: str, tokens: Sequence[str], tags: Sequence[str]) -> Marked:
    """Tags of tokens led back to the text they are of."""
    spans: list[tuple[int, int, str]] = []
    at, last = 0, "O"
    for token, tag in zip(tokens, tags, strict=True):
        start = text.index(token, at)
        at = start + len(token)
        kind = tag[2:] if tag[2:] in KINDS else "O"
        if kind != "O" and tag[0] == "I" and last == kind:
            spans[-1] = (spans[-1][0], at, kind)
        elif kind != "O":
            spans.append((start, at, kind))
        last = kind
    return Marked(text, set(spans))


def _own(language: str) -> list[Marked]:
    """The tenth of our own sentences that training leaves out."""
    sys.path.insert(0, str(_ROOT / "scripts"))
    try:
        from entity_rows import is_ours_to_test, read_marked  # noqa: PLC0415  # lies beside the training script
    finally:
        sys.path.pop(0)
    return [
        Marked(one.text, {(span.start, span.end, span.kind) for span in one.spans})
        for path in sorted(_OWN.glob(f"{language}*.txt"))
        for one in read_marked(path)
        if is_ours_to_test(one.text)
    ]


def _patterns() -> Iterator[Row]:
    """Kind, span and value must all be right."""
    by_language: dict[str, list[tuple[str, set[tuple[int, int, str, str]]]]] = {}
    for line in (Path(__file__).parent / "entity_patterns.txt").read_text(encoding="utf-8").splitlines():
        if line.strip():
            language, _, marked = line.partition(" ")
            by_language.setdefault(language, []).append(_valued(marked))
    for language, rows in by_language.items():
        find = _find_values(language)
        hits = found = wanted = 0
        for text, gold in rows:
            mine = {(one.start, one.end, one.kind, one.value) for one in find(text)}
            hits += len(mine & gold)
            found += len(mine)
            wanted += len(gold)
        yield share("entities", "patterns precision", "own, values too", language, hits, found)
        yield share("entities", "patterns recall", "own, values too", language, hits, wanted)
        yield from cpu("entities", "own, patterns", language, [text for text, _ in rows], find)
    plain = ["the model reads each of these words and finds nothing that a pattern could hold, " * 25] * 50
    yield from cpu("entities", "2 KB without a hit, patterns", "en", plain, _find_values("en"))


def _valued(marked: str) -> tuple[str, set[tuple[int, int, str, str]]]:
    text, gold, at = "", set(), 0
    for one in _VALUED.finditer(marked):
        text += marked[at : one.start()]
        gold.add((len(text), len(text) + len(one[2]), one[1], one[3]))
        text += one[2]
        at = one.end()
    return text + marked[at:], gold
