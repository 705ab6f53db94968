"""`pii` and `secrets`: spans found against spans marked; a hit shares half of the longer one and the kind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.figures import Goal, Row, by_language, cpu, read_rows, share
from greenroom.contracts import Detector, Finding
from greenroom.stages.check.candidate import join
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector

_NOT_SOUGHT = frozenset({
    "LOCATION", "GPE", "ORGANIZATION", "DATE_TIME", "AGE", "TITLE", "PREFIX", "NRP", "DOMAIN_NAME",
    "ZIP_CODE", "US_DRIVER_LICENSE",
})  # fmt: skip
"""Kinds of the public rows that `pii` does not look for: finding one is right, missing one no fault."""


def measure(data: Path) -> Iterator[Row]:
    """Own rows by language; the public English rows of `pii` (coarse places and names in passing) apart."""
    rows = read_rows(data / "safety" / "pii.dev.jsonl.gz")
    yield from _spans("pii", PiiDetector(), rows, ("own", 0.95, 0.03))
    rows = read_rows(data / "safety" / "secrets.dev.jsonl.gz")
    yield from _spans("secrets", SecretDetector(), rows, ("own", 0.95, 0.015))


def _spans(
    step: str, detector: Detector, rows: list[dict[str, Any]], bar: tuple[str, float, float]
) -> Iterator[Row]:
    source, least, most = bar
    for language, own in by_language(rows).items():
        ours = [row for row in own if row["source"].startswith(source)]
        yield from _figures(step, detector, ours, f"{step}.dev, own", language, (">=", least), ("<=", most))
        others = [row for row in own if not row["source"].startswith(source)]
        if others:
            yield from _figures(step, detector, others, f"{step}.dev, public", language, None, None)
        yield from cpu(step, f"{step}.dev", language, [row["text"] for row in own], detector.find)


def _figures(
    step: str,
    detector: Detector,
    rows: list[dict[str, Any]],
    set: str,
    language: str,
    least: Goal | None,
    most: Goal | None,
) -> Iterator[Row]:
    found = hits = wanted = reached = flagged = clean = 0
    for row in rows:
        findings = join(detector.find(row["text"]), row["text"])
        spans = row["spans"]
        found += len(findings)
        sought = [span for span in spans if span["type"] not in _NOT_SOUGHT]
        wanted += len(sought)
        hits += sum(any(_same(one, span) for span in spans) for one in findings)
        reached += sum(any(_same(one, span) for one in findings) for span in sought)
        if not spans:
            clean += 1
            flagged += bool(findings)
    yield share(step, "precision", set, language, hits, found, least)
    yield share(step, "recall", set, language, reached, wanted, least)
    if clean:
        yield share(step, "clean rows flagged", set, language, flagged, clean, most)


def _same(one: Finding, span: dict[str, Any]) -> bool:
    shared = min(one.end, span["end"]) - max(one.start, span["start"])
    return shared * 2 >= max(one.end - one.start, span["end"] - span["start"])
