"""`conform`: an answer has the form that was asked for, or the model is asked again, or it is an error.

JSON where the request asks for it, arguments of tool calls, and what the app's settings say: one of some
choices, a pattern, a length. Packaging is taken off (fences, words around it) and broken JSON mended; a value
is never changed to make it fit. Knows one answer; how the model is asked again is the gateway's business.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import re2  # type: ignore[import-untyped]  # it brings no types
from msgspec import Meta

from greenroom.contracts import Again, StepConfig, TextFilter
from greenroom.errors import ConfigError, ResponseNotConforming
from greenroom.exchange import ChatRequest, Edit, Exchange, Verdict
from greenroom.stages.postprocess import json_text
from greenroom.stages.postprocess.json_schema import MOST_KINDS, Schema
from greenroom.stages.postprocess.wording import call_messages, content_messages
from greenroom.wire.openai import ReplyChoice, ToolCall
from greenroom.wire.openai_request import answer_schema, tool_schemas

State = Literal["valid", "repaired", "truncated", "invalid"]

_NO_JSON = 1_000
"""Faults of an answer that holds no JSON at all: anything that does is better."""
_INLINE = 4_000
"""Characters up to which an answer is judged where it stands; longer ones in a thread."""
_CHOICE_FRAME = " \t\r\n\"'`*_.!“”«»‘’()[]"


class ConformConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.conform]: what an answer must be, beyond what the request itself asks for."""

    choices: tuple[str, ...] = ()
    """The answer is one of these, letter for letter once quotes, marks and case are put right."""
    pattern: str = ""
    """The whole answer matches this (RE2)."""
    min_length: Annotated[int, Meta(ge=0)] = 0
    max_length: Annotated[int, Meta(ge=0)] = 0
    """Characters of an answer; 0 is no limit."""
    retries: Annotated[int, Meta(ge=0, le=3)] = 1
    """How often the model is asked again."""
    on_failure: Literal["error", "pass"] = "error"
    """What becomes of an answer that is still wrong: error 502 `response_not_conforming`, or it goes on."""


class Judged(NamedTuple):
    """A text held against its form: how it goes on, and what is wrong with it."""

    state: State
    edits: tuple[Edit, ...] = ()
    reason: str = ""
    faults: int = 0


_VALID = Judged("valid")


