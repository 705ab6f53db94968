"""The model asked again: bounded, paid for, recorded, and nothing of a rejected answer shown."""

import json

import pytest

from greenroom.errors import ResponseNotConforming, UpstreamTimeout
from greenroom.exchange import Exchange, Reply
from greenroom.gateway import again
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.charges import lines_of
from greenroom.gateway.pipeline import App, finish_whole
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.postprocess.conform import Conform, ConformConfig
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.store.lines import ANSWER, EXTRA
from greenroom.testing import EchoUpstream, make_app, make_exchange
from greenroom.wire import openai
from tests.gateway.test_streaming import relayed, text_of

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


class Price:
    def cost_nano(self, usage: object) -> int:
        return 7


def app_of(upstream: EchoUpstream, **settings: object) -> App:
    guard = Guard(GuardConfig(), (PiiDetector(("email",)),))
    config = ConformConfig(**settings)  # type: ignore[arg-type]  # settings by name
    return make_app(upstream, post=[PostEntry(Conform(config), False), PostEntry(guard, True)])


async def whole(exchange: Exchange, app: App) -> dict[str, object]:
    reply, error = await again.ask(exchange, app)
    if error is not None:
        again.keep_only(exchange, app, reply)
        raise error
    answer: dict[str, object] = json.loads(finish_whole(exchange, app, reply))
    return answer


def content(answer: dict[str, object]) -> object:
    choices = answer["choices"]
    assert isinstance(choices, list)
    return json.loads(choices[0]["message"]["content"])


async def test_a_wrong_answer_is_asked_for_again_and_the_model_told_why() -> None:
    upstream = EchoUpstream(['{"n": "many"}', '{"n": 2}'])
    exchange = make_exchange("Quantos são?", response_format=FORMAT)

    answer = await whole(exchange, app_of(upstream))

    assert content(answer) == {"n": 2}
    said = json.loads(upstream.calls[1])["messages"]
    assert [one["role"] for one in said] == ["user", "assistant", "user"]
    assert said[1]["content"] == '{"n": "many"}'
    assert "integer" in said[2]["content"]
    assert said[2]["content"].startswith("Essa resposta")
    assert exchange.steps[0].notes["asked_again"] == ['n: value is not of type "integer"']
    assert answer["greenroom"] == {"asked_again": 1, "outcome": "answered"}


class Priced(EchoUpstream):
    """Each call costs 7 and counts 10 tokens in, 2 out."""

    async def __call__(self, exchange: Exchange) -> Reply:
        reply = await super().__call__(exchange)
        body = json.loads(reply.body)
        body["usage"] = {"prompt_tokens": 10, "completion_tokens": 2}
        reply.body = json.dumps(body).encode()
        reply.view = openai.decode_completion(reply.body)
        exchange.context["price"] = Price()
        return reply


async def test_all_answers_are_paid_for() -> None:
    exchange = make_exchange(response_format=FORMAT)

    answer = await whole(exchange, app_of(Priced(["no", "no", '{"n": 1}']), retries=2))

    assert exchange.cost_nano_usd == 21
    assert exchange.usage is not None
    assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == (30, 6)
    assert answer["usage"]["total_tokens"] == 36  # type: ignore[index]  # JSON


async def test_the_ledger_says_which_answer_was_given_where_an_earlier_one_was_the_best() -> None:
    exchange = make_exchange(response_format=FORMAT)
    upstream = Priced(['{"n": "x"}', "no at all"])

    answer = await whole(exchange, app_of(upstream, on_failure="pass"))

    assert content(answer) == {"n": "x"}
    assert [one.kind for one in lines_of(exchange)] == [ANSWER, EXTRA]


async def test_it_is_an_error_in_the_end_and_the_record_says_what_was_wrong() -> None:
    upstream = EchoUpstream(["no", "still no"])
    exchange = make_exchange(response_format=FORMAT)

    with pytest.raises(ResponseNotConforming, match="even when asked again: it is not JSON") as raised:
        await whole(exchange, app_of(upstream))

    assert openai.error_of(raised.value)[:3] == (502, "upstream_error", "response_not_conforming")
    assert len(upstream.calls) == 2
    record = exchange.steps[0]
    assert record.notes == {"asked_again": ["it is not JSON"], "form": "invalid", "reason": "it is not JSON"}
    assert exchange.reply_raw == ["still no"]
    assert exchange.reply_text == [""]


async def test_the_least_wrong_answer_goes_on_where_that_is_wanted() -> None:
    upstream = EchoUpstream(['{"n": "x"}', "no"])

    answer = await whole(make_exchange(response_format=FORMAT), app_of(upstream, on_failure="pass"))

    assert content(answer) == {"n": "x"}
    assert answer["greenroom"]["form"] == "invalid"  # type: ignore[index]  # JSON


async def test_what_a_rejected_answer_gave_away_is_hidden_from_what_is_stored() -> None:
    upstream = EchoUpstream(["write to ana@example.com", '{"n": 1}'])
    exchange = make_exchange(response_format=FORMAT)

    await whole(exchange, app_of(upstream))

    assert exchange.redactions == {"ana@example.com": "[EMAIL]"}
    assert [record.step for record in exchange.steps] == ["conform", "guard"]
    assert exchange.steps[1].verdicts == []


async def test_when_the_model_fails_the_second_time_the_first_answer_counts() -> None:
    class Failing(EchoUpstream):
        async def __call__(self, exchange: Exchange) -> Reply:
            if self.calls:
                raise UpstreamTimeout("late")
            return await super().__call__(exchange)

    answer = await whole(make_exchange(response_format=FORMAT), app_of(Failing(["[]"]), on_failure="pass"))

    assert content(answer) == []


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_a_stream_is_held_until_it_conforms(size: int) -> None:
    upstream = EchoUpstream(["Sorry, no.", 'Sure: {"n": 1,}'], size=size)
    exchange = make_exchange(stream=True, response_format=FORMAT)
    app = app_of(upstream)

    reply, error = await again.ask(exchange, app)
    assert error is None
    assert reply.chunks is not None
    payloads = await relayed(exchange, app, reply.chunks)

    assert text_of(payloads) == '{"n":1}'
    last = json.loads(payloads[-2])
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["greenroom"]["form"] == "repaired"
    assert last["greenroom"]["asked_again"] == 1


async def test_a_stream_without_a_form_is_not_held() -> None:
    exchange = make_exchange(stream=True)
    app = app_of(EchoUpstream(["free words"]))

    reply, _ = await again.ask(exchange, app)

    assert reply.view is None


async def test_an_app_without_reviewers_calls_the_model_and_no_more() -> None:
    reply, error = await again.ask(make_exchange(response_format=FORMAT), make_app(EchoUpstream(["no"])))

    assert error is None
    assert reply.body
