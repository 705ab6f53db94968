"""People, places and organisations in a text, by a conditional random field.

One model a language (English, Portuguese, Spanish), made by scripts/train_entities.py; other languages are
read with the nearest of them. Models, gazetteer and groups are read from files when first needed. Names in
code are none. Source of the method: Lafferty, McCallum, Pereira, "Conditional Random Fields", ICML 2001.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from greenroom.contracts import Stretch
from greenroom.stages.ground.clusters import WordClusters
from greenroom.stages.ground.features import Features
from greenroom.stages.ground.found import Found
from greenroom.stages.ground.gazetteer import Gazetteer
from greenroom.stages.ground.words import Word, words_of
from greenroom.stages.protect import protected_spans

DATA = Path(__file__).parents[2] / "data" / "entities"
"""Where the package keeps its models and lists."""
KINDS = ("PER", "LOC", "ORG")
_NEAREST = {"en": "en", "pt": "pt", "es": "es", "gl": "pt", "ca": "es", "it": "es"}
_CODE = frozenset({"code", "inline_code"})
_LONGEST = 120
"""Words of a sentence that are read together."""


class Tagger:
    """Finds names with the models of `folders`; of a language the first folder that has it counts.

    May be called from several threads: one sentence is tagged at a time.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = (*folders, DATA)
        self._models: dict[str, Any] = {}  # Any: the module has no types
        self._lock = Lock()

    def find(self, text: str, language: str) -> list[Found]:
        """Names in order of the text. Cost: about 15 µs a word; 30 ms once a language."""
        if not text.isascii():
            text = text.encode(errors="replace").decode()  # no half of a broken character, one for one
        words = words_of(text)
        if not words:
            return []
        model = self._model(_NEAREST.get(language, "en"))
        features = shared_features()
        found: list[Found] = []
        for sentence in sentences(text, words):
            with self._lock:
                tags = model.tag(features(sentence))
            found += _names(sentence, tags)
        if found and "`" in text:
            code = protected_spans(text, _CODE)
            found = [
                one for one in found if all(one.end <= start or one.start >= end for start, end, _ in code)
            ]
        return found

    def _model(self, language: str) -> Any:
        model = self._models.get(language)
        if model is None:
            path = next(
                path
                for folder in self._folders
                if (path := folder / f"entities-{language}.crfsuite").is_file()
            )
            model = import_module("pycrfsuite").Tagger()
            model.open(str(path))
            model = self._models.setdefault(language, model)
        return model


@cache
def shared_features() -> Features:
    """The one of this process: every model is trained with the same lists."""
    return Features(WordClusters(DATA), Gazetteer(DATA))


def sentences(text: str, words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Words up to a full stop that a blank follows, the end of a line, or the most that is read at once."""
    start = 0
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else None
        if after is None or place - start >= _LONGEST - 1:
            ends = True
        else:
            ends = (word.text[0] in ".!?…" and not after.is_glued) or (
                after.start > word.end and "\n" in text[word.end : after.start]
            )
        if ends:
            yield words[start : place + 1]
            start = place + 1


def _names(words: Sequence[Word], tags: Sequence[str]) -> Iterator[Found]:
    start = None
    for place, tag in enumerate((*tags, "O")):
        if start is not None and not (tag[0] == "I" and tag[2:] == tags[start][2:]):
            yield Found(words[start].start, words[place - 1].end, tags[start][2:])
            start = None
        if start is None and tag != "O":
            start = place


def tags_of(words: Sequence[Word], spans: Iterable[Stretch]) -> list[str]:
    """Tags in form IOB2 of words, by the spans that they touch."""
    tags = ["O"] * len(words)
    place = 0
    for span in spans:
        mark = "B-"
        while place < len(words) and words[place].end <= span.start:
            place += 1
        while place < len(words) and words[place].start < span.end:
            tags[place] = mark + span.kind
            mark = "I-"
            place += 1
    return tags