class Conform:
    """Opens a `ConformFilter` where a form was asked for, and reviews whole answers."""

    name = "conform"

    def __init__(self, config: ConformConfig) -> None:
        self._config = config
        self._applies = config.mode == "apply"
        self._choices = {_bare(one): one for one in config.choices}
        self._has_form = bool(config.choices or config.pattern or config.min_length or config.max_length)
        self._schemas: OrderedDict[bytes, Schema] = OrderedDict()
        try:
            self._pattern = re2.compile(config.pattern) if config.pattern else None
        except re2.error as error:
            raise ConfigError(f"steps.conform.pattern can't be used: {error}.") from None

    # as a reviewer

    def awaits(self, exchange: Exchange, *, calls_tool: bool) -> bool:
        """With a form in request or settings; for a tool call only where the request brought tools."""
        if not self._applies:
            return False
        request = exchange.request
        if request.response_format is not None:
            self._wanted(request)
        return self._has_form or _is_json(request) or calls_tool

    async def review(
        self, exchange: Exchange, choices: Sequence[ReplyChoice], asked_again: int
    ) -> Again | None:
        """The first wrong choice decides what the model is told; all faults are counted."""
        faults = 0
        first: tuple[Judged, list[dict[str, object]]] | None = None
        for choice in choices:
            is_cut = choice.finish_reason == "length"
            calls = [one for one in choice.message.tool_calls or () if one.function is not None]
            content = choice.message.content or ""
            if not calls and not choice.message.refusal and self._shapes(exchange):
                judged = await self._judged(exchange, content, is_cut)
                faults += judged.faults
                if judged.faults and first is None:
                    first = (
                        judged,
                        content_messages(exchange, content, judged.reason, _kind(exchange.request)),
                    )
            wrong: dict[int, Judged] = {}
            for number, call in enumerate(calls):
                judged = await self._judged_call(exchange, call, is_cut)
                faults += judged.faults
                if judged.faults:
                    wrong[number] = judged
            if wrong and first is None:
                first = (
                    next(iter(wrong.values())),
                    call_messages(calls, {number: one.reason for number, one in wrong.items()}),
                )
        if first is None:
            return None
        judged, messages = first
        may_ask = asked_again < self._config.retries and judged.state != "truncated"
        error = None
        # A client that sets no schema knows from the finish reason that what was cut off is no whole JSON.
        is_known = judged.state == "truncated" and exchange.request.response_format == "json_object"
        if self._config.on_failure == "error" and not is_known:
            error = ResponseNotConforming(_sentence(judged, asked_again))
        return Again(judged.reason, faults, messages if may_ask else (), error)

    def _shapes(self, exchange: Exchange) -> bool:
        return self._has_form or _is_json(exchange.request)

    async def _judged(self, exchange: Exchange, text: str, is_cut: bool) -> Judged:
        if len(text) > _INLINE:
            judged = await asyncio.to_thread(self.judge, exchange, text, is_cut=is_cut)
        else:
            judged = self.judge(exchange, text, is_cut=is_cut)
        _kept(exchange)[text] = judged
        return judged

    async def _judged_call(self, exchange: Exchange, call: ToolCall, is_cut: bool) -> Judged:
        assert call.function is not None
        name, text = call.function.name, call.function.arguments
        if len(text) > _INLINE:
            judged = await asyncio.to_thread(self.judge_arguments, exchange, text, name, is_cut=is_cut)
        else:
            judged = self.judge_arguments(exchange, text, name, is_cut=is_cut)
        _kept(exchange)[text] = judged
        return judged

    # as a step

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """A filter that holds the whole text, where a form was asked for."""
        if where == "arguments":
            return ConformFilter(self, exchange, is_call=True, applies=self._applies)
        if self._shapes(exchange):
            return ConformFilter(self, exchange, is_call=False, applies=self._applies)
        return None

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Sure where no form was asked for, and of what was reviewed and found valid."""
        if where == "content" and not self._shapes(exchange):
            return True
        return _kept(exchange).get(text) == _VALID

    # judging

    def judge(self, exchange: Exchange, text: str, *, is_cut: bool = False) -> Judged:
        """An answer's text held against all that was asked for. Raises MalformedRequest for a bad schema."""
        judged = _VALID
        if _is_json(exchange.request):
            judged = self._judge_json(exchange, text, self._wanted(exchange.request), is_cut)
        if self._has_form and not judged.faults:
            return self._judge_form(text, judged)
        return judged

    def judge_arguments(
        self, exchange: Exchange, text: str, name: str | None = None, *, is_cut: bool = False
    ) -> Judged:
        """Arguments of a call; without the tool's name they must fit one of the request's tools."""
        schemas = tool_schemas(exchange.request)
        if not text.strip() and all(not one or one in {b"null", b"{}"} for one in schemas.values()):
            return _VALID
        wanted = [schemas[name]] if name in schemas else list(schemas.values())
        judged = _VALID
        for raw in wanted or [b""]:
            schema = self._schema(raw, "tools.function.parameters")
            judged = self._judge_json(exchange, text or "{}", schema, is_cut, is_object=True)
            if not judged.faults:
                break
        return judged

    def _judge_json(
        self, exchange: Exchange, text: str, schema: Schema | None, is_cut: bool, *, is_object: bool = False
    ) -> Judged:
        is_object = is_object or schema is None
        try:
            value = json_text.read(text)
        except ValueError:
            pass
        else:
            faults = _faults(value, schema, is_object, exchange)
            if not faults or not isinstance(value, str):
                return _VALID if not faults else Judged("invalid", (), "; ".join(faults), len(faults))
        if is_cut:
            return Judged("truncated", (), "the answer was cut off at its longest (max_tokens)", _NO_JSON)
        found = json_text.find(text)
        best: Judged | None = None
        for one in found:
            faults = _faults(one.value, schema, is_object, exchange)
            judged = _of(text, one, faults)
            if best is None or judged.faults < best.faults:
                best = judged
            if not faults:
                break
        return best or Judged("invalid", (), "it is not JSON", _NO_JSON)

    def _judge_form(self, text: str, judged: Judged) -> Judged:
        config = self._config
        if self._choices:
            chosen = self._choices.get(_bare(text))
            if chosen is None:
                return Judged("invalid", (), f"it is none of: {', '.join(config.choices)}", 1)
            if text != chosen:
                return Judged(
                    "repaired", (_edit(text, 0, len(text), chosen, "choice", "written as the choice is"),)
                )
            return judged
        faults = []
        if self._pattern is not None and self._pattern.fullmatch(text) is None:
            bare = text.strip()
            if bare != text and self._pattern.fullmatch(bare) is not None:
                return Judged(
                    "repaired", (_edit(text, 0, len(text), bare, "pattern", "space around it taken out"),)
                )
            faults.append(f"it does not match {config.pattern}")
        if config.min_length and len(text) < config.min_length:
            faults.append(f"it is shorter than {config.min_length} characters")
        if config.max_length and len(text) > config.max_length:
            faults.append(f"it is longer than {config.max_length} characters")
        return Judged("invalid", (), "; ".join(faults), len(faults)) if faults else judged

    def _wanted(self, request: ChatRequest) -> Schema | None:
        if request.response_format != "json_schema":
            return None
        return self._schema(answer_schema(request), "response_format.json_schema.schema")

    def _schema(self, raw: bytes, param: str) -> Schema | None:
        if not raw or raw == b"null":
            return None
        schema = self._schemas.get(raw)
        if schema is None:
            schema = self._schemas[raw] = Schema(raw, param)
            while len(self._schemas) > MOST_KINDS:
                self._schemas.popitem(last=False)
        return schema


