"""People, places and organisations in a text, by a conditional random field.

Knows English, Portuguese and Spanish models, made by scripts/train_entities.py. Files are read when first needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from greenroom.stages.ground.features import Clusters, Features, Marks
from greenroom.stages.ground.gazetteer import Gazetteer
from greenroom.stages.ground.words import Word, words_of

DATA = Path(__file__).parents[2] / "data" / "entities"


class Name(NamedTuple):
    start: int
    end: int
    kind: str
    probability: float = 1.0


class Spanned(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def kind(self) -> str: ...


def tags_of(words: Sequence[Word], spans: Sequence[Spanned]) -> list[str]:
    """IOB2 tags of words."""
    tags = ["O"] * len(words)
    for span in spans:
        mark = "B-"
        for place, word in enumerate(words):
            if word.start < span.end and word.end > span.start:
                tags[place] = mark + span.kind
                mark = "I-"
    return tags


def lexicon(folder: Path) -> tuple[Clusters, Marks]:
    if not (folder / "names.marisa").exists():
        return (lambda word: ()), (lambda words: [[] for _ in words])
    return (lambda word: ()), Gazetteer(folder).marks
