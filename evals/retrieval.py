"""`documents`: the passage that answers each question, by words alone and with vectors.

Each passage of the set is one document; titles are left out. Questions are split in two by a hash of their
id: what was chosen was chosen on the other half. One passage is marked for each question; another that
answers it as well counts as a miss.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evals.figures import Goal, Row, cpu, read_rows, resampled
from greenroom.contracts import Encoder
from greenroom.grounding.embedding import Embedding
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.vectors import Asked
from greenroom.models.encoder import MiniLM, is_installed

_SETS: tuple[tuple[str, str, Goal | None], ...] = (
    ("en", "retrieval_en", (">=", 0.688)),
    ("pt", "retrieval_pt", (">=", 0.822)),
)
"""Language, folder, and what bm25s 0.3 reaches on the same half: stemmed, accents folded, documents whole."""
_DEPTH = 10
_WIDE = 30
"""Passages asked for: a document in pieces takes more than one place."""
Search = Callable[[dict[str, Any]], list[str]]  # Any: JSON; question → names of documents, best first


def measure(data: Path) -> Iterator[Row]:
    """Words alone, then with vectors where the encoder knows the language and its libraries are there."""
    encoder = MiniLM() if is_installed() else None
    for language, folder, goal in _SETS:
        place = data / "text" / folder
        texts = {row["_id"]: row["text"] for row in read_rows(place / "corpus.jsonl")}
        answers = {row["query_id"]: row["doc_id"] for row in read_rows(place / "qrels.jsonl")}
        queries = [row for row in read_rows(place / "queries.jsonl") if _is_reported(row["_id"])]
        with TemporaryDirectory() as temporary:
            index = DocumentIndex(Path(temporary) / "documents.db")
            try:
                for name, text in texts.items():
                    index.add("p", "c", f"{name}.txt", text.encode())
                yield from _figures(index, None, queries, answers, language, goal)
                if encoder is not None and language in encoder.languages:
                    Embedding(index, encoder).catch_up()
                    yield from _figures(index, encoder, queries, answers, language, goal)
                    questions = [row["text"] for row in queries]
                    yield from cpu(
                        "embed",
                        "one question",
                        language,
                        questions,
                        lambda text: MiniLM.encode(encoder, [text]),
                    )
            finally:
                index.close()


def _is_reported(id: str) -> bool:
    return bool(hashlib.sha256(id.encode()).digest()[0] & 1)


def _figures(
    index: DocumentIndex,
    encoder: Encoder | None,
    queries: list[dict[str, Any]],
    answers: dict[str, str],
    language: str,
    goal: Goal | None,
) -> Iterator[Row]:
    way = "words" if encoder is None else "words and vectors"
    set = f"retrieval_{language}, half, {way}"

    def search(text: str, limit: int = _WIDE, wordings: Sequence[str] = ()) -> list[str]:
        vector = None if encoder is None else Asked(encoder.name, encoder.encode([text])[0])
        found = index.search(
            text, project="p", collections=["c"], limit=limit, wordings=wordings, vector=vector
        )
        return list(dict.fromkeys(one.document.removesuffix(".txt") for one in found))

    ranks = [_rank(search(row["text"]), answers[row["_id"]]) for row in queries]
    yield resampled("documents", "nDCG@10", set, language, ranks, _ndcg, goal)
    yield resampled("documents", "R@5", set, language, ranks, _recall)
    yield resampled("documents", "MRR@10", set, language, ranks, _mrr)
    if encoder is None:
        chance = random.Random(1)
        typed = [(row, _mistyped(row["text"], chance)) for row in queries]
        wrong = [_rank(search(text), answers[row["_id"]]) for row, text in typed]
        mended = [_rank(search(text, wordings=[row["text"]]), answers[row["_id"]]) for row, text in typed]
        yield resampled("documents", "nDCG@10, two typos", set, language, wrong, _ndcg)
        yield resampled("documents", "nDCG@10, typos, corrected too", set, language, mended, _ndcg)
    yield from cpu("documents", set, language, [row["text"] for row in queries], lambda text: search(text, 6))


def _rank(found: Sequence[str], wanted: str) -> int:
    return found.index(wanted) if wanted in found[:_DEPTH] else _DEPTH


def _ndcg(ranks: Sequence[int]) -> float:
    return _mean([1 / log2(rank + 2) if rank < _DEPTH else 0.0 for rank in ranks])


def _recall(ranks: Sequence[int]) -> float:
    return _mean([float(rank < 5) for rank in ranks])


def _mrr(ranks: Sequence[int]) -> float:
    return _mean([1 / (rank + 1) if rank < _DEPTH else 0.0 for rank in ranks])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _mistyped(text: str, chance: random.Random) -> str:
    """Two neighbouring letters swapped in each of two longer words."""
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    for at in chance.sample(long, min(2, len(long))):
        word, place = words[at], chance.randrange(1, len(words[at]) - 2)
        words[at] = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return " ".join(words)
