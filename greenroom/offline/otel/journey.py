"""One exchange as spans: the request, its stages, its calls of models.

Made of what is stored, so nothing leaves that the store would not hold, and no text leaves unless asked for.
Durations were measured; where each part begins was not, so they are laid end to end: the steps before the
model from the beginning, the calls after them, the steps behind it up to the end.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from greenroom.exchange import NOT_CALLED, Attempt, StepRecord
from greenroom.offline.otel.content import as_texts, content_of
from greenroom.offline.otel.request import asked_of
from greenroom.store.material import ESTIMATED, SEMANTIC, STREAMED, Body, Row, surface_of
from greenroom.store.observations import TAG
from greenroom.store.tail import Stored
from greenroom.usage import Usage
from greenroom.wire import semconv
from greenroom.wire.otlp.signals import CLIENT, ERROR, INTERNAL, SERVER, Attributes, Event, Span
from greenroom.wire.semconv import Operation, Spoken
from greenroom.wire.tracecontext import parse, span_of, trace_of

OPERATIONS: dict[str, Operation] = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
_ROUTES = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "moderations": "/v1/moderations",
}
_GIVEN = frozenset({"answered", "cached"})
CANCELLED = "cancelled"


class Upstream(NamedTuple):
    """Who serves a provider's models."""

    name: str
    """`gen_ai.provider.name`."""
    address: str = ""
    port: int = 0
    is_here: bool = False
    """Whether its models run in this process."""


Upstreams = Mapping[str, Upstream]


