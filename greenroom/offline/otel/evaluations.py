"""Scores as `gen_ai.evaluation.result` events and out of them, and texts as events of their own."""

from collections.abc import Iterator
from typing import NamedTuple

from greenroom.offline.otel.content import content_of
from greenroom.offline.otel.journey import calls_of
from greenroom.store.tail import Scored, Stored
from greenroom.wire import semconv
from greenroom.wire.otlp.signals import DEBUG, INFO, Attributes, Log
from greenroom.wire.tracecontext import span_of, trace_of

_NAMES = (semconv.EVALUATION, semconv.DETAILS)


def evaluation_of(scored: Scored, *, sends_content: bool) -> Log:
    """The event of one score; its comment is somebody's text."""
    attributes: Attributes = {
        semconv.EVALUATION_NAME: scored.name,
        semconv.EVALUATION_VALUE: float(scored.value),
        semconv.RESPONSE_ID: f"chatcmpl-{scored.id}",
        semconv.GREENROOM_SCORE_SOURCE: scored.source,
        semconv.GREENROOM_ID: scored.id,
        semconv.GREENROOM_PROJECT: scored.project,
    }
    if sends_content and scored.comment:
        attributes[semconv.EVALUATION_EXPLANATION] = scored.comment
    return Log(
        at_ns=scored.at_ns,
        observed_ns=scored.at_ns,
        severity=INFO,
        event=semconv.EVALUATION,
        attributes=attributes,
        trace=trace_of(scored.id, scored.trace),
        span=span_of(scored.id),
    )


def details_of(stored: Stored, call: Attributes) -> Log | None:
    """The event with the texts of an exchange, beside the span of its last call; None without any."""
    texts = content_of(stored.body)
    made = calls_of(stored, stored.row.total_us * 1000)
    if not texts or not made:
        return None
    ended_ns = stored.row.created_ns + stored.row.total_us * 1000
    return Log(
        at_ns=ended_ns,
        observed_ns=ended_ns,
        severity=DEBUG,
        event=semconv.DETAILS,
        attributes={**call, **texts},
        trace=trace_of(stored.row.id, stored.body.trace),
        span=span_of(stored.row.id, "model", len(made) - 1),
    )


class Evaluation(NamedTuple):
    """A score that an application tells, and what names the exchange: its answer's id, or trace and span."""

    name: str
    value: float
    explanation: str
    source: str
    response: str
    trace: str
    span: str


def evaluations_in(logs: list[Log]) -> Iterator[Evaluation | str]:
    """What log records tell of scores; a sentence for each that does not tell one."""
    for log in logs:
        if log.event != semconv.EVALUATION:
            yield f"Only events named {semconv.EVALUATION} are kept."
            continue
        name = log.attributes.get(semconv.EVALUATION_NAME)
        value = log.attributes.get(semconv.EVALUATION_VALUE)
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int | float):
            yield f"An evaluation needs {semconv.EVALUATION_NAME} and a number as {semconv.EVALUATION_VALUE}."
            continue
        explanation = log.attributes.get(semconv.EVALUATION_EXPLANATION)
        response = log.attributes.get(semconv.RESPONSE_ID)
        source = log.attributes.get(semconv.GREENROOM_SCORE_SOURCE)
        yield Evaluation(
            name,
            float(value),
            explanation if isinstance(explanation, str) else "",
            source if isinstance(source, str) else "",
            response if isinstance(response, str) else "",
            log.trace,
            log.span,
        )
