"""Templates are filled with data, and what is filled in is never a template itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.row import row_of
from greenroom.offline.evals.sample import Output, Sample
from greenroom.offline.evals.templates import Template, Unfillable, messages

ROW = {
    "item": {"q": "Qual é a capital?", "n": 3, "tags": ["a", {"deep": "ação"}], "evil": "{{item.secret}}"},
    "sample": {"output_text": "Brasília", "output_json": {"city": "Brasília", "ok": True}},
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{item.q}} → {{ sample.output_text }}", "Qual é a capital? → Brasília"),
        ("{{item.n}} {{item.tags[0]}} {{item.tags.1.deep}}", "3 a ação"),
        ("{{sample.output_json.city}}", "Brasília"),
        ("{{sample.output_json}}", '{"city":"Brasília","ok":true}'),
        ("{{item.evil}}{{item.evil}}", "{{item.secret}}{{item.secret}}"),
        ("{ {item.q} } {{}", "{ {item.q} } {{}"),
    ],
    ids=["text", "places", "json field", "json whole", "braces in a value", "no hole"],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    assert Template(text, "t").fill(ROW) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{{other.x}}",
        "{{item}}",
        "{{}}",
        "{{item.__class__.__mro__}} {{x}}",
        "{{item.x|upper}}",
        "{{1+1}}",
        "{{item.x()}}",
    ],
)
def test_what_is_no_reference_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(MalformedRequest, match="begin with 'item") as caught:
        Template(text, "testing_criteria[0].input")

    assert caught.value.param == "testing_criteria[0].input"


@pytest.mark.parametrize("text", ["{{item.none}}", "{{item.tags[9]}}", "{{item.q.x}}", "{{item.__class__}}"])
def test_a_row_without_the_value_is_told_in_words(text: str) -> None:
    with pytest.raises(Unfillable, match="This row has no 'item"):
        Template(text, "t").fill(ROW)


@given(st.text())
def test_any_value_comes_out_as_it_is(value: str) -> None:
    assert Template("<{{item.v}}>", "t").fill({"item": {"v": value}}) == f"<{value}>"


def test_messages_keep_pictures_and_take_an_unknown_role_for_the_user() -> None:
    read = messages(
        [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "robot",
                "content": [
                    {"type": "input_text", "text": "{{item.q}}"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                ],
            },
        ],
        "input",
    )

    assert [one.fill(ROW) for one in read] == [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Qual é a capital?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "auto"}},
            ],
        },
    ]


def test_the_sample_of_a_row_is_what_the_model_said() -> None:
    brought = Sample(
        id="0", item={"item": {"a": 1}, "sample": {"output_text": "old", "output_json": {"b": 1}}}
    )
    body = {"model": "m", "choices": [{"finish_reason": "stop", "message": {"tool_calls": [{"id": "c"}]}}]}

    untouched = row_of(brought, Output(text="old"))
    asked = row_of(brought, Output(text='```json\n{"b": 2}\n```', body=body))

    assert untouched["sample"] == {"output_text": "old", "output_json": {"b": 1}}
    assert asked["sample"]["output_json"] == {"b": 2}
    assert asked["sample"]["output_tools"] == [{"id": "c"}]
    assert asked["sample"]["finish_reason"] == "stop"
