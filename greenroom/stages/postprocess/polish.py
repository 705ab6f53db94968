"""`polish`: mechanical faults mended, grammar and style looked over, house terms kept.

Doubled words, stray blanks and marks and the operator's terms are put right as the text comes; grammar is
observed, or applied where the operator asks for it. Code, tables, quotations, numbers, names and links are
left as they are.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import Meta, field

from greenroom.contracts import Ease, StepConfig, TextFilter
from greenroom.errors import ConfigError
from greenroom.exchange import Edit, Exchange, Verdict
from greenroom.stages.check.linear import Match
from greenroom.stages.language import detect
from greenroom.stages.postprocess import grammar
from greenroom.stages.postprocess.mechanics import LONGEST_TERM, Mechanics, Terms, suspicion
from greenroom.stages.postprocess.prose import ProseState
from greenroom.stages.postprocess.style import style

_LANGUAGES = ("en", "pt", "es")
_SENTENCE = 240
"""Characters after which a sentence is cut where it can be: a stream does not wait longer."""
_TELLING = 60
"""Characters of a sentence from which its own language is trusted."""
_MOST = 20_000
"""Characters of an answer whose grammar is observed."""

_ROOM = 4096
"""Characters of plain words that may go ahead of a filter."""

_sentence_end = re.compile(r"[.!?…][\"'”’»)\]*_]{0,3}\s|\n")

Term = Annotated[str, Meta(min_length=1, max_length=LONGEST_TERM)]


class PolishConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.polish]: how an answer's language is looked after."""

    grammar: Literal["off", "observe", "apply"] = "observe"
    """Own rules for en, pt and es; applied, Harper for English too, and a stream is held by the sentence."""
    harper: bool | None = None
    """Ask Harper about English (one second to load, 140 MiB); by default where grammar is applied."""
    style: bool = True
    """Note reading ease, length of sentences, hedging and filler."""
    language: Literal["observe", "enforce"] = "observe"
    """An answer in another language than the question is noted, or the model is asked again."""
    rewrite: bool = False
    """Have the model write its answer more clearly; taken where facts, names and negations stay."""
    terms: dict[Term, tuple[Term, ...]] = field(default_factory=dict)
    """House terms, each with the spellings it replaces; the term itself in another case is one of them."""
    forbidden: tuple[Term, ...] = ()
    """Phrases that should not be said: each is a finding of category "style"."""


