"""Self-consistency: asked several times, the answer most agree on is given, and all are paid for."""

import json

import pytest

from greenroom.errors import RequestError, UpstreamTimeout
from greenroom.exchange import Exchange, Reply
from greenroom.gateway import again
from greenroom.gateway.agreement import ASKS
from greenroom.gateway.pipeline import finish_whole
from greenroom.prompts.techniques import essence, majority
from greenroom.stages.preprocess import template
from greenroom.testing import EchoUpstream, make_app, make_exchange
from tests.gateway.test_again import Priced
from tests.gateway.test_streaming import relayed, text_of


def asking(times: int = 3, *, stream: bool = False, **fields: object) -> Exchange:
    exchange = make_exchange("How many?", stream=stream, **fields)  # type: ignore[arg-type]  # fields of a body
    exchange.context[ASKS] = times
    return exchange


async def answered(exchange: Exchange, upstream: EchoUpstream) -> dict[str, object]:
    app = make_app(upstream)
    reply, error = await again.ask(exchange, app)
    assert error is None
    answer: dict[str, object] = json.loads(finish_whole(exchange, app, reply))
    return answer


def content(answer: dict[str, object]) -> str:
    return str(answer["choices"][0]["message"]["content"])  # type: ignore[index]  # JSON


def test_step_and_gateway_speak_of_the_same_place() -> None:
    assert template.ASKS == ASKS


async def test_the_answer_most_agree_on_is_given_and_said() -> None:
    upstream = EchoUpstream(["It is 4.\nAnswer: 4", "Answer: 5", "So:\n**Answer:** 5."])

    answer = await answered(asking(), upstream)

    assert content(answer) == "Answer: 5"
    assert len(upstream.calls) == 3
    assert answer["greenroom"] == {"self_consistency": {"asked": 3, "agreed": 2}, "outcome": "answered"}


async def test_every_answer_is_paid_for() -> None:
    exchange = asking()

    answer = await answered(exchange, Priced(["a", "b", "b"]))

    assert exchange.cost_nano_usd == 21
    assert answer["usage"]["total_tokens"] == 36  # type: ignore[index]  # JSON
    assert len(exchange.attempts) == 3


async def test_a_stream_is_held_and_only_the_winner_is_shown() -> None:
    exchange = asking(stream=True)
    app = make_app(EchoUpstream(["wrong it is", "right", "right"]))

    reply, error = await again.ask(exchange, app)
    assert error is None
    assert reply.chunks is not None
    sent = await relayed(exchange, app, reply.chunks)

    assert text_of(sent) == "right"
    assert "wrong" not in repr(sent)


class Failing(EchoUpstream):
    """Answers, then breaks."""

    async def __call__(self, exchange: Exchange) -> Reply:
        if self.calls:
            raise UpstreamTimeout("Nothing came in time.")
        return await super().__call__(exchange)


async def test_when_asking_again_fails_what_came_decides() -> None:
    answer = await answered(asking(), Failing(["4"]))

    assert content(answer) == "4"
    assert answer["greenroom"]["self_consistency"] == {"asked": 1, "agreed": 1}  # type: ignore[index]  # JSON


async def test_an_answer_that_was_kept_is_not_asked_for_again() -> None:
    exchange = asking()
    exchange.context["cache"] = "hit"
    upstream = EchoUpstream(["4", "5", "5"])

    await again.ask(exchange, make_app(upstream))

    assert len(upstream.calls) == 1


async def test_several_choices_and_one_majority_exclude_each_other() -> None:
    with pytest.raises(RequestError, match="send 'n' as 1"):
        await again.ask(asking(n=2), make_app(EchoUpstream()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": 2}', '{ "b":2,"a":1 }'),
        ("Long talk.\nResposta: São Paulo", "**Resposta final:** são paulo."),
        ("Respuesta: 12 €", "1 + 1\nrespuesta: 12 €."),
        ("Yes.", "yes"),
    ],
)
def test_what_says_the_same_agrees(one: str, other: str) -> None:
    assert essence(one) == essence(other)


def test_numbers_that_differ_do_not_agree_and_the_earliest_wins_a_tie() -> None:
    assert essence("Answer: 1.5") != essence("Answer: 15")
    assert majority(["b", "a", "c", "a", "b"]) == (0, 2)
