"""How an app runs: its steps in order, the model, the filters over the answer.

Knows lists of contracts; no concrete step, provider or store. Which step broke is recorded; whether that
refuses the request is the step's `on_error`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec.json import Decoder

from greenroom.contracts import Reviewer, Step
from greenroom.errors import ContentRefused, RequestError, StepFailed
from greenroom.exchange import Exchange, Outcome, Reply, StepRecord
from greenroom.gateway.chain import Chain, PostEntry, open_chain
from greenroom.gateway.keys import Key
from greenroom.gateway.settling import estimate_usage, settle
from greenroom.gateway.splice import spliced
from greenroom.gateway.tool_calls import judge_whole, leave_out
from greenroom.stages.check.refusal import SENTENCES
from greenroom.usage import Usage
from greenroom.wire import openai

log = logging.getLogger("greenroom.pipeline")

ASKED_AGAIN = "asked_again"
"""Where an exchange's context keeps why the model was asked again: pairs of step and reason."""
AGREED = "self_consistency"
"""Where an exchange's context says how many answers were asked for, and how many agree with the one given."""
TOLD = "told"
"""Where an exchange's context keeps what steps want the caller to see beside the answer."""


_any: Decoder[Any] = Decoder()  # Any: a provider's whole answer, of which we know only some fields


class StepEntry(NamedTuple):
    """A step and what happens when it breaks."""

    step: Step
    refuse_on_error: bool
    limit_s: float | None = None
    """How long it may wait for others; then it has failed. None for steps that wait for nobody."""


class App(NamedTuple):
    """A named configuration of the four stages and its models, ready to run."""

    name: str
    model: str
    steps: tuple[StepEntry, ...]
    post: tuple[PostEntry, ...]
    call: Callable[[Exchange], Awaitable[Reply]]
    why: str
    pipeline_off: bool = False
    on_block: str = "answer"
    remember: Callable[[Exchange], None] | None = None
    reviewers: tuple[Reviewer, ...] = ()
    """Those of `post` that may have the model asked again."""
    routes: Mapping[str, Callable[[Exchange], Awaitable[Reply]]] = MappingProxyType({})
    """The models that policies may send an exchange to, by name."""
    keep: Callable[[Exchange], None] | None = None
    """Keeps the answer for equal requests, where the app caches."""
    checks: tuple[StepEntry, ...] = ()
    """The steps that judge a text by itself, and those that these build on."""
    is_prompted: bool = False
    """Whether one of `steps` fills a prompt; the request's own messages may then be none."""
    trial: "Callable[[Exchange], App | None] | None" = None
    """The experiment that this app takes part in: which app answers instead of it, if one does."""
    shadow: Callable[[Exchange, Key], None] | None = None
    """Has copies of prepared exchanges answered by other models, whose answers go to nobody."""


def model_of(exchange: Exchange, app: App) -> Callable[[Exchange], Awaitable[Reply]]:
    """Who answers: the app's model, or the one that a policy sends the exchange to."""
    if exchange.route is None:
        return app.call
    exchange.why = str(exchange.context.get("route.why") or f"a policy sends it to '{exchange.route}'")
    return app.routes[exchange.route]


async def prepare(exchange: Exchange, app: App, *, keep_going: bool = False) -> Reply | None:
    """Run preprocess, ground and check. Returns a `Reply` when a step answered instead of the model.

    With `keep_going` (inspection) every step runs even after one refused; the first refusal is returned.
    Raises: RequestError of a step (a prompt too long, say); StepFailed when a needed step broke.
    """
    refusal: Reply | None = None
    records = exchange.steps
    began = perf_counter_ns()
    for step, refuse_on_error, limit_s in app.steps:
        record = StepRecord(step.stage, step.name)
        records.append(record)
        try:
            if limit_s is None:
                reply = await step(exchange)
            else:
                async with asyncio.timeout(limit_s):
                    reply = await step(exchange)
        except RequestError:
            record.outcome = "refused"
            raise
        except Exception as error:  # the edge that must not die: the step's policy decides
            _failed(record, error)
            if refuse_on_error:
                raise StepFailed(step.name) from error
            continue
        finally:
            ended = perf_counter_ns()
            record.ns = ended - began
            began = ended
        if reply is not None:
            record.outcome = "refused"
            reply.step = step.name
            if not keep_going:
                return reply
            refusal = refusal or reply
        elif record.changes and any(edit.applied for change in record.changes for edit in change.edits):
            record.outcome = "changed"
    return refusal