class Polish:
    """Opens a filter for an answer's prose; JSON, tool calls and structured answers are left alone."""

    name = "polish"

    def __init__(self, config: PolishConfig) -> None:
        self._config = config
        for term, others in config.terms.items():
            if not all(one.strip() for one in (term, *others)):
                raise ConfigError(f"[steps.polish] terms: a spelling of {term!r} is only white space.")
        self._terms = Terms(config.terms)
        self._suspicious = suspicion(self._terms)
        self._forbidden = _phrases(config.forbidden)

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """A filter for prose, None for anything else."""
        if where != "content" or (exchange.request.response_format or "").startswith("json"):
            return None
        code = exchange.language[0][:2] if exchange.language else ""
        return PolishFilter(self._config, self._terms, self._suspicious, self._forbidden, code)

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Sure of what is no prose, and of an empty text: anything else gets its notes."""
        return where != "content" or not text


class PolishFilter:
    """Mends one text. Holds back the word that may still grow, or a term that may have begun; with grammar
    applied, the sentence: at most 240 characters.
    """

    lookback = 256

    def __init__(
        self,
        config: PolishConfig,
        terms: Terms,
        suspicious: Callable[[str], Match | None],
        forbidden: Callable[[str], list[tuple[int, int]]] | None,
        asked_in: str,
    ) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self._config = config
        self._applies = config.mode == "apply"
        self._suspicious = suspicious
        self._forbidden = forbidden
        self._asked_in = asked_in
        self._pieces: list[str] = []
        self._mechanics = Mechanics(terms)
        self._finders: list[Mechanics | _Sentences] = []
        if self._applies:
            self._finders.append(self._mechanics)
            if config.grammar == "apply":
                self._finders.append(_Sentences(asked_in, harper=config.harper is not False))
        self._terms = terms
        self._held = ""
        self._released = 0
        """How much of what was fed has been let go."""
        self._found: list[Edit] = []
        """Faults that are certain and not yet applied."""

    def feed(self, text: str) -> str:
        """What is final now."""
        self._pieces.append(text)
        if not self._applies:
            return text
        return self._advance(text, is_last=False)

    def ease(self) -> Ease | None:
        """Plain words go ahead where only mechanical faults are looked for; terms may be plain words."""
        if not self._applies:
            return Ease(_ROOM, "")
        if self._found or " " in self._held[1:] or self._terms.first or self._config.grammar == "apply":
            return None
        before = self._mechanics.word_before
        return None if before is None else Ease(_ROOM, self._held, before)

    def whole(self, text: str) -> str:
        """All of a text at once: mechanical faults are looked for where one look says there may be any."""
        if self._applies and self._config.grammar != "apply" and self._suspicious(text) is None:
            self._pieces.append(text)
            self._look_over()
            return text
        return self.feed(text) + self.flush()

    def flush(self) -> str:
        """The rest, and the notes."""
        rest = self._advance("", is_last=True) if self._applies else ""
        self._look_over()
        return rest

    def _advance(self, text: str, *, is_last: bool) -> str:
        held = self._held = self._held + text
        safe = min(finder.feed(text, self._found, is_last=is_last) for finder in self._finders)
        end = self._released + len(held) if is_last else safe
        self._found.sort(key=lambda one: (one.start, one.end, one.rule))
        out: list[str] = []
        at = self._released
        for place, one in enumerate(self._found):
            if one.start >= end:
                del self._found[:place]
                break
            if one.start < at:
                continue  # another fault was mended here
            if one.end > end:
                end = one.start
                del self._found[:place]
                break
            out += (held[at - self._released : one.start - self._released], one.text)
            at = one.end
            self.edits.append(one)
        else:
            self._found.clear()
        end = max(end, at)
        out.append(held[at - self._released : end - self._released])
        self._held = held[end - self._released :]
        self._released = end
        return "".join(out)

    def _look_over(self) -> None:
        """What is only observed: faults not applied, phrases, style."""
        text = "".join(self._pieces)
        if not text.strip():
            return
        config = self._config
        language = _language(text, self._asked_in)
        observed: list[Edit] = []
        if not self._applies and self._suspicious(text) is not None:
            Mechanics(self._terms).feed(text, observed, is_last=True)
        if config.grammar == "observe" or (config.grammar == "apply" and not self._applies):
            head = text[:_MOST]
            observed += grammar.faults(head, language, lambda: ProseState().read(head))
            if config.harper and language == "en":
                observed += _harper(head, ProseState().read(head), 0)
        if observed:
            self._note(observed)
        if self._forbidden is not None:
            self.verdicts += [
                Verdict(step="polish", rule="polish.forbidden", category="style", severity=1, score=1.0,
                        start=start, end=end, where="output", action="warn")
                for start, end in self._forbidden(text)
            ]  # fmt: skip
        if self._asked_in in _LANGUAGES and language in _LANGUAGES and language != self._asked_in:
            self.notes["language"] = {"asked": self._asked_in, "answered": language}
        noted = style(text, language) if config.style else {}
        if noted:
            self.notes["style"] = noted

    def _note(self, observed: list[Edit]) -> None:
        """Add edits that are not applied, where no applied one stands."""
        taken = [(one.start, one.end) for one in self.edits]
        observed.sort(key=lambda one: one.start)
        last = -1
        for one in observed:
            if one.start >= last and not any(start < one.end and one.start < end for start, end in taken):
                one.applied = False
                self.edits.append(one)
                last = one.end
        self.edits.sort(key=lambda one: one.start)


class _Sentences:
    """Finds faults of grammar, a sentence at a time, each in its own language."""

    def __init__(self, asked_in: str, *, harper: bool) -> None:
        self._language = asked_in
        self._harper = harper
        self._prose = ProseState()
        self._buffer = ""
        self._at = 0

    def feed(self, text: str, edits: list[Edit], *, is_last: bool = False) -> int:
        """As `Mechanics.feed`."""
        buffer = self._buffer + text
        done = 0
        while done < len(buffer):
            end = _end_of_sentence(buffer, done)
            if end < 0:
                if not is_last:
                    break
                end = len(buffer)
            self._judge(buffer[done:end], self._at + done, edits)
            done = end
        self._buffer = buffer[done:]
        self._at += done
        return self._at

    def _judge(self, sentence: str, at: int, edits: list[Edit]) -> None:
        prose = self._prose.read(sentence)
        if not prose:
            return
        if len(sentence) >= _TELLING or not self._language:
            self._language = _language(sentence, self._language)
        edits += grammar.faults(sentence, self._language, lambda: prose, at)
        if self._harper and self._language == "en" and len(sentence) > 8:
            edits += _harper(sentence, prose, at)


def _end_of_sentence(text: str, start: int) -> int:
    """Where the sentence that begins at `start` ends; -1 if that is not known yet, whatever comes."""
    found = _sentence_end.search(text, start, start + _SENTENCE)
    if found is not None:
        return found.end()
    if len(text) - start < _SENTENCE:
        return -1
    blank = text.rfind(" ", start + 1, start + _SENTENCE)
    return start + _SENTENCE if blank < 0 else blank


def _harper(text: str, prose: list[tuple[int, int]], at: int) -> list[Edit]:
    from greenroom.stages.postprocess.grammar import harper  # noqa: PLC0415  # a second and 140 MiB

    return harper.faults(text, prose, at)


def _language(text: str, otherwise: str) -> str:
    code, _ = detect(text)
    return code if code in _LANGUAGES else otherwise


def _phrases(phrases: Sequence[str]) -> Callable[[str], list[tuple[int, int]]] | None:
    """A search for whole phrases, case ignored; None without any."""
    if not phrases:
        return None
    from ahocorasick_rs import AhoCorasick  # noqa: PLC0415  # only where there are phrases

    automaton = AhoCorasick([one.lower() for one in phrases])

    def find(text: str) -> list[tuple[int, int]]:
        lowered = text.lower()
        if len(lowered) != len(text):
            lowered = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
        return [
            (start, end)
            for _, start, end in automaton.find_matches_as_indexes(lowered)
            if not (lowered[start - 1 : start].isalnum() or lowered[end : end + 1].isalnum())
        ]

    return find
