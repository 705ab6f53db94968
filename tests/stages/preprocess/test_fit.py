"""Windows are held, and what must stay stays."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import ContextTooLong
from greenroom.exchange import Caller, ChatRequest, Exchange, StepRecord, Text
from greenroom.stages.preprocess import tokens
from greenroom.stages.preprocess.fit import PER_IMAGE, Fit, FitConfig, count_tokens

WORDS = "some words that fill the window with text. "


def an_exchange(messages: list[tuple[str, str]], **fields: object) -> Exchange:
    body = {"model": "m", "messages": [{"role": role, "content": text} for role, text in messages], **fields}
    request = ChatRequest(json.dumps(body).encode(), "m")
    for index, (role, value) in enumerate(messages):
        request.roles.append(role)
        request.texts.append(Text(index, role, value))
    limit = fields.get("max_tokens") or fields.get("max_completion_tokens")
    request.max_tokens = limit if isinstance(limit, int) else None
    request.has_tools = "tools" in fields
    exchange = Exchange("x", Caller(key_id="k"), request, "default")
    exchange.steps.append(StepRecord("preprocess", "fit"))
    return exchange


async def fitted(exchange: Exchange, window: int | None, **settings_: object) -> Exchange:
    config = FitConfig(reserve_tokens=0, **settings_)  # type: ignore[arg-type]  # one table's keys
    assert await Fit(config, lambda _: window)(exchange) is None
    return exchange


def dropped_of(exchange: Exchange) -> set[int]:
    dropped = exchange.context.get("fit.dropped", set())
    assert isinstance(dropped, set)
    return dropped


async def test_far_from_the_window_only_a_note_is_made() -> None:
    exchange = await fitted(an_exchange([("user", "Hello")], max_tokens=100), 100_000)

    notes = exchange.steps[0].notes
    assert notes["window"] == 100_000
    assert notes["exact"] is False
    assert exchange.request.fields == {}
    assert exchange.request.max_tokens == 100


async def test_an_unknown_window_holds_nothing() -> None:
    exchange = await fitted(an_exchange([("user", WORDS * 10_000)]), None)

    assert exchange.steps[0].notes["window"] is None
    assert dropped_of(exchange) == set()


async def test_the_oldest_turns_go_first_and_a_user_message_leads() -> None:
    messages = [("system", "Be kind.")]
    messages += [("user" if turn % 2 == 0 else "assistant", WORDS * 20) for turn in range(9)]
    exchange = await fitted(an_exchange(messages), 1500, answer_tokens=100)

    dropped = dropped_of(exchange)
    assert dropped == set(range(1, max(dropped) + 1))
    assert messages[max(dropped) + 1][0] == "user"
    assert exchange.steps[0].outcome == "changed"
    assert exchange.steps[0].notes["dropped"] == sorted(dropped)


async def test_a_tool_call_and_its_answers_stay_or_go_together() -> None:
    messages = [("user", WORDS * 20), ("assistant", ""), ("tool", WORDS * 60), ("tool", WORDS * 60)]
    messages += [("assistant", "Done."), ("user", "Thanks. And now?")]
    exchange = an_exchange(messages)
    exchange.context["tool_pairs"] = [(1, [2, 3])]

    dropped = dropped_of(await fitted(exchange, 1200, answer_tokens=100))

    assert dropped == {0, 1, 2, 3, 4}


async def test_the_question_stays_while_its_tools_are_at_work() -> None:
    messages = [
        ("user", "old " * 2000),
        ("assistant", "old"),
        ("user", "Question?"),
        ("assistant", ""),
        ("tool", "42"),
    ]

    assert dropped_of(await fitted(an_exchange(messages), 1000, answer_tokens=50)) == {0, 1}


async def test_a_prompt_that_cannot_fit_is_refused_in_a_sentence() -> None:
    with pytest.raises(ContextTooLong, match="takes 1000"):
        await fitted(an_exchange([("user", WORDS * 1000)]), 1000)


async def test_policy_error_refuses_where_trimming_would_help() -> None:
    messages = [("user", WORDS * 500), ("assistant", "Yes."), ("user", "And?")]

    with pytest.raises(ContextTooLong):
        await fitted(an_exchange(messages), 1000, overflow="error")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_answer_is_clamped_under_the_callers_own_field(name: str) -> None:
    exchange = await fitted(an_exchange([("user", WORDS * 20)], **{name: 4000}), 2000)

    assert list(exchange.request.fields) == [name]
    left = int(bytes(exchange.request.fields[name]))
    assert 0 < left < 2000
    assert exchange.request.max_tokens == left


async def test_the_field_is_found_beside_tools_and_nulls() -> None:
    exchange = an_exchange(
        [("user", WORDS * 20)], max_completion_tokens=4000, max_tokens=None, tools=[{"a": 1}]
    )

    await fitted(exchange, 2000)

    assert list(exchange.request.fields) == ["max_completion_tokens"]


async def test_observing_changes_nothing() -> None:
    messages = [("user", WORDS * 100), ("assistant", "Yes."), ("user", "And?")]
    exchange = await fitted(an_exchange(messages, max_tokens=5000), 1000, mode="observe")

    assert dropped_of(exchange) == set()
    assert exchange.request.fields == {}
    assert exchange.steps[0].notes["would_drop"] == 2


async def test_with_rank_files_the_count_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (base64.b64encode(bytes([code])) + b" %d" % code for code in range(256))
    (tmp_path / "o200k_base.tiktoken").write_bytes(b"\n".join(lines))
    monkeypatch.setattr(tokens, "RANKS", tmp_path)
    exchange = an_exchange([("user", "x" * 300)])
    exchange.request.model = "gpt-5-mini"

    await fitted(exchange, 600)

    assert exchange.steps[0].notes["exact"] is True
    assert exchange.steps[0].notes["tokens"] == 300 + 4 + 3


async def test_tools_count_too() -> None:
    plain = await fitted(an_exchange([("user", "Hi")]), 10_000)
    tools = await fitted(an_exchange([("user", "Hi")], tools=[{"type": "function", "x": "y" * 4000}]), 10_000)

    before, after = plain.steps[0].notes["tokens"], tools.steps[0].notes["tokens"]
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after > before + 900


@settings(max_examples=60, deadline=None)
@given(
    roles=st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), min_size=1, max_size=12),
    sizes=st.lists(st.integers(0, 400), min_size=12, max_size=12),
    window=st.integers(50, 3000),
)
async def test_what_must_stay_always_stays(roles: list[str], sizes: list[int], window: int) -> None:
    messages = [(role, "word " * size) for role, size in zip(roles, sizes, strict=False)]
    exchange = an_exchange(messages)
    try:
        await fitted(exchange, window)
    except ContextTooLong:
        return
    dropped = dropped_of(exchange)

    assert len(roles) - 1 not in dropped
    assert all(roles[index] != "system" for index in dropped)
    users = [index for index, role in enumerate(roles) if role == "user"]
    assert not users or users[-1] not in dropped
    kept_head = {}
    head = 0
    for index, role in enumerate(roles):
        head = index if role not in {"tool", "system"} else head
        if role == "tool":
            kept_head[index] = head
    assert all(
        (index in dropped) == (head in dropped) or roles[head] == "system"
        for index, head in kept_head.items()
    )


async def test_tokens_of_a_request_are_counted_by_themselves() -> None:
    bare = an_exchange([("user", WORDS * 100)])
    with_tools = an_exchange([("user", WORDS * 100)], tools=[{"type": "function", "about": WORDS * 10}])
    image = b'[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]'

    tokens_, error = await count_tokens(bare.request, "claude-x")
    more, _ = await count_tokens(with_tools.request, "claude-x")
    seen, unsure = await count_tokens(ChatRequest(image, "m", b"", image), "claude-x")

    assert 800 < tokens_ < 1100
    assert 0 < error < tokens_ / 2
    assert 90 < more - tokens_ < 150
    assert PER_IMAGE < seen < PER_IMAGE + 20
    assert unsure >= PER_IMAGE // 2
