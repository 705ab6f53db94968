"""Laws of responses: however they come, are stored or told again, they say the same."""

import json
from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from greenroom.wire import openai
from greenroom.wire.responses_answer import whole_answer
from greenroom.wire.responses_draft import Draft, Replay
from greenroom.wire.responses_items import ItemIds
from greenroom.wire.sse import EventParser
from tests.wire.responses import HARD, SEARCH, USAGE, Json, call, chunk, decoded, ends, skeleton, told

# laws


def cuts(text: str, at: Sequence[int]) -> Iterator[str]:
    begin = 0
    for end in sorted({min(one, len(text)) for one in at}):
        if end > begin:
            yield text[begin:end]
            begin = end
    if begin < len(text):
        yield text[begin:]


def merged(events: Sequence[Json]) -> list[Json]:
    """The events without their numbers, neighbouring deltas of one text as one."""
    found: list[Json] = []
    for event in events:
        one = {name: value for name, value in event.items() if name != "sequence_number"}
        last = found[-1] if found else {}
        if "delta" in one and "delta" in last and {**one, "delta": ""} == {**last, "delta": ""}:
            found[-1] = {**last, "delta": last["delta"] + one["delta"]}
        else:
            found.append(one)
    return found


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
places = st.lists(st.integers(0, 40), max_size=6)


@given(
    reasoning=st.one_of(st.just(""), texts), said=st.one_of(st.just(""), texts),
    arguments=st.lists(texts, max_size=3), one=places, other=places,
)  # fmt: skip
def test_however_the_pieces_are_cut_the_events_are_the_same(
    reasoning: str, said: str, arguments: list[str], one: list[int], other: list[int]
) -> None:
    def pieces(at: Sequence[int]) -> list[bytes]:
        found = [chunk({"reasoning_content": piece}) for piece in cuts(reasoning, at)]
        found += [chunk({"content": piece}) for piece in cuts(said, at)]
        for index, text in enumerate(arguments):
            found.append(chunk(call(index, "", id=f"call_{index}", name="f")))
            found += [chunk(call(index, piece)) for piece in cuts(text, at)]
        return [*found, *ends()]

    assert merged(told(pieces(one))[0]) == merged(told(pieces(other))[0])


@given(at=st.lists(st.integers(0, 4000), max_size=12))
def test_however_the_bytes_are_cut_the_events_are_the_same(at: list[int]) -> None:
    data = b"".join(b"data: %b\n\n" % piece for piece in HARD)
    parser = EventParser()
    payloads: list[bytes] = []
    begin = 0
    for end in [*sorted({min(one, len(data)) for one in at}), len(data)]:
        payloads += parser.feed(data[begin:end])
        begin = end

    assert told(payloads)[0] == told(HARD)[0]


@given(said=texts, at=places, finish=st.sampled_from(["stop", "length"]))
def test_a_stored_stream_is_told_again_event_by_event(said: str, at: list[int], finish: str) -> None:
    pieces = [*HARD[:4], *(chunk({"content": piece}) for piece in cuts(said, at)), *HARD[6:10], *ends(finish)]
    events, draft = told(pieces, searched=[SEARCH])
    stored = json.loads(openai.encode(draft.response))

    again = decoded(Replay(stored, skeleton(), draft.cuts, queued=False).run())

    assert again == events


def test_a_failed_stream_is_told_again_event_by_event() -> None:
    events, draft = told([*HARD[:8], b'{"error": {"message": "broken"}}'])
    stored = json.loads(openai.encode(draft.response))

    assert decoded(Replay(stored, skeleton(), draft.cuts, queued=False).run()) == events


@given(
    said=st.one_of(st.just(""), texts),
    reasoning=st.one_of(st.just(""), texts),
    calls=st.lists(texts, max_size=2),
)
def test_whole_and_streamed_answers_are_the_same(said: str, reasoning: str, calls: list[str]) -> None:
    finish = "tool_calls" if calls else "stop"
    functions = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": text}}
        for n, text in enumerate(calls)
    ]
    message = {
        "role": "assistant",
        "content": said or None,
        "reasoning_content": reasoning or None,
        "tool_calls": functions or None,
    }
    body = json.dumps(
        {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": USAGE}
    ).encode()
    pieces = [
        *([chunk({"reasoning_content": reasoning})] if reasoning else []), *([chunk({"content": said})] if said else []),
        *(chunk(call(n, text, id=f"c{n}", name="f")) for n, text in enumerate(calls)), *ends(finish),
    ]  # fmt: skip

    whole = whole_answer(Draft(skeleton(), ItemIds("x"), tells=False), body, 1_790_000_001, is_refusal=False)

    assert whole == told(pieces)[1].response