class ConformFilter:
    """Holds a text to its end, then gives it in its form: mended, or as it came where that can't be."""

    lookback = 16 * 1024 * 1024

    def __init__(self, step: Conform, exchange: Exchange, *, is_call: bool, applies: bool) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self._step = step
        self._exchange = exchange
        self._is_call = is_call
        self._applies = applies
        self._pieces: list[str] = []

    def feed(self, text: str) -> str:
        """Nothing yet; to observe is to pass it on at once."""
        self._pieces.append(text)
        return "" if self._applies else text

    def flush(self) -> str:
        """The whole text."""
        text = "".join(self._pieces)
        exchange = self._exchange
        judged = _kept(exchange).get(text)
        if judged is None:
            judge = self._step.judge_arguments if self._is_call else self._step.judge
            judged = judge(exchange, text, is_cut=exchange.finish_reason == "length")
        if judged.state != "valid":
            self._note(judged, len(text))
        if not self._applies:
            return ""
        at, pieces = 0, list[str]()
        for edit in self.edits:
            pieces += (text[at : edit.start], edit.text)
            at = edit.end
        return "".join((*pieces, text[at:]))

    def _note(self, judged: Judged, size: int) -> None:
        self.notes["form"] = judged.state
        if judged.reason:
            self.notes["reason"] = judged.reason
        self.edits = [
            Edit(
                start=one.start, end=one.end, text=one.text, before=one.before, rule=one.rule,
                reason=one.reason, applied=self._applies,
            )
            for one in judged.edits
        ]  # fmt: skip
        if judged.faults:
            self.verdicts.append(
                Verdict(
                    step="conform", rule=f"conform.{judged.state}", category="form", severity=2, score=1.0,
                    start=0, end=size, where="output", action="warn" if self._applies else "log",
                )
            )  # fmt: skip
        if self._applies:
            told = self._exchange.context.setdefault("told", {})
            assert isinstance(told, dict)
            told["form"] = judged.state


def _is_json(request: ChatRequest) -> bool:
    return request.response_format is not None and request.response_format.startswith("json")


def _kind(request: ChatRequest) -> str:
    return "json" if _is_json(request) else "form"


def _kept(exchange: Exchange) -> dict[str, Judged]:
    found = exchange.context.setdefault("conform", {})
    assert isinstance(found, dict)
    return found


def _bare(text: str) -> str:
    return text.strip(_CHOICE_FRAME).casefold()


def _faults(value: Any, schema: Schema | None, is_object: bool, exchange: Exchange) -> list[str]:  # Any: JSON
    if is_object and not isinstance(value, dict):
        return ["the whole: it is not an object"]
    if schema is None:
        return []
    return schema.faults(_unmasked(value, exchange.masks) if exchange.masks else value)


def _unmasked(value: Any, masks: dict[str, str]) -> Any:  # Any: JSON
    """The value as the client gets it: a schema is about that, not about what stands for it until then."""
    if isinstance(value, str):
        for mask, own in masks.items():
            if mask in value:
                value = value.replace(mask, own)
        return value
    if isinstance(value, dict):
        return {key: _unmasked(one, masks) for key, one in value.items()}
    return [_unmasked(one, masks) for one in value] if isinstance(value, list) else value


def _of(text: str, one: json_text.Found, faults: list[str]) -> Judged:
    edits: list[Edit] = []
    if text[: one.start]:
        edits.append(_edit(text, 0, one.start, "", "extracted", "what stood before the JSON taken out"))
    if not one.is_valid:
        why = "the JSON ended before its end and was closed" if one.is_cut else "broken JSON mended"
        edits.append(_edit(text, one.start, one.end, json_text.write(one.value), "repaired", why))
    if text[one.end :]:
        edits.append(_edit(text, one.end, len(text), "", "extracted", "what stood after the JSON taken out"))
    if faults:
        return Judged("invalid", (), "; ".join(faults), len(faults))
    return Judged("repaired", tuple(edits), "; ".join(dict.fromkeys(edit.reason for edit in edits)))


def _edit(text: str, start: int, end: int, new: str, rule: str, reason: str) -> Edit:
    return Edit(start=start, end=end, text=new, before=text[start:end], rule=f"conform.{rule}", reason=reason)


def _sentence(judged: Judged, asked_again: int) -> str:
    tries = "even when asked again" if asked_again else "at the first answer"
    if judged.state == "truncated":
        return "The answer was cut off before its JSON was complete. Raise max_tokens, or ask for less."
    return f"The model did not answer in the form asked for, {tries}: {judged.reason}."