class Teller:
    """Tells exchanges as spans. `sends_content`: whether texts stand in them."""

    def __init__(self, upstreams: Upstreams, spoken: Spoken, *, sends_content: bool = False) -> None:
        self._upstreams = upstreams
        self._spoken = spoken
        self._sends_content = sends_content

    def spans(self, stored: Stored) -> list[Span]:
        """The spans of an exchange, the request first."""
        row, body = stored.row, stored.body
        root = self._root(row, body)
        before = [one for one in body.steps if one.stage != "postprocess"]
        behind = [one for one in body.steps if one.stage == "postprocess"]
        spans = [root, *_stages(root, before, root.start_ns, row.id, 0)]
        called_ns = root.start_ns + sum(one.ns for one in before)
        ended_ns = max(root.start_ns, root.end_ns - sum(one.ns for one in behind))
        spans += self._calls(root, stored, called_ns, max(called_ns, ended_ns))
        spans += _stages(root, behind, ended_ns, row.id, len(before))
        return spans

    def operation(self, row: Row) -> Operation | None:
        """What models were asked to do; None where none is, as for moderations."""
        return OPERATIONS.get(surface_of(row))

    def target(self, target: str) -> Attributes:
        """Who is called, by the target's name: provider and model."""
        provider, _, model = target.partition("/")
        upstream = self._upstreams.get(provider) or Upstream(semconv.provider_name(provider))
        found: Attributes = {semconv.PROVIDER: upstream.name, semconv.REQUEST_MODEL: model or provider}
        if upstream.address:
            found[semconv.SERVER_ADDRESS] = upstream.address
            found[semconv.SERVER_PORT] = upstream.port
        return found

    def _root(self, row: Row, body: Body) -> Span:
        surface = surface_of(row)
        attributes: Attributes = {
            semconv.HTTP_METHOD: "POST",
            semconv.HTTP_ROUTE: _ROUTES.get(surface, surface),
            semconv.HTTP_STATUS: row.status,
            semconv.GREENROOM_ID: row.id,
            semconv.GREENROOM_PROJECT: row.project,
            semconv.GREENROOM_APP: row.app,
            semconv.GREENROOM_SURFACE: surface,
            semconv.GREENROOM_OUTCOME: row.outcome,
            semconv.GREENROOM_OVERHEAD: row.overhead_us / 1e6,
        }
        if row.outcome == "cached":
            attributes[semconv.GREENROOM_CACHE] = "semantic" if row.flags & SEMANTIC else "exact"
        if row.cost_nano is not None:
            attributes[semconv.GREENROOM_COST] = row.cost_nano / 1e9
            attributes[semconv.GREENROOM_COST_NANO] = row.cost_nano
        if row.session:
            attributes[semconv.CONVERSATION] = row.session
        if row.user:
            attributes[semconv.USER] = row.user
        if row.language:
            attributes[semconv.GREENROOM_LANGUAGE] = row.language
        if TAG in body.tags:
            attributes[semconv.GREENROOM_ARM] = body.tags[TAG]
        parent = parse(body.trace)
        error = error_type(row)
        if error is not None:
            attributes[semconv.ERROR_TYPE] = error
        return Span(
            trace=trace_of(row.id, body.trace),
            id=span_of(row.id),
            parent="" if parent is None else parent.span,
            name="greenroom.request",
            kind=SERVER,
            start_ns=row.created_ns,
            end_ns=row.created_ns + row.total_us * 1000,
            attributes=attributes,
            events=[
                Event("greenroom.target.passed_over", row.created_ns, _passed(one))
                for one in body.attempts
                if one.error in NOT_CALLED
            ],
            status=ERROR if row.outcome in ("failed", "cancelled") else 0,
            flags=_flags(parent is None or parent.is_sampled, remote=parent is not None),
        )

    def _calls(self, root: Span, stored: Stored, at_ns: int, end_ns: int) -> Iterable[Span]:
        operation = self.operation(stored.row)
        if operation is None:
            return
        made = calls_of(stored, end_ns - at_ns)
        for number, (attempt, took_ns) in enumerate(made):
            is_last = number == len(made) - 1
            attributes = {
                semconv.OPERATION: operation,
                **self.target(attempt.target),
                semconv.GREENROOM_TARGET: attempt.target,
                semconv.GREENROOM_ATTEMPT: number + 1,
                **self._call_facts(stored, attempt, is_last=is_last),
            }
            upstream = self._upstreams.get(attempt.target.partition("/")[0])
            error = call_error(stored.row, attempt, is_last=is_last)
            if error is not None:
                attributes[semconv.ERROR_TYPE] = error
            yield Span(
                trace=root.trace,
                id=span_of(stored.row.id, "model", number),
                parent=root.id,
                name=f"{operation} {attributes[semconv.REQUEST_MODEL]}",
                kind=INTERNAL if upstream is not None and upstream.is_here else CLIENT,
                start_ns=min(at_ns, root.end_ns),
                end_ns=min(at_ns + took_ns, root.end_ns),
                attributes=attributes,
                status=ERROR if error is not None else 0,
                flags=root.flags & 1,
            )
            at_ns += took_ns

    def _call_facts(self, stored: Stored, attempt: Attempt, *, is_last: bool) -> Attributes:
        row, body = stored.row, stored.body
        found = asked_of(body.request) if OPERATIONS.get(surface_of(row)) != "embeddings" else {}
        if row.session:
            found[semconv.CONVERSATION] = row.session
        prompt = next((one.notes.get("prompt") for one in body.steps if one.step == "template"), None)
        if isinstance(prompt, dict) and self._spoken != "v1_41":
            found[semconv.PROMPT_NAME] = str(prompt.get("name"))
            found[semconv.PROMPT_VERSION] = str(prompt.get("version"))
        if row.flags & STREAMED:
            found[semconv.STREAM] = True
        usage = usage_of(row, body) if is_last and row.outcome in _GIVEN | {"cancelled"} else attempt.usage
        if usage is not None:
            found |= self._usage(usage)
        if not is_last or attempt.error is not None:
            return found
        if row.flags & STREAMED and attempt.ns:
            found[semconv.FIRST_CHUNK] = attempt.ns / 1e9
        if body.finish_reason:
            found[semconv.FINISH_REASONS] = (body.finish_reason,)
        if self._sends_content:
            found |= as_texts(content_of(body))
        return found

    def _usage(self, usage: Usage) -> Attributes:
        found: Attributes = {
            semconv.INPUT_TOKENS: usage.input_tokens,
            semconv.OUTPUT_TOKENS: usage.output_tokens,
        }
        if usage.cached_tokens:
            found[semconv.CACHE_READ] = usage.cached_tokens
        if usage.cache_write_tokens and self._spoken != "v1_41":
            found[semconv.CACHE_WRITE] = usage.cache_write_tokens
        if usage.cache_write_tokens and self._spoken != "next":
            found[semconv.CACHE_WRITE_1_41] = usage.cache_write_tokens
        if usage.reasoning_tokens:
            found[semconv.REASONING] = usage.reasoning_tokens
        if usage.estimated:
            found[semconv.GREENROOM_ESTIMATED] = True
        if usage.service_tier:
            found[semconv.SERVICE_TIER] = usage.service_tier
        return found


def calls_of(stored: Stored, whole_ns: int) -> list[tuple[Attempt, int]]:
    """The calls that were made, with how long each took; that of a stream lasts to the stream's end.

    Where the texts of an exchange were not kept, its row tells of one call.
    """
    row, body = stored.row, stored.body
    model_ns = max(0, row.total_us - row.overhead_us) * 1000
    made = [one for one in body.attempts if one.error not in NOT_CALLED]
    if not made:
        if row.used is None or row.outcome == "cached" or body.attempts:
            return []
        status = row.status if row.outcome == "failed" else 200
        error = str(status) if row.outcome == "failed" else None
        return [(Attempt(target=row.used, status=status, error=error, ns=model_ns), model_ns)]
    before_ns = sum(one.ns for one in made[:-1])
    last_ns = made[-1].ns
    if row.flags & STREAMED:
        last_ns = max(last_ns, min(model_ns, whole_ns) - before_ns)
    return [*((one, one.ns) for one in made[:-1]), (made[-1], last_ns)]


