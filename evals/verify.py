"""`verify`: faults planted into sentences that their passages bear out, and such sentences left as they are.

Own rows (`verify_own.jsonl`, CC0) hold passages with sentences that say the same in other words, and with
wrong ones, written by hand in each language. The English and Portuguese passages of the retrieval sets get
faults planted here, the same each time; of these copies and shortened copies are the faithful ones.

The files `own/verify_*.txt` (CC0) are what the goals are for: faithful sentences in other words, and others
with one fault, by hand. The step was tuned by every second passage, and is measured by the rest.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from evals.figures import Row, cpu, read_rows, share
from greenroom.exchange import Exchange, Passage
from greenroom.grounding.passages import units
from greenroom.grounding.stems import language_of, tokens
from greenroom.stages.postprocess.verify import Verify, VerifyConfig, Words
from greenroom.testing import make_exchange

_HELD_OUT = Path(__file__).parent / "own"
_OWN = Path(__file__).parent / "verify_own.jsonl"
_PASSAGES = 300
_BESIDE = 5
_KINDS = ("number", "date", "name", "negation")
_BAR = {"number": (">=", 0.85), "date": (">=", 0.85), "name": (">=", 0.85)}
_number = re.compile(r"(?<![\w.,:/-])\d+(?:[.,]\d+)*(?![\w:/-])")
_year = re.compile(r"1\d{3}|20\d\d")
_name = re.compile(r"(?<=[a-zà-ÿ,] )[A-ZÀ-Þ][a-zà-ÿ]{3,}")
_verb = {
    "en": re.compile(r"\b(?:is|was|are|were|can|will|has|had)\b(?! n)"),
    "pt": re.compile(r"\b(?:é|foi|era|são|eram|pode|tem|está)\b"),
}

_step = Verify(VerifyConfig(), Words(tokens, language_of, units))
_Counts = Counter[tuple[str, bool]]


def measure(data: Path) -> Iterator[Row]:
    """Caught, by kind of fault; flagged among the faithful. A sentence that is not judged is not caught."""
    own = read_rows(_OWN)
    for language in ("en", "pt", "es"):
        rows = [row for row in own if row["lang"] == language]
        texts = [row["passage"] for row in rows]
        counts: _Counts = Counter()
        for row in rows:
            counts.update(("faithful", _flagged(sentence, texts)) for sentence in row["faithful"])
            counts.update((wrong["kind"], _flagged(wrong["text"], texts)) for wrong in row["wrong"])
        yield from _shares(counts, "verify_own, in other words", language)
        answer = " ".join(sentence for row in rows for sentence in row["faithful"])
        yield from cpu(
            "verify", "verify_own, 20 sentences", language, [(answer, texts)] * 40, lambda one: _judge(*one)
        )
        yield from _held_out(language)
    for language in ("en", "pt"):
        yield from _shares(_planted(data, language), f"retrieval_{language}, planted", language)


class Told(NamedTuple):
    """A passage with sentences about it."""

    passage: str
    faithful: list[str]
    wrong: list[tuple[str, str]]
    """Kind of the fault, and the sentence."""


def read_told(path: Path) -> tuple[list[Told], list[Told], list[Told]]:
    """The passages of such a file: to tune by, held out, and more to tune by."""
    passages: list[Told] = []
    more: list[Told] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        mark, _, rest = line.partition(" ")
        if mark in {"P", "T"}:
            (passages if mark == "P" else more).append(now := Told(rest.partition(". ")[2], [], []))
        elif mark == "+":
            now.faithful.append(rest)
        elif mark == "-":
            kind, _, sentence = rest.partition(": ")
            now.wrong.append((kind, sentence))
        elif line and mark != "#":
            raise ValueError(f"{path.name}, line {number}, begins with none of P, T, +, -, #.")
    return passages[0::2], passages[1::2], more


def counted(rows: Sequence[Told]) -> _Counts:
    """Each sentence judged by its passage among four others; its faithful ones by the four alone, too."""
    counts: _Counts = Counter()
    for at, row in enumerate(rows):
        others = [rows[(at + step) % len(rows)].passage for step in (1, 2, 3, 4)]
        given = [*others[:2], row.passage, *others[2:]]
        counts.update(("faithful", _flagged(one, given)) for one in row.faithful)
        counts.update((kind, _flagged(one, given)) for kind, one in row.wrong)
        counts.update(("unrelated", _flagged(one, others)) for one in row.faithful)
    return counts


def _held_out(language: str) -> Iterator[Row]:
    counts = counted(read_told(_HELD_OUT / f"verify_{language}.txt")[1])
    name = f"own/verify_{language}, held out"
    kinds = sorted({kind for kind, _ in counts} - {"faithful", "unrelated"})
    for kind in kinds:
        caught, missed = counts[kind, True], counts[kind, False]
        yield share("verify", f"wrong {kind} caught", name, language, caught, caught + missed, None)
    caught, missed = (sum(counts[kind, is_flagged] for kind in kinds) for is_flagged in (True, False))
    yield share("verify", "wrong caught", name, language, caught, caught + missed, (">=", 0.85))
    flagged, passed = counts["faithful", True], counts["faithful", False]
    yield share("verify", "faithful flagged", name, language, flagged, flagged + passed, ("<=", 0.08))
    flagged, passed = counts["unrelated", True], counts["unrelated", False]
    yield share("verify", "of other passages flagged", name, language, flagged, flagged + passed, None)


def _shares(counts: _Counts, set: str, language: str) -> Iterator[Row]:
    for kind in _KINDS:
        caught, missed = counts[kind, True], counts[kind, False]
        if caught + missed:
            yield share(
                "verify", f"wrong {kind} caught", set, language, caught, caught + missed, _BAR.get(kind)
            )
    flagged, passed = counts["faithful", True], counts["faithful", False]
    yield share("verify", "faithful flagged", set, language, flagged, flagged + passed, ("<=", 0.08))


def _exchange(passages: Sequence[str]) -> Exchange:
    exchange = make_exchange("?")
    exchange.passages = [
        Passage(id=str(number), document="d", title="", text=text, score=1.0)
        for number, text in enumerate(passages, 1)
    ]
    return exchange


def _judge(text: str, passages: Sequence[str]) -> list[str]:
    return [one.judgement.label for one in _step.judge(_exchange(passages), text)]


def _flagged(sentence: str, passages: Sequence[str]) -> bool:
    return any(label != "supported" for label in _judge(sentence, passages))


def _planted(data: Path, language: str) -> _Counts:
    chance = random.Random(3)
    rows = read_rows(data / "text" / f"retrieval_{language}" / "corpus.jsonl")[:_PASSAGES]
    texts = [row["text"] for row in rows]
    names = [name for text in texts for name in _name.findall(text)]
    counts: _Counts = Counter()
    for text in texts:
        given = [*(one for one in chance.sample(texts, _BESIDE) if one != text), text]
        sentences = [text[unit.start : unit.end] for unit in units(text) if unit.kind == "sentence"]
        sentences = [one for one in sentences if 40 < len(one) < 300 and not one.endswith(("?", ":"))]
        for sentence in chance.sample(sentences, min(2, len(sentences))):
            for kind, changed in _variants(sentence, text, names, language, chance):
                counts[kind, _flagged(changed, given)] += 1
    return counts


def _variants(
    sentence: str, text: str, names: Sequence[str], language: str, chance: random.Random
) -> Iterator[tuple[str, str]]:
    yield "faithful", sentence
    clauses = sentence.rstrip(".").split(", ")
    if len(clauses) > 2:
        yield "faithful", ", ".join(clauses[:-1]) + "."
    numbers = list(_number.finditer(sentence))
    years = [one for one in numbers if _year.fullmatch(one[0])]
    others = [one for one in numbers if one not in years]
    if others:
        found = chance.choice(others)
        at = chance.choice([place for place, sign in enumerate(found[0]) if sign.isdigit()])
        digit = chance.choice([sign for sign in "123456789" if sign != found[0][at]])
        wrong = found[0][:at] + digit + found[0][at + 1 :]
        if wrong not in text:
            yield "number", sentence[: found.start()] + wrong + sentence[found.end() :]
    if years:
        found = chance.choice(years)
        wrong = str(int(found[0]) + chance.choice([-7, -3, -1, 1, 2, 10]))
        if wrong not in text:
            yield "date", sentence[: found.start()] + wrong + sentence[found.end() :]
    named = list(_name.finditer(sentence))
    if named:
        found, wrong = chance.choice(named), chance.choice(names)
        if wrong not in text:
            yield "name", sentence[: found.start()] + wrong + sentence[found.end() :]
    verb = _verb[language].search(sentence)
    if verb is not None:
        put_in = f"{verb[0]} not" if language == "en" else f"não {verb[0]}"
        yield "negation", sentence[: verb.start()] + put_in + sentence[verb.end() :]
