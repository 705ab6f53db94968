"""`verify`: each sentence of a grounded answer held against the passages it was given.

Numbers with their units, dates, names, quotations, denials, then words; supported, partly, or not, with the
passage that comes closest. What claims nothing (greetings, questions, «não encontrei») is not judged. Text is
never changed: it is annotated, asked for again, or refused, as the settings say. Of a stream, sentences are
judged as they come, so that little is left for its end. Knows the exchange's passages and nothing of the
world: what is true but not in them is not supported.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from greenroom.contracts import Again, Ease, StepConfig, Stretch, TextFilter
from greenroom.exchange import Edit, Exchange, Passage, Verdict
from greenroom.stages.postprocess.claims import Claim, fold
from greenroom.stages.postprocess.court import Court, Judgement
from greenroom.stages.postprocess.meaning import Stems
from greenroom.stages.postprocess.silence import is_aside, is_talk, lines_of, may_claim
from greenroom.stages.postprocess.sources import Source, read_source
from greenroom.stages.postprocess.wording import again_message, listed
from greenroom.wire.openai import ReplyChoice

_ROOM = 512
_INLINE = 3_000
"""Characters of answer and passages up to which they are judged where they stand; more in a thread."""
_MOST = 400
"""Sentences of one answer that are judged."""
_LONGEST = 1_500
"""Characters of a sentence that are looked at."""
_BRIEF = 120
"""Characters of an answer that are too few to tell languages apart that are much alike."""
_ALIKE = {"pt", "es"}

_AHEAD = 160
"""Characters that must have come before sentences of a stream are looked at."""
_FAR = 2_000
"""Characters in which a sentence must end to be judged before the end of a stream."""
_BEGINNING = 600
"""Characters of an answer that tell its language while it is still coming."""
_AT_ONCE = 3
"""Sentences that are judged with one piece of a stream, at most."""


class VerifyConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.verify]: what becomes of sentences that the passages do not bear out."""

    action: Literal["annotate", "ask_again", "refuse"] = "annotate"
    """"annotate" never delays or changes an answer; the others hold streams to the end."""
    retries: Annotated[int, Meta(ge=0, le=3)] = 1
    """How often the model is asked again, with the sentences named; what is wrong after that is annotated."""
    strict: bool = False
    """Whether "partly" counts as wrong too, for ask_again and refuse."""


class Words(NamedTuple):
    """How texts are read: the same functions that the index is made with."""

    stems: Stems
    language: Callable[[str], str]
    units: Callable[[str], Sequence[Stretch]]


class Judged(NamedTuple):
    """One sentence of an answer; offsets count in it."""

    start: int
    end: int
    judgement: Judgement
    passage: str
    """Id of the passage that comes closest."""


class _Bench(NamedTuple):
    """What one exchange's answers are judged with."""

    court: Court
    names: frozenset[str]
    """Folded words of the passages that are names wherever they stand."""
    judged: dict[tuple[str, str], Judgement | None]
    """By language and sentence; None for what claims nothing."""