def _failed(record: StepRecord, error: Exception) -> None:
    record.outcome = "failed"
    record.notes["error"] = type(error).__name__
    log.error("step failed", extra={"step": record.step, "error": type(error).__name__}, exc_info=error)


class Postprocess:
    """The filters over one exchange's answer: opened per text, reported at the end."""

    def __init__(self, exchange: Exchange, app: App) -> None:
        self._exchange = exchange
        self._entries = app.post
        self.records = [StepRecord("postprocess", entry.step.name) for entry in app.post]
        self._chains: list[tuple[int, Chain]] = []
        exchange.steps.extend(self.records)
        asked_again = exchange.context.get(ASKED_AGAIN)
        if isinstance(asked_again, list):
            for record in self.records:
                reasons = [reason for step, reason in asked_again if step == record.step]
                if reasons:
                    record.notes[ASKED_AGAIN] = reasons

    def open(self, where: str, index: int) -> Chain | None:
        """A chain for one text; `index` is the choice it belongs to. Raises StepFailed."""
        if not self._entries:
            return None
        chain = open_chain(self._entries, self.records, self._exchange, where)
        if chain is not None:
            self._chains.append((index, chain))
        return chain

    def whole(self, where: str, index: int, text: str) -> str:
        """A whole text as the filters let it go. Raises StepFailed."""
        began = perf_counter_ns()
        exchange = self._exchange
        for entry, record in zip(self._entries, self.records, strict=True):
            try:
                leaves = entry.step.leaves(exchange, where, text)
            except Exception:  # noqa: BLE001  # the filter will break as well, and that is what is recorded
                leaves = False
            ended = perf_counter_ns()
            record.ns += ended - began
            began = ended
            if not leaves:
                chain = self.open(where, index)
                return text if chain is None else chain.whole(text)
        return text

    def report(self) -> None:
        """Put what the filters did into their records."""
        for index, chain in self._chains:
            chain.report(index)

    @property
    def rejected(self) -> StepRecord | None:
        """The record of the step that stopped a text, if one did."""
        for _, chain in self._chains:
            if chain.rejected is not None:
                return chain.rejected
        return None


def finish_whole(exchange: Exchange, app: App, reply: Reply) -> bytes:
    """Run the filters over a whole answer and give the body to send.

    The provider's own bytes go out when nothing was changed and there is nothing to add.
    """
    view = reply.view
    assert isinstance(view, openai.Completion)
    exchange.usage = openai.read_usage(view.usage, view.service_tier)
    if exchange.usage is not None:  # first of all: it is to be paid even if a filter breaks
        settle(exchange)
    post = Postprocess(exchange, app)
    changed: dict[tuple[int, int], str | None] = {}
    argued = 0
    for place, choice in enumerate(view.choices):
        message = choice.message
        exchange.finish_reason = choice.finish_reason
        text = message.content
        exchange.reply_raw.append(text or "")
        if text:
            new = post.whole("content", place, text)
            exchange.reply_text.append(new)
            if new != text:
                changed[place, -1] = new
        else:
            exchange.reply_text.append("")
        for number, call in enumerate(message.tool_calls or ()):
            if call.function is not None and call.function.arguments:
                argued += len(call.function.arguments)
                new = post.whole("arguments", place, call.function.arguments)
                if new != call.function.arguments:
                    changed[place, number] = new
        if message.tool_calls:
            judge_whole(exchange, place, message.tool_calls, changed)
    post.report()
    if exchange.usage is None:
        exchange.usage = estimate_usage(exchange, argued)
        settle(exchange)
    rejected = post.rejected
    if rejected is not None:
        body = refuse_answer(exchange, rejected)
        if app.on_block == "error" and not exchange.inspect:
            exchange.status = 400
            raise ContentRefused(output_refusal(exchange))
        return body
    exchange.outcome = answered(exchange)
    return _patched(exchange, reply.body, changed)


def answered(exchange: Exchange) -> Outcome:
    """The outcome of an exchange whose answer goes out."""
    return "cached" if "cache" in exchange.context else "answered"


