import json
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.assembly.furnishing import OUTPUT_ENTITIES
from greenroom.exchange import Edit, Exchange, Passage, Reply, StepRecord
from greenroom.gateway.chain import PostEntry, open_chain
from greenroom.gateway.pipeline import App
from greenroom.gateway.relay import Relay
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector
from greenroom.stages.postprocess.cite import Cite, CiteConfig
from greenroom.stages.postprocess.decode import Decode, DecodeConfig
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.stages.postprocess.polish import Polish, PolishConfig
from greenroom.stages.postprocess.unmask import Unmask, UnmaskConfig
from greenroom.testing import EchoUpstream, chop, make_app, make_exchange, stream_of
from greenroom.wire import openai
from greenroom.wire.source import Source

CPF = "390.533.447-05"
FILTERED = (
    PostEntry(Decode(DecodeConfig()), False),
    PostEntry(Polish(PolishConfig(style=False)), False),
    PostEntry(Cite(CiteConfig()), False),
    PostEntry(Guard(GuardConfig(), (PiiDetector(OUTPUT_ENTITIES), SecretDetector())), True),
    PostEntry(Unmask(UnmaskConfig()), False),
)
PROSE = st.lists(
    st.sampled_from(
        ["palavra ", " word", "O", " answer", "é", " ação", ", ", ". ", " y", " x ", "y", " 1234567", "L", " CPF", CPF,
         " my password is ", "hUnTeRaB", "cpf_1", "<CPF_", "1>", " [1]", " [9]", "[", "`", "\n", " ", "12", "a@b.com",
         "-----BEGIN ", "verylongwordthatgoeson", "xoxb-abcdefghijkl", " the same again" * 60, "Bearer ", "GB78 ",
         "MSRE40888729221637", "<|im_end|>", "!", "9876-5432", " telefone 11 ", " the", "The", " the,", ",", " of of", " ,", "  ", "de de "]
    ),
    max_size=30,
).map("".join)  # fmt: skip
GUARDED = (
    PostEntry(Guard(GuardConfig(), (PiiDetector(("cpf", "email")),)), True),
    PostEntry(Unmask(UnmaskConfig()), False),
)