def usage_of(row: Row, body: Body) -> Usage | None:
    """What the answer used; None where nobody counted."""
    if body.usage is not None or row.input_tokens is None:
        return body.usage
    return Usage(
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens or 0,
        estimated=bool(row.flags & ESTIMATED),
    )


def error_type(row: Row) -> str | None:
    """`error.type` of a request; None where it went well. A refusal of a check is an answer."""
    if row.outcome == "cancelled":
        return CANCELLED
    if row.status >= 400 or row.outcome == "failed":
        return str(row.status)
    return None


def call_error(row: Row, attempt: Attempt, *, is_last: bool) -> str | None:
    """`error.type` of a call: our code for what failed, or that its client left."""
    if attempt.error is not None:
        return attempt.error
    return CANCELLED if is_last and row.outcome == "cancelled" else None


def _flags(is_sampled: bool, *, remote: bool) -> int:
    """Trace flags, and whether the parent is another process's (bits 8 and 9 of a span's flags)."""
    return int(is_sampled) | (0x300 if remote else 0x100)


def _passed(attempt: Attempt) -> Attributes:
    return {semconv.GREENROOM_TARGET: attempt.target, semconv.ERROR_TYPE: attempt.error}


def _stages(root: Span, steps: Iterable[StepRecord], at_ns: int, id: str, number: int) -> Iterable[Span]:
    """A span for each run of steps of one stage."""
    for name, group in groupby(steps, _span_name):
        members = list(group)
        begin_ns = at_ns
        events: list[Event] = []
        searches: list[tuple[StepRecord, int]] = []
        for step in members:
            events += _events(step, at_ns)
            if step.step == "documents" and "found" in step.notes:
                searches.append((step, at_ns))
            at_ns += step.ns
        is_changed = any(one.outcome == "changed" for one in members)
        failed = next((one for one in members if one.outcome == "failed"), None)
        attributes: Attributes = {
            semconv.GREENROOM_STAGE: members[0].stage,
            semconv.GREENROOM_STAGE_CHANGED: is_changed,
            semconv.GREENROOM_STEPS: tuple([one.step for one in members]),
        }
        if failed is not None:
            attributes[semconv.ERROR_TYPE] = "step_failed"
        stage = span_of(id, "stage", number)
        yield Span(
            trace=root.trace,
            id=stage,
            parent=root.id,
            name=name,
            start_ns=min(begin_ns, root.end_ns),
            end_ns=min(at_ns, root.end_ns),
            attributes=attributes,
            events=events,
            status=ERROR if failed is not None else 0,
            flags=root.flags & 1,
        )
        for step, began_ns in searches:
            yield Span(
                trace=root.trace,
                id=span_of(id, "stage", number, "retrieval"),
                parent=stage,
                name="retrieval documents",
                start_ns=min(began_ns, root.end_ns),
                end_ns=min(began_ns + step.ns, root.end_ns),
                attributes={
                    semconv.OPERATION: "retrieval",
                    semconv.PROVIDER: "greenroom",
                    semconv.DATA_SOURCE: "documents",
                    semconv.GREENROOM_FOUND: step.notes["found"],
                },
                flags=root.flags & 1,
            )
        number += 1


def _span_name(step: StepRecord) -> str:
    if step.stage == "check":
        return "greenroom.safety.input"
    if step.step == "guard":
        return "greenroom.safety.output"
    return "greenroom." + step.stage


def _events(step: StepRecord, at_ns: int) -> Iterable[Event]:
    """That a step did something, and each of its findings: what kind of thing, never the thing."""
    if step.outcome != "unchanged":
        yield Event(
            "greenroom.step",
            at_ns + step.ns,
            {
                semconv.GREENROOM_STEP: step.step,
                semconv.GREENROOM_STEP_OUTCOME: step.outcome,
                semconv.GREENROOM_CHANGES: len(step.changes),
            },
        )
    for one in step.verdicts:
        attributes: Attributes = {
            semconv.SAFETY_STEP: one.step,
            semconv.SAFETY_RULE: one.rule,
            semconv.SAFETY_CATEGORY: one.category,
            semconv.SAFETY_ACTION: one.action,
            semconv.SAFETY_SEVERITY: one.severity,
            semconv.SAFETY_SCORE: float(one.score),
            semconv.SAFETY_WHERE: one.where,
        }
        if one.policy:
            attributes[semconv.SAFETY_POLICY] = one.policy
        yield Event(semconv.SAFETY_EVENT, at_ns + step.ns, attributes)
