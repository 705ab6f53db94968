import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.wire.mold import Mold, special

SHAPES = [
    '{"id":"i","choices":[{"index":0,"delta":{"content":%s},"logprobs":null,"finish_reason":null}]}',
    '{"choices": [{"delta": {"content": %s}, "index": 1}], "model": "the", "content": "the"}',
    '{"model":"the","x":{"content":"the"},"choices":[{"index":0,"delta":{"content":%s}}]}',
]


def learnt(shape: str) -> Mold:
    one = Mold()
    one.learn((shape % '"the"').encode(), "the", 1)
    return one


@pytest.mark.parametrize("shape", SHAPES[:2])
@given(text=st.text(min_size=1, max_size=40))
def test_a_text_that_is_read_without_decoding_is_the_one_decoding_gives(shape: str, text: str) -> None:
    payload = (shape % json.dumps(text)).encode()

    assert learnt(shape).text_of(payload) in {"", text}


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize("size", [1, 9, 200, 3000])
def test_a_chunk_is_filled_as_it_would_come(shape: str, size: int) -> None:
    one = learnt(shape)
    event = b"data: %b\n\n" % (shape % f'"{"w" * size}"').encode()
    chunk = b"%x\r\n%b\r\n" % (len(event), event)
    lead = one.lead(len(chunk))

    assert one.fill("w" * size) == chunk
    assert lead is not None
    assert chunk.startswith(lead)
    assert chunk[len(lead) : one.text_end] == b"w" * size


def test_a_chunk_without_text_has_no_lead() -> None:
    one = learnt(SHAPES[0])
    smallest = len(one.fill("")) + 1

    assert one.lead(smallest) is not None
    assert [one.lead(size) for size in (1, 20, smallest - 1, 5000)] == [None] * 4


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id":"i","choices":[{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":"stop"}]}',
        b'{"id":"i","choices":[{"index":1,"delta":{"content":"a"},"logprobs":null,"finish_reason":null}]}',
        b'{"id":"i","choices":[{"index":0,"delta":{"content":"a","tool_calls":[]},"logprobs":null,"finish_reason":null}]}',
        b'{"id":"i","choices":[{"index":0,"delta":{"content":"a\\"},"logprobs":null,"finish_reason":null}]}',
        b'{"id":"i","choices":[{"index":0,"delta":{"content":"},"logprobs":null,"finish_reason":null}]}',
        b"",
    ],
)
def test_what_says_anything_else_must_be_decoded(payload: bytes) -> None:
    assert learnt(SHAPES[0]).text_of(payload) == ""


def test_a_text_found_in_the_wrong_place_is_not_taken() -> None:
    assert learnt(SHAPES[2]).text_of((SHAPES[2] % '"x"').encode()) == ""


def test_a_shape_that_never_comes_again_is_given_up() -> None:
    one = Mold()

    tries = [one.learn(b'{"choices":[{"delta":{"content":"a"}}],"n":%d}' % n, "a", n) for n in range(9)]

    assert tries == [True] * 3 + [False] * 6


@given(st.text(max_size=30))
def test_what_is_not_special_stands_for_itself_in_json(text: str) -> None:
    if special(text) is None:
        assert json.loads(f'"{text}"') == text
