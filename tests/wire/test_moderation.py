"""`/v1/moderations`: what may be asked, and how verdicts become OpenAI's categories."""

import json
from typing import Any

import pytest

from greenroom.errors import MalformedRequest
from greenroom.exchange import Verdict
from greenroom.wire.moderation import CATEGORIES, MOST_CHARACTERS, MOST_INPUTS, parse, result


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def verdict(category: str, score: float = 0.9, rule: str = "r", **more: Any) -> Verdict:
    return Verdict(
        **{"step": "offense", "rule": rule, "category": category, "severity": 2, "score": score, "start": 0,
           "end": 3, "where": "input", "action": "block", "index": 0, **more},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("hello", [["hello"]]),
        ("", [[""]]),
        (["a", "b"], [["a"], ["b"]]),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], [["a", "b"]]),
    ],
)
def test_every_form_of_input_is_read(given: object, inputs: list[list[str]]) -> None:
    assert parse(body(input=given)).inputs == inputs


@pytest.mark.parametrize(
    ("model", "app"),
    [
        ("omni-moderation-latest", None),
        ("omni-moderation-2024-09-26", None),
        ("text-moderation-latest", None),
        ("support", "support"),
        ("greenroom/support", "support"),
    ],
)
def test_openais_names_and_our_own_are_accepted(model: str, app: str | None) -> None:
    assert parse(body(input="x", model=model)).app == app
    assert parse(body(input="x")).app is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"x":' * 100_000, "nested too deeply"),
        (b"[]", "object"),
        (body(), "input"),
        (body(input=3), "input"),
        (body(input=[]), "empty"),
        (body(input=["a", {"type": "text", "text": "b"}]), "not both"),
        (body(input=[{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]), "Images"),
        (body(input=[{"type": "sound"}]), "type"),
        (body(input=[{"type": "text"}]), "type"),
        (body(input=["a"] * (MOST_INPUTS + 1)), str(MOST_INPUTS)),
        (body(input="a" * (MOST_CHARACTERS + 1)), str(MOST_CHARACTERS)),
        (body(input="a", model=3), "model"),
    ],
)
def test_what_can_not_be_judged_is_refused_with_its_reason(raw: bytes, said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        parse(raw)


@pytest.mark.parametrize(
    ("category", "theirs"),
    [
        ("insult", {"harassment"}),
        ("harassment", {"harassment"}),
        ("threat", {"harassment", "harassment/threatening", "violence"}),
        ("hate", {"hate"}),
        ("sexual", {"sexual"}),
        ("self-harm", {"self-harm"}),
        ("self_harm", {"self-harm"}),
        ("violence", {"violence"}),
        ("profanity", set()),
        ("injection", set()),
        ("personal_data", set()),
        ("secret", set()),
    ],
)
def test_our_categories_become_theirs_where_they_correspond(category: str, theirs: set[str]) -> None:
    found: Any = result([verdict(category)], None, {})

    assert {name for name, said in found["categories"].items() if said} == theirs
    assert set(found["category_scores"]) == set(CATEGORIES) == set(found["category_applied_input_types"])
    assert found["flagged"] is bool(theirs)
    assert found["greenroom"]["categories"] == {category: 0.9}


def test_a_category_may_stand_in_the_rule() -> None:
    found: Any = result([verdict("offense", rule="offense.hate")], None, {})

    assert found["categories"]["hate"]


def test_what_the_app_would_refuse_is_flagged_whatever_it_is() -> None:
    found: Any = result([verdict("personal_data")], "Please remove it.", {})

    assert found["flagged"]
    assert found["greenroom"]["refusal"] == "Please remove it."


def test_what_is_only_recorded_flags_nothing() -> None:
    found: Any = result([verdict("hate", action="log")], None, {})

    assert not found["flagged"]
    assert len(found["greenroom"]["verdicts"]) == 1


def test_the_highest_score_of_a_category_counts() -> None:
    found: Any = result([verdict("hate", 0.6), verdict("hate", 0.8), verdict("insult", 0.7)], None, {})

    assert found["category_scores"]["hate"] == 0.8
    assert found["category_scores"]["harassment"] == 0.7
    assert found["category_scores"]["violence"] == 0.0
