"""Leaks are taken out of an answer, however it is cut; the rest stays byte for byte."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.exchange import Edit
from greenroom.stages.postprocess.decode import Decode, DecodeConfig, DecodeFilter
from greenroom.testing import chop, make_exchange, run_filter

LOOP = "The same long sentence once more. "
PIECES = st.lists(
    st.sampled_from(
        ["<|im_end|>", "<|im_start|>", "assistant\n", "user", "<s>", "</s>", "[INST]", "[/INST]", "[", "<", "`", "``",
         "```", "\n```\n", "\n\n", "~~~", "\n", " ", "    ", "abc", "\x1b[3", "1m", "\x1b", "\x00", "]0;x\x07", "é",
         "<|start_header_id|>", "<|end_header_id|>", "<｜", "｜>", "**", "*", "word ", LOOP * 7, "no", ".", "<<SYS>>",
         "<start_of_turn>model\n", "poem " * 130]
    ),
    max_size=20,
).map("".join)  # fmt: skip


def applied(text: str, edits: list[Edit]) -> str:
    pieces, at = [], 0
    for edit in edits:
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join(pieces) + text[at:]


@settings(max_examples=200, deadline=None)
@given(text=PIECES, cuts=st.lists(st.integers(0, 3000), max_size=30))
def test_the_answer_does_not_depend_on_how_the_stream_is_cut(text: str, cuts: list[int]) -> None:
    whole, pieces = DecodeFilter(), DecodeFilter()

    assert run_filter(whole, [text]) == run_filter(pieces, chop(text, cuts))
    assert whole.edits == pieces.edits


@settings(max_examples=100, deadline=None)
@given(text=PIECES)
def test_it_does_not_depend_on_single_characters_either(text: str) -> None:
    assert run_filter(DecodeFilter(), list(text)) == run_filter(DecodeFilter(), [text])


@settings(max_examples=300, deadline=None)
@given(text=PIECES, applies=st.booleans())
def test_an_answer_that_is_left_has_nothing_to_do_in_a_stream(text: str, applies: bool) -> None:
    one = DecodeFilter(applies=applies)

    if Decode(DecodeConfig()).leaves(make_exchange(), "content", text):
        assert run_filter(one, [text]) == text
        assert (one.edits, one.notes) == ([], {})


@settings(max_examples=200, deadline=None)
@given(
    before=st.text("abc .é\n", max_size=700),
    unit=st.text("abcdefg .é", min_size=1, max_size=420),
    times=st.integers(1, 8),
    after=st.text("abc .\n", max_size=400),
)
def test_an_answer_that_is_left_has_no_loop_in_a_stream(
    before: str, unit: str, times: int, after: str
) -> None:
    text = before + unit * times + after
    one = DecodeFilter()

    if Decode(DecodeConfig()).leaves(make_exchange(), "content", text):
        assert run_filter(one, [text]) == text
        assert (one.edits, one.notes) == ([], {})


@settings(max_examples=200, deadline=None)
@given(text=PIECES)
def test_the_recorded_edits_make_the_answer(text: str) -> None:
    one = DecodeFilter()

    assert run_filter(one, [text]) == applied(text, one.edits)


@settings(max_examples=100, deadline=None)
@given(text=PIECES)
def test_no_more_than_the_lookback_is_held(text: str) -> None:
    one = DecodeFilter()
    released = "".join(one.feed(character) for character in text)
    gone = sum(edit.end - edit.start for edit in one.edits)

    assert one._unit or len(text) - len(released) - gone <= one.lookback


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(categories=["L", "N", "Zs", "P"], exclude_characters="<[`~*"), max_size=110)
)
def test_ordinary_text_is_untouched(text: str) -> None:
    one = DecodeFilter()

    assert run_filter(one, [text]) == text
    assert one.edits == []


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        pytest.param("Olá!<|im_end|>", "Olá!", id="ChatML end"),
        pytest.param("<|im_start|>assistant\nHi", "Hi", id="ChatML head"),
        pytest.param("<|start_header_id|>assistant<|end_header_id|>\n\nHi<|eot_id|>", "Hi", id="Llama"),
        pytest.param("[INST] x [/INST] y", " x  y", id="Mistral"),
        pytest.param("<start_of_turn>model\nHola<end_of_turn>", "Hola", id="Gemma"),
        pytest.param("fim<｜end▁of▁sentence｜>", "fim", id="DeepSeek"),
        pytest.param("<s>Hi</s>", "Hi", id="sentence marks"),
        pytest.param("a <s>b</s> c", "a <s>b</s> c", id="HTML strike-through"),
        pytest.param("\x1b[1;31mred\x1b[0m\x07\x00", "red", id="terminal codes"),
        pytest.param("use `<|im_end|>` here", "use `<|im_end|>` here", id="mark in inline code"),
        pytest.param("```\n<|im_end|>\n```", "```\n<|im_end|>\n```", id="mark in a fence"),
        pytest.param("````md\n```\n</s>\n````\nx</s>", "````md\n```\n</s>\n````\nx", id="fence in a fence"),
        pytest.param("```py\nx = 1", "```py\nx = 1\n```", id="open fence"),
        pytest.param("~~~\nx\n", "~~~\nx\n~~~", id="open tilde fence"),
        pytest.param("this is **bold te", "this is **bold te**", id="open bold"),
        pytest.param("see `foo", "see `foo`", id="open inline code"),
        pytest.param("*prices exclude tax", "*prices exclude tax", id="a footnote"),
        pytest.param("pass **kwargs on.", "pass **kwargs on.", id="a finished sentence"),
        pytest.param("a < b [1](x) <b>c</b> x[0]", "a < b [1](x) <b>c</b> x[0]", id="brackets"),
        pytest.param("| a |\n|---|\n" + "| TBD | TBD | TBD |\n" * 20, None, id="a table of equal rows"),
        pytest.param("-" * 300, None, id="a long rule"),
        pytest.param("no " * 100, None, id="a hundred words"),
        pytest.param("```\n" + "0, 1, some words, " * 60 + "\n```", None, id="repetition in code"),
    ],
)
def test_leaks_go_and_what_looks_like_them_stays(raw: str, clean: str | None) -> None:
    assert run_filter(DecodeFilter(), [raw]) == (raw if clean is None else clean)


def test_a_loop_is_cut_and_noted() -> None:
    one = DecodeFilter()

    text = run_filter(one, ["Start. ", LOOP * 100])

    assert 6 * len(LOOP) <= len(text) < 12 * len(LOOP)
    assert one.notes["loop"] == {"characters": len(LOOP), "dropped": 7 + 100 * len(LOOP) - len(text)}
    assert [edit.rule for edit in one.edits] == ["decode.loop"]


def test_what_comes_after_a_loop_is_shown_whole() -> None:
    text = run_filter(DecodeFilter(), [LOOP * 50, "The same ending, but another one."])

    assert text.endswith("The same ending, but another one.")
    assert len(text) < 15 * len(LOOP)


def test_observe_records_and_changes_nothing() -> None:
    opened = Decode(DecodeConfig(mode="observe")).open(make_exchange(), "content")
    assert opened is not None

    assert run_filter(opened, ["Hi<|im_", "end|> ```x"]) == "Hi<|im_end|> ```x"
    assert not any(edit.applied for edit in opened.edits)


def test_arguments_of_tool_calls_are_left_alone() -> None:
    assert Decode(DecodeConfig()).open(make_exchange(), "arguments") is None


@pytest.mark.parametrize(
    "piece", ["<", "<|a", "`", "` ", "\x1b[", "\x1b]", "\x00a", LOOP * 8 + "x", "```\n" + LOOP]
)
def test_hostile_answers_cost_linear_time(piece: str) -> None:
    began = time.process_time()

    run_filter(DecodeFilter(), [piece * (200_000 // len(piece))])

    assert time.process_time() - began < 2
