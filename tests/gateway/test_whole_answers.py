"""Whole answers: what nobody changed leaves byte for byte, what was changed stands in its place."""

import json

import pytest

from greenroom.errors import ContentRefused
from greenroom.exchange import Reply, StepRecord, Verdict
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.pipeline import facts_of, finish_whole
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.stages.postprocess.unmask import Unmask, UnmaskConfig
from greenroom.testing import EchoUpstream, make_app, make_exchange
from greenroom.wire import openai

APP = make_app(EchoUpstream(), post=[PostEntry(Unmask(UnmaskConfig()), True)])


def finished(body: bytes) -> bytes:
    exchange = make_exchange()
    exchange.masks["<CPF_1>"] = '529.982.247-25 "é"'
    return finish_whole(exchange, APP, Reply(body=body, view=openai.decode_completion(body)))


def test_only_the_bytes_of_the_changed_text_are_replaced() -> None:
    body = '{ "x": 1.0, "choices": [ {"message": {"content" : "\\u00e9 <CPF_1>", "new": null}} ] }'

    assert finished(body.encode()).decode() == body.replace("\\u00e9 <CPF_1>", 'é 529.982.247-25 \\"é\\"')


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"title": "<CPF_1>", "content": "<CPF_1>"}, id="the same text before it"),
        pytest.param({"content": "<CPF_1>", "refusal": "<CPF_1>"}, id="the same text after it"),
        pytest.param({"content": "<CPF_1>" + "x" * 100, "note": "<CPF_1>" + "x" * 90}, id="a long beginning"),
    ],
)
def test_the_same_text_elsewhere_in_the_answer_is_left_alone(message: dict[str, str]) -> None:
    answer = json.loads(finished(json.dumps({"choices": [{"message": message}]}).encode()))

    expected = {**message, "content": message["content"].replace("<CPF_1>", '529.982.247-25 "é"')}
    assert answer["choices"][0]["message"] == expected


def test_each_of_several_answers_gets_its_own_text() -> None:
    choices = [{"index": n, "message": {"content": f"{n} <CPF_1>"}} for n in range(2)]

    answer = json.loads(finished(json.dumps({"choices": choices}).encode()))

    texts = [choice["message"]["content"] for choice in answer["choices"]]
    assert texts == ['0 529.982.247-25 "é"', '1 529.982.247-25 "é"']


def test_a_withheld_answer_is_an_error_where_the_app_wants_errors() -> None:
    guard = Guard(GuardConfig(personal_data="block"), (PiiDetector(("cpf",)),))
    app = make_app(EchoUpstream(), post=[PostEntry(guard, True)])
    body = json.dumps({"choices": [{"message": {"content": "CPF 390.533.447-05"}}]}).encode()
    reply = Reply(body=body, view=openai.decode_completion(body))

    answer = json.loads(finish_whole(make_exchange(), app, reply))
    assert answer["choices"][0]["finish_reason"] == "content_filter"
    with pytest.raises(ContentRefused, match="withheld"):
        finish_whole(make_exchange(), app._replace(on_block="error"), reply)


def test_what_is_only_recorded_is_not_told_to_the_caller() -> None:
    exchange = make_exchange()
    exchange.steps.append(StepRecord("check", "pii"))
    for action in ("log", "warn"):
        exchange.steps[0].verdicts.append(
            Verdict(step="pii", rule="email", category="personal_data", severity=2, score=1.0, start=0, end=1,
                    where="input", action=action)
        )  # fmt: skip

    told = facts_of(exchange)["verdicts"]

    assert isinstance(told, list)
    assert [one["action"] for one in told] == ["warn"]
