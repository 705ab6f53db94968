"""The built-in reader: answers by quoting the passages that grounding found, with citations.

No language model, and it says so: it picks the sentences that share the question's rarer words, and puts them
in a fixed frame in the question's language. What the passages do not say it can't say. The same question over
the same passages gets the same answer.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from math import log
from typing import NamedTuple

from greenroom.contracts import Stretch
from greenroom.exchange import Exchange, Passage, Reply
from greenroom.models.questions import asked_for, fit
from greenroom.usage import Usage
from greenroom.wire import openai

NAME = "greenroom/reader"

_TOKEN = 4
"""Characters a token, on average."""
_ENOUGH = 1_400
"""Characters of quotations after which no further one is taken."""
_NEAR = 0.55
"""A sentence is quoted if it scores this share of the best one."""
_HEADING = 0.8
"""What a word of the question in the heading adds to the first sentences below, as a share of its weight."""
_mask = re.compile(r"<[A-Z_]+_\d{1,9}>")
_asking = re.compile(r"[^.!?\n]*\?")
_LEAST = 0.2
"""Share of the question's weight that the best sentence and its heading must hold."""
_BESIDE = 0.1
"""What the better of its neighbours adds to a sentence, as a share of that one's own."""
_PAIR = 0.1
"""What each pair of words that stand side by side in both adds, as a share of the best sentence's own."""
_KIND = 0.25
"""What a sentence gains that has what the question asks for: a number, a date, a name."""
_PREFIX = 5
"""Letters by which longer stems are taken for one word's."""
_GROUP = 4
"""Words in one piece of a stream."""
_BATCH = 8
"""Pieces given to the gateway at once."""

_FOUND = {
    "en": "The documents say:",
    "pt": "Os documentos dizem:",
    "es": "Los documentos dicen:",
}
_SIGNED = {
    "en": """\
*I am the built-in reader, not a language model: I only quote documents. For answers in its own words, \
configure a model.*""",
    "pt": """\
*Sou o leitor embutido, não um modelo de linguagem: apenas cito documentos. Para respostas redigidas, \
configure um modelo.*""",
    "es": """\
*Soy el lector integrado, no un modelo de lenguaje: solo cito documentos. Para respuestas redactadas, \
configure un modelo.*""",
}
_NOTHING = {
    "en": """\
I found nothing about this in the documents. I am the built-in reader, not a language model: I can only \
quote documents. Add some with `greenroom docs add PATH`, or configure a model: set its API key \
(`OPENAI_API_KEY`, for instance) and start again.""",
    "pt": """\
Não encontrei nada sobre isso nos documentos. Sou o leitor embutido, não um modelo de linguagem: só posso \
citar documentos. Adicione alguns com `greenroom docs add CAMINHO` ou configure um modelo: defina a chave de \
API dele (`OPENAI_API_KEY`, por exemplo) e inicie de novo.""",
    "es": """\
No encontré nada sobre esto en los documentos. Soy el lector integrado, no un modelo de lenguaje: solo puedo \
citar documentos. Añada algunos con `greenroom docs add RUTA` o configure un modelo: defina su clave de API \
(`OPENAI_API_KEY`, por ejemplo) e inicie de nuevo.""",
}
_BLOCKS = frozenset({"list", "table", "code"})


class _Candidate(NamedTuple):
    passage: int
    place: int
    start: int
    end: int
    kind: str
    stems: frozenset[str]
    pairs: int
    fit: float