def _patched(exchange: Exchange, body: bytes, changed: dict[tuple[int, int], str | None]) -> bytes:
    annotations = annotations_of(exchange) if exchange.passages else []
    facts = facts_of(exchange)
    if len(changed) == 1 and not annotations and not ({ASKED_AGAIN, AGREED} & exchange.context.keys()):
        (place, number), text = next(iter(changed.items()))
        new = spliced(body, place, text) if number < 0 and text is not None else None
        if new is not None:
            body = new
            changed = {}
    asked_again = ASKED_AGAIN in exchange.context or AGREED in exchange.context
    if not (changed or annotations or asked_again):
        return b'%b,"greenroom":%b}' % (body.rstrip()[:-1], openai.encode(facts)) if facts else body
    answer = _any.decode(body)
    for (place, number), text in changed.items():
        message = answer["choices"][place]["message"]
        if number < 0:
            message["content"] = text
        elif text is not None:
            message["tool_calls"][number]["function"]["arguments"] = text
    leave_out(answer, changed)
    if annotations:
        answer["choices"][0]["message"]["annotations"] = annotations
    if asked_again and exchange.usage is not None:
        answer["usage"] = openai.usage_json(exchange.usage)
    if facts:
        answer["greenroom"] = facts
    return openai.encode(answer)


def annotations_of(exchange: Exchange) -> list[object]:
    """All citations that postprocess noted."""
    noted: list[object] = []
    for record in exchange.steps:
        found = record.notes.get("annotations")
        if isinstance(found, list):
            noted += found
    return noted


def facts_of(exchange: Exchange) -> dict[str, object]:
    """What goes under the key `greenroom` of an answer: findings and sources, when there are any."""
    facts: dict[str, object] = {}
    verdicts = [
        {"step": one.step, "rule": one.rule, "category": one.category, "severity": one.severity,
         "where": one.where, "action": one.action}
        for record in exchange.steps if record.verdicts for one in record.verdicts if one.action != "log"
    ]  # fmt: skip
    if verdicts:
        facts["verdicts"] = verdicts
    if exchange.passages:
        facts["passages"] = [
            {"id": one.id, "document": one.document, "title": one.title, "cited": one.cited}
            for one in exchange.passages
        ]
    dropped = exchange.context.get("dropped")
    if dropped:
        facts["dropped"] = dropped
    asked_again = exchange.context.get(ASKED_AGAIN)
    if isinstance(asked_again, list):
        facts[ASKED_AGAIN] = len(asked_again)
    agreed = exchange.context.get(AGREED)
    if agreed is not None:
        facts[AGREED] = agreed
    told = exchange.context.get(TOLD)
    if isinstance(told, dict):
        facts |= told
    if facts:
        facts["outcome"] = exchange.outcome
    return facts


def refuse_request(exchange: Exchange, reply: Reply) -> bytes:
    """The whole answer that a refusing step gives instead of the model."""
    exchange.outcome = "refused"
    exchange.finish_reason = "content_filter"
    exchange.usage = Usage()
    exchange.cost_nano_usd = 0
    exchange.reply_text.append(reply.refusal or "")
    return _refusal_body(exchange, reply.refusal or "", reply.step)


def output_refusal(exchange: Exchange) -> str:
    """The sentence for an answer that was stopped: what the stopping step left, else the usual one."""
    return str(exchange.context.get("refusal") or SENTENCES.sentence(exchange, "answer"))


def refuse_answer(exchange: Exchange, record: StepRecord) -> bytes:
    """The whole answer when a filter stopped the model's own."""
    exchange.outcome = "refused"
    exchange.finish_reason = "content_filter"
    sentence = output_refusal(exchange)
    exchange.reply_text[:] = [sentence]
    return _refusal_body(exchange, sentence, record.step)


def _refusal_body(exchange: Exchange, sentence: str, step: str | None) -> bytes:
    return openai.completion(
        id=exchange.id,
        created=exchange.created_ns // 1_000_000_000,
        model=exchange.asked,
        content=sentence,
        finish_reason="content_filter",
        usage=exchange.usage,
        greenroom={**facts_of(exchange), "outcome": "refused", "step": step},
    )
