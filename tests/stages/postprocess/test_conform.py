import json
from time import thread_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import ConfigError, MalformedRequest
from greenroom.exchange import Exchange
from greenroom.stages.postprocess.conform import Conform, ConformConfig
from greenroom.stages.postprocess.json_schema import Schema
from greenroom.testing import chop, make_exchange, run_filter
from greenroom.wire.openai import ReplyChoice, ReplyMessage, ToolCall, ToolFunction

PRICE = {
    "type": "object",
    "properties": {"nome": {"type": "string"}, "preço": {"type": "number", "minimum": 0}},
    "required": ["nome", "preço"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {"cpf": {"type": "string", "pattern": r"^\d{3}\.\d{3}\.\d{3}-\d{2}$"}}, "required": ["cpf"]}}}  # fmt: skip


def asked(schema: Any = None, user: str = "?", **fields: object) -> Exchange:
    wanted = {"type": "json_object"} if schema is None else {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}  # fmt: skip
    return make_exchange(user, response_format=wanted, **fields)  # type: ignore[arg-type]  # fields of the body


def given_back(exchange: Exchange, text: str, **settings_: object) -> tuple[str, dict[str, object]]:
    opened = Conform(ConformConfig(**settings_)).open(exchange, "content")  # type: ignore[arg-type]
    assert opened is not None
    return run_filter(opened, [text]), opened.notes


def said(text: str | None, finish: str = "stop", calls: list[ToolCall] | None = None) -> list[ReplyChoice]:
    return [ReplyChoice(ReplyMessage(content=text, tool_calls=calls), finish_reason=finish)]


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ('Here you are:\n```json\n{"nome": "pen", "preço": 1.50}\n```', '{"nome": "pen", "preço": 1.50}'),
        ("Aqui está: {'nome': 'caneta', 'preço': 1.5,} Algo mais?", '{"nome":"caneta","preço":1.5}'),
        ("Claro: {nome: 'lápiz', “preço”: 2}", '{"nome":"lápiz","preço":2}'),
    ],
    ids=["en", "pt", "es"],
)
def test_json_is_taken_out_and_mended(text: str, out: str) -> None:
    assert given_back(asked(PRICE), text)[0] == out


def test_of_several_the_one_that_fits_the_schema_is_meant() -> None:
    text = 'Like {"nome": "x"}: {"nome": "y", "preço": 2} and {"z": 1}'

    assert given_back(asked(PRICE), text)[0] == '{"nome": "y", "preço": 2}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param('{"nome": "x", "preço": "2"}', "preço: value is not of type", id="a number as a string"),
        pytest.param('{"nome": "x", "preço": -2}', "preço: value is less than the minimum", id="too small"),
        pytest.param('{"nome": "x"}', "the whole: ", id="something missing"),
    ],
)
async def test_no_value_is_changed_to_make_it_fit(text: str, reason: str) -> None:
    exchange = asked(PRICE)
    found = await Conform(ConformConfig()).review(exchange, said(text), 1)

    assert found is not None
    assert found.reason.startswith(reason)
    assert given_back(exchange, text)[0] == text


async def test_what_was_cut_off_is_never_closed_and_passed_as_whole() -> None:
    step, text = Conform(ConformConfig()), '{"nome": "x", "preço": 1'
    plain, strict = asked(), asked(PRICE)
    plain.finish_reason = strict.finish_reason = "length"
    of_plain, of_strict = [await step.review(one, said(text, "length"), 0) for one in (plain, strict)]

    assert of_plain is not None
    assert of_strict is not None
    assert (of_plain.messages, of_plain.error) == ((), None)
    assert "max_tokens" in str(of_strict.error)
    assert given_back(plain, text) == (text, {"form": "truncated", "reason": of_plain.reason})


async def test_a_schema_is_about_what_the_client_gets_and_not_about_masks() -> None:
    exchange = make_exchange("x", tools=[TOOL])
    exchange.masks["<CPF_1>"] = "529.982.247-25"
    call = ToolCall("c1", ToolFunction("find", '{"cpf": "<CPF_1>"}'))

    assert await Conform(ConformConfig()).review(exchange, said(None, calls=[call]), 0) is None


async def test_wrong_arguments_are_told_to_the_model_as_a_tool_would() -> None:
    calls = [
        ToolCall("c1", ToolFunction("find", '{"cpf": "1"}')),
        ToolCall("c2", ToolFunction("find", '{"cpf": "529.982.247-25"}')),
    ]
    found = await Conform(ConformConfig()).review(
        make_exchange("x", tools=[TOOL]), said(None, calls=calls), 0
    )

    assert found is not None
    assert [one["role"] for one in found.messages] == ["assistant", "tool", "tool"]
    assert "cpf" in str(found.messages[1]["content"])
    assert "another call" in str(found.messages[2]["content"])


def test_broken_arguments_of_a_call_are_mended() -> None:
    opened = Conform(ConformConfig()).open(make_exchange("x", tools=[TOOL]), "arguments")
    assert opened is not None

    assert run_filter(opened, ["{'cpf': ", "'529.982.247-25'"]) == '{"cpf":"529.982.247-25"}'


@pytest.mark.parametrize(
    ("text", "out"), [("**Sim**.", "sim"), ("NÃO", "não"), ("sim", "sim"), ("talvez", "talvez")]
)
def test_one_of_the_choices_is_written_as_set(text: str, out: str) -> None:
    assert given_back(make_exchange(), text, choices=("sim", "não"))[0] == out


