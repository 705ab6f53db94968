"""Train the taggers of names: `python scripts/train_entities.py --data DIR [LANG …]`.

Without `--share-alike` the rows under CC BY-SA (Bosque, EWT) are left out, and the models go where the
package ships them; with it they go to `--out`. Deterministic. About a minute a language.
"""

import argparse
import random
import sys
import zlib
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pycrfsuite
from entity_rows import (
    Sentence,
    is_ours_to_test,
    lowered,
    read_marked,
    read_rows,
    shouted,
    swapped,
    without_handles,
)

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from greenroom.stages.ground.clusters import WordClusters  # noqa: E402  # as its neighbour
from greenroom.stages.ground.features import Features  # noqa: E402  # found by the line before
from greenroom.stages.ground.tagger import DATA, shared_features, tags_of  # noqa: E402  # as its neighbour
from greenroom.stages.ground.tagger import sentences as cut  # noqa: E402  # as its neighbour
from greenroom.stages.ground.words import words_of  # noqa: E402  # as its neighbour

LANGUAGES = ("en", "pt", "es")
OWN = ROOT / "training" / "entities"
FREE_ENGLISH = ("WikiGold", "WNUT17")
LEGAL = 900
"""Sentences of courts: more of them, and those without a name, teach to find too little elsewhere."""


class Recipe(NamedTuple):
    """How a language's model is made."""

    times: dict[str, int]
    """How often our own sentences count, by their language: what stands around names is alike in all."""
    c2: float
    """Weight of the squared weights; chosen on CC BY-SA training rows, which shipped models never saw."""


RECIPES = {
    "en": Recipe({"en": 3, "pt": 1, "es": 1}, 0.02),
    "pt": Recipe({"en": 1, "pt": 4, "es": 1}, 0.1),
    "es": Recipe({"en": 1, "pt": 1, "es": 3}, 0.02),
}


class NoLists:
    """A gazetteer that knows nothing: some sentences are learnt without, so that models don't lean on it."""

    def begins(self, word: str) -> bool:
        return False

    def marks(self, words: Sequence[str], begins: Sequence[bool]) -> list[list[str]]:
        return [[] for _ in words]


def sentences(data: Path, language: str, *, share_alike: bool) -> list[tuple[Sentence, int]]:
    """What a model is trained on, each with how often it counts."""
    sets = data / "text" / "ner"
    found: list[tuple[Sentence, int]] = []
    if language == "en":
        sources = None if share_alike else FREE_ENGLISH
        found += [(one, 1) for one in read_rows(sets / "en_train.jsonl", sources)]
        found += [(without_handles(one), 1) for one in read_rows(sets / "en_train_btc.jsonl")]
    elif language == "pt":
        legal = (one for one in read_rows(sets / "pt_train_legal.jsonl") if one.spans and _is_prose(one))
        found += [(one, 1) for one in islice(legal, LEGAL)]
        if share_alike:
            found += [(one, 1) for one in read_rows(sets / "pt_train.jsonl")]
    else:
        found += [(one, 1) for one in read_rows(sets / "en_train.jsonl", ("WikiGold",))]
    times = RECIPES[language].times
    return found + [(one, times[code]) for code in LANGUAGES if code in times for one in _own(code)]


def _is_prose(one: Sentence) -> bool:
    """No heading in capitals, no sentence of a page."""
    letters = sum(map(str.isalpha, one.text))
    loud = sum(map(str.isupper, one.text))
    return 20 < len(one.text) < 300 and loud * 3 < letters and zlib.crc32(one.text.encode()) % 2 == 0


def _own(language: str) -> list[Sentence]:
    return [
        one
        for path in sorted(OWN.glob(f"{language}*.txt"))
        for one in read_marked(path)
        if not is_ours_to_test(one.text)
    ]


def _names(language: str) -> dict[str, list[str]]:
    """Names to put in place of others: those of our own sentences and lists, and new ones of their parts."""
    names: dict[str, list[str]] = {"PER": [], "LOC": [], "ORG": []}
    for one in _own(language):
        for span in one.spans:
            names[span.kind].append(one.text[span.start : span.end])
    for file, kind in (("organisations.txt", "ORG"), ("places.txt", "LOC")):
        for line in (OWN / "names" / file).read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                names[kind] += line.split(" / ")
    parts = [name.split() for name in names["PER"] if name.istitle() and " " in name]
    chance = random.Random(language)
    names["PER"] += [f"{chance.choice(parts)[0]} {chance.choice(parts)[-1]}" for _ in range(len(parts))]
    return names


def varied(
    rows: Iterable[tuple[Sentence, int]], names: dict[str, list[str]], chance: random.Random
) -> list[Sentence]:
    """Each sentence as it is, and some with other names, in small letters, in capitals."""
    out: list[Sentence] = []
    for one, times in rows:
        out.append(one)
        out += [swapped(one, names, chance) for _ in range(times - 1) if one.spans]
        if chance.random() < 0.12:
            out.append(lowered(one))
        if chance.random() < 0.02:
            out.append(shouted(one))
    return out


def train(rows: list[Sentence], path: Path, chance: random.Random, c2: float) -> None:
    """Fit one model and write it."""
    known, unknown = shared_features(), Features(WordClusters(DATA), NoLists())
    trainer = pycrfsuite.Trainer(verbose=False)
    for one in rows:
        features = known if chance.random() > 0.15 else unknown
        for words in cut(one.text, words_of(one.text)):
            trainer.append(features(words), tags_of(words, one.spans))
    trainer.select("lbfgs")
    trainer.set_params(
        {
            "c1": 0.05,
            "c2": c2,
            "max_iterations": 60,
            "feature.minfreq": 2,
            "feature.possible_transitions": True,
        }
    )
    trainer.train(str(path))


def main() -> None:
    """Read, vary, fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("languages", nargs="*", default=LANGUAGES, metavar="LANG")
    parser.add_argument("--data", type=Path, required=True, help="the folder with text/ner")
    parser.add_argument("--share-alike", action="store_true", help="with the rows under CC BY-SA")
    parser.add_argument("--out", type=Path, help="where the models go")
    asked = parser.parse_args()
    if asked.share_alike and asked.out is None:
        parser.error("--share-alike needs --out: such models are not the package's.")
    out = asked.out or DATA
    out.mkdir(parents=True, exist_ok=True)
    for language in asked.languages:
        chance = random.Random(f"entities {language}")
        rows = varied(
            sentences(asked.data, language, share_alike=asked.share_alike), _names(language), chance
        )
        train(rows, out / f"entities-{language}.crfsuite", chance, RECIPES[language].c2)
        print(f"{language}: {len(rows)} sentences")


if __name__ == "__main__":
    main()