class Reader:
    """An `Upstream` without a model.

    `tokens(text, language)` gives stems, `language(text)` a language code, `units(text)` the sentences and
    blocks of a text: the same functions that the index is made with.
    """

    def __init__(
        self,
        tokens: Callable[[str, str], Sequence[str]],
        language: Callable[[str], str],
        units: Callable[[str], Sequence[Stretch]],
    ) -> None:
        self._tokens = tokens
        self._language = language
        self._units = units

    async def __call__(self, exchange: Exchange) -> Reply:
        """Answer in the chat dialect, whole or in pieces. Never fails; 6 passages cost about 1 ms."""
        request = exchange.request
        newest = request.newest_user
        question = newest.value if newest is not None else ""
        code = exchange.language[0] if exchange.language else self._language(question)
        quoted = self._quotations(question, exchange.passages)
        text = _compose(quoted, exchange.passages, code)
        if request.response_format is not None and request.response_format.startswith("json"):
            text = _as_json(text, quoted, exchange.passages)
        finish = "stop"
        if request.max_tokens is not None and len(text) > request.max_tokens * _TOKEN:
            text = text[: request.max_tokens * _TOKEN]
            finish = "length"
        asked = sum(len(one.value) for one in request.texts) + sum(len(one.text) for one in exchange.passages)
        usage = Usage(
            input_tokens=asked // _TOKEN + 1,
            output_tokens=request.n * (len(text) // _TOKEN + 1),
            estimated=True,
        )
        if request.stream:
            return Reply(chunks=_chunks(exchange, text, finish, usage))
        return Reply(body=_body(exchange, text, finish, usage))

    def _quotations(self, question: str, passages: Sequence[Passage]) -> list[tuple[int, str]]:
        """What to quote, best first: (place of the passage, text)."""
        own = self._language(question)
        question = _mask.sub(" ", question)
        asking = " ".join(_asking.findall(question))
        kind = asked_for(question[-2_000:])
        question = " ".join(word for word in question[-2_000:].split() if self._tokens(word, own))
        asked: dict[str, list[str]] = {}
        candidates: list[_Candidate] = []
        headings: list[frozenset[str]] = []
        wanted: list[list[str]] = []
        for number, passage in enumerate(passages):
            code = self._language(passage.text)
            if code not in asked:
                asked[code] = list(dict.fromkeys(self._tokens(question, code)))
            wanted.append(asked[code])
            headings.append(frozenset(asked[code]).intersection(self._tokens(passage.title, code)))
            for place, unit in enumerate(self._units(passage.text)):
                if unit.kind == "heading":
                    continue
                text = passage.text[unit.start : unit.end]
                found = self._tokens(text, code)
                candidates.append(
                    _Candidate(
                        number, place, unit.start, unit.end, unit.kind, _matched(asked[code], found),
                        _adjacent(asked[code], found), fit(kind, text, question),
                    )
                )  # fmt: skip
        weights = _weights(frozenset().union(*asked.values()), candidates)
        scores = _scores(candidates, weights, headings)
        if not scores or max(scores) <= 0:
            return []
        top = candidates[max(range(len(scores)), key=scores.__getitem__)]
        held = top.stems | headings[top.passage] | _around(candidates, top)
        code = self._language(passages[top.passage].text)
        # What stands before the question proper may have nothing to do with it.
        parts = (wanted[top.passage], set(self._tokens(asking, code)).intersection(wanted[top.passage]))
        if not any(
            sum(weights[stem] for stem in held.intersection(part))
            >= _LEAST * sum(map(weights.__getitem__, part))
            for part in parts
            if part
        ):
            return []
        return _join(passages, candidates, _choose(passages, candidates, scores))


def _matched(asked: Sequence[str], found: Sequence[str]) -> frozenset[str]:
    """Words of the question that a sentence has, longer ones by their beginning."""
    own = frozenset(found)
    beginnings = frozenset(one[:_PREFIX] for one in own if len(one) > _PREFIX)
    return frozenset(
        one for one in asked if one in own or (len(one) > _PREFIX and one[:_PREFIX] in beginnings)
    )


def _adjacent(asked: Sequence[str], found: Sequence[str]) -> int:
    """How many pairs of words stand side by side in question and sentence alike."""
    pairs = frozenset(pairwise(found))
    return sum(pair in pairs for pair in pairwise(asked))


def _around(candidates: Sequence[_Candidate], top: _Candidate) -> frozenset[str]:
    """Words of the question in the sentences beside one."""
    return frozenset().union(
        *(one.stems for one in candidates if one.passage == top.passage and abs(one.place - top.place) == 1)
    )


def _weights(asked: frozenset[str], candidates: Sequence[_Candidate]) -> dict[str, float]:
    """How rare each word of the question is among all sentences."""
    weights: dict[str, float] = {}
    for stem in asked:
        found = sum(stem in one.stems for one in candidates)
        weights[stem] = log(1 + (len(candidates) - found + 0.5) / (found + 0.5))
    return weights


def _scores(
    candidates: Sequence[_Candidate], weights: dict[str, float], headings: Sequence[frozenset[str]]
) -> list[float]:
    own = [sum(weights[stem] for stem in one.stems) for one in candidates]
    most = max(own, default=0.0)
    scores: list[float] = []
    for at, one in enumerate(candidates):
        above = sum(weights[stem] for stem in headings[one.passage])
        near = max(
            (
                own[by]
                for by in (at - 1, at + 1)
                if 0 <= by < len(own) and candidates[by].passage == one.passage
            ),
            default=0.0,
        )
        score = own[at] + _BESIDE * near + _HEADING * above * 0.8**one.place
        score += most * (_PAIR * min(one.pairs, 3) + _KIND * one.fit)
        scores.append(score if one.stems else 0.0)
    return scores


def _choose(
    passages: Sequence[Passage], candidates: Sequence[_Candidate], scores: Sequence[float]
) -> list[int]:
    """Places in `candidates`, best first: near the best score, with the block that a sentence leads to."""
    order = sorted(range(len(candidates)), key=lambda at: (-scores[at], at))
    chosen: list[int] = []
    texts: set[str] = set()
    room = _ENOUGH
    for at in order:
        if scores[at] < _NEAR * scores[order[0]] or room <= 0:
            break
        for one in _with_company(passages, candidates, at):
            place = candidates[one]
            text = passages[place.passage].text[place.start : place.end]
            if one not in chosen and text not in texts:
                chosen.append(one)
                texts.add(text)
                room -= len(text)
    return chosen


def _with_company(passages: Sequence[Passage], candidates: Sequence[_Candidate], at: int) -> list[int]:
    """A sentence with the list or code it introduces; a block with the sentence before it."""
    one = candidates[at]
    after, before = at + 1, at - 1
    if one.kind in _BLOCKS:
        leads = (
            before >= 0
            and candidates[before].passage == one.passage
            and candidates[before].kind == "sentence"
        )
        return [before, at] if leads else [at]
    introduces = (
        after < len(candidates)
        and candidates[after].passage == one.passage
        and candidates[after].kind in _BLOCKS
        and passages[one.passage].text[one.start : one.end].endswith(":")
    )
    return [at, after] if introduces else [at]


def _join(
    passages: Sequence[Passage], candidates: Sequence[_Candidate], chosen: Sequence[int]
) -> list[tuple[int, str]]:
    """One quotation for each passage: its chosen pieces, best first, neighbours as they stand."""
    quotations: list[tuple[int, str]] = []
    for number in dict.fromkeys(candidates[at].passage for at in chosen):
        text = passages[number].text
        runs: list[list[_Candidate]] = []
        for at in chosen:
            one = candidates[at]
            if one.passage != number:
                continue
            for run in runs:
                if one.place == run[-1].place + 1:
                    run.append(one)
                    break
                if one.place == run[0].place - 1 and len(run) == 1:
                    run.insert(0, one)
                    break
            else:
                runs.append([one])
        quoted = ""
        last: _Candidate | None = None
        for run in runs:
            if last is not None:
                quoted += "\n\n" if {last.kind, run[0].kind} & _BLOCKS else " … "
            quoted += text[run[0].start : run[-1].end]
            last = run[-1]
        quotations.append((number, quoted))
    return quotations


def _compose(quotations: Sequence[tuple[int, str]], passages: Sequence[Passage], code: str) -> str:
    if code not in _FOUND:
        code = "en"
    if not quotations:
        return _NOTHING[code]
    blocks = [_FOUND[code]]
    for number, quoted in quotations:
        passage = passages[number]
        lines = quoted.split("\n")
        is_prose = not lines[-1].lstrip().startswith(("```", "~~~", "|", "- ", "* "))
        tail = f" [{passage.id}]" if is_prose else f"\n>\n> [{passage.id}]"
        title = passage.title.replace("*", "").replace("\n", " ")
        blocks.append(f"**{title}**\n\n" + "\n".join(f"> {line}".rstrip() for line in lines) + tail)
    return "\n\n".join((*blocks, _SIGNED[code]))


def _as_json(text: str, quotations: Sequence[tuple[int, str]], passages: Sequence[Passage]) -> str:
    sources = [
        {"id": passages[number].id, "title": passages[number].title, "document": passages[number].document}
        for number, _ in quotations
    ]
    return openai.encode({"answer": text, "sources": sources}).decode()


def _body(exchange: Exchange, text: str, finish: str, usage: Usage) -> bytes:
    choices: list[dict[str, object]] = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": finish,
        }
        for index in range(exchange.request.n)
    ]
    return openai.encode(
        {
            "id": f"chatcmpl-{exchange.id}",
            "object": "chat.completion",
            "created": exchange.created_ns // 1_000_000_000,
            "model": NAME,
            "choices": choices,
            "usage": openai.usage_json(usage),
        }
    )


async def _chunks(exchange: Exchange, text: str, finish: str, usage: Usage) -> AsyncIterator[list[bytes]]:
    writer = openai.ChunkWriter(f"chatcmpl-{exchange.id}", exchange.created_ns // 1_000_000_000, NAME)
    pieces = _word_groups(text)
    for index in range(exchange.request.n):
        batch = [writer.delta(index, {"role": "assistant", "content": ""})]
        for piece in pieces:
            batch.append(writer.content(index, piece))
            if len(batch) >= _BATCH:
                yield batch
                batch = []
        yield [*batch, writer.delta(index, {}, finish)]
    if exchange.request.include_usage:
        yield [writer.usage(usage)]


def _word_groups(text: str) -> list[str]:
    """The text in pieces of four words, spaces before the words."""
    words = text.split(" ")
    groups = [" ".join(words[at : at + _GROUP]) for at in range(0, len(words), _GROUP)]
    return [group if at == 0 else f" {group}" for at, group in enumerate(groups)]
