import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.stages.postprocess.unmask import Unmask, UnmaskConfig, UnmaskFilter
from greenroom.testing import chop, make_exchange, run_filter

MASKS = {"<CPF_1>": "529.982.247-25", "<EMAIL_1>": "ana@exemplo.br", "<CPF_11>": 'a "quoted" \\ value'}
PIECES = st.lists(
    st.sampled_from(
        ["<CPF_1>", "<CPF_11>", "CPF_1", "<cpf_1", "EMAIL_1>", "<", ">", "_1", "1", " ", "é", "x", "-", "&lt;CPF_1&gt;",
         "\\u003cCPF_1\\u003e", "CPF", "<CPF_2>", "\n", "**"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


@given(PIECES, st.lists(st.integers(0, 200), max_size=12), st.booleans())
def test_the_text_does_not_depend_on_how_the_stream_is_cut(text: str, cuts: list[int], is_json: bool) -> None:
    whole = run_filter(UnmaskFilter(MASKS, is_json=is_json), [text])

    assert run_filter(UnmaskFilter(MASKS, is_json=is_json), chop(text, cuts)) == whole


@given(PIECES, st.booleans())
def test_a_whole_text_is_read_as_a_stream_of_it_is(text: str, is_json: bool) -> None:
    at_once, pieces = UnmaskFilter(MASKS, is_json=is_json), UnmaskFilter(MASKS, is_json=is_json)

    assert at_once.whole(text) == run_filter(pieces, [text])
    assert at_once.edits == pieces.edits


@pytest.mark.parametrize("form", ["<CPF_1>", "CPF_1", "<cpf_1>", "<CPF_1", "CPF_1>", "&lt;CPF_1&gt;"])
def test_a_mask_is_put_back_though_brackets_or_case_were_lost(form: str) -> None:
    assert run_filter(UnmaskFilter(MASKS), [f"É {form}."]) == "É 529.982.247-25."


@pytest.mark.parametrize("text", ["CPF_12", "XCPF_1", "CPF_1x", "<CPF_2>", "a < b", "CPF-1"])
def test_what_is_no_mask_of_this_exchange_stays(text: str) -> None:
    assert run_filter(UnmaskFilter(MASKS), [text]) == text


def test_no_half_mask_is_ever_shown() -> None:
    one = UnmaskFilter(MASKS)

    shown = "".join(one.feed(piece) for piece in "Seu CPF é <CPF_1")

    assert shown == "Seu CPF é "


def test_the_arguments_of_a_tool_call_stay_valid_json() -> None:
    out = run_filter(UnmaskFilter(MASKS, is_json=True), ['{"id": "<CPF_11>", "to": "\\u003cEMAIL_1\\u003e"}'])

    assert json.loads(out) == {"id": 'a "quoted" \\ value', "to": "ana@exemplo.br"}


def test_an_exchange_without_masks_needs_no_filter() -> None:
    assert Unmask(UnmaskConfig()).open(make_exchange(), "content") is None


def test_every_replacement_is_an_edit_in_the_fed_text() -> None:
    one = UnmaskFilter(MASKS)
    run_filter(one, ["a <CPF_1> b EMAIL_1"])

    assert [(edit.start, edit.end, edit.before) for edit in one.edits] == [
        (2, 9, "<CPF_1>"),
        (12, 19, "EMAIL_1"),
    ]