@pytest.mark.parametrize(
    ("text", "settings_", "is_right"),
    [
        ("AB-12", {"pattern": r"[A-Z]{2}-\d{2}"}, True),
        (" AB-12\n", {"pattern": r"[A-Z]{2}-\d{2}"}, True),
        ("AB-123", {"pattern": r"[A-Z]{2}-\d{2}"}, False),
        ("abc", {"max_length": 2}, False),
        ("abc", {"min_length": 4}, False),
        ("abc", {"min_length": 1, "max_length": 3}, True),
        ("maybe", {"choices": ("yes", "no")}, False),
    ],
)
async def test_patterns_lengths_and_choices(text: str, settings_: dict[str, Any], is_right: bool) -> None:
    found = await Conform(ConformConfig(**settings_)).review(make_exchange(), said(text), 0)

    assert (found is None) is is_right


@pytest.mark.parametrize("mode", ["observe", "suggest"])
def test_to_observe_is_to_pass_on_at_once_and_note(mode: str) -> None:
    step, exchange = Conform(ConformConfig(mode=mode)), asked()  # type: ignore[arg-type]
    opened = step.open(exchange, "content")
    assert opened is not None

    assert opened.feed("{'a': 1}") + opened.flush() == "{'a': 1}"
    assert [(one.applied, one.text) for one in opened.edits] == [(False, '{"a":1}')]
    assert not step.awaits(exchange, calls_tool=False)
    assert "told" not in exchange.context


def test_without_a_form_there_is_nothing_to_do() -> None:
    step = Conform(ConformConfig())

    assert step.open(make_exchange(), "content") is None
    assert step.leaves(make_exchange(), "content", "{")
    assert not step.awaits(make_exchange(), calls_tool=False)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(['{"a": 1}', "Sure! {'a': [1, 2,]} Bye", "no", '```json\n{"a": 1}\n```', '{"a": "é\\n"']),
    st.lists(st.integers(0, 60), max_size=12),
)
def test_the_result_does_not_depend_on_how_the_answer_is_cut(text: str, cuts: list[int]) -> None:
    whole, cut = (Conform(ConformConfig()).open(asked(), "content") for _ in range(2))
    assert whole is not None
    assert cut is not None

    assert run_filter(whole, [text]) == run_filter(cut, chop(text, cuts))
    assert (whole.edits, whole.notes) == (cut.edits, cut.notes)


def test_edits_lead_from_what_came_to_what_went() -> None:
    text = "Sure: {'a': 1} bye"
    opened = Conform(ConformConfig()).open(asked(), "content")
    assert opened is not None
    out = run_filter(opened, [text])

    assert [text[one.start : one.end] for one in opened.edits] == ["Sure: ", "{'a': 1}", " bye"]
    assert "".join(one.text for one in opened.edits) == out == '{"a":1}'


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"$ref": "https://example.com/x.json"}, id="somewhere else"),
        pytest.param({"type": "nothing"}, id="no type"),
        pytest.param({"type": "string", "pattern": "(unclosed"}, id="no pattern"),
        pytest.param([1], id="no schema"),
        pytest.param({"description": "x" * 300_000}, id="too large"),
        pytest.param(json.loads('{"items":' * 200 + "true" + "}" * 200), id="too deep"),
    ],
)
def test_a_schema_that_cant_be_used_is_the_callers_to_mend_before_any_model_is_asked(schema: Any) -> None:
    with pytest.raises(MalformedRequest, match="response_format"):
        Conform(ConformConfig()).awaits(asked(schema), calls_tool=False)


def test_a_schema_whose_rules_multiply_is_not_held_against_anything() -> None:
    doubled: dict[str, Any] = {"s0": {"type": "object"}}
    for number in range(1, 40):
        doubled[f"s{number}"] = {"allOf": [{"$ref": f"#/$defs/s{number - 1}"}] * 2}
    schema = Schema(json.dumps({"$defs": doubled, "$ref": "#/$defs/s39"}).encode(), "schema")
    began = thread_time()

    with pytest.raises(MalformedRequest, match="too much work"):
        schema.faults({})
    assert thread_time() - began < 1


def test_rules_that_multiply_with_depth_are_counted_too() -> None:
    one = {"properties": {"a": {"$ref": "#"}}}
    schema = Schema(json.dumps({"anyOf": [one, one]}).encode(), "schema")
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"a": deep}

    assert schema.faults({"a": {}}) == []
    with pytest.raises(MalformedRequest, match="too much work"):
        schema.faults(deep)


def test_a_tree_and_a_list_of_a_thousand_are_no_trouble() -> None:
    node = {
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}},
    }
    schema = Schema(json.dumps(node).encode(), "schema")
    rows = Schema(json.dumps({"type": "array", "items": PRICE}).encode(), "schema")

    assert schema.faults({"left": {"right": {"n": 1}}}) == []
    assert schema.faults({"left": {"right": {"n": "1"}}}) == ['left.right.n: value is not of type "integer"']
    assert rows.faults([{"nome": "x", "preço": 1}] * 1000) == []


def test_a_pattern_that_runs_away_is_stopped() -> None:
    schema = Schema(b'{"type": "string", "pattern": "^(?=(a+)+$)(a|a)*b"}', "schema")
    began = thread_time()
    schema.faults("a" * 5_000)

    assert thread_time() - began < 2


def test_a_setting_that_cant_be_used_is_said_at_start() -> None:
    with pytest.raises(ConfigError, match=r"steps\.conform\.pattern"):
        Conform(ConformConfig(pattern="(unclosed"))
