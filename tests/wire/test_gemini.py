"""Chat completions at Gemini: bodies there, answers and streams back."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import (
    MalformedRequest,
    RequestError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamProtocol,
    UpstreamRefused,
)
from greenroom.wire.gemini_answer import from_generate_content, read_error
from greenroom.wire.gemini_request import MADE_ID, UNSIGNED, to_generate_content
from greenroom.wire.gemini_stream import GeminiStream
from greenroom.wire.sse import EventParser

HI = [{"role": "user", "content": "Hi"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
OLD, NEW = "gemini-2.5-flash", "gemini-3.5-flash"


def sent(model: str = NEW, messages: Any = HI, **fields: Any) -> tuple[Any, list[str]]:
    body = json.dumps({"model": model, "messages": messages, **fields}).encode()
    made, lost = to_generate_content(body, model)
    return json.loads(made), lost


def test_turns_become_contents_and_the_system_prompt_stands_apart() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "there"}]},
        {"role": "assistant", "content": "Hello."},
        {"role": "developer", "content": "In French."},
        {"role": "user", "content": "Bye"},
    ]

    made, lost = sent(messages=messages)

    assert made == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "In French."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}, {"text": "there"}]},
            {"role": "model", "parts": [{"text": "Hello."}]},
            {"role": "user", "parts": [{"text": "Bye"}]},
        ],
    }
    assert lost == []


@pytest.mark.parametrize(
    ("part", "made"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://h/a.jpg?x=1"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://h/a.jpg?x=1"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://h/a"}},
            {"fileData": {"fileUri": "https://h/a"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        ),
    ],
    ids=["image", "address", "address without a kind", "audio", "file"],
)
def test_parts_are_carried(part: Any, made: Any) -> None:
    told, lost = sent(messages=[{"role": "user", "content": [part]}])

    assert told["contents"][0]["parts"] == [made]
    assert lost == []


def test_settings_have_their_names_and_what_has_none_is_named() -> None:
    made, lost = sent(
        temperature=0.5, top_p=0.9, max_completion_tokens=7, n=2, seed=3, presence_penalty=0.1,
        frequency_penalty=0.2, stop=["a", "b"], user="u", logit_bias={"1": 1}, logprobs=True, store=False,
        stream=True, stream_options={"include_usage": True},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    )  # fmt: skip

    assert made["generationConfig"] == {
        "temperature": 0.5, "topP": 0.9, "maxOutputTokens": 7, "candidateCount": 2, "seed": 3,
        "presencePenalty": 0.1, "frequencyPenalty": 0.2, "stopSequences": ["a", "b"],
        "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
    }  # fmt: skip
    assert sorted(lost) == ["logit_bias", "logprobs", "user"]
    assert "stream" not in made


@pytest.mark.parametrize(
    ("model", "fields", "made", "lost"),
    [
        (NEW, {"reasoning_effort": "low"}, {"thinkingLevel": "low", "includeThoughts": True}, []),
        (NEW, {"reasoning_effort": "none"}, {"thinkingLevel": "minimal"}, ["reasoning_effort"]),
        (NEW, {"reasoning_effort": "max"}, {"thinkingLevel": "high", "includeThoughts": True}, ["reasoning_effort"]),
        (OLD, {"reasoning_effort": "medium"}, {"thinkingBudget": 8192, "includeThoughts": True}, []),
        (OLD, {"reasoning_effort": "none"}, {"thinkingBudget": 0}, []),
        (OLD, {"thinking": {"type": "enabled", "budget_tokens": 99}}, {"thinkingBudget": 99, "includeThoughts": True}, []),
        (OLD, {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}, []),
        (NEW, {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}, []),
        (
            NEW, {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}},
            {"includeThoughts": True}, [],
        ),
    ],
)  # fmt: skip
def test_effort_is_a_level_or_a_budget(model: str, fields: Any, made: Any, lost: list[str]) -> None:
    told, gone = sent(model, **fields)

    assert told["generationConfig"]["thinkingConfig"] == made
    assert gone == lost


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tools_and_the_choice_among_them(choice: Any, made: Any) -> None:
    told, lost = sent(tools=[WEATHER, {"type": "web_search"}], tool_choice=choice)

    declared = {"name": "weather", "parametersJsonSchema": {"type": "object"}}
    assert told["tools"] == [{"functionDeclarations": [declared]}]
    assert told["toolConfig"] == {"functionCallingConfig": made}
    assert lost == ["tools.web_search"]


def asked_again(call: dict[str, Any], **message: Any) -> tuple[Any, list[str]]:
    function = {"name": "weather", "arguments": '{"city":"Rio"}'}
    made = {"type": "function", "function": function, **call}
    return sent(
        messages=[
            *HI,
            {"role": "assistant", "content": None, "tool_calls": [made], **message},
            {"role": "tool", "tool_call_id": call["id"], "content": '{"c": 21}'},
        ]
    )


def test_a_tool_turn_goes_back_with_the_signature_it_came_with() -> None:
    signed = {"google": {"thought_signature": "c2ln"}}

    made, lost = asked_again({"id": "call_7", "extra_content": signed})

    assert made["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "weather", "args": {"city": "Rio"}, "id": "call_7"},
                    "thoughtSignature": "c2ln",
                }
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "weather", "response": {"c": 21}, "id": "call_7"}}],
        },
    ]
    assert lost == []


def test_a_call_without_a_signature_gets_the_documented_stand_in_and_a_made_id_stays_here() -> None:
    made, lost = asked_again({"id": MADE_ID + "1"})

    call, response = made["contents"][1]["parts"][0], made["contents"][2]["parts"][0]
    assert call["thoughtSignature"] == UNSIGNED
    assert "id" not in call["functionCall"]
    assert "id" not in response["functionResponse"]
    assert lost == ["thought_signature"]


def test_a_signature_in_a_thinking_block_is_used_only_when_it_is_geminis() -> None:
    ours = [{"type": "thinking", "thinking": "t", "signature": "gemini:c2ln"}]
    theirs = [{"type": "thinking", "thinking": "t", "signature": "EqQB"}]

    first, lost_none = asked_again({"id": "a"}, thinking_blocks=ours)
    second, lost_one = asked_again({"id": "a"}, thinking_blocks=theirs)

    assert first["contents"][1]["parts"][0]["thoughtSignature"] == "c2ln"
    assert second["contents"][1]["parts"][0]["thoughtSignature"] == UNSIGNED
    assert (lost_none, lost_one) == ([], ["thinking_blocks", "thought_signature"])


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([{"role": "system", "content": "x"}], "only system messages"),
        ([{"role": "robot", "content": "x"}], "no role 'robot'"),
        ([{"role": "user", "content": [{"type": "video"}]}], "part of type 'video'"),
        ([{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}], "part of type 'file'"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://h"}}]}], "neither"),
        ([*HI, {"role": "tool", "tool_call_id": "nobody", "content": "x"}], "tool_call_id"),
    ],
)
def test_what_would_change_the_question_is_refused(messages: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        sent(messages=messages)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages":1}', b"[" * 100_000])
def test_what_is_no_chat_body_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        to_generate_content(body, NEW)


# answers

USAGE = {
    "promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 6, "cachedContentTokenCount": 8,
    "totalTokenCount": 20, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}, {"modality": "AUDIO", "tokenCount": 3}],
}  # fmt: skip


def answer(*parts: Any, reason: str | None = "STOP", **fields: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    told = {"candidates": [candidate], "usageMetadata": USAGE, "responseId": "r1", **fields}
    return json.dumps(told).encode()


def read(body: bytes, *, native: bool = False) -> Any:
    made, lost = from_generate_content(body, asked="app", created=1, native=native)
    return {**json.loads(made), "lost": lost}


def test_a_whole_answer_with_thoughts_a_call_and_counts() -> None:
    call = {"functionCall": {"name": "weather", "args": {"n": 1.50}}, "thoughtSignature": "c2ln"}
    body = answer({"text": "hm", "thought": True}, {"text": "It"}, {"text": " is"}, call)

    got = read(body.replace(b"1.5}", b"1.50}"))

    message = got["choices"][0]["message"]
    assert (got["id"], got["model"]) == ("r1", "app")
    assert (message["content"], message["reasoning_content"]) == ("It is", "hm")
    assert got["choices"][0]["finish_reason"] == "tool_calls"
    made = message["tool_calls"][0]
    assert made["id"].startswith(MADE_ID)
    assert made["function"] == {"name": "weather", "arguments": '{"n": 1.50}'}
    assert made["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert got["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 10,
        "total_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 0},
    }


def test_thinking_goes_to_another_front_signed_as_geminis() -> None:
    got = read(
        answer({"text": "hm", "thought": True}, {"text": "Yes", "thoughtSignature": "c2ln"}), native=True
    )

    message = got["choices"][0]["message"]
    assert message["thinking_blocks"] == [{"type": "thinking", "thinking": "hm", "signature": "gemini:c2ln"}]
    assert message["extra_content"] == {"google": {"thought_signature": "c2ln"}}


@pytest.mark.parametrize(
    ("reason", "finish", "native"),
    [
        ("STOP", "stop", None),
        ("MAX_TOKENS", "length", None),
        ("SAFETY", "content_filter", "SAFETY"),
        ("PROHIBITED_CONTENT", "content_filter", "PROHIBITED_CONTENT"),
        ("MALFORMED_FUNCTION_CALL", "stop", "MALFORMED_FUNCTION_CALL"),
        ("SOMETHING_NEW", "stop", "SOMETHING_NEW"),
    ],
)
def test_finish_reasons(reason: str, finish: str, native: str | None) -> None:
    choice = read(answer({"text": "x"}, reason=reason))["choices"][0]

    assert (choice["finish_reason"], choice.get("native_finish_reason")) == (finish, native)


def test_a_blocked_prompt_is_a_refusal_and_not_an_error() -> None:
    got = read(b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}')

    assert got["choices"][0]["finish_reason"] == "content_filter"
    assert "SAFETY" in got["choices"][0]["message"]["refusal"]
    assert got["usage"]["prompt_tokens"] == 3


def test_what_has_no_place_is_named() -> None:
    got = read(answer({"inlineData": {"mimeType": "image/png", "data": "AA"}}, {"text": "see"}))

    assert got["lost"] == ["content.inlineData"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (answer({"text": "half"}, reason=None), UpstreamProtocol),
        (answer(reason="MALFORMED_FUNCTION_CALL"), UpstreamProtocol),
        (b'{"candidates":[]}', UpstreamProtocol),
        (b"<html>", UpstreamProtocol),
        (b"[" * 200_000, UpstreamProtocol),
        (b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}', UpstreamRefused),
        (b'[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]', UpstreamRefused),
        (b'{"error":{"code":400,"details":[{"reason":"API_KEY_INVALID"}]}}', UpstreamAuth),
    ],
)
def test_what_is_no_finished_answer_is_never_taken_for_one(body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read(body)


def test_audio_that_was_read_from_a_cache_is_told_apart() -> None:
    counts = {**USAGE, "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}]}

    details = read(answer({"text": "x"}, usageMetadata=counts))["usage"]["prompt_tokens_details"]

    assert details == {"cached_tokens": 8, "audio_tokens": 3, "cached_audio_tokens": 2}


@pytest.mark.parametrize("counts", [{}, {"promptTokenCount": -1}, {"promptTokenCount": 10**12}])
def test_counts_that_cannot_be_true_are_left_out(counts: Any) -> None:
    assert "usage" not in read(answer({"text": "x"}, usageMetadata=counts))


@pytest.mark.parametrize(
    ("details", "wait"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}], 7.0),
        ([{"reason": "x"}, {"retryDelay": "0.25s"}], 0.25),
        ([{"retryDelay": "soon"}], None),
        ([], None),
    ],
)
def test_the_wait_of_retry_info(details: Any, wait: float | None) -> None:
    error = read_error(json.dumps({"error": {"code": 429, "details": details}}).encode())

    assert error is not None
    assert error.retry_after_s == wait


# streams

EVENTS = [
    {
        "candidates": [{"content": {"parts": [{"text": "think", "thought": True}]}, "index": 0}],
        "responseId": "r",
    },
    {"candidates": [{"content": {"parts": [{"text": "Olá, "}]}}], "usageMetadata": {"promptTokenCount": 9}},
    {"candidates": [{"content": {"parts": [{"text": "você 🙂"}]}}]},
    {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {
                            "functionCall": {"name": "a", "args": {"x": 1}, "id": "i1"},
                            "thoughtSignature": "c2ln",
                        },
                        {"functionCall": {"name": "b", "args": {}, "id": "i2"}},
                    ]
                }
            }
        ]
    },
    {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], "usageMetadata": USAGE},
]
STREAM = b"".join(b"data: %b\r\n\r\n" % json.dumps(one, ensure_ascii=False).encode() for one in EVENTS)


def stream(pieces: list[bytes], *, native: bool = False) -> list[Any]:
    parser, translator = EventParser(), GeminiStream("app", 1, native=native)
    out = [piece for data in pieces for event in parser.feed(data) for piece in translator.feed(event)]
    out += [piece for event in parser.flush() for piece in translator.feed(event)]
    return [json.loads(piece) for piece in [*out, *translator.finish()]]


def test_a_stream_says_what_the_whole_answer_says() -> None:
    pieces = stream([STREAM])

    deltas = [piece["choices"][0]["delta"] for piece in pieces if piece["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Olá, você 🙂"
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "think"
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [(call["index"], call["id"], call["function"]["arguments"]) for call in calls] == [
        (0, "i1", '{"x": 1}'),
        (1, "i2", "{}"),
    ]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert pieces[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert pieces[-1]["usage"]["completion_tokens"] == 10
    assert {piece["id"] for piece in pieces} == {"r"}


def test_another_front_gets_the_signed_block_before_the_call() -> None:
    deltas = [piece["choices"][0]["delta"] for piece in stream([STREAM], native=True) if piece["choices"]]

    kinds = [next(iter(delta), "") for delta in deltas]
    assert kinds[-4:-2] == ["thinking_blocks", "tool_calls"]
    assert [delta["thinking_blocks"] for delta in deltas if "thinking_blocks" in delta] == [
        [{"type": "thinking", "thinking": "think", "signature": "gemini:"}],
        [{"type": "thinking", "thinking": "", "signature": "gemini:c2ln"}],
    ]


@settings(deadline=None)  # a busy machine is not a fault
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_however_a_stream_is_cut_it_says_the_same(cuts: list[int]) -> None:
    edges = sorted({0, len(STREAM), *cuts})

    assert stream([STREAM[start:end] for start, end in pairwise(edges)]) == stream([STREAM])


@pytest.mark.parametrize("events", range(len(EVENTS)))
def test_a_stream_that_ends_without_a_reason_is_cut(events: int) -> None:
    data = b"".join(b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in EVENTS[:events])

    with pytest.raises(UpstreamDisconnected):
        stream([data])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'data: {"error":{"code":500,"message":"no"}}\n\n', UpstreamRefused),
        (b'data: [{"error":{"code":500,"message":"no"}}]\n\n', UpstreamRefused),
        (b"data: nonsense\n\n", UpstreamProtocol),
        (b'data: {"candidates":[{"finishReason":"OTHER"}]}\n\n', UpstreamProtocol),
        (b'{"error":{"code":500}}\n', UpstreamDisconnected),
    ],
)
def test_errors_inside_a_stream(data: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        stream([data])


def test_a_prompt_blocked_in_a_stream_is_a_refusal() -> None:
    pieces = stream([b'data: {"promptFeedback":{"blockReason":"JAILBREAK"}}\r\n\r\n'])

    assert pieces[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert "JAILBREAK" in pieces[-1]["choices"][0]["delta"]["refusal"]