class Verify:
    """Opens a `VerifyFilter` where there are passages; reviews answers that are whole or may be changed."""

    name = "verify"

    def __init__(self, config: VerifyConfig, words: Words) -> None:
        self._config = config
        self._applies = config.mode == "apply"
        self._action = config.action if self._applies else "annotate"
        self._words = words

    # as a reviewer

    def awaits(self, exchange: Exchange, *, calls_tool: bool) -> bool:
        """Where the answer may be asked for again or refused, and where it is whole: to judge it aside."""
        if calls_tool or not _is_grounded(exchange):
            return False
        return self._action != "annotate" or not exchange.request.stream

    async def review(
        self, exchange: Exchange, choices: Sequence[ReplyChoice], asked_again: int
    ) -> Again | None:
        """Asks again while it may; a refusal is the filter's."""
        wrong: list[str] = []
        first = ""
        kept: dict[str, list[Judged]] = {}
        exchange.context["verify.judged"] = kept
        for choice in choices:
            text = choice.message.content or ""
            judged = kept[text] = await self._judged(exchange, text)
            found = [text[one.start : one.end] for one in judged if self.is_wrong(one.judgement)]
            if found and not wrong:
                first = text
            wrong += found
        if not wrong or self._action == "annotate":
            return None
        may_ask = self._action == "ask_again" and asked_again < self._config.retries
        messages: list[dict[str, object]] = [
            {"role": "assistant", "content": first},
            {"role": "user", "content": again_message(exchange, "claims", listed(wrong))},
        ]
        reason = f"{len(wrong)} of its sentences {'is' if len(wrong) == 1 else 'are'} not in the passages"
        return Again(reason, len(wrong), messages if may_ask else ())

    async def _judged(self, exchange: Exchange, text: str) -> list[Judged]:
        size = len(text) + sum(len(one.text) for one in exchange.passages)
        if size <= _INLINE:
            return self.judge(exchange, text)
        return await asyncio.to_thread(self.judge, exchange, text)

    # as a step

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """None without passages, for tool calls and for JSON."""
        if where != "content" or not _is_grounded(exchange):
            return None
        is_first = self.name not in exchange.context
        exchange.context[self.name] = True
        return VerifyFilter(
            self, exchange, tells=self._applies and is_first, notes=is_first, refuses=self._action == "refuse"
        )

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Sure of tool calls and where there are no passages."""
        return where != "content" or not _is_grounded(exchange)

    # judging

    def is_wrong(self, judgement: Judgement) -> bool:
        """Whether a sentence is to be asked for again, or refused."""
        return judgement.label == "not" or (self._config.strict and judgement.label == "partly")

    def judge(self, exchange: Exchange, text: str) -> list[Judged]:
        """All sentences of an answer that claim something. About 0.3 ms for one of them and six passages."""
        passages = _passages(exchange)
        bench = self._bench(exchange, passages)
        language = self._language(text, passages)
        found: list[Judged] = []
        for start, end in self._sentences(text):
            judgement = self._judgement(bench, text[start : min(end, start + _LONGEST)], language)
            if judgement is not None:
                found.append(Judged(start, end, judgement, passages[judgement.source].id))
                if len(found) == _MOST:
                    break
        return found

    def judge_ahead(self, exchange: Exchange, text: str, beginning: str) -> int:
        """Judge some sentences of an answer that is still coming, for `judge` to find; where the next begins.

        `text` is what was not looked at yet. Sentences that turn out otherwise in the end are judged then.
        """
        passages = _passages(exchange)
        if len(_read_already(exchange)) < len(passages):
            return 0
        bench = self._bench(exchange, passages)
        language = self._language(beginning, passages)
        spans = self._sentences(text)[:-1]
        at = 0
        for start, end in spans[:_AT_ONCE]:
            if len(bench.judged) < _MOST:
                self._judgement(bench, text[start : min(end, start + _LONGEST)], language)
            at = end
        return at

    def _language(self, text: str, passages: Sequence[Passage]) -> str:
        language = self._words.language(text)
        home = passages[0].text[:_BRIEF]
        if len(text) < _BRIEF and {language, self._words.language(home)} == _ALIKE:
            language = self._words.language(f"{text} {home}")
        return language

    def _bench(self, exchange: Exchange, passages: Sequence[Passage]) -> "_Bench":
        found = exchange.context.get("verify.bench")
        if found is None:
            newest = exchange.request.newest_user
            sources = self._sources(exchange, passages)
            found = exchange.context["verify.bench"] = _Bench(
                Court(sources, self._words.stems, newest.value if newest is not None else ""),
                frozenset(fold(word) for one in passages for word in _inner_capitals(one.text)),
                {},
            )
        assert isinstance(found, _Bench)
        return found

    def _judgement(self, bench: "_Bench", sentence: str, language: str) -> Judgement | None:
        key = language, sentence
        if key not in bench.judged:
            claim = Claim(sentence, language, self._words.stems, bench.names)
            claims = claim.has_facts or (claim.says_something and not is_talk(sentence))
            bench.judged[key] = bench.court.judge(claim) if claims else None
        return bench.judged[key]

    def _sources(self, exchange: Exchange, passages: Sequence[Passage]) -> list[Source]:
        while len(kept := _read_already(exchange)) < len(passages):
            self.read_next(exchange)
        return kept

    def read_next(self, exchange: Exchange) -> None:
        """Make one more passage ready: in a stream one with each piece, rather than all at the end."""
        kept, passages = _read_already(exchange), _passages(exchange)
        if len(kept) < len(passages):
            one = passages[len(kept)]
            spans = [
                span
                for unit in self._words.units(one.text)
                for span in (
                    lines_of(one.text, unit) if unit.kind != "sentence" else [(unit.start, unit.end)]
                )
            ]
            code = self._words.language(one.text)
            kept.append(read_source(one.text, one.title, code, spans, self._words.stems))

    def _sentences(self, text: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for unit in self._words.units(text):
            if unit.kind in {"code", "heading"}:
                continue
            if is_aside(text, unit.start, unit.end):
                continue
            spans = [(unit.start, unit.end)] if unit.kind == "sentence" else lines_of(text, unit)
            found += [span for span in spans if may_claim(text[span[0] : span[1]])]
        return found


def _read_already(exchange: Exchange) -> list[Source]:
    found = exchange.context.setdefault("verify.sources", [])
    assert isinstance(found, list)
    return found


_inner = re.compile(r"(?<=[a-zà-ÿ,;] )[A-ZÀ-ÖØ-Þ][\w'’-]+")


def _inner_capitals(text: str) -> list[str]:
    return _inner.findall(text)


def _is_grounded(exchange: Exchange) -> bool:
    return bool(exchange.passages or exchange.documents) and not (
        exchange.request.response_format or ""
    ).startswith("json")


def _passages(exchange: Exchange) -> list[Passage]:
    """What grounding chose, or all documents that came with an inspection when it chose none."""
    return exchange.passages or [
        Passage(id=one["id"], document=one["id"], title=one["title"], text=one["text"], score=0.0)
        for one in exchange.documents
    ]


class VerifyFilter:
    """Passes text on and judges it as a whole at its end; one that may refuse holds it until then."""

    def __init__(self, step: Verify, exchange: Exchange, *, tells: bool, notes: bool, refuses: bool) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self.lookback = 16 * 1024 * 1024 if refuses else 0
        self._step = step
        self._exchange = exchange
        self._tells = tells
        self._keeps_notes = notes
        self._refuses = refuses
        self._pieces: list[str] = []
        self._ahead = ""
        """What came, and was not looked at."""
        self._look_at = _AHEAD
        """How much of that there must be."""
        self._beginning = ""

    def feed(self, text: str) -> str:
        """The text itself, or nothing yet."""
        self._pieces.append(text)
        self._step.read_next(self._exchange)
        self._ahead += text
        if len(self._beginning) < _BEGINNING:
            self._beginning += text
        if len(self._ahead) >= self._look_at:
            at = self._step.judge_ahead(self._exchange, self._ahead[:_FAR], self._beginning)
            self._ahead = self._ahead[at:] if at or len(self._ahead) < _FAR else ""
            self._look_at = len(self._ahead) + _AHEAD if at == 0 else _AHEAD
        return "" if self._refuses else text

    def ease(self) -> Ease | None:
        """Whatever comes is passed on."""
        return None if self._refuses else Ease(_ROOM, "")

    def flush(self) -> str:
        """Nothing is left, or all, or the answer is refused."""
        text = "".join(self._pieces)
        kept = self._exchange.context.get("verify.judged")
        judged = kept.get(text) if isinstance(kept, dict) else None
        if judged is None:
            judged = self._step.judge(self._exchange, text)
        if self._keeps_notes and judged:
            self._note(judged)
        for one in judged:
            judgement = one.judgement
            if judgement.label == "supported":
                continue
            is_wrong = self._refuses and self._step.is_wrong(judgement)
            self.verdicts.append(
                Verdict(
                    step="verify", rule=f"verify.{judgement.missing[0] if judgement.missing else 'words'}",
                    category="unsupported", severity=2 if judgement.label == "not" else 1,
                    score=round(1 - judgement.score, 3), start=one.start, end=one.end, where="output",
                    action="block" if is_wrong else "warn" if self._tells else "log",
                )
            )  # fmt: skip
            if is_wrong:
                self.rejected = "verify.unsupported"
        if self.rejected is not None or not self._refuses:
            return ""
        return text

    def _note(self, judged: list[Judged]) -> None:
        weight = {"supported": 1.0, "partly": 0.5, "not": 0.0}
        total = sum(weight[one.judgement.label] for one in judged)
        sentences: list[dict[str, object]] = []
        for one in judged:
            judgement = one.judgement
            noted: dict[str, object] = {"start": one.start, "end": one.end, "label": judgement.label}
            if judgement.missing:
                noted["missing"] = list(judgement.missing)
            if judgement.label != "not":
                noted |= {"passage": one.passage, "from": judgement.start, "to": judgement.end}
            sentences.append(noted)
        self.notes["groundedness"] = round(total / len(judged), 3)
        self.notes["sentences"] = sentences
        if self._tells:
            told = self._exchange.context.setdefault("told", {})
            assert isinstance(told, dict)
            told["groundedness"] = self.notes["groundedness"]
            told["sentences"] = sentences
