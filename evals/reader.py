"""The built-in reader: is the answer in the first two sentences it quotes, and does it abstain without one?

Each question comes with six passages: the right one among the five that share most of its words, and again
with the right one left out. Passages that were judged for another question may answer this one too, so that
abstaining is not always right; rows whose answer string is in none of the passages are left out.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any

from evals.figures import Row, cpu, read_rows, share
from greenroom.exchange import Exchange, Passage
from greenroom.grounding.passages import units
from greenroom.grounding.stems import language_of, tokens
from greenroom.models.reader import Reader
from greenroom.testing import make_exchange
from greenroom.wire.openai import decode_completion

_MOST = 400
"""Questions of each language, evenly taken from the set."""
_GIVEN = 6
_quoted = re.compile(r"^> ?", re.MULTILINE)
_marker = re.compile(r" ?\[\d+\]$", re.MULTILINE)


def measure(data: Path) -> Iterator[Row]:
    """English posts, and Portuguese translations of encyclopedia articles."""
    reader = Reader(tokens, language_of, units)
    for language in ("en", "pt"):
        set = f"retrieval_{language}"
        rows = list(_rows(data / "text" / set, language))
        first = second = abstained = wrongly = asked = without = 0
        for question, answers, passages, gold in rows:
            sentences = _answer(reader, question, passages)
            wrongly += not sentences
            asked += 1
            first += _holds(sentences[:1], answers)
            second += _holds(sentences[:2], answers)
            others = [one for number, one in enumerate(passages) if number != gold]
            if not any(_holds([one], answers) for one in others):
                without += 1
                abstained += not _answer(reader, question, others)
        yield share("reader", "answer in first sentence", set, language, first, asked)
        yield share("reader", "answer in first two", set, language, second, asked)
        yield share("reader", "abstained, answer there", set, language, wrongly, asked)
        yield share("reader", "abstained, answer not there", set, language, abstained, without)
        exchanges = [_exchange(question, passages) for question, _, passages, _ in rows[:200]]
        yield from cpu("reader", set, language, exchanges, lambda one: asyncio.run(reader(one)))


def _rows(folder: Path, language: str) -> Iterator[tuple[str, list[str], list[str], int]]:
    corpus = {row["_id"]: row["text"] for row in read_rows(folder / "corpus.jsonl")}
    questions = {row["_id"]: row["text"] for row in read_rows(folder / "queries.jsonl")}
    stems = {name: Counter(tokens(text, language)) for name, text in corpus.items()}
    found: Counter[str] = Counter(stem for own in stems.values() for stem in own)
    judged = read_rows(folder / "qrels.jsonl")
    for row in judged[:: max(1, len(judged) // _MOST)]:
        question, gold = questions[row["query_id"]], row["doc_id"]
        answers = [one for one in row["answers"] if _folded(one)]
        if not _holds([corpus[gold]], answers):
            continue
        asked = set(tokens(question, language))
        weights = {stem: log(len(corpus) / found[stem]) for stem in asked if found[stem]}
        shared = {
            name: sum(weight for stem, weight in weights.items() if stem in own)
            for name, own in stems.items()
            if name != gold
        }
        scored = sorted(shared, key=lambda name: (-shared[name], name))
        others = [corpus[name] for name in scored[: _GIVEN - 1]]
        place = len(question) % _GIVEN
        yield question, answers, [*others[:place], corpus[gold], *others[place:]], place


def _exchange(question: str, passages: Sequence[str]) -> Exchange:
    exchange = make_exchange(question)
    exchange.passages = [
        Passage(id=str(number), document="d", title="", text=text, score=1.0)
        for number, text in enumerate(passages, 1)
    ]
    return exchange


def _answer(reader: Reader, question: str, passages: Sequence[str]) -> list[str]:
    """The sentences quoted, in order; none where the reader says that it found nothing."""
    reply = asyncio.run(reader(_exchange(question, passages)))
    text = decode_completion(reply.body).choices[0].message.content or ""
    quoted = "\n".join(line for line in text.split("\n") if line.startswith(">"))
    plain = _marker.sub("", _quoted.sub("", quoted))
    return [one for block in plain.split("\n") for piece in block.split(" … ") for one in _sentences(piece)]


def _sentences(text: str) -> list[str]:
    return [text[unit.start : unit.end] for unit in units(text)]


def _holds(texts: Sequence[str], answers: Sequence[str]) -> bool:
    joined = _folded(" ".join(texts))
    return any(_folded(one) in joined for one in answers)


def _folded(text: Any) -> str:  # Any: answers of the sets are sometimes numbers
    return " ".join(re.findall(r"\w+", str(text).lower()))
