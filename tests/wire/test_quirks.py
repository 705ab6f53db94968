"""Bodies bent to what a provider is known to take otherwise."""

import json
from typing import Any

import pytest

from greenroom.models.catalog import PROVIDERS
from greenroom.wire.quirks import Quirks, bent

HI = [{"role": "user", "content": "Hi"}]


def bend(quirks: Quirks | None, messages: Any = HI, **fields: Any) -> tuple[Any, list[str]]:
    assert quirks is not None
    body, lost = bent(json.dumps({"model": "m", "messages": messages, **fields}).encode(), quirks)
    return json.loads(body), lost


@pytest.mark.parametrize(
    "provider", [one for one in PROVIDERS.values() if one.quirks], ids=lambda one: one.name
)
def test_a_body_without_anything_odd_leaves_byte_for_byte(provider: Any) -> None:
    body = b'{ "model":"m", "messages":[{"role":"user","content":"\\u0041"}], "temperature": 0.50 }'

    assert bent(body, provider.quirks) == (body, [])


def test_groq_refuses_names_logprobs_and_a_second_answer() -> None:
    named = [{"role": "user", "content": "Hi", "name": "ann"}]

    made, lost = bend(PROVIDERS["groq"].quirks, named, n=2, logprobs=True, logit_bias={}, seed=1)

    assert made == {"model": "m", "messages": HI, "seed": 1}
    assert lost == ["logprobs", "messages.name", "n"]


def test_mistral_calls_two_fields_otherwise_and_counts_unasked() -> None:
    made, lost = bend(
        PROVIDERS["mistral"].quirks, [{"role": "developer", "content": "x"}, *HI], max_completion_tokens=5,
        seed=7, stream=True, stream_options={"include_usage": True}, user="u",
    )  # fmt: skip

    assert made == {
        "model": "m", "messages": [{"role": "system", "content": "x"}, *HI], "stream": True, "max_tokens": 5,
        "random_seed": 7,
    }  # fmt: skip
    assert lost == ["user"]


def test_deepseek_has_the_old_limit_and_no_developer() -> None:
    made, lost = bend(
        PROVIDERS["deepseek"].quirks, [{"role": "developer", "content": "x"}], max_completion_tokens=5
    )

    assert made == {"model": "m", "messages": [{"role": "system", "content": "x"}], "max_tokens": 5}
    assert lost == []


def test_cerebras_refuses_penalties() -> None:
    _, lost = bend(PROVIDERS["cerebras"].quirks, presence_penalty=1, parallel_tool_calls=False, logit_bias={})

    assert lost == ["parallel_tool_calls", "presence_penalty"]


@pytest.mark.parametrize(
    ("asked", "made", "lost"),
    [("high", "high", []), ("xhigh", "high", []), ("low", None, ["reasoning_effort"])],
)
def test_efforts_are_those_that_are_taken(asked: str, made: str | None, lost: list[str]) -> None:
    told, gone = bend(Quirks(efforts={"high": "high", "xhigh": "high"}), reasoning_effort=asked)

    assert (told.get("reasoning_effort"), gone) == (made, lost)