class Audience:
    """An outlet that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def drained(self) -> None:
        """Always."""

    def writer(self) -> Callable[[bytes], object]:
        return lambda chunk: self.sent.append(chunk.partition(b"\r\n")[2].removesuffix(b"\r\n"))

    def throttle(self, source: Source | None) -> None:
        """Never slow."""


async def relayed(exchange: Exchange, app: App, chunks: AsyncIterator[list[bytes]]) -> list[bytes]:
    audience = Audience()
    await Relay(exchange, app, Reply(chunks=chunks), 0).run(audience)
    data = b"".join(audience.sent)
    assert data.endswith(b"\n\n")
    return [frame.removeprefix(b"data: ") for frame in data.split(b"\n\n")[:-1]]


def text_of(payloads: list[bytes]) -> str:
    chunks = [json.loads(payload) for payload in payloads if payload != b"[DONE]"]
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ())
    )


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([CPF, "<CPF_1>", "<", "CPF_1", " olá ", "a@b.com ", "12 ", "\n", "é"]), max_size=12
    ),
    st.lists(st.integers(0, 300), max_size=15),
)
async def test_streamed_and_whole_answers_are_the_same(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    app = make_app(EchoUpstream(), post=GUARDED)
    streamed, whole = make_exchange("x", stream=True), make_exchange("x")
    streamed.masks["<CPF_1>"] = whole.masks["<CPF_1>"] = "529.982.247-25"

    payloads = await relayed(streamed, app, stream_of(chop(text, cuts)))
    answer = await whole_answer(whole, app, text)

    assert text_of(payloads) == answer
    assert payloads[-1] == b"[DONE]"


def filtered(pieces: list[str], *, eases: bool) -> tuple[str, list[list[Edit]]]:
    exchange = make_exchange("x")
    exchange.masks["<CPF_1>"] = "529.982.247-25"
    exchange.passages.append(Passage(id="1", document="d", title="t", text="a word", score=1.0))
    records = [StepRecord("postprocess", one.step.name) for one in FILTERED]
    chain = open_chain(FILTERED, records, exchange, "content")
    assert chain is not None
    links = chain._links
    for link in links:
        link.ease = link.ease if eases else None
    out = "".join([chain.feed(piece) for piece in pieces]) + chain.flush()
    return out, [link.filter.edits for link in links if link.filter is not None]


@settings(max_examples=400, deadline=None)
@given(PROSE, st.lists(st.integers(0, 2000), max_size=40))
def test_words_that_go_ahead_of_the_filters_change_nothing(text: str, cuts: list[int]) -> None:
    pieces = chop(text, cuts)

    assert filtered(pieces, eases=True) == filtered(pieces, eases=False)


@settings(max_examples=400, deadline=None)
@given(PROSE, st.lists(st.integers(0, 2000), max_size=40))
def test_no_cut_changes_what_the_filters_make_of_a_text(text: str, cuts: list[int]) -> None:
    assert filtered(chop(text, cuts), eases=True)[0] == filtered([text], eases=True)[0]


async def whole_answer(exchange: Exchange, app: App, text: str) -> str:
    from greenroom.gateway.pipeline import finish_whole

    body = openai.completion(id="x", created=1, model="echo", content=text, finish_reason="stop", usage=None)
    done = finish_whole(exchange, app, Reply(body=body, view=openai.decode_completion(body)))
    content = json.loads(done)["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


async def test_a_stream_without_filters_leaves_in_the_providers_own_bytes() -> None:
    sent = [openai.ChunkWriter("i", 1, "m").content(0, piece) for piece in ("a", "b c", "é")]

    async def chunks() -> AsyncIterator[list[bytes]]:
        yield sent
        yield [openai.ChunkWriter("i", 1, "m").delta(0, {}, "stop"), b"[DONE]"]

    payloads = await relayed(make_exchange(stream=True), make_app(EchoUpstream()), chunks())

    assert payloads[:3] == sent


async def test_a_stream_cut_short_is_an_error_and_never_an_answer() -> None:
    exchange = make_exchange(stream=True)

    payloads = await relayed(exchange, make_app(EchoUpstream()), stream_of(["half an ans"], finish=None))

    assert json.loads(payloads[-1])["error"]["code"] == "upstream_disconnected"
    assert b"[DONE]" not in payloads
    assert exchange.outcome == "failed"
    assert exchange.usage is not None
    assert exchange.usage.output_tokens > 0


async def test_what_the_filters_held_is_shown_before_the_error() -> None:
    exchange = make_exchange(stream=True)
    app = make_app(EchoUpstream(), post=GUARDED)

    payloads = await relayed(exchange, app, stream_of(["half an ans"], finish=None))

    assert text_of(payloads[:-1]) == "half an ans"
    assert "error" in json.loads(payloads[-1])


async def test_a_rejected_text_ends_the_stream_and_never_leaves() -> None:
    exchange = make_exchange(stream=True)
    guard = PostEntry(Guard(GuardConfig(personal_data="block"), (PiiDetector(("cpf",)),)), True)

    payloads = await relayed(
        exchange, make_app(EchoUpstream(), post=[guard]), stream_of(list(f"Diz: CPF {CPF} e"))
    )

    assert "390" not in text_of(payloads)
    assert payloads[-1] == b"[DONE]"
    assert json.loads(payloads[-2])["choices"][0]["finish_reason"] == "content_filter"
    assert exchange.outcome == "refused"


async def test_masks_in_streamed_tool_calls_are_put_back() -> None:
    exchange = make_exchange(stream=True)
    exchange.masks["<CPF_1>"] = "529.982.247-25"
    writer = openai.ChunkWriter("i", 1, "m")

    async def chunks() -> AsyncIterator[list[bytes]]:
        call = {"index": 0, "id": "c1", "function": {"name": "find", "arguments": ""}}
        yield [writer.delta(0, {"role": "assistant", "content": None, "tool_calls": [call]})]
        for piece in ('{"cpf": "<CP', "F_1", '>"}'):
            yield [writer.delta(0, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})]
        yield [writer.delta(0, {}, "tool_calls"), b"[DONE]"]

    payloads = await relayed(exchange, make_app(EchoUpstream(), post=GUARDED), chunks())

    calls = [
        call
        for payload in payloads[:-1]
        for choice in json.loads(payload)["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert calls[0]["function"]["name"] == "find"
    assert json.loads("".join(call["function"].get("arguments", "") for call in calls)) == {
        "cpf": "529.982.247-25"
    }


async def test_usage_is_asked_for_but_shown_only_to_who_asked() -> None:
    writer = openai.ChunkWriter("i", 1, "m")
    usage = b'{"id":"i","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}'

    async def chunks() -> AsyncIterator[list[bytes]]:
        yield [writer.content(0, "hi")]
        yield [writer.delta(0, {}, "stop"), usage, b"[DONE]"]

    quiet = make_exchange(stream=True)
    asked = make_exchange(stream=True, stream_options={"include_usage": True})
    without = await relayed(quiet, make_app(EchoUpstream()), chunks())
    with_usage = await relayed(asked, make_app(EchoUpstream()), chunks())

    assert quiet.usage is not None
    assert quiet.usage.input_tokens == 7
    assert not any(b'"usage"' in payload for payload in without)
    assert json.loads(with_usage[-2])["usage"]["prompt_tokens"] == 7


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b'{"choices":[{"delta":{"content":5}}]}',
        b'{"error":{"message":"x"}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
async def test_a_broken_event_ends_the_stream_with_an_error(payload: bytes) -> None:
    async def chunks() -> AsyncIterator[list[bytes]]:
        yield [openai.ChunkWriter("i", 1, "m").content(0, "so far")]
        yield [payload]

    payloads = await relayed(make_exchange(stream=True), make_app(EchoUpstream()), chunks())

    assert "error" in json.loads(payloads[-1])
