"""Sentences with marked people, places and organisations: read, joined, varied. For train_entities.py."""

import json
import random
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

KINDS = ("PER", "LOC", "ORG")
_MARKED = re.compile(r"\[(PER|LOC|ORG) ([^\[\]]+)\]")
_NO_BLANK_BEFORE = re.compile(r"[,.;:!?%)\]}…»”]|['’](?:s|re|ll|ve|d|m|t)$|n['’]t$|\.\.\.")


class Span(NamedTuple):
    """A marked name; `end` excluded."""

    start: int
    end: int
    kind: str


class Sentence(NamedTuple):
    """A text and its names, in order."""

    text: str
    spans: tuple[Span, ...]


def marked(line: str) -> Sentence:
    """A line such as `[PER Ana] mora em [LOC Lisboa].`"""
    text, spans, at = "", [], 0
    for found in _MARKED.finditer(line):
        text += line[at : found.start()]
        spans.append(Span(len(text), len(text) + len(found[2]), found[1]))
        text += found[2]
        at = found.end()
    return Sentence(text + line[at:], tuple(spans))


def read_marked(path: Path) -> list[Sentence]:
    """The sentences of one of our own lists."""
    return [marked(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_rows(path: Path, sources: Iterable[str] | None = None) -> Iterator[Sentence]:
    """The sentences of a set, each once; of some `sources` only, told by how their names begin."""
    wanted = None if sources is None else tuple(sources)
    seen: set[str] = set()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            key = " ".join(row["tokens"])
            if key in seen or (wanted is not None and not row["source"].startswith(wanted)):
                continue
            seen.add(key)
            yield _joined(row["tokens"], row["tags"])


def _joined(tokens: list[str], tags: list[str]) -> Sentence:
    """Tokens as one would write them: no blank before a comma or behind a bracket."""
    text, places = "", []
    is_open = True
    for token in tokens:
        if text and not is_open and not _NO_BLANK_BEFORE.match(token):
            text += " "
        places.append((len(text), len(text) + len(token)))
        text += token
        is_open = token in ("(", "[", "{", "«", "“", "#", "@", "$")
    return Sentence(text, _spans(places, tags))


def _spans(places: list[tuple[int, int]], tags: list[str]) -> tuple[Span, ...]:
    spans: list[Span] = []
    last = "O"
    for (start, end), tag in zip(places, tags, strict=True):
        kind = tag[2:]
        if kind in KINDS:
            if tag[0] == "I" and last == kind:
                spans[-1] = spans[-1]._replace(end=end)
            else:
                spans.append(Span(start, end, kind))
        last = kind if kind in KINDS else "O"
    return tuple(spans)


def without_handles(one: Sentence) -> Sentence:
    """Names of accounts (`@name`) are no people."""
    return one._replace(spans=tuple(span for span in one.spans if one.text[span.start] != "@"))


def is_ours_to_test(text: str) -> bool:
    """Every tenth of our own sentences, told by its hash, is kept from training."""
    return zlib.crc32(text.encode()) % 10 == 0


def replaced(one: Sentence, span_texts: dict[int, str]) -> Sentence:
    """The sentence with other names at some of its places."""
    text, spans, at = "", [], 0
    for number, span in enumerate(one.spans):
        text += one.text[at : span.start]
        new = span_texts.get(number, one.text[span.start : span.end])
        spans.append(Span(len(text), len(text) + len(new), span.kind))
        text += new
        at = span.end
    return Sentence(text + one.text[at:], tuple(spans))


def swapped(
    one: Sentence, names: dict[str, list[str]], chance: random.Random, share: float = 0.7
) -> Sentence:
    """The sentence with other names of the same kinds."""
    new = {
        number: chance.choice(names[span.kind])
        for number, span in enumerate(one.spans)
        if chance.random() < share and names.get(span.kind)
    }
    return replaced(one, new)


def lowered(one: Sentence) -> Sentence:
    """As people type in a hurry: small letters, no full stop."""
    text = one.text.lower()
    if len(text) != len(one.text):
        return one
    stripped = text.rstrip(".")
    end = len(stripped)
    return Sentence(stripped, tuple(span for span in one.spans if span.end <= end))


def shouted(one: Sentence) -> Sentence:
    """All in capitals."""
    text = one.text.upper()
    return one._replace(text=text) if len(text) == len(one.text) else one
